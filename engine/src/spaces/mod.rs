//! Spaces: a canvas, the views that see it, and how values go between them.
//!
//! A space says where its views lie, as numbers; [`project`], [`fuse`] and [`scatter`] are the same kernels for every space,
//! with the geometry as data. Views are gathered from the canvas and the canvas from views in one convention. Laws: fuse of
//! projected views is the identity where covered (within the interpolation's error), fuse is linear, weights sum to one,
//! constants stay constant, projection and scattering are adjoint.
//!
//! Conventions, the same in both directions: x right, y down, z forward; azimuth grows to the right, elevation upwards;
//! pixel and texel centres lie at +0.5.

pub mod branches;
pub mod frames;
pub mod mini_batch;
pub mod panorama;
pub mod regions;
pub mod sphere;
pub mod torus;
pub mod windows;

pub use branches::Branches;
pub use frames::Frames;
pub use mini_batch::MiniBatch;
pub use panorama::Panorama;
pub use regions::Regions;
pub use sphere::Sphere;
pub use torus::Torus;
pub use windows::Windows;

use syncline_kernels::gpu::{DispatchId, Recorder};
pub use syncline_kernels::ops::fuse_views::{FuseScalars, Weight};
use syncline_kernels::ops::fuse_views::{FuseViews, fuse_views, fuse_views_bands};
use syncline_kernels::ops::project_renoise::{
    ProjectRenoise, Projection, RenoiseScalars, project_renoise, project_renoise_bands,
};
use syncline_kernels::ops::scatter_views::{ScatterViews, scatter_views};
use syncline_kernels::ops::views::Lens;
pub use syncline_kernels::ops::views::{Camera, Geometry, Interpolation, ViewWords};
use syncline_kernels::tensor::{Elem, Tensor};

use crate::error::{Error, Result};

/// Numbers of a view as kernels read them: views of a set are a tensor `[V, VIEW_WORDS]` f32.
pub const VIEW_WORDS: usize = 20;

/// A canvas and its views.
pub trait Space: Send + Sync + std::fmt::Debug {
    /// `[height, width]` of the canvas in RGB texels.
    fn canvas_size(&self) -> [usize; 2];

    /// `[height, width]` of a view in RGB pixels.
    fn view_size(&self) -> [usize; 2];

    /// What the numbers of its views mean.
    fn geometry(&self) -> Geometry;

    /// How canvas and views are sampled.
    fn interpolation(&self) -> Interpolation;

    /// How many sets of views are used in turn; views that are drawn afresh each step are one set.
    fn set_count(&self) -> usize;

    /// Views of each set.
    fn view_count(&self) -> usize;

    /// The views of outer step `step`: those of set `step % set_count`.
    fn views(&self, step: usize) -> Vec<View>;
}

/// A view of a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Where it lies, and what of it is used.
    pub words: ViewWords,
    /// Which noise it gets: set · views of a set + place in the set.
    pub id: u32,
    /// Azimuth and elevation of its axis in degrees; for windows where their middle lies, as fractions of width and height.
    pub direction: Option<[f64; 2]>,
}

impl View {
    /// The numbers for kernels, of the field in use.
    #[must_use]
    pub fn words(&self) -> [f32; VIEW_WORDS] {
        self.words.numbers
    }

    /// The numbers for kernels, of everything the view shows.
    #[must_use]
    pub fn whole_words(&self) -> [f32; VIEW_WORDS] {
        self.words.whole_field().numbers
    }

    /// The share of the way from its border to its middle that is not in use.
    #[must_use]
    pub fn unused_share(&self) -> f64 {
        let [used, whole] = [self.words.used()[0], self.words.whole[0]].map(f64::from);
        (whole - used) / whole
    }

    /// Whether its canvas wraps in x and y.
    #[must_use]
    pub fn wraps(&self) -> [bool; 2] {
        let bits = self.words.numbers[19];
        [bits == 1.0 || bits == 3.0, bits >= 2.0]
    }

    /// The branch it belongs to; 0 outside of [`Branches`].
    #[must_use]
    pub fn branch(&self) -> usize {
        branches::branch_of(self.id)
    }

    /// Index of the region it belongs to.
    #[must_use]
    pub fn region(&self) -> Option<usize> {
        self.words.region()
    }
}

/// Options of [`fn@project`].
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// What the words mean.
    pub geometry: Geometry,
    /// How the canvas is sampled.
    pub interpolation: Interpolation,
    /// `[height, width]` of the views made.
    pub size: [usize; 2],
    /// Canvas f32 `[H, W, C]`.
    pub canvas: &'a Tensor,
    /// Words of the views f32 `[V, 20]`.
    pub words: &'a Tensor,
    /// View ids u32 `[V]`.
    pub views: &'a Tensor,
    /// Factor and summand of values on their way.
    pub map: [f32; 2],
    /// Storage type of the views.
    pub elem: Elem,
}

impl<'a> Project<'a> {
    fn kernel(&self) -> ProjectRenoise<'a> {
        let (geometry, interpolation, words) = (self.geometry, self.interpolation, self.words);
        let projection = Projection::Views { lens: Lens { geometry, interpolation, words }, size: self.size };
        let [gain, offset] = self.map;
        let scalars = RenoiseScalars { gain, offset, ..RenoiseScalars::default() };
        ProjectRenoise { canvas: self.canvas, projection, views: self.views, scalars, elem: self.elem }
    }
}

/// Views `[V, h, w, C]` of the canvas, values mapped by `gain · value + offset`. One dispatch.
pub fn project(rec: &mut Recorder, project: &Project<'_>) -> Tensor {
    project_renoise(rec, &project.kernel()).0
}

/// As [`fn@project`] from a canvas larger than a storage binding (8192 × 4096 on adapters with WebGPU's limits): its rows in
/// four equal bands, `project.canvas` and those below it.
pub fn project_bands(rec: &mut Recorder, project: &Project<'_>, below: [&Tensor; 3]) -> Tensor {
    project_renoise_bands(rec, &project.kernel(), below).0
}

/// Options of [`fn@fuse`].
#[derive(Clone, Copy, Debug)]
pub struct Fuse<'a> {
    /// What the words mean.
    pub geometry: Geometry,
    /// How views are sampled.
    pub interpolation: Interpolation,
    /// Canvas f32 `[H, W, C]`, updated in place; texels that no view covers keep their value.
    pub canvas: &'a Tensor,
    /// Receives the sum of weights f32 `[H, W]`.
    pub coverage: &'a Tensor,
    /// Views `[V, h, w, C]`.
    pub views: &'a Tensor,
    /// Words of the views f32 `[V, 20]`.
    pub words: &'a Tensor,
    /// Weights of regions f32 `[R, H, W]`, for views that belong to one.
    pub regions: Option<&'a Tensor>,
    /// How views share a texel.
    pub weight: Weight,
    /// Value map, clamp and weights' numbers.
    pub scalars: FuseScalars,
}

impl<'a> Fuse<'a> {
    fn kernel(&self) -> FuseViews<'a> {
        let (geometry, interpolation, words) = (self.geometry, self.interpolation, self.words);
        FuseViews {
            canvas: self.canvas,
            coverage: self.coverage,
            views: self.views,
            lens: Lens { geometry, interpolation, words },
            regions: self.regions,
            weight: self.weight,
            scalars: self.scalars,
        }
    }
}

/// Fuses views into the canvas. One dispatch.
pub fn fuse(rec: &mut Recorder, fuse: &Fuse<'_>) -> DispatchId {
    fuse_views(rec, &fuse.kernel())
}

/// As [`fn@fuse`] into a canvas in four equal bands of rows, `fuse.canvas` and those below it; without regions.
pub fn fuse_bands(rec: &mut Recorder, fuse: &Fuse<'_>, below: [&Tensor; 3]) -> DispatchId {
    fuse_views_bands(rec, &fuse.kernel(), below)
}

/// Options of [`fn@scatter`].
#[derive(Clone, Copy, Debug)]
pub struct Scatter<'a> {
    /// What the words mean.
    pub geometry: Geometry,
    /// How the canvas would be sampled by [`fn@project`].
    pub interpolation: Interpolation,
    /// Gradients on views `[V, h, w, C]`.
    pub views: &'a Tensor,
    /// Words of the views f32 `[V, 20]`.
    pub words: &'a Tensor,
    /// Sums u32 `[H, W, C]` in units of 2⁻²⁰, added to; `adam` takes them.
    pub sums: &'a Tensor,
    /// Sums of weights alone u32 `[H, W]`.
    pub hits: Option<&'a Tensor>,
    /// Counts contributions that are not finite or too large.
    pub report: &'a Tensor,
    /// Factor of the gradients.
    pub gain: f32,
}

/// The adjoint of [`fn@project`]: pixels add to the texels they would be read from. One dispatch.
pub fn scatter(rec: &mut Recorder, scatter: &Scatter<'_>) {
    let (geometry, interpolation, words) = (scatter.geometry, scatter.interpolation, scatter.words);
    let lens = Lens { geometry, interpolation, words };
    let Scatter { views, sums, hits, report, gain, .. } = *scatter;
    scatter_views(rec, &ScatterViews { views, lens, sums, hits, report, gain });
}

/// An option outside its range.
fn refuse<T>(what: &'static str, found: impl ToString, expected: impl Into<String>) -> Result<T> {
    Err(Error::Input { what, found: found.to_string(), expected: expected.into() })
}

/// Most columns of an equirectangular canvas.
const MAX_WIDTH: usize = 8192;

/// Refuses a canvas with fewer texels around than the middle of a view has pixels: each pass would lose detail. `around`: pixels
/// that would go around, as dense as in a view's middle and as at its border. The largest canvas takes any view.
fn check_width(width: usize, around: [f64; 2], side: usize, fov: f64) -> Result<()> {
    let [least, good] = [around[0], 1.2 * around[1]].map(|n| n.ceil().min(MAX_WIDTH as f64));
    if (width as f64) < least {
        let expected =
            format!("at least {least} for views of {side} pixels and {fov} degrees ({good} keeps every pixel)");
        return refuse("canvas width", width, expected);
    }
    Ok(())
}
