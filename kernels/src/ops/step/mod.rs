//! One sampler step in one dispatch: guidance, clean estimate, update, fresh noise.
//!
//! The coefficients are the scheduler's; every sampler here is linear in the state, the guided model output, the clean
//! estimate, the previous clean estimate and noise.

#[cfg(test)]
mod oracle;

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape, NoiseKey, PHILOX, assert_view_ids};
use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "step",
    source: include_str!("step.wgsl"),
    libs: &[GRID, PHILOX, ANGLES],
    access: &[Access::Read, Access::Read, Access::Read, Access::ReadWrite, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("NOISE", 0.0)], &[("NOISE", 1.0)], &[("NOISE", 2.0)]],
};

/// Shapes of real runs: `[B, h, w, C]` and rows of model output per view.
pub const CASES: &[(&str, [usize; 4], usize)] = &[
    ("sd 512, guided", [1, 64, 64, 4], 2),
    ("sdxl 1024, guided", [1, 128, 128, 4], 2),
    ("panorama, 5 views, guided", [5, 64, 64, 4], 2),
    ("instruct-pix2pix 512", [1, 64, 64, 4], 3),
    ("mini, 8 views, guided", [8, 16, 16, 4], 2),
];

/// Most rows of model output per view.
pub const MAX_ROWS: usize = 4;

/// Where `xi` comes from.
#[derive(Clone, Copy, Debug)]
pub enum StepNoise<'a> {
    /// The sampler adds none.
    None,
    /// Drawn by the host: `[B, h, w, C]` f32.
    Drawn(&'a Tensor),
    /// Drawn in the kernel from [`StepScalars::key`], with the view id of each batch row (`[B]` u32).
    Keyed(&'a Tensor),
}

/// What changes from step to step. `Default` is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepScalars {
    /// Weight of each row of model output; `[1 - g, g]` for rows (unconditional, conditional).
    pub guidance: [f32; MAX_ROWS],
    /// Factor of x in the clean estimate.
    pub clean_x: f32,
    /// Factor of the guided output in the clean estimate.
    pub clean_out: f32,
    /// Factor of x in the next x.
    pub next_x: f32,
    /// Factor of the guided output in the next x.
    pub next_out: f32,
    /// Factor of the clean estimate in the next x.
    pub next_clean: f32,
    /// Factor of the previous step's clean estimate in the next x. Zero: it is not read.
    pub next_prev_clean: f32,
    /// Factor of fresh unit noise in the next x. Zero: none is drawn.
    pub next_noise: f32,
    /// Which noise, for [`StepNoise::Keyed`].
    pub key: NoiseKey,
}

/// Options of [`fn@step`].
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// State, `[B, h, w, C]` f32, updated in place.
    pub x: &'a Tensor,
    /// Model output, `[R·B, h, w, C]`, r-major: all of row 0, then all of row 1.
    pub out: &'a Tensor,
    /// Clean estimate, `[B, h, w, C]` f32: holds the previous step's, receives this step's.
    pub clean: &'a Tensor,
    /// Fresh noise.
    pub noise: StepNoise<'a>,
    /// The scheduler's coefficients and the guidance.
    pub scalars: StepScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    key: [u32; 4],
    guidance: [f32; 4],
    clean_x: f32,
    clean_out: f32,
    next_x: f32,
    next_out: f32,
    next_clean: f32,
    next_prev_clean: f32,
    next_noise: f32,
    count: u32,
    c4: u32,
    channels: u32,
    pixels: u32,
    rows: u32,
}

/// One step of all views, in place. The id is for [`params()`] of the next step.
///
/// # Panics
/// When a shape or element type contradicts `x`, or R is not 1..=[`MAX_ROWS`].
pub fn step(rec: &mut Recorder, step: &Step<'_>) -> DispatchId {
    let dims = step.x.dims();
    let shape = ImageShape::new("step", dims);
    let rows = assert_shapes(step, dims);
    let unused = rec.temp(&[4], Elem::F32);
    let (noise, views, noise_mode) = match step.noise {
        StepNoise::None => (&unused, &unused, 0.0),
        StepNoise::Drawn(noise) => (noise, &unused, 1.0),
        StepNoise::Keyed(views) => (&unused, views, 2.0),
    };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(step.out.elem(), rec.context()),
        overrides: &[("NOISE", noise_mode)],
        bind: &[step.out, noise, views, step.x, step.clean],
        params: &params(dims, rows, &step.scalars),
        grid: linear_grid(shape.count as usize, 64, caps.grid),
        flops: (2 * rows as u64 + 12) * step.x.shape().len() as u64,
    })
}

/// Fails unless all tensors fit `dims`; returns R.
fn assert_shapes(step: &Step<'_>, dims: &[usize]) -> usize {
    let out = step.out.dims();
    assert!(
        out.len() == 4 && out[1..] == dims[1..] && out[0].is_multiple_of(dims[0]) && step.out.elem() != Elem::U32,
        "step: output {out:?} for x {dims:?}"
    );
    let rows = out[0] / dims[0];
    assert!((1..=MAX_ROWS).contains(&rows), "step: {rows} rows of output per view, at most {MAX_ROWS}");
    let drawn = if let StepNoise::Drawn(noise) = step.noise { Some(noise) } else { None };
    for (name, tensor) in [("x", Some(step.x)), ("clean", Some(step.clean)), ("noise", drawn)] {
        let Some(tensor) = tensor else { continue };
        assert!(
            tensor.dims() == dims && tensor.elem() == Elem::F32,
            "step: {name} {:?} {} for x {dims:?} f32",
            tensor.dims(),
            tensor.elem()
        );
    }
    if let StepNoise::Keyed(views) = step.noise {
        assert_view_ids("step", views, dims);
    }
    rows
}

/// Params of a [`fn@step`] dispatch over x `[B, h, w, C]` with `rows` rows of output per view, for
/// `Recording::set_params`.
///
/// # Panics
/// When `dims` has not rank 4.
#[must_use]
pub fn params(dims: &[usize], rows: usize, scalars: &StepScalars) -> Vec<u8> {
    let shape = ImageShape::new("step", dims);
    bytemuck::bytes_of(&Params {
        key: scalars.key.words(),
        guidance: scalars.guidance,
        clean_x: scalars.clean_x,
        clean_out: scalars.clean_out,
        next_x: scalars.next_x,
        next_out: scalars.next_out,
        next_clean: scalars.next_clean,
        next_prev_clean: scalars.next_prev_clean,
        next_noise: scalars.next_noise,
        count: shape.count,
        c4: shape.c4,
        channels: shape.channels,
        pixels: shape.pixels,
        rows: rows as u32,
    })
    .to_vec()
}

#[cfg(test)]
mod tests;
