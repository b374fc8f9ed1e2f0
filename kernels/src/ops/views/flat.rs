//! Views of flat canvases: windows, and patches of a torus.

use super::ViewWords;

/// A window of a flat canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Where its upper left corner lies, (x, y) in canvas pixels; may be fractional, and outside where the canvas wraps.
    pub origin: [f64; 2],
    /// Width and height in view pixels.
    pub size: [usize; 2],
    /// Canvas pixels to a view pixel in x and y; 1 is a crop.
    pub scale: [f64; 2],
    /// Width and height of the canvas in pixels.
    pub canvas: [usize; 2],
    /// Whether the canvas wraps in x and y.
    pub wrap: [bool; 2],
}

impl Window {
    /// As kernels read it.
    ///
    /// # Panics
    /// When a window is larger than a canvas that wraps: a texel would be shown twice.
    #[must_use]
    pub fn words(&self) -> ViewWords {
        let field = [0, 1].map(|k| self.size[k] as f64 * self.scale[k]);
        for k in [0, 1] {
            assert!(
                self.scale[k] > 0.0 && (!self.wrap[k] || field[k] <= self.canvas[k] as f64),
                "window {self:?} does not fit its canvas"
            );
        }
        let middle = [0, 1].map(|k| (self.origin[k] + 0.5 * field[k]) as f32);
        let scale = self.scale.map(|s| s as f32);
        let size = self.size.map(|n| n as f32);
        ViewWords::new(&[middle[0], middle[1], scale[0], scale[1]], size, size.map(|n| 0.5 * n))
            .over(self.canvas.map(|n| n as f32), self.wrap)
    }
}

/// A patch of a torus's surface: canvas columns are the angle φ around the axis, rows the angle ϑ around the tube, both wrapping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TorusPatch {
    /// Its middle, (φ, ϑ) in degrees.
    pub middle: [f64; 2],
    /// Outer to inner radius, more than 1.
    pub ratio: f64,
    /// Height in degrees of ϑ; its width in φ is fov·(1 − 1/ratio)/2 times a stretch that grows from 1 outside to the
    /// ratio inside.
    pub fov: f64,
    /// Width and height in pixels.
    pub size: [usize; 2],
}

impl TorusPatch {
    /// As kernels read it.
    ///
    /// # Panics
    /// When the patch would show a texel twice.
    #[must_use]
    pub fn words(&self) -> ViewWords {
        let wide = 0.5 * self.fov * (1.0 - 1.0 / self.ratio);
        assert!(
            self.ratio > 1.0 && self.fov > 0.0 && self.fov <= 360.0 && wide * self.ratio <= 360.0,
            "{self:?} shows a place twice"
        );
        let [phi, theta] = self.middle.map(|a| (a / 360.0) as f32);
        let own = [phi, theta, self.ratio as f32, (wide / 360.0) as f32, (self.fov / 360.0) as f32];
        ViewWords::new(&own, self.size.map(|n| n as f32), [0.5, 0.5]).over([0.0, 0.0], [true, true])
    }
}
