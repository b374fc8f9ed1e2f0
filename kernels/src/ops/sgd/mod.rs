//! Gradient descent on a canvas, from what views have scattered into it.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::views::canvas_size;
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "sgd",
    source: include_str!("sgd.wgsl"),
    libs: &[],
    access: &[Access::ReadWrite; 4],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[("HITS", 0.0)], &[("HITS", 1.0)]],
};

/// Shapes of real runs, `[Hc, Wc, C]`.
pub const CASES: &[(&str, [usize; 3])] =
    &[("latent panorama 1920 x 512", [64, 240, 4]), ("latent canvas 2048", [1024, 2048, 4])];

/// Options of [`fn@sgd`].
#[derive(Clone, Copy, Debug)]
pub struct Sgd<'a> {
    /// What is optimised, `[Hc, Wc, C]` f32.
    pub canvas: &'a Tensor,
    /// `scatter_views`' sums u32 like the canvas; cleared.
    pub sums: &'a Tensor,
    /// `scatter_views`' hits u32 `[Hc, Wc]`: gradients are divided by them, and what has none stays; cleared.
    pub hits: Option<&'a Tensor>,
    /// Counts sums that reach 2¹⁰; made by `finite::new_report`.
    pub report: &'a Tensor,
    /// Learning rate.
    pub rate: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rate: f32,
    c4: u32,
    width: u32,
    height: u32,
    padded_width: u32,
    pad: [u32; 3],
}

/// One step. The id is for [`params()`] of the next.
///
/// # Panics
/// When shapes or element types contradict each other.
pub fn sgd(rec: &mut Recorder, sgd: &Sgd<'_>) -> DispatchId {
    let dims = sgd.canvas.dims();
    assert!(
        sgd.sums.dims() == dims && sgd.sums.elem() == Elem::U32 && sgd.canvas.elem() == Elem::F32,
        "sgd: sums {:?} {} for canvas {dims:?} {}",
        sgd.sums.dims(),
        sgd.sums.elem(),
        sgd.canvas.elem()
    );
    let unused = rec.temp(&[4], Elem::U32);
    let hits = sgd.hits.unwrap_or(&unused);
    assert!(
        sgd.hits.is_none_or(|hits| hits.dims() == &dims[..2] && hits.elem() == Elem::U32)
            && sgd.report.dims() == [4]
            && sgd.report.elem() == Elem::U32,
        "sgd: hits {:?} for canvas {dims:?}, report {:?}",
        hits.dims(),
        sgd.report.dims()
    );
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[("HITS", if sgd.hits.is_some() { 1.0 } else { 0.0 })],
        bind: &[sgd.sums, hits, sgd.report, sgd.canvas],
        params: &params(dims, sgd.rate),
        grid: [dims[1].div_ceil(8) as u32, dims[0].div_ceil(8) as u32, 1],
        flops: 3 * sgd.canvas.shape().len() as u64,
    })
}

/// Params of a [`fn@sgd`] dispatch on a canvas `[Hc, Wc, C]`, for `Recording::set_params`.
///
/// # Panics
/// When the rank is wrong or the rate is no number.
#[must_use]
pub fn params(canvas: &[usize], rate: f64) -> Vec<u8> {
    let &[height, width, channels] = canvas else { panic!("sgd: canvas {canvas:?} is not [Hc, Wc, C]") };
    assert!(rate.is_finite(), "sgd: rate {rate}");
    let [height, width] = canvas_size("sgd", height, width);
    bytemuck::bytes_of(&Params {
        rate: rate as f32,
        c4: channels.div_ceil(4) as u32,
        width,
        height,
        padded_width: width.next_multiple_of(4),
        pad: [0; 3],
    })
    .to_vec()
}
