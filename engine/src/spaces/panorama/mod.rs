//! The equirectangular panorama: longitude over the width, latitude over the height, forward in the middle.
//!
//! | StochSync (Yeo et al. 2025), official code | here |
//! |---|---|
//! | two rings of five views, 36° apart, elevation 0 | [`ViewSet::PAPER`] |
//! | 8192 × 4096 upscaling, four sets of fifteen views of 36° | [`ViewSet::upscaling`] |
//! | nearest gather, ±2 px of padding between neighbours | bilinear by default, no padding: a texel belongs to the views whose used field holds its centre |
//! | no wrap at the back column | wraps |
//! | SyncTweedies (Kim et al. 2024): one ring of eight views, 45° apart | [`ViewSet::SYNC_TWEEDIES`] |
//! | – (both leave the poles black) | [`ViewSet::Full`] |

#[cfg(test)]
mod tests;
mod views;

pub use views::ViewSet;

use super::{Camera, Geometry, Interpolation, MAX_WIDTH, Space, View, check_width, refuse};
use crate::error::Result;

/// A panorama with its view sets.
#[derive(Clone, Debug)]
pub struct Panorama {
    canvas: [usize; 2],
    view: [usize; 2],
    sets: Vec<Vec<View>>,
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
    /// When a number is outside its range, or the canvas has fewer texels than the middle of a view has pixels.
    pub fn new(options: &PanoramaOptions) -> Result<Self> {
        if !(16..=MAX_WIDTH / 2).contains(&options.height) {
            return refuse("panorama height", options.height, "16 to 4096 (the width is twice the height)");
        }
        if options.view_side == 0 {
            return refuse("view side", options.view_side, "at least 1 pixel");
        }
        if !(options.fov >= 10.0 && options.fov <= 150.0) {
            return refuse("fov", options.fov, "10 to 150 degrees");
        }
        if !(options.used_fov > 0.0 && options.used_fov <= options.fov) {
            return refuse("used fov", options.used_fov, "more than 0 and at most the fov");
        }
        let (side, fov) = (options.view_side, options.fov);
        check_width(2 * options.height, pixels_around(side, fov, options.used_fov), side, fov)?;
        let used = (0.5 * options.used_fov).to_radians().tan();
        let size = [options.view_side; 2];
        let camera = |rotation| Camera::centred(rotation, options.fov.to_radians(), size).using([used, used]);
        let sets = options.views.rotations(options.used_fov)?;
        let count = sets[0].len();
        let view = |(i, rotation): (usize, [[f64; 3]; 3])| {
            let axis = rotation.map(|row| row[2]);
            let azimuth = axis[0].atan2(axis[2]).to_degrees();
            let elevation = (-axis[1]).clamp(-1.0, 1.0).asin().to_degrees();
            View { words: camera(rotation).words(), id: i as u32, direction: Some([azimuth, elevation]) }
        };
        let views: Vec<View> = sets.into_iter().flatten().enumerate().map(view).collect();
        Ok(Self {
            canvas: [options.height, 2 * options.height],
            view: size,
            sets: views.chunks(count).map(<[View]>::to_vec).collect(),
            interpolation: options.interpolation,
        })
    }

    /// A canvas height at which views of `side` pixels and `fov` degrees lose little on their way through it: 1.2 texels
    /// to a pixel where pixels are densest in angle, at the border of the used field. Small canvases get 2.75: they cost
    /// little, and what bilinear sampling blurs each step adds up.
    #[must_use]
    pub fn height_for(side: usize, fov: f64, used_fov: f64) -> usize {
        let [_, border] = pixels_around(side, fov, used_fov);
        // Clamped before it is an integer: a field that `new` will refuse may give any number here.
        let tiles = |texels: f64| (0.5 * texels * border / 32.0).round().clamp(0.0, 128.0);
        let height = |texels: f64| tiles(texels) as usize * 32;
        height(1.2).max(height(2.75).min(1024)).clamp(16, MAX_WIDTH / 2)
    }
}

/// Pixels of a view that would go around the horizon: as dense as in its middle, and as at the border of the used field.
fn pixels_around(side: usize, fov: f64, used_fov: f64) -> [f64; 2] {
    let middle = std::f64::consts::PI * side as f64 / (0.5 * fov.to_radians()).tan();
    // An angle per pixel of cos² / focal.
    [middle, middle / (0.5 * used_fov.to_radians()).cos().powi(2)]
}

impl Space for Panorama {
    fn canvas_size(&self) -> [usize; 2] {
        self.canvas
    }

    fn view_size(&self) -> [usize; 2] {
        self.view
    }

    fn geometry(&self) -> Geometry {
        Geometry::Equirect
    }

    fn interpolation(&self) -> Interpolation {
        self.interpolation
    }

    fn set_count(&self) -> usize {
        self.sets.len()
    }

    fn view_count(&self) -> usize {
        self.sets[0].len()
    }

    fn views(&self, step: usize) -> Vec<View> {
        self.sets[step % self.sets.len()].clone()
    }
}
