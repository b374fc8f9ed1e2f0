//! Spaces: a canvas, the views that see it, and how values go between them.
//!
//! Conventions, the same in both directions: x right, y down, z forward; azimuth grows to the right, elevation upwards;
//! pixel and texel centres lie at +0.5.

pub mod panorama;

pub use panorama::Panorama;

use syncline_kernels::gpu::Recorder;
pub use syncline_kernels::ops::fuse_views::{FuseScalars, Weight};
pub use syncline_kernels::ops::project_renoise::{Camera, Interpolation};
use syncline_kernels::tensor::{Elem, Tensor};

/// A canvas and its views. `project` gathers views from the canvas, `fuse` gathers the canvas from views, both in the
/// same convention. Laws: fuse of projected views is the identity where covered (within the interpolation's error), fuse
/// is linear, weights sum to one, constants stay constant.
pub trait Space {
    /// `[height, width]` of the canvas in texels.
    fn canvas_size(&self) -> [usize; 2];

    /// `[height, width]` of a view in pixels.
    fn view_size(&self) -> [usize; 2];

    /// The sets of views, used in turn; all of one length.
    fn view_sets(&self) -> &[Vec<Camera>];

    /// Views `[V, h, w, C]` of the canvas, values mapped by `gain · value + offset`.
    fn project(&self, rec: &mut Recorder, project: &Project<'_>) -> Tensor;

    /// Fuses views into the canvas; texels that no view covers keep their value.
    fn fuse(&self, rec: &mut Recorder, fuse: &Fuse<'_>);
}

/// Options of [`Space::project`].
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// Canvas f32 `[H, W, C]`.
    pub canvas: &'a Tensor,
    /// Cameras f32 `[V, 16]`.
    pub cameras: &'a Tensor,
    /// View ids u32 `[V]`.
    pub views: &'a Tensor,
    /// Factor and summand of values on their way.
    pub map: [f32; 2],
    /// Storage type of the views.
    pub elem: Elem,
}

/// Options of [`Space::fuse`].
#[derive(Clone, Copy, Debug)]
pub struct Fuse<'a> {
    /// Canvas f32 `[H, W, C]`, updated in place.
    pub canvas: &'a Tensor,
    /// Receives the sum of weights f32 `[H, W]`.
    pub coverage: &'a Tensor,
    /// Views `[V, h, w, C]`.
    pub views: &'a Tensor,
    /// Cameras f32 `[V, 16]`.
    pub cameras: &'a Tensor,
    /// How views share a texel.
    pub weight: Weight,
    /// Value map, clamp and weights' numbers.
    pub scalars: FuseScalars,
}
