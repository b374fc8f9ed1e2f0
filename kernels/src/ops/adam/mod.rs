//! Adam (Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization") on a canvas, from what views have scattered into it.

mod oracle;

use bytemuck::{Pod, Zeroable};

use super::views::canvas_size;
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

pub use oracle::adam as adam_oracle;

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "adam",
    source: include_str!("adam.wgsl"),
    libs: &[],
    access: &[Access::ReadWrite; 6],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[("HITS", 0.0)], &[("HITS", 1.0)]],
};

/// Shapes of real runs, `[Hc, Wc, C]`.
pub const CASES: &[(&str, [usize; 3])] = &[
    ("latent canvas 2048", [1024, 2048, 4]),
    ("panorama 4096", [2048, 4096, 3]),
    ("mini panorama 512", [256, 512, 3]),
];

/// What changes from step to step, and the optimiser's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamScalars {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment; positive.
    pub epsilon: f64,
    /// Which step this is, from 1: the moments' bias is corrected for it.
    pub step: u32,
    /// Factor of gradients: the reciprocal of the gain they were scattered with.
    pub scale: f32,
}

impl Default for AdamScalars {
    /// The paper's betas and epsilon with a learning rate of 0.1, that of score distillation on latents.
    fn default() -> Self {
        Self { rate: 0.1, betas: [0.9, 0.999], epsilon: 1e-8, step: 1, scale: 1.0 }
    }
}

/// Options of [`fn@adam`].
#[derive(Clone, Copy, Debug)]
pub struct Adam<'a> {
    /// What is optimised, `[Hc, Wc, C]` f32.
    pub canvas: &'a Tensor,
    /// First and second moment, f32 like the canvas; zero before the first step.
    pub moments: [&'a Tensor; 2],
    /// `scatter_views`' sums u32 like the canvas; cleared.
    pub sums: &'a Tensor,
    /// `scatter_views`' hits u32 `[Hc, Wc]`: gradients are divided by them; cleared.
    pub hits: Option<&'a Tensor>,
    /// Counts sums that reach 2¹⁰; made by `finite::new_report`.
    pub report: &'a Tensor,
    /// The numbers.
    pub scalars: AdamScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    correct1: f32,
    correct2: f32,
    scale: f32,
    c4: u32,
    width: u32,
    height: u32,
    padded_width: u32,
    pad: u32,
}

/// One step. The id is for [`params()`] of the next.
///
/// # Panics
/// When shapes or element types contradict each other, or a number is outside its range.
pub fn adam(rec: &mut Recorder, adam: &Adam<'_>) -> DispatchId {
    let dims = adam.canvas.dims();
    let [m, v] = adam.moments;
    for tensor in [m, v, adam.sums] {
        assert_eq!(tensor.dims(), dims, "adam: moments or sums for canvas");
    }
    let floats = [adam.canvas, m, v].iter().all(|tensor| tensor.elem() == Elem::F32);
    assert!(floats && adam.sums.elem() == Elem::U32, "adam: canvas and moments f32, sums {}", adam.sums.elem());
    let unused = rec.temp(&[4], Elem::U32);
    let hits = adam.hits.unwrap_or(&unused);
    assert!(
        adam.hits.is_none_or(|hits| hits.dims() == &dims[..2] && hits.elem() == Elem::U32)
            && adam.report.dims() == [4]
            && adam.report.elem() == Elem::U32,
        "adam: hits {:?} for canvas {dims:?}, report {:?}",
        hits.dims(),
        adam.report.dims()
    );
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[("HITS", if adam.hits.is_some() { 1.0 } else { 0.0 })],
        bind: &[adam.sums, hits, adam.report, m, v, adam.canvas],
        params: &params(dims, &adam.scalars),
        grid: [dims[1].div_ceil(8) as u32, dims[0].div_ceil(8) as u32, 1],
        flops: 15 * adam.canvas.shape().len() as u64,
    })
}

/// Params of a [`fn@adam`] dispatch on a canvas `[Hc, Wc, C]`, for `Recording::set_params`.
///
/// # Panics
/// When the rank is wrong or a number is outside its range.
#[must_use]
pub fn params(canvas: &[usize], scalars: &AdamScalars) -> Vec<u8> {
    let &[height, width, channels] = canvas else { panic!("adam: canvas {canvas:?} is not [Hc, Wc, C]") };
    let AdamScalars { rate, betas, epsilon, step, scale } = *scalars;
    assert!(
        betas.iter().all(|b| (0.0..1.0).contains(b)) && epsilon > 0.0 && epsilon as f32 > 0.0 && step > 0,
        "adam: {scalars:?}"
    );
    let [height, width] = canvas_size("adam", height, width);
    let correct = betas.map(|beta| (1.0 / (1.0 - beta.powf(f64::from(step)))) as f32);
    bytemuck::bytes_of(&Params {
        rate: rate as f32,
        beta1: betas[0] as f32,
        beta2: betas[1] as f32,
        epsilon: epsilon as f32,
        correct1: correct[0],
        correct2: correct[1],
        scale,
        c4: channels.div_ceil(4) as u32,
        width,
        height,
        padded_width: width.next_multiple_of(4),
        pad: 0,
    })
    .to_vec()
}

#[cfg(test)]
mod tests;
