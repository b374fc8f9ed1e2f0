//! Sums of views and noise in one dispatch: `target = own · target + a · first + b · second + sigma · ξ`.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape, NoiseKey, PHILOX, assert_view_ids};
use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "mix",
    source: include_str!("mix.wgsl"),
    libs: &[GRID, PHILOX, ANGLES],
    access: &[Access::Read, Access::Read, Access::Read, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[
        &[("TERMS", 0.0), ("NOISE", 0.0)],
        &[("TERMS", 1.0), ("NOISE", 0.0)],
        &[("TERMS", 2.0), ("NOISE", 0.0)],
        &[("TERMS", 0.0), ("NOISE", 1.0)],
        &[("TERMS", 1.0), ("NOISE", 1.0)],
        &[("TERMS", 2.0), ("NOISE", 1.0)],
    ],
};

/// Shapes of real runs, `[B, h, w, C]`.
pub const CASES: &[(&str, [usize; 4])] = &[
    ("panorama, 5 views", [5, 64, 64, 4]),
    ("latent canvas of 4096 x 2048", [1, 256, 512, 4]),
    ("mini, 10 views", [10, 16, 16, 4]),
];

/// What changes from step to step. `Default` is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MixScalars {
    /// Factor of the target itself. Zero: it is not read.
    pub own: f32,
    /// Factor of the first term.
    pub a: f32,
    /// Factor of the second term. The exact opposite of `a`: terms are subtracted before they are multiplied.
    pub b: f32,
    /// Factor of unit noise.
    pub sigma: f32,
    /// Which noise.
    pub key: NoiseKey,
}

/// Options of [`fn@mix`].
#[derive(Clone, Copy, Debug)]
pub struct Mix<'a> {
    /// `[B, h, w, C]` f32, updated in place.
    pub target: &'a Tensor,
    /// Up to two other tensors of the same shape; none may be the target.
    pub terms: &'a [&'a Tensor],
    /// View ids `[B]` u32 when noise is added.
    pub noise: Option<&'a Tensor>,
    /// Factors.
    pub scalars: MixScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    key: [u32; 4],
    own: f32,
    a: f32,
    b: f32,
    sigma: f32,
    count: u32,
    c4: u32,
    channels: u32,
    pixels: u32,
}

/// Updates the target. The id is for [`params()`] of the next step.
///
/// # Panics
/// When a shape or element type contradicts the target, or there are more than two terms.
pub fn mix(rec: &mut Recorder, mix: &Mix<'_>) -> DispatchId {
    let dims = mix.target.dims();
    let shape = ImageShape::new("mix", dims);
    assert!(mix.terms.len() <= 2, "mix: {} terms, at most 2", mix.terms.len());
    for tensor in mix.terms.iter().chain([&mix.target]) {
        assert!(
            tensor.dims() == dims && tensor.elem() == Elem::F32,
            "mix: {:?} {} for a target {dims:?} f32",
            tensor.dims(),
            tensor.elem()
        );
    }
    if let Some(views) = mix.noise {
        assert_view_ids("mix", views, dims);
    }
    let unused = rec.temp(&[4], Elem::F32);
    let term = |i: usize| mix.terms.get(i).copied().unwrap_or(&unused);
    let noisy = if mix.noise.is_some() { 1.0 } else { 0.0 };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[("TERMS", mix.terms.len() as f64), ("NOISE", noisy)],
        bind: &[term(0), term(1), mix.noise.unwrap_or(&unused), mix.target],
        params: &params(dims, &mix.scalars),
        grid: linear_grid(shape.count as usize, 64, caps.grid),
        flops: (2 * mix.terms.len() as u64 + 1) * mix.target.shape().len() as u64,
    })
}

/// Params of a [`fn@mix`] dispatch on a target of `dims`, for `Recording::set_params`.
///
/// # Panics
/// When `dims` has not rank 4.
#[must_use]
pub fn params(dims: &[usize], scalars: &MixScalars) -> Vec<u8> {
    let shape = ImageShape::new("mix", dims);
    bytemuck::bytes_of(&Params {
        key: scalars.key.words(),
        own: scalars.own,
        a: scalars.a,
        b: scalars.b,
        sigma: scalars.sigma,
        count: shape.count,
        c4: shape.c4,
        channels: shape.channels,
        pixels: shape.pixels,
    })
    .to_vec()
}
