//! The adjoint of projecting: every pixel of every view adds to the texels that projection would have read it from, with the
//! same weights. Gradients on views become a gradient on the canvas (score distillation, optimised textures).
//!
//! Sums are integers in units of 2⁻²⁰, so they do not depend on the order of additions: the same bits on every adapter that
//! agrees on positions. [`super::adam`] takes and clears them.

#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape};
use super::views::{Lens, PANORAMA, TORUS, VIEWS, WINDOWS, canvas_size};
use crate::gpu::{Access, Context, Kernel, Launch, Recorder, Result, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "scatter_views",
    source: include_str!("scatter_views.wgsl"),
    libs: &[ANGLES, VIEWS, PANORAMA, WINDOWS, TORUS],
    access: &[Access::Read, Access::Read, Access::ReadWrite, Access::ReadWrite, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: VARIANTS,
};

#[rustfmt::skip] // One line per variant.
const VARIANTS: &[&[(&str, f64)]] = &[
    &[("SPACE", 1.0), ("BILINEAR", 0.0), ("HITS", 0.0)],
    &[("SPACE", 1.0), ("BILINEAR", 0.0), ("HITS", 1.0)],
    &[("SPACE", 1.0), ("BILINEAR", 1.0), ("HITS", 0.0)],
    &[("SPACE", 1.0), ("BILINEAR", 1.0), ("HITS", 1.0)],
    &[("SPACE", 2.0), ("BILINEAR", 0.0), ("HITS", 0.0)],
    &[("SPACE", 2.0), ("BILINEAR", 0.0), ("HITS", 1.0)],
    &[("SPACE", 2.0), ("BILINEAR", 1.0), ("HITS", 0.0)],
    &[("SPACE", 2.0), ("BILINEAR", 1.0), ("HITS", 1.0)],
    &[("SPACE", 3.0), ("BILINEAR", 0.0), ("HITS", 0.0)],
    &[("SPACE", 3.0), ("BILINEAR", 0.0), ("HITS", 1.0)],
    &[("SPACE", 3.0), ("BILINEAR", 1.0), ("HITS", 0.0)],
    &[("SPACE", 3.0), ("BILINEAR", 1.0), ("HITS", 1.0)],
    &[("SPACE", 4.0), ("BILINEAR", 0.0), ("HITS", 0.0)],
    &[("SPACE", 4.0), ("BILINEAR", 0.0), ("HITS", 1.0)],
    &[("SPACE", 4.0), ("BILINEAR", 1.0), ("HITS", 0.0)],
    &[("SPACE", 4.0), ("BILINEAR", 1.0), ("HITS", 1.0)],
];

/// Units of a sum: one is 2²⁰ of them.
pub const UNIT: f64 = 1_048_576.0;

/// Shapes of real runs: canvas `[Hc, Wc]` and views `[V, h, w, C]`.
pub const CASES: &[(&str, [usize; 2], [usize; 4])] = &[
    ("latent panorama 2048, 10 views of 64", [1024, 2048], [10, 64, 64, 4]),
    ("panorama 4096, 5 views of 512", [2048, 4096], [5, 512, 512, 3]),
    ("mini panorama 512, 5 views of 64", [256, 512], [5, 64, 64, 3]),
];

/// Options of [`fn@scatter_views`].
#[derive(Clone, Copy, Debug)]
pub struct ScatterViews<'a> {
    /// `[V, h, w, C]`.
    pub views: &'a Tensor,
    /// Which views, and how the canvas would be sampled.
    pub lens: Lens<'a>,
    /// `[Hc, Wc, C]` u32, see [`new_sums`]; added to.
    pub sums: &'a Tensor,
    /// `[Hc, Wc]` u32: sums of weights alone, added to.
    pub hits: Option<&'a Tensor>,
    /// Counts contributions that are not finite or reach 2¹⁰; made by `finite::new_report`.
    pub report: &'a Tensor,
    /// Factor of view values.
    pub gain: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    gain: f32,
    c4: u32,
    channels: u32,
    width: u32,
    height: u32,
    canvas_width: u32,
    canvas_height: u32,
    padded_width: u32,
}

/// Sums (or hits) of nothing.
///
/// # Errors
/// When the budget or a limit of the adapter is exceeded.
pub fn new_sums(ctx: &Context, dims: &[usize]) -> Result<Tensor> {
    let sums = ctx.named_tensor("sums", dims, Elem::U32)?;
    ctx.write_u32(&sums, &vec![0; dims.iter().product()])?;
    Ok(sums)
}

/// Adds all views to the sums.
///
/// # Panics
/// When shapes or element types contradict each other.
pub fn scatter_views(rec: &mut Recorder, scatter: &ScatterViews<'_>) {
    let (sums, dims) = (scatter.sums.dims(), scatter.views.dims());
    assert!(
        sums.len() == 3 && dims.len() == 4 && sums[2] == dims[3] && scatter.views.elem() != Elem::U32,
        "scatter_views: sums {sums:?} for views {dims:?} {}",
        scatter.views.elem()
    );
    let shape = ImageShape::new("scatter_views", dims);
    let [canvas_height, canvas_width] = canvas_size("scatter_views", sums[0], sums[1]);
    let unused = rec.temp(&[4], Elem::U32);
    let hits = scatter.hits.unwrap_or(&unused);
    assert!(
        scatter.hits.is_none_or(|hits| hits.dims() == &sums[..2]) && scatter.report.dims() == [4],
        "scatter_views: hits {:?} for sums {sums:?}, report {:?}",
        hits.dims(),
        scatter.report.dims()
    );
    for tensor in [scatter.sums, hits, scatter.report] {
        assert_eq!(tensor.elem(), Elem::U32, "scatter_views: {:?}", tensor.dims());
    }
    scatter.lens.assert("scatter_views", dims[0]);
    let params = Params {
        gain: scatter.gain,
        c4: shape.c4,
        channels: shape.channels,
        width: dims[2] as u32,
        height: dims[1] as u32,
        canvas_width,
        canvas_height,
        padded_width: canvas_width.next_multiple_of(4),
    };
    let planes = dims[0] as u32 * shape.c4;
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(scatter.views.elem(), rec.context()),
        overrides: &[
            ("SPACE", scatter.lens.geometry.constant()),
            ("BILINEAR", scatter.lens.interpolation.constant()),
            ("HITS", if scatter.hits.is_some() { 1.0 } else { 0.0 }),
        ],
        bind: &[scatter.views, scatter.lens.words, scatter.sums, hits, scatter.report],
        params: bytemuck::bytes_of(&params),
        grid: [dims[2].div_ceil(8) as u32, dims[1].div_ceil(8) as u32, planes],
        flops: 60 * scatter.views.shape().len() as u64,
    });
}
