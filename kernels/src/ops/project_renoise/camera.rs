//! Pinhole cameras, as kernels read them.

use crate::gpu::{Context, Result};
use crate::tensor::{Elem, Tensor};

/// A pinhole view of a surrounding canvas. Camera axes: x right, y down, z forward; the same for the world, whose z axis
/// is the middle of an equirectangular canvas. Pixel centres are at + 0.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Camera to world, by rows.
    pub rotation: [[f32; 3]; 3],
    /// Focal length in pixels of `size_px`.
    pub focal_px: f32,
    /// Where the optical axis meets the view: (x, y) in pixels of `size_px`.
    pub principal_px: [f32; 2],
    /// Width and height the pixel units above refer to; kernels scale them to the tensor's own width and height, so one
    /// camera serves the RGB view and its latent.
    pub size_px: [f32; 2],
    /// Tangents of half the field that fusing may use, in x and y.
    pub used_tan: [f32; 2],
}

impl Camera {
    /// A camera whose optical axis is the middle of `size` = (width, height) pixels, with a vertical field of view of
    /// `fov` radians, all of it used.
    #[must_use]
    pub fn centred(rotation: [[f64; 3]; 3], fov: f64, size: [usize; 2]) -> Self {
        let [width, height] = size.map(|n| n as f64);
        let tan = (0.5 * fov).tan();
        Self {
            rotation: rotation.map(|row| row.map(|v| v as f32)),
            focal_px: (0.5 * height / tan) as f32,
            principal_px: [(0.5 * width) as f32, (0.5 * height) as f32],
            size_px: [width as f32, height as f32],
            used_tan: [(tan * width / height) as f32, tan as f32],
        }
    }

    /// The same camera, of which fusing uses only the inner part of half-angle tangents `tan` in x and y.
    #[must_use]
    pub fn using(self, tan: [f64; 2]) -> Self {
        Self { used_tan: tan.map(|t| t as f32), ..self }
    }

    /// The sixteen numbers kernels read.
    #[must_use]
    pub fn words(&self) -> [f32; 16] {
        let [a, b, c] = self.rotation;
        let ([px, py], [w, h], [ux, uy]) = (self.principal_px, self.size_px, self.used_tan);
        [a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], c[2], self.focal_px, px, py, w, h, ux, uy]
    }
}

/// Camera to world: roll about the optical axis, then `elevation` (radians, positive looks up), then `azimuth` (radians,
/// positive looks right).
#[must_use]
pub fn rotation(azimuth: f64, elevation: f64, roll: f64) -> [[f64; 3]; 3] {
    let ((sa, ca), (se, ce), (sr, cr)) = (azimuth.sin_cos(), elevation.sin_cos(), roll.sin_cos());
    let about_y = [[ca, 0.0, sa], [0.0, 1.0, 0.0], [-sa, 0.0, ca]];
    let about_x = [[1.0, 0.0, 0.0], [0.0, ce, -se], [0.0, se, ce]];
    let about_z = [[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]];
    product(about_y, product(about_x, about_z))
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    a.map(|row| [0, 1, 2].map(|j| (0..3).map(|k| row[k] * b[k][j]).sum()))
}

/// The tensor `[V, 16]` f32 of a set of views.
///
/// # Errors
/// When the budget or a limit of the adapter is exceeded.
pub fn upload_cameras(ctx: &Context, cameras: &[Camera]) -> Result<Tensor> {
    let words: Vec<f32> = cameras.iter().flat_map(Camera::words).collect();
    ctx.upload_named("cameras", &words, &[cameras.len(), 16], Elem::F32)
}

/// Fails unless `cameras` is `[V, 16]` f32 for `count` views.
pub(crate) fn assert_cameras(kernel: &str, cameras: &Tensor, count: usize) {
    assert!(
        cameras.dims() == [count, 16] && cameras.elem() == Elem::F32,
        "{kernel}: cameras {:?} {} for {count} views",
        cameras.dims(),
        cameras.elem()
    );
}
