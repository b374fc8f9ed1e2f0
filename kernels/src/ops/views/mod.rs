//! Where views lie in a canvas: twenty numbers a view that `project_renoise`, `fuse_views` and `scatter_views` read, and the
//! geometry they mean. Every space is a specialisation of the same kernels (`wgsl/lib/views.wgsl`).

mod camera;
mod flat;
#[cfg(test)]
pub(crate) mod oracle;

use crate::gpu::{Context, Result};
use crate::tensor::{Elem, Tensor};

pub use camera::{Camera, Face, rotation};
pub use flat::{TorusPatch, Window};

/// Positions of views in a canvas, and of texels in views, for kernels; with angles.wgsl and the geometries it calls.
pub(crate) const VIEWS: &str = include_str!("../../wgsl/lib/views.wgsl");
/// Pinhole cameras, equi-angular faces and the equirectangular map.
pub(crate) const PANORAMA: &str = include_str!("../../wgsl/lib/panorama.wgsl");
/// Windows of a flat canvas.
pub(crate) const WINDOWS: &str = include_str!("../../wgsl/lib/windows.wgsl");
/// Patches of a torus.
pub(crate) const TORUS: &str = include_str!("../../wgsl/lib/torus.wgsl");

/// What the numbers of a view mean: which specialisation of the kernels reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Geometry {
    /// Windows of a flat canvas: [`Window`].
    Windows,
    /// Pinhole cameras over an equirectangular canvas: [`Camera`].
    Equirect,
    /// Equi-angular faces over an equirectangular canvas: [`Face`].
    EquiAngular,
    /// Patches of a torus: [`TorusPatch`].
    Torus,
}

impl Geometry {
    /// Every geometry.
    pub const ALL: [Self; 4] = [Self::Windows, Self::Equirect, Self::EquiAngular, Self::Torus];

    /// Value of the kernels' `SPACE` override; 0 is that of a canvas that is the views.
    pub(crate) fn constant(self) -> f64 {
        match self {
            Self::Windows => 1.0,
            Self::Equirect => 2.0,
            Self::EquiAngular => 3.0,
            Self::Torus => 4.0,
        }
    }
}

/// How a canvas or view is sampled between its elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The element the position lies in.
    #[default]
    Nearest,
    /// Weighted mean of four.
    Bilinear,
}

impl Interpolation {
    /// Value of the kernels' `BILINEAR` override.
    pub(crate) fn constant(self) -> f64 {
        if self == Interpolation::Bilinear { 1.0 } else { 0.0 }
    }
}

/// A view as kernels read it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewWords {
    /// The numbers; their places are listed in `wgsl/lib/views.wgsl`.
    pub numbers: [f32; 20],
    /// Half of everything the view shows, in the units of [`ViewWords::used`].
    pub whole: [f32; 2],
}

impl ViewWords {
    /// Half the field that fusing uses, in x and y: tangents (cameras, faces), canvas pixels (windows), fractions of the view
    /// (torus).
    #[must_use]
    pub fn used(&self) -> [f32; 2] {
        [self.numbers[14], self.numbers[15]]
    }

    /// The same view, of which fusing uses only this half field.
    #[must_use]
    pub fn using(mut self, used: [f32; 2]) -> Self {
        self.numbers[14..16].copy_from_slice(&used);
        self
    }

    /// The same view, all of it used.
    #[must_use]
    pub fn whole_field(self) -> Self {
        self.using(self.whole)
    }

    /// The same view, whose weight is multiplied by a region's: an index into `fuse_views`' regions.
    #[must_use]
    pub fn in_region(mut self, region: Option<u16>) -> Self {
        self.numbers[16] = region.map_or(-1.0, f32::from);
        self
    }

    /// The region it names.
    #[must_use]
    pub fn region(&self) -> Option<usize> {
        (self.numbers[16] >= 0.0).then_some(self.numbers[16] as usize)
    }

    /// `own`: the numbers that belong to the space, the first twelve; `size` = (width, height) of the view and half its field.
    fn new(own: &[f32], size: [f32; 2], whole: [f32; 2]) -> Self {
        let mut numbers = [0.0; 20];
        numbers[..own.len()].copy_from_slice(own);
        numbers[12..14].copy_from_slice(&size);
        numbers[16] = -1.0;
        Self { numbers, whole }.using(whole)
    }

    /// `canvas` = (width, height) in the units of the view's numbers, and whether it wraps in x and y.
    fn over(mut self, canvas: [f32; 2], wrap: [bool; 2]) -> Self {
        self.numbers[17..19].copy_from_slice(&canvas);
        self.numbers[19] = f32::from(u8::from(wrap[0]) + 2 * u8::from(wrap[1]));
        self
    }
}

/// Views and how they are read.
#[derive(Clone, Copy, Debug)]
pub struct Lens<'a> {
    /// What the words mean.
    pub geometry: Geometry,
    /// How canvas and views are sampled.
    pub interpolation: Interpolation,
    /// `[V, 20]` f32, see [`upload_words`].
    pub words: &'a Tensor,
}

impl Lens<'_> {
    /// Fails unless the words are `[V, 20]` f32 for `count` views.
    pub(crate) fn assert(&self, kernel: &str, count: usize) {
        let words = self.words;
        assert!(
            words.dims() == [count, 20] && words.elem() == Elem::F32,
            "{kernel}: words {:?} {} for {count} views",
            words.dims(),
            words.elem()
        );
    }
}

/// The tensor `[V, 20]` f32 of a set of views.
///
/// # Errors
/// When the budget or a limit of the adapter is exceeded.
pub fn upload_words(ctx: &Context, views: &[ViewWords]) -> Result<Tensor> {
    let numbers: Vec<f32> = views.iter().flat_map(|view| view.numbers).collect();
    ctx.upload_named("view words", &numbers, &[views.len(), 20], Elem::F32)
}

/// Height and width as kernels take them; f32 positions and the integer angle reduction hold up to 2¹⁶.
pub(crate) fn canvas_size(kernel: &str, height: usize, width: usize) -> [u32; 2] {
    assert!(height <= 1 << 16 && width <= 1 << 16, "{kernel}: canvas {height} x {width} beyond 65536");
    [height as u32, width as u32]
}

/// `[Hc, Wc, C]` of a canvas of four bands of equally many rows.
pub(crate) fn whole_of_bands(kernel: &str, top: &Tensor, below: [&Tensor; 3]) -> [usize; 3] {
    let &[rows, width, channels] = top.dims() else { panic!("{kernel}: band {:?} is not [H, W, C]", top.dims()) };
    for band in below {
        assert!(
            band.dims() == top.dims() && band.elem() == top.elem(),
            "{kernel}: bands {:?} {} and {:?} {}",
            top.dims(),
            top.elem(),
            band.dims(),
            band.elem()
        );
    }
    [4 * rows, width, channels]
}
