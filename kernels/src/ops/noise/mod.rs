//! Standard normal noise from a counter: `Philox 4×32-10` (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
//! 3") and Box–Muller.
//!
//! Every number is a function of (seed, trajectory, purpose, step, view, element) and of nothing else, so micro-batches,
//! replays and other adapters draw the same noise. The definition stands in `wgsl/lib/philox.wgsl`; `step`
//! and `project_renoise` draw from the same functions inside their own kernels.

pub(crate) mod oracle;

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// Counter-based normals for kernels; needs [`ANGLES`].
pub(crate) const PHILOX: &str = include_str!("../../wgsl/lib/philox.wgsl");
/// Accurate sines and arc tangents for kernels.
pub(crate) const ANGLES: &str = include_str!("../../wgsl/lib/angles.wgsl");

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "noise",
    source: include_str!("noise.wgsl"),
    libs: &[GRID, PHILOX, ANGLES],
    access: &[Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[]],
};

/// Shapes of real runs, `[B, h, w, C]`.
pub const CASES: &[(&str, [usize; 4])] = &[
    ("sd 512", [1, 64, 64, 4]),
    ("sd 768", [1, 96, 96, 4]),
    ("sdxl 1024", [1, 128, 128, 4]),
    ("panorama, 5 views", [5, 64, 64, 4]),
    ("mini, 8 views", [8, 16, 16, 4]),
];

/// Which numbers to draw. Together with the view id and the element it names one normal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseKey {
    /// The user's seed: the Philox key.
    pub seed: u64,
    /// Independent runs under one seed (coupled methods).
    pub trajectory: u32,
    /// What the noise is for; xor-ed with the trajectory, so purposes should differ in high bits.
    pub purpose: u32,
    /// Step of the run.
    pub step: u32,
}

impl NoiseKey {
    /// The four words kernels take: seed lo, seed hi, step, trajectory ^ purpose.
    pub(crate) fn words(&self) -> [u32; 4] {
        [self.seed as u32, (self.seed >> 32) as u32, self.step, self.trajectory ^ self.purpose]
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    key: [u32; 4],
    count: u32,
    c4: u32,
    channels: u32,
    pixels: u32,
}

/// Options of [`fn@noise`].
#[derive(Clone, Copy, Debug)]
pub struct Noise<'a> {
    /// `[B, h, w, C]` of the result.
    pub dims: [usize; 4],
    /// Which numbers.
    pub key: NoiseKey,
    /// View id of each batch row, `[B]` u32.
    pub views: &'a Tensor,
}

/// Standard normals `[B, h, w, C]` f32. The id is for [`params()`] under another key.
///
/// # Panics
/// When `views` is not `[B]` u32 or a view has more than 2³² elements.
pub fn noise(rec: &mut Recorder, noise: &Noise<'_>) -> (Tensor, DispatchId) {
    assert_view_ids("noise", noise.views, &noise.dims);
    let out = rec.temp(&noise.dims, Elem::F32);
    let caps = rec.context().caps();
    let id = rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[],
        bind: &[noise.views, &out],
        params: &params(noise.dims, &noise.key),
        grid: linear_grid(out.shape().padded_len() / 4, 64, caps.grid),
        flops: 100 * out.shape().len() as u64,
    });
    (out, id)
}

/// Params of a [`fn@noise`] dispatch with these dimensions, for `Recording::set_params`.
#[must_use]
pub fn params(dims: [usize; 4], key: &NoiseKey) -> Vec<u8> {
    let shape = ImageShape::new("noise", &dims);
    bytemuck::bytes_of(&Params {
        key: key.words(),
        count: shape.count,
        c4: shape.c4,
        channels: shape.channels,
        pixels: shape.pixels,
    })
    .to_vec()
}

/// `[B, h, w, C]` in the words kernels take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageShape {
    /// 4-vectors of the whole tensor.
    pub(crate) count: u32,
    /// 4-vectors of a pixel.
    pub(crate) c4: u32,
    /// Channels without padding.
    pub(crate) channels: u32,
    /// Pixels of one batch row.
    pub(crate) pixels: u32,
}

impl ImageShape {
    pub(crate) fn new(kernel: &str, dims: &[usize]) -> Self {
        let &[batch, height, width, channels] = dims else {
            panic!("{kernel}: {dims:?} is not [B, h, w, C]");
        };
        let c4 = channels.div_ceil(4);
        let count = batch * height * width * c4;
        assert!(u32::try_from(4 * count).is_ok(), "{kernel}: {dims:?} has more than 2^32 elements");
        Self { count: count as u32, c4: c4 as u32, channels: channels as u32, pixels: (height * width) as u32 }
    }
}

/// Fails unless `views` names a view for each batch row of `dims`.
pub(crate) fn assert_view_ids(kernel: &str, views: &Tensor, dims: &[usize]) {
    assert!(
        views.elem() == Elem::U32 && views.dims() == [dims[0]],
        "{kernel}: views {:?} {} for images {dims:?}",
        views.dims(),
        views.elem()
    );
}

#[cfg(test)]
mod tests;
