//! Pinhole cameras at the centre of the world.

/// Where a view looks. Angles in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// To the right, 0 is forward.
    pub azimuth: f64,
    /// Upwards, 0 is the horizon.
    pub elevation: f64,
    /// Clockwise about the line of sight.
    pub roll: f64,
}

impl View {
    /// A level view.
    #[must_use]
    pub const fn level(azimuth: f64) -> Self {
        Self { azimuth, elevation: 0.0, roll: 0.0 }
    }
}

/// A pinhole camera: orientation and image plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Rows of the rotation that takes camera directions to world directions.
    pub rotation: [[f64; 3]; 3],
    /// Focal length in pixels.
    pub focal: f64,
    /// `[width, height]` in pixels.
    pub size: [usize; 2],
}

type Matrix = [[f64; 3]; 3];

fn product(a: Matrix, b: Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

impl Camera {
    /// A camera with a vertical field of view of `fov` degrees: R = R_y(azimuth) · R_x(elevation) · R_z(roll).
    #[must_use]
    pub fn new(view: View, fov: f64, size: [usize; 2]) -> Self {
        let (sa, ca) = view.azimuth.to_radians().sin_cos();
        let (se, ce) = view.elevation.to_radians().sin_cos();
        let (sr, cr) = view.roll.to_radians().sin_cos();
        let about_y = [[ca, 0.0, sa], [0.0, 1.0, 0.0], [-sa, 0.0, ca]];
        // y points down, so a positive elevation turns the axis towards negative y.
        let about_x = [[1.0, 0.0, 0.0], [0.0, ce, -se], [0.0, se, ce]];
        let about_z = [[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]];
        let focal = size[1] as f64 / 2.0 / (fov.to_radians() / 2.0).tan();
        Self { rotation: product(product(about_y, about_x), about_z), focal, size }
    }

    /// World direction through a point of the image plane, in pixels.
    #[must_use]
    pub fn direction(&self, u: f64, v: f64) -> [f64; 3] {
        let ray = [(u - self.size[0] as f64 / 2.0) / self.focal, (v - self.size[1] as f64 / 2.0) / self.focal, 1.0];
        std::array::from_fn(|i| (0..3).map(|k| self.rotation[i][k] * ray[k]).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_point_where_the_convention_says() {
        let axis = |view| Camera::new(view, 72.0, [512, 512]).direction(256.0, 256.0);
        let near = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-12);
        assert!(near(axis(View::level(0.0)), [0.0, 0.0, 1.0]));
        assert!(near(axis(View::level(90.0)), [1.0, 0.0, 0.0]));
        let up = View { azimuth: 0.0, elevation: 90.0, roll: 0.0 };
        assert!(near(axis(up), [0.0, -1.0, 0.0]), "{:?}", axis(up));
        let camera = Camera::new(View::level(0.0), 72.0, [512, 512]);
        assert!((camera.focal - 352.354).abs() < 1e-3);
    }
}
