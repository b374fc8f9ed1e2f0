//! Views into the canvas: per texel the weighted mean over all views that show it, blended with the old value, with the
//! sum of weights as coverage. Texels that no view shows keep their value.
//!
//! Source: the closed-form fusion of SyncTweedies (Kim et al. 2024) and StochSync (Yeo et al. 2025), with bilinear
//! sampling and weights that the authors do not have; the conventions are those of `project_renoise`. No padding of a
//! pixel around a view (theirs: 1.5): what counts as inside is the view's used field. Regions: MultiDiffusion (Bar-Tal et al.
//! 2023), where a prompt's views count only inside its mask.

#[cfg(test)]
mod oracle;

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape};
use super::views::{Lens, PANORAMA, TORUS, VIEWS, WINDOWS, canvas_size, whole_of_bands};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "fuse_views",
    source: include_str!("fuse_views.wgsl"),
    libs: &[include_str!("canvas.wgsl"), ANGLES, VIEWS, PANORAMA, WINDOWS, TORUS],
    access: &[Access::Read, Access::Read, Access::Read, Access::Write, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: VARIANTS,
};

/// The canvas in four bands.
pub const KERNEL_BANDS: Kernel = Kernel {
    libs: &[include_str!("bands.wgsl"), ANGLES, VIEWS, PANORAMA, WINDOWS, TORUS],
    access: &[
        Access::Read,
        Access::Read,
        Access::Read,
        Access::Write,
        Access::ReadWrite,
        Access::ReadWrite,
        Access::ReadWrite,
        Access::ReadWrite,
    ],
    variants: VARIANTS_BANDS,
    ..KERNEL
};

/// Every space with every weight, sampling, and with and without regions.
#[rustfmt::skip] // One line per variant.
const VARIANTS: &[&[(&str, f64)]] = &[
    &[("SPACE", 1.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 1.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 2.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 3.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 1.0)],
    &[("SPACE", 4.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 1.0)],
];

/// Regions of canvases that need bands would not fit a binding themselves.
#[rustfmt::skip] // One line per variant.
const VARIANTS_BANDS: &[&[(&str, f64)]] = &[
    &[("SPACE", 1.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 1.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 2.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 3.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 0.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 0.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 1.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 1.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 2.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 2.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 3.0), ("BILINEAR", 0.0), ("REGIONS", 0.0)],
    &[("SPACE", 4.0), ("WEIGHT", 3.0), ("BILINEAR", 1.0), ("REGIONS", 0.0)],
];

/// Shapes of real runs: canvas `[Hc, Wc]` and views `[V, h, w, C]`.
pub const CASES: &[(&str, [usize; 2], [usize; 4])] = &[
    ("panorama 4096, 5 views of 512", [2048, 4096], [5, 512, 512, 3]),
    ("panorama 8192, 15 views of 512", [4096, 8192], [15, 512, 512, 3]),
    ("latent panorama 512, 10 views of 64", [256, 512], [10, 64, 64, 4]),
    ("mini panorama 512, 5 views of 64", [256, 512], [5, 64, 64, 3]),
];

/// How views that show the same texel share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// All alike.
    #[default]
    Count,
    /// A ramp of [`FuseScalars::feather`] at the border of the used field.
    Feather,
    /// Cosine of the angle to the view's axis to the power [`FuseScalars::exponent`]; flat views count as cameras whose used
    /// field is 90 degrees.
    Cosine,
    /// The view with the largest cosine weight alone; among equals the first.
    Winner,
}

/// What may change from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FuseScalars {
    /// Factor of view values: 0.5 takes a decoder's -1..1 to 0..1 together with an offset of 0.5.
    pub gain: f32,
    /// Added after `gain`.
    pub offset: f32,
    /// Limits of each value before it is averaged.
    pub clamp: Option<[f32; 2]>,
    /// Share of the new value where there is one; 1 replaces the old one without reading it.
    pub blend: f32,
    /// [`Weight::Feather`]: width of the ramp as a fraction of the way from border to middle, 0 < feather <= 1.
    pub feather: f32,
    /// [`Weight::Cosine`] and [`Weight::Winner`].
    pub exponent: f32,
}

impl Default for FuseScalars {
    /// Values as they are, replacing the old ones; a feather of one quarter; exponent 1.
    fn default() -> Self {
        Self { gain: 1.0, offset: 0.0, clamp: None, blend: 1.0, feather: 0.25, exponent: 1.0 }
    }
}

/// Options of [`fn@fuse_views`].
#[derive(Clone, Copy, Debug)]
pub struct FuseViews<'a> {
    /// Canvas `[Hc, Wc, C]` f32, updated in place.
    pub canvas: &'a Tensor,
    /// Receives the sum of weights, `[Hc, Wc]` f32; 0 where no view is.
    pub coverage: &'a Tensor,
    /// `[V, h, w, C]`.
    pub views: &'a Tensor,
    /// Which views, and how they are sampled.
    pub lens: Lens<'a>,
    /// `[R, Hc, Wc]` f32: weights of views that name a region.
    pub regions: Option<&'a Tensor>,
    /// How views share a texel.
    pub weight: Weight,
    /// Value range, blend and weights' numbers.
    pub scalars: FuseScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    gain: f32,
    offset: f32,
    lo: f32,
    hi: f32,
    blend: f32,
    feather: f32,
    exponent: f32,
    views: u32,
    pad: u32,
    c4: u32,
    channels: u32,
    width: u32,
    height: u32,
    canvas_width: u32,
    canvas_height: u32,
    padded_width: u32,
}

/// Fuses all views into the canvas. The id is for [`params()`] of the next step.
///
/// # Panics
/// When shapes or element types contradict each other, or `feather` is not positive.
pub fn fuse_views(rec: &mut Recorder, fuse: &FuseViews<'_>) -> DispatchId {
    record(rec, fuse, fuse.canvas.dims(), &[fuse.canvas])
}

/// As [`fn@fuse_views`] into a canvas larger than a binding: `fuse.canvas` is the upper quarter of its rows, `below` are the
/// others. Coverage is that of the whole, and [`params()`] takes the dimensions of the whole.
///
/// # Panics
/// As [`fn@fuse_views`]; when bands differ in shape, or there are regions.
pub fn fuse_views_bands(rec: &mut Recorder, fuse: &FuseViews<'_>, below: [&Tensor; 3]) -> DispatchId {
    let whole = whole_of_bands("fuse_views", fuse.canvas, below);
    assert!(fuse.regions.is_none(), "fuse_views: regions on a canvas {whole:?} in bands");
    record(rec, fuse, &whole, &[fuse.canvas, below[0], below[1], below[2]])
}

/// `canvas`: dimensions of the whole.
fn record(rec: &mut Recorder, fuse: &FuseViews<'_>, canvas: &[usize], bands: &[&Tensor]) -> DispatchId {
    let views = fuse.views.dims();
    assert!(
        canvas.len() == 3 && views.len() == 4 && canvas[2] == views[3],
        "fuse_views: canvas {canvas:?} for views {views:?}"
    );
    assert!(
        fuse.canvas.elem() == Elem::F32 && fuse.coverage.elem() == Elem::F32 && fuse.views.elem() != Elem::U32,
        "fuse_views: canvas {}, coverage {}, views {}",
        fuse.canvas.elem(),
        fuse.coverage.elem(),
        fuse.views.elem()
    );
    assert_eq!(fuse.coverage.dims(), &canvas[..2], "fuse_views: coverage for canvas {canvas:?}");
    fuse.lens.assert("fuse_views", views[0]);
    let unused = rec.temp(&[4], Elem::F32);
    let regions = fuse.regions.unwrap_or(&unused);
    assert!(
        fuse.regions.is_none_or(|r| r.dims().len() == 3 && r.dims()[1..] == canvas[..2] && r.elem() == Elem::F32),
        "fuse_views: regions {:?} {} for canvas {canvas:?}",
        regions.dims(),
        regions.elem()
    );
    let weight = match fuse.weight {
        Weight::Count => 0.0,
        Weight::Feather => 1.0,
        Weight::Cosine => 2.0,
        Weight::Winner => 3.0,
    };
    let (quads, columns) = (fuse.canvas.shape().padded_last() / 4, fuse.coverage.shape().padded_last());
    let items = canvas[0] * columns * quads;
    let inputs = [fuse.views, fuse.lens.words, regions, fuse.coverage];
    let bind: Vec<&Tensor> = inputs.into_iter().chain(bands.iter().copied()).collect();
    rec.launch(&Launch {
        kernel: if bands.len() > 1 { &KERNEL_BANDS } else { &KERNEL },
        store: Store::of(fuse.views.elem(), rec.context()),
        overrides: &[
            ("SPACE", fuse.lens.geometry.constant()),
            ("WEIGHT", weight),
            ("BILINEAR", fuse.lens.interpolation.constant()),
            ("REGIONS", if fuse.regions.is_some() { 1.0 } else { 0.0 }),
        ],
        bind: &bind,
        params: &params(canvas, views, &fuse.scalars),
        grid: [columns.div_ceil(8) as u32, canvas[0].div_ceil(8) as u32, quads as u32],
        flops: (25 * views[0] * items) as u64,
    })
}

/// Params of a [`fn@fuse_views`] dispatch of views `[V, h, w, C]` into a canvas `[Hc, Wc, C]`, for `Recording::set_params`.
///
/// # Panics
/// When ranks are wrong, the canvas has more than 2¹⁶ rows or columns, or `feather` is not positive.
#[must_use]
pub fn params(canvas: &[usize], views: &[usize], scalars: &FuseScalars) -> Vec<u8> {
    assert!(scalars.feather > 0.0, "fuse_views: feather {}", scalars.feather);
    let shape = ImageShape::new("fuse_views", views);
    let [height, width] = canvas_size("fuse_views", canvas[0], canvas[1]);
    let padded_width = width.next_multiple_of(4);
    let items = u64::from(height) * u64::from(padded_width) * u64::from(shape.c4);
    assert!(u32::try_from(4 * items).is_ok(), "fuse_views: canvas {canvas:?} has more than 2^32 elements");
    let [lo, hi] = scalars.clamp.unwrap_or([f32::MIN, f32::MAX]);
    bytemuck::bytes_of(&Params {
        gain: scalars.gain,
        offset: scalars.offset,
        lo,
        hi,
        blend: scalars.blend,
        feather: scalars.feather,
        exponent: scalars.exponent,
        views: views[0] as u32,
        pad: 0,
        c4: shape.c4,
        channels: shape.channels,
        width: views[2] as u32,
        height: views[1] as u32,
        canvas_width: width,
        canvas_height: height,
        padded_width,
    })
    .to_vec()
}

#[cfg(test)]
mod bands;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
