//! The surface of a torus: a texture that continues itself in both directions, seen in patches that are wider inside than outside.
//!
//! | StochSync (Yeo et al. 2025), official code | here |
//! |---|---|
//! | canvas 1024 (around the tube, ϑ) × 3072 (around the axis, φ), radii 3 : 1, patches of 512 with a field of 180° | the default |
//! | patches (ϑ, φ): (90, 0) (0, 90) (90, 180) (0, 270) (−90, 0) (−90, 180) | the same |
//! | step k adds 45k mod 180 to φ, and 60k mod 180 to ϑ of patches not on the outside | [`Torus::views`] |

#[cfg(test)]
mod tests;

use syncline_kernels::ops::views::TorusPatch;

use super::{Geometry, Interpolation, Space, View, refuse};
use crate::error::Result;

/// Middles (ϑ, φ) in degrees of the first step's patches.
const PATCHES: [[f64; 2]; 6] = [[90.0, 0.0], [0.0, 90.0], [90.0, 180.0], [0.0, 270.0], [-90.0, 0.0], [-90.0, 180.0]];

/// Options of [`Torus::new`].
#[derive(Clone, Debug)]
pub struct TorusOptions {
    /// Height (ϑ) and width (φ) of the canvas.
    pub canvas: [usize; 2],
    /// Side of a patch in pixels.
    pub side: usize,
    /// Outer to inner radius.
    pub ratio: f64,
    /// Height of a patch in degrees of ϑ.
    pub fov: f64,
    /// How canvas and patches are sampled.
    pub interpolation: Interpolation,
}

impl Default for TorusOptions {
    /// The published sizes.
    fn default() -> Self {
        Self { canvas: [1024, 3072], side: 512, ratio: 3.0, fov: 180.0, interpolation: Interpolation::Bilinear }
    }
}

/// A torus with its patches.
#[derive(Clone, Debug)]
pub struct Torus {
    options: TorusOptions,
}

impl Torus {
    /// Checks the options.
    ///
    /// # Errors
    /// When a number is outside its range, or the canvas has fewer texels than a patch has pixels.
    pub fn new(options: &TorusOptions) -> Result<Self> {
        let o = options;
        if !(o.ratio > 1.0 && o.ratio <= 10.0) {
            return refuse("torus ratio", o.ratio, "more than 1 and at most 10 (outer to inner radius)");
        }
        let wide = 0.5 * o.fov * (1.0 - 1.0 / o.ratio);
        if !(o.fov > 0.0 && o.fov <= 180.0 && wide * o.ratio <= 360.0) {
            let most = (720.0 / (o.ratio - 1.0)).min(180.0);
            return refuse("torus fov", o.fov, format!("more than 0 and at most {most} degrees"));
        }
        if o.side == 0 {
            return refuse("patch side", o.side, "at least 1 pixel");
        }
        let [height, width] = o.canvas;
        // Outside, where patches are narrowest.
        let least = [o.fov, wide].map(|span| (o.side as f64 * 360.0 / span).ceil());
        if (height as f64) < least[0] || (width as f64) < least[1] || height.max(width) > 1 << 16 {
            let expected =
                format!("at least {}x{} for patches of {} pixels, at most 65536", least[1], least[0], o.side);
            return refuse("torus canvas", format!("{width}x{height}"), expected);
        }
        Ok(Self { options: options.clone() })
    }
}

impl Space for Torus {
    fn canvas_size(&self) -> [usize; 2] {
        self.options.canvas
    }

    fn view_size(&self) -> [usize; 2] {
        [self.options.side; 2]
    }

    fn geometry(&self) -> Geometry {
        Geometry::Torus
    }

    fn interpolation(&self) -> Interpolation {
        self.options.interpolation
    }

    fn set_count(&self) -> usize {
        1
    }

    fn view_count(&self) -> usize {
        PATCHES.len()
    }

    fn views(&self, step: usize) -> Vec<View> {
        let o = &self.options;
        let turn = |degrees: usize| (step * degrees % 180) as f64;
        let view = |(i, [theta, phi]): (usize, &[f64; 2])| {
            let theta = theta + if *theta == 0.0 { 0.0 } else { turn(60) };
            let middle = [phi + turn(45), theta].map(|angle: f64| (angle + 180.0).rem_euclid(360.0) - 180.0);
            let patch = TorusPatch { middle, ratio: o.ratio, fov: o.fov, size: [o.side; 2] };
            // Rows grow downwards, elevation upwards.
            View { words: patch.words(), id: i as u32, direction: Some([middle[0], -middle[1]]) }
        };
        PATCHES.iter().enumerate().map(view).collect()
    }
}
