//! The whole sphere at once: six equi-angular faces over an equirectangular canvas, turned as a whole each step.
//!
//! | StochSync (Yeo et al. 2025), official code | here |
//! |---|---|
//! | six faces of 90°, pixel angles equidistant in ±45° with the ends included | pixel centres at +0.5, so forward and inverse map are exact inverses |
//! | one random unit quaternion a step turns all faces | [`SphereOptions::seed`]; drawn from counters, so a step can be repeated alone |
//! | canvas 2048 × 4096, faces of 512 | any |
//!
//! The faces share one rotation's numbers up to sign, so at a border both compare the same numbers: every texel lies in
//! exactly one face, but for those exactly on a border, which lie in two.

#[cfg(test)]
mod tests;

use syncline_kernels::ops::views::Face;

use super::{Geometry, Interpolation, Space, View, check_width, refuse};
use crate::error::Result;
use crate::rng::{NoiseKey, Purpose};

/// Where the faces look before they are turned: right, down and forward axis of each, as (axis, sign) of the world. Level to the
/// front, right, back and left, then up and down.
const FACES: [[(usize, f64); 3]; 6] = [
    [(0, 1.0), (1, 1.0), (2, 1.0)],
    [(2, -1.0), (1, 1.0), (0, 1.0)],
    [(0, -1.0), (1, 1.0), (2, -1.0)],
    [(2, 1.0), (1, 1.0), (0, -1.0)],
    [(0, 1.0), (2, 1.0), (1, -1.0)],
    [(0, 1.0), (2, -1.0), (1, 1.0)],
];

/// Options of [`Sphere::new`].
#[derive(Clone, Debug)]
pub struct SphereOptions {
    /// Height of the canvas; its width is twice that.
    pub height: usize,
    /// Side of a face in pixels.
    pub side: usize,
    /// Angle in degrees that a face shows; 90 of them are used.
    pub fov: f64,
    /// Where the rotations come from; `None` leaves the faces as they are.
    pub seed: Option<u64>,
    /// How canvas and faces are sampled.
    pub interpolation: Interpolation,
}

impl Default for SphereOptions {
    /// The published sizes.
    fn default() -> Self {
        Self { height: 2048, side: 512, fov: 90.0, seed: Some(0), interpolation: Interpolation::Bilinear }
    }
}

/// A sphere with its faces.
#[derive(Clone, Debug)]
pub struct Sphere {
    options: SphereOptions,
}

impl Sphere {
    /// Checks the options.
    ///
    /// # Errors
    /// When a number is outside its range, or the canvas has fewer texels than the middle of a face has pixels.
    pub fn new(options: &SphereOptions) -> Result<Self> {
        if !(16..=4096).contains(&options.height) {
            return refuse("sphere height", options.height, "16 to 4096 (the width is twice the height)");
        }
        if options.side == 0 {
            return refuse("face side", options.side, "at least 1 pixel");
        }
        if !(options.fov >= 90.0 && options.fov <= 150.0) {
            return refuse("face fov", options.fov, "90 to 150 degrees; six smaller faces do not cover the sphere");
        }
        let middle = options.side as f64 * 360.0 / options.fov;
        // Where two faces meet a pixel spans an angle of only 1/√2.
        check_width(2 * options.height, [middle, 2f64.sqrt() * middle], options.side, options.fov)?;
        Ok(Self { options: options.clone() })
    }

    /// The rotation of a step: of a unit quaternion uniform on its sphere, that is of four normal numbers, normalised.
    fn turn(&self, step: usize) -> [[f64; 3]; 3] {
        let Some(seed) = self.options.seed else { return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] };
        let key = NoiseKey { seed, purpose: Purpose::View, trajectory: 0, view: 0, step: step as u32 };
        let q = key.block(0).map(f64::from);
        let length = q.iter().map(|v| v * v).sum::<f64>().sqrt();
        let [w, x, y, z] = q.map(|v| v / length);
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]
    }
}

impl Space for Sphere {
    fn canvas_size(&self) -> [usize; 2] {
        [self.options.height, 2 * self.options.height]
    }

    fn view_size(&self) -> [usize; 2] {
        [self.options.side; 2]
    }

    fn geometry(&self) -> Geometry {
        Geometry::EquiAngular
    }

    fn interpolation(&self) -> Interpolation {
        self.options.interpolation
    }

    fn set_count(&self) -> usize {
        1
    }

    fn view_count(&self) -> usize {
        FACES.len()
    }

    fn views(&self, step: usize) -> Vec<View> {
        let turn = self.turn(step);
        let (fov, size) = (self.options.fov, self.options.side);
        let view = |(i, axes): (usize, &[(usize, f64); 3])| {
            // Columns of the turned face are columns of the rotation, whole: no sum may round them differently.
            let rotation = turn.map(|row| axes.map(|(axis, sign)| sign * row[axis]));
            let forward = rotation.map(|row| row[2]);
            let azimuth = forward[0].atan2(forward[2]).to_degrees();
            let elevation = (-forward[1]).clamp(-1.0, 1.0).asin().to_degrees();
            let face = Face { rotation: rotation.map(|row| row.map(|v| v as f32)), fov, size, used_fov: 90.0 };
            View { words: face.words(), id: i as u32, direction: Some([azimuth, elevation]) }
        };
        FACES.iter().enumerate().map(view).collect()
    }
}
