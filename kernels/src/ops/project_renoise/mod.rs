//! Views out of the canvas, noised forward, in one dispatch: `out = signal·(gain·canvas(position) + offset) + sigma·xi`.
//!
//! What is gathered is clean (RGB or latent); the noise is drawn per view and pixel, so it keeps unit variance whatever
//! the space. Panorama, sphere and torus: StochSync (Yeo et al. 2025), with our own conventions — pixel centres at + 0.5 in both
//! directions, wrap around in longitude, optional bilinear sampling — instead of the authors' half-pixel shift, clamp at
//! the wrap column and nearest sampling. Geometry: [`super::views`].

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape, NoiseKey, PHILOX, assert_view_ids};
use super::views::{Lens, PANORAMA, TORUS, VIEWS, WINDOWS, canvas_size, whole_of_bands};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

pub use super::views::{Camera, Interpolation, rotation};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "project_renoise",
    source: include_str!("project_renoise.wgsl"),
    libs: &[include_str!("canvas.wgsl"), PHILOX, ANGLES, VIEWS, PANORAMA, WINDOWS, TORUS],
    access: &[Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[
        &[("SPACE", 0.0), ("BILINEAR", 0.0)],
        &[("SPACE", 1.0), ("BILINEAR", 0.0)],
        &[("SPACE", 1.0), ("BILINEAR", 1.0)],
        &[("SPACE", 2.0), ("BILINEAR", 0.0)],
        &[("SPACE", 2.0), ("BILINEAR", 1.0)],
        &[("SPACE", 3.0), ("BILINEAR", 0.0)],
        &[("SPACE", 3.0), ("BILINEAR", 1.0)],
        &[("SPACE", 4.0), ("BILINEAR", 0.0)],
        &[("SPACE", 4.0), ("BILINEAR", 1.0)],
    ],
};

/// The canvas in four bands.
pub const KERNEL_BANDS: Kernel = Kernel {
    libs: &[include_str!("bands.wgsl"), PHILOX, ANGLES, VIEWS, PANORAMA, WINDOWS, TORUS],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    variants: &[
        &[("SPACE", 1.0), ("BILINEAR", 0.0)],
        &[("SPACE", 1.0), ("BILINEAR", 1.0)],
        &[("SPACE", 2.0), ("BILINEAR", 0.0)],
        &[("SPACE", 2.0), ("BILINEAR", 1.0)],
        &[("SPACE", 3.0), ("BILINEAR", 0.0)],
        &[("SPACE", 3.0), ("BILINEAR", 1.0)],
        &[("SPACE", 4.0), ("BILINEAR", 0.0)],
        &[("SPACE", 4.0), ("BILINEAR", 1.0)],
    ],
    ..KERNEL
};

/// Shapes of real runs: canvas `[Hc, Wc]` (0 for the identity) and views `[V, h, w, C]`.
pub const CASES: &[(&str, [usize; 2], [usize; 4])] = &[
    ("renoise latents 64", [0, 0], [5, 64, 64, 4]),
    ("windows 512, 8 of 64", [64, 512], [8, 64, 64, 4]),
    ("panorama 4096, 5 views of 512", [2048, 4096], [5, 512, 512, 3]),
    ("panorama 8192, 15 views of 512", [4096, 8192], [15, 512, 512, 3]),
    ("mini panorama 512, 5 views of 64", [256, 512], [5, 64, 64, 3]),
];

/// How views lie in the canvas.
#[derive(Clone, Copy, Debug)]
pub enum Projection<'a> {
    /// The canvas is the views: `[V, h, w, C]`.
    Identity,
    /// The canvas is one `[Hc, Wc, C]`.
    Views {
        /// Which views.
        lens: Lens<'a>,
        /// Height and width of a view.
        size: [usize; 2],
    },
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenoiseScalars {
    /// Factor of the clean view.
    pub signal: f32,
    /// Factor of unit noise. Zero: none is drawn.
    pub sigma: f32,
    /// Factor of canvas values, before `signal`: 2 takes 0..1 to -1..1 together with an offset of -1.
    pub gain: f32,
    /// Added after `gain`.
    pub offset: f32,
    /// Which noise.
    pub key: NoiseKey,
}

impl Default for RenoiseScalars {
    /// A plain gather: signal and gain 1, no noise.
    fn default() -> Self {
        Self { signal: 1.0, sigma: 0.0, gain: 1.0, offset: 0.0, key: NoiseKey::default() }
    }
}

/// Options of [`fn@project_renoise`].
#[derive(Clone, Copy, Debug)]
pub struct ProjectRenoise<'a> {
    /// Clean values, f32: `[Hc, Wc, C]`, or `[V, h, w, C]` for [`Projection::Identity`].
    pub canvas: &'a Tensor,
    /// How views lie in the canvas.
    pub projection: Projection<'a>,
    /// View ids `[V]` u32: which noise each view gets.
    pub views: &'a Tensor,
    /// Level and value range.
    pub scalars: RenoiseScalars,
    /// Storage type of the result.
    pub elem: Elem,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    key: [u32; 4],
    signal: f32,
    sigma: f32,
    gain: f32,
    offset: f32,
    pad0: u32,
    c4: u32,
    channels: u32,
    width: u32,
    height: u32,
    canvas_width: u32,
    canvas_height: u32,
    pad1: u32,
}

/// Views `[V, h, w, C]`. The id is for [`params()`] of the next step.
///
/// # Panics
/// When shapes or element types contradict each other.
pub fn project_renoise(rec: &mut Recorder, project: &ProjectRenoise<'_>) -> (Tensor, DispatchId) {
    record(rec, project, project.canvas.dims(), &[project.canvas])
}

/// As [`fn@project_renoise`] from a canvas larger than a binding: `project.canvas` is the upper quarter of its rows, `below`
/// are the others. [`params()`] takes the dimensions of the whole.
///
/// # Panics
/// As [`fn@project_renoise`]; when bands differ in shape, or the canvas is the views.
pub fn project_renoise_bands(
    rec: &mut Recorder,
    project: &ProjectRenoise<'_>,
    below: [&Tensor; 3],
) -> (Tensor, DispatchId) {
    let whole = whole_of_bands("project_renoise", project.canvas, below);
    assert!(
        matches!(project.projection, Projection::Views { .. }),
        "project_renoise: bands of {:?}",
        project.projection
    );
    record(rec, project, &whole, &[project.canvas, below[0], below[1], below[2]])
}

/// `canvas`: dimensions of the whole.
fn record(
    rec: &mut Recorder,
    project: &ProjectRenoise<'_>,
    canvas: &[usize],
    bands: &[&Tensor],
) -> (Tensor, DispatchId) {
    assert_eq!(project.canvas.elem(), Elem::F32, "project_renoise: canvas {canvas:?}");
    let dims = view_dims(project);
    assert_view_ids("project_renoise", project.views, &dims);
    let out = rec.temp(&dims, project.elem);
    let unused = rec.temp(&[4], Elem::F32);
    let (words, space, bilinear) = match project.projection {
        Projection::Identity => (&unused, 0.0, 0.0),
        Projection::Views { lens, .. } => {
            lens.assert("project_renoise", dims[0]);
            (lens.words, lens.geometry.constant(), lens.interpolation.constant())
        }
    };
    let planes = dims[0] * out.shape().padded_last() / 4;
    let bind: Vec<&Tensor> = [words, project.views].into_iter().chain(bands.iter().copied()).chain([&out]).collect();
    let id = rec.launch(&Launch {
        kernel: if bands.len() > 1 { &KERNEL_BANDS } else { &KERNEL },
        store: Store::of(project.elem, rec.context()),
        overrides: &[("SPACE", space), ("BILINEAR", bilinear)],
        bind: &bind,
        params: &params(canvas, dims, &project.scalars),
        grid: [dims[2].div_ceil(8) as u32, dims[1].div_ceil(8) as u32, planes as u32],
        flops: 100 * out.shape().len() as u64,
    });
    (out, id)
}

/// `[V, h, w, C]` of the result.
fn view_dims(project: &ProjectRenoise<'_>) -> [usize; 4] {
    match (project.projection, project.canvas.dims()) {
        (Projection::Identity, &[v, h, w, c]) => [v, h, w, c],
        (Projection::Views { size: [h, w], .. }, &[_, _, c]) => [project.views.dims()[0], h, w, c],
        (projection, dims) => panic!("project_renoise: canvas {dims:?} for {projection:?}"),
    }
}

/// Params of a [`fn@project_renoise`] dispatch from a canvas to views `[V, h, w, C]`, for `Recording::set_params`.
///
/// # Panics
/// When a canvas `[Hc, Wc, C]` has more than 2¹⁶ rows or columns.
#[must_use]
pub fn params(canvas: &[usize], views: [usize; 4], scalars: &RenoiseScalars) -> Vec<u8> {
    let shape = ImageShape::new("project_renoise", &views);
    let [canvas_height, canvas_width] =
        if let &[h, w, _] = canvas { canvas_size("project_renoise", h, w) } else { [1, 1] };
    bytemuck::bytes_of(&Params {
        key: scalars.key.words(),
        signal: scalars.signal,
        sigma: scalars.sigma,
        gain: scalars.gain,
        offset: scalars.offset,
        pad0: 0,
        c4: shape.c4,
        channels: shape.channels,
        width: views[2] as u32,
        height: views[1] as u32,
        canvas_width,
        canvas_height,
        pad1: 0,
    })
    .to_vec()
}

#[cfg(test)]
mod tests;
