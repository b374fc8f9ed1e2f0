//! One step of a coupled edit of source and target in one dispatch: the difference of the two trajectories goes on, the source
//! walks its path, the target's state is their sum. See the shader for the formula; which factors make sync-SDE, FlowEdit or DDS
//! of it is the methods' business.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape, NoiseKey, PHILOX, assert_view_ids};
use super::step::StepNoise;
use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "edit_step",
    source: include_str!("edit_step.wgsl"),
    libs: &[GRID, PHILOX, ANGLES],
    access: &[
        Access::Read,
        Access::Read,
        Access::Read,
        Access::Read,
        Access::Read,
        Access::ReadWrite,
        Access::ReadWrite,
    ],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[
        &[("NOISE", 0.0), ("MASK", 0.0)],
        &[("NOISE", 1.0), ("MASK", 0.0)],
        &[("NOISE", 2.0), ("MASK", 0.0)],
        &[("NOISE", 0.0), ("MASK", 1.0)],
        &[("NOISE", 1.0), ("MASK", 1.0)],
        &[("NOISE", 2.0), ("MASK", 1.0)],
    ],
};

/// Shapes of real runs: `[V, h, w, C]` of the difference.
pub const CASES: &[(&str, [usize; 4])] = &[
    ("sd 512", [1, 64, 64, 4]),
    ("sdxl 1024", [1, 128, 128, 4]),
    ("flux 1024", [1, 128, 128, 16]),
    ("mini, 8 pictures", [8, 16, 16, 4]),
];

/// What changes from step to step. `Default` is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EditScalars {
    /// Factor of the difference in the next one. Zero: it is not read.
    pub d_own: f32,
    /// Factor of target's minus source's clean estimate in the next difference. Zero: they are not read.
    pub d_clean: f32,
    /// Factor of the source's state in the next one. Zero: it is not read.
    pub s_own: f32,
    /// Factor of the source picture in the source's next state.
    pub s_known: f32,
    /// Factor of unit noise in the source's next state.
    pub sigma: f32,
    /// How much of the difference the target's state holds.
    pub gamma: f32,
    /// Which noise, for [`StepNoise::Keyed`].
    pub key: NoiseKey,
}

/// Options of [`fn@edit_step`].
#[derive(Clone, Copy, Debug)]
pub struct EditStep<'a> {
    /// States `[2V, h, w, C]` f32, the sources' first; updated in place.
    pub state: &'a Tensor,
    /// Clean estimates `[2V, h, w, C]` f32.
    pub clean: &'a Tensor,
    /// The source pictures, `[V, h, w, C]` f32.
    pub known: &'a Tensor,
    /// Target minus source, `[V, h, w, C]` f32; updated in place.
    pub difference: &'a Tensor,
    /// 0 where the source is kept, 1 where the edit is free: f32 `[h, w]`, `[V, h, w]`, or as projected from a canvas
    /// `[V, h, w, 1]`.
    pub mask: Option<&'a Tensor>,
    /// Noise of the path, the same for both of a pair; ids are those of the V views.
    pub noise: StepNoise<'a>,
    /// Factors.
    pub scalars: EditScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    key: [u32; 4],
    d_own: f32,
    d_clean: f32,
    s_own: f32,
    s_known: f32,
    sigma: f32,
    gamma: f32,
    mask_view: u32,
    mask_stride: u32,
    mask_step: u32,
    width: u32,
    count: u32,
    c4: u32,
    channels: u32,
    pixels: u32,
    pad: [u32; 2],
}

/// One step of all pairs, in place. The id is for [`params()`] of the next step.
///
/// # Panics
/// When a shape or element type contradicts the difference.
pub fn edit_step(rec: &mut Recorder, edit: &EditStep<'_>) -> DispatchId {
    let dims = edit.difference.dims();
    let shape = ImageShape::new("edit_step", dims);
    assert_shapes(edit, dims);
    let unused = rec.temp(&[4], Elem::F32);
    let (noise, views, noise_mode) = match edit.noise {
        StepNoise::None => (&unused, &unused, 0.0),
        StepNoise::Drawn(noise) => (noise, &unused, 1.0),
        StepNoise::Keyed(views) => (&unused, views, 2.0),
    };
    let mask_mode = if edit.mask.is_some() { 1.0 } else { 0.0 };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[("NOISE", noise_mode), ("MASK", mask_mode)],
        bind: &[edit.clean, edit.known, edit.mask.unwrap_or(&unused), noise, views, edit.state, edit.difference],
        params: &params(dims, edit.mask.map(Tensor::dims), &edit.scalars),
        grid: linear_grid(shape.count as usize, 64, caps.grid),
        flops: 12 * edit.difference.shape().len() as u64,
    })
}

/// Fails unless all tensors fit `dims`.
fn assert_shapes(edit: &EditStep<'_>, dims: &[usize]) {
    let pairs = [2 * dims[0], dims[1], dims[2], dims[3]];
    let drawn = if let StepNoise::Drawn(noise) = edit.noise { Some(noise) } else { None };
    let tensors = [
        ("state", Some(edit.state), &pairs[..]),
        ("clean", Some(edit.clean), &pairs[..]),
        ("known", Some(edit.known), dims),
        ("difference", Some(edit.difference), dims),
        ("noise", drawn, dims),
    ];
    for (name, tensor, expected) in tensors {
        let Some(tensor) = tensor else { continue };
        assert!(
            tensor.dims() == expected && tensor.elem() == Elem::F32,
            "edit_step: {name} {:?} {}, not {expected:?} f32",
            tensor.dims(),
            tensor.elem()
        );
    }
    if let Some(mask) = edit.mask {
        let fits =
            mask.dims() == &dims[1..3] || mask.dims() == &dims[..3] || mask.dims() == [dims[0], dims[1], dims[2], 1];
        assert!(fits && mask.elem() == Elem::F32, "edit_step: mask {:?} {} for {dims:?}", mask.dims(), mask.elem());
    }
    if let StepNoise::Keyed(views) = edit.noise {
        assert_view_ids("edit_step", views, dims);
    }
}

/// Params of an [`fn@edit_step`] dispatch over a difference of `dims` with a mask of these, for `Recording::set_params`.
///
/// # Panics
/// When `dims` has not rank 4.
#[must_use]
pub fn params(dims: &[usize], mask: Option<&[usize]>, scalars: &EditScalars) -> Vec<u8> {
    let shape = ImageShape::new("edit_step", dims);
    let rank = mask.map_or(2, <[usize]>::len);
    // Of each dimension's last: a row is padded to four elements, and so is a channel that stands alone.
    let (row, step) = if rank == 4 { (4 * dims[2], 4) } else { (dims[2].next_multiple_of(4), 1) };
    bytemuck::bytes_of(&Params {
        key: scalars.key.words(),
        d_own: scalars.d_own,
        d_clean: scalars.d_clean,
        s_own: scalars.s_own,
        s_known: scalars.s_known,
        sigma: scalars.sigma,
        gamma: scalars.gamma,
        mask_view: if rank > 2 { (dims[1] * row) as u32 } else { 0 },
        mask_stride: row as u32,
        mask_step: step,
        width: dims[2] as u32,
        count: shape.count,
        c4: shape.c4,
        channels: shape.channels,
        pixels: shape.pixels,
        pad: [0; 2],
    })
    .to_vec()
}
