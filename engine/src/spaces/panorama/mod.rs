//! The equirectangular panorama: longitude over the width, latitude over the height, forward in the middle.
//!
//! | StochSync §, official code | here |
//! |---|---|
//! | two rings of five views, 36° apart, elevation 0 | [`ViewSet::Rings`] |
//! | nearest gather, ±2 px of padding between neighbours | bilinear by default, no padding: a texel belongs to the views whose used field holds its centre |
//! | no wrap at the back column | wraps |

mod views;

pub use views::ViewSet;

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::fuse_views::{FuseViews, fuse_views};
use syncline_kernels::ops::project_renoise::{
    Camera, Interpolation, ProjectRenoise, Projection, RenoiseScalars, project_renoise,
};
use syncline_kernels::tensor::Tensor;

use super::{Fuse, Project, Space};
use crate::error::{Error, Result};

/// A panorama with its view sets.
#[derive(Clone, Debug)]
pub struct Panorama {
    canvas: [usize; 2],
    view: [usize; 2],
    sets: Vec<Vec<Camera>>,
    interpolation: Interpolation,
}

/// How a [`Panorama`] is looked at.
#[derive(Clone, Debug)]
pub struct PanoramaOptions {
    /// Height of the canvas; its width is twice that.
    pub height: usize,
    /// Side of a square view in pixels.
    pub view_side: usize,
    /// Vertical field of a view in degrees.
    pub fov: f64,
    /// Field in degrees that fusion uses of it.
    pub used_fov: f64,
    /// Where views look.
    pub views: ViewSet,
    /// How canvas and views are sampled.
    pub interpolation: Interpolation,
}

impl Panorama {
    /// Checks the options and builds the cameras.
    ///
    /// # Errors
    /// When a number is outside its range.
    pub fn new(options: &PanoramaOptions) -> Result<Self> {
        let refuse = |what, found: String, expected: &str| Err(Error::Input { what, found, expected: expected.into() });
        if !(16..=4096).contains(&options.height) {
            return refuse("panorama height", options.height.to_string(), "16 to 4096 (the width is twice the height)");
        }
        if !(options.fov >= 10.0 && options.fov <= 150.0) {
            return refuse("fov", options.fov.to_string(), "10 to 150 degrees");
        }
        if !(options.used_fov > 0.0 && options.used_fov <= options.fov) {
            return refuse("used fov", options.used_fov.to_string(), "more than 0 and at most the fov");
        }
        let used = (0.5 * options.used_fov).to_radians().tan();
        let size = [options.view_side; 2];
        let camera = |rotation| Camera::centred(rotation, options.fov.to_radians(), size).using([used, used]);
        let sets = options.views.rotations()?;
        let sets = sets.into_iter().map(|set| set.into_iter().map(camera).collect()).collect();
        Ok(Self {
            canvas: [options.height, 2 * options.height],
            view: size,
            sets,
            interpolation: options.interpolation,
        })
    }

    /// A canvas height at which views of `side` pixels and `fov` degrees lose little on their way through it: 1.2 texels
    /// to a pixel where pixels are densest in angle, at the border of the used field. Small canvases get 2.75: they cost
    /// little, and what bilinear sampling blurs each step adds up.
    #[must_use]
    pub fn height_for(side: usize, fov: f64, used_fov: f64) -> usize {
        let focal = 0.5 * side as f64 / (0.5 * fov.to_radians()).tan();
        // An angle per pixel of cos² / focal.
        let border = (0.5 * used_fov.to_radians()).cos().powi(2);
        // Clamped before it is an integer: a field that `new` will refuse may give any number here.
        let tiles = |texels: f64| (texels * std::f64::consts::PI * focal / border / 32.0).round().clamp(0.0, 128.0);
        let height = |texels: f64| tiles(texels) as usize * 32;
        height(1.2).max(height(2.75).min(1024)).clamp(16, 4096)
    }
}

impl Space for Panorama {
    fn canvas_size(&self) -> [usize; 2] {
        self.canvas
    }

    fn view_size(&self) -> [usize; 2] {
        self.view
    }

    fn view_sets(&self) -> &[Vec<Camera>] {
        &self.sets
    }

    fn project(&self, rec: &mut Recorder, project: &Project<'_>) -> Tensor {
        let projection =
            Projection::Equirect { cameras: project.cameras, size: self.view, interpolation: self.interpolation };
        let [gain, offset] = project.map;
        let scalars = RenoiseScalars { gain, offset, ..RenoiseScalars::default() };
        let (canvas, views, elem) = (project.canvas, project.views, project.elem);
        project_renoise(rec, &ProjectRenoise { canvas, projection, views, scalars, elem }).0
    }

    fn fuse(&self, rec: &mut Recorder, fuse: &Fuse<'_>) {
        fuse_views(
            rec,
            &FuseViews {
                canvas: fuse.canvas,
                coverage: fuse.coverage,
                views: fuse.views,
                cameras: fuse.cameras,
                interpolation: self.interpolation,
                weight: fuse.weight,
                scalars: fuse.scalars,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_field_gives_some_height() {
        for fov in [0.0, -10.0, 180.0, 360.0, f64::NAN, f64::INFINITY, 1e-300] {
            for used in [0.0, 90.0, 180.0, f64::NAN] {
                for side in [0, 1, 128, usize::MAX] {
                    assert!((16..=4096).contains(&Panorama::height_for(side, fov, used)), "{side} {fov} {used}");
                }
            }
        }
    }
}
