//! Views of a surrounding canvas: pinhole cameras and equi-angular faces.

use super::ViewWords;

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

    /// As kernels read it.
    #[must_use]
    pub fn words(&self) -> ViewWords {
        let whole = [0, 1].map(|k| self.principal_px[k].min(self.size_px[k] - self.principal_px[k]) / self.focal_px);
        let used = self.used_tan;
        surrounding(&self.rotation, [self.focal_px, self.principal_px[0], self.principal_px[1]], self.size_px, whole)
            .using(used)
    }

    /// The camera whose words these are.
    #[must_use]
    pub fn from_words(words: &ViewWords) -> Self {
        let n = &words.numbers;
        Self {
            rotation: [[n[0], n[1], n[2]], [n[3], n[4], n[5]], [n[6], n[7], n[8]]],
            focal_px: n[9],
            principal_px: [n[10], n[11]],
            size_px: [n[12], n[13]],
            used_tan: words.used(),
        }
    }
}

/// An equi-angular face: its pixels are equidistant in the angles a = atan2(x, z) and b = atan2(y, z) of the direction (x, y, z)
/// in the face's axes, those of a [`Camera`]. Six faces of 90 degrees tile the sphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// Face to world, by rows.
    pub rotation: [[f32; 3]; 3],
    /// Angle in degrees over width and height, less than 180.
    pub fov: f64,
    /// Width and height in pixels.
    pub size: usize,
    /// Angle in degrees that fusing uses.
    pub used_fov: f64,
}

impl Face {
    /// As kernels read it.
    #[must_use]
    pub fn words(&self) -> ViewWords {
        let size = self.size as f32;
        let half_tan = |fov: f64| [(0.5 * fov).to_radians().tan() as f32; 2];
        let per_turn = (self.size as f64 * 360.0 / self.fov) as f32;
        surrounding(&self.rotation, [per_turn, 0.5 * size, 0.5 * size], [size, size], half_tan(self.fov))
            .using(half_tan(self.used_fov))
    }
}

fn surrounding(rotation: &[[f32; 3]; 3], lens: [f32; 3], size: [f32; 2], whole: [f32; 2]) -> ViewWords {
    let own: Vec<f32> = rotation.iter().flatten().copied().chain(lens).collect();
    // The canvas is measured in angles; its columns wrap.
    ViewWords::new(&own, size, whole).over([0.0, 0.0], [true, false])
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
