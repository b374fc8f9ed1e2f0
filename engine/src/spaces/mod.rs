//! Spaces: a canvas, the views that see it, and how values go between them.
//!
//! Conventions, the same in both directions: x right, y down, z forward; azimuth grows to the right, elevation upwards;
//! pixel and texel centres lie at +0.5.

mod camera;
pub mod panorama;

pub use camera::{Camera, View};
pub use panorama::Panorama;

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::fuse_views::Weight;
use syncline_kernels::tensor::{Elem, Tensor};

/// How the views of a set are weighed against each other where they overlap, and against the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fusion {
    /// Weight of a view's pixel.
    pub weight: Weight,
    /// Clamp fused values to this range (StochSync clamps decoded views to 0.01..0.99).
    pub clamp: Option<(f32, f32)>,
}

impl Fusion {
    /// Plain average inside the used field of each view: StochSync's fusion.
    pub const AVERAGE: Self = Self { weight: Weight::Count, clamp: Some((0.01, 0.99)) };
}

/// A canvas and its views. `project` gathers views from the canvas, `fuse` gathers the canvas from views, both in the
/// same convention; laws: `fuse ∘ project` is the identity where covered (within the interpolation's error), `fuse` is
/// linear, weights sum to one, constants stay constant.
pub trait Space {
    /// `[height, width]` of the canvas in texels.
    fn canvas_size(&self) -> [usize; 2];

    /// `[height, width]` of a view in pixels.
    fn view_size(&self) -> [usize; 2];

    /// The sets of views, used in turn.
    fn view_sets(&self) -> &[Vec<View>];

    /// Camera data of a set as the kernels read it, `[V, 16]`.
    fn cameras(&self, views: &[View]) -> Vec<f32>;

    /// Views `[V, h, w, C]` of the canvas `[H, W, C]`, values mapped by `gain · value + offset`.
    fn project(&self, rec: &mut Recorder, canvas: &Tensor, cameras: &Tensor, map: ValueMap) -> Tensor;

    /// Fuses views into the canvas; texels that no view covers keep their value. `coverage [H, W]` receives the sum of
    /// weights.
    fn fuse(&self, rec: &mut Recorder, target: &Target<'_>, views: &Tensor, cameras: &Tensor, fusion: Fusion, map: ValueMap);
}

/// What fusion writes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Canvas f32 `[H, W, C]`.
    pub canvas: &'a Tensor,
    /// Sum of weights f32 `[H, W]`.
    pub coverage: &'a Tensor,
}

/// An affine map of values on their way between canvas and views, and the storage type of views.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueMap {
    /// Factor.
    pub gain: f32,
    /// Summand.
    pub offset: f32,
    /// Storage of the result where a tensor is made.
    pub elem: Elem,
}

impl ValueMap {
    /// Canvas RGB 0..1 to the -1..1 of image models.
    #[must_use]
    pub const fn to_model(elem: Elem) -> Self {
        Self { gain: 2.0, offset: -1.0, elem }
    }

    /// The -1..1 of image models to canvas RGB 0..1.
    #[must_use]
    pub const fn to_canvas() -> Self {
        Self { gain: 0.5, offset: 0.5, elem: Elem::F32 }
    }
}
