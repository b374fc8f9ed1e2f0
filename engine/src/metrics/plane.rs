//! One channel of a picture in f64, and the filters the measures are made of.

/// Weights of red, green and blue in brightness (ITU-R BT.601), as SSIM's authors take them.
const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// One channel, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// `height · width` values.
    pub values: Vec<f64>,
}

impl Plane {
    /// Brightness of an RGB picture.
    ///
    /// # Panics
    /// When `rgb` does not hold `height · width · 3` values.
    #[must_use]
    pub fn luma(rgb: &[f32], size: [usize; 2]) -> Self {
        assert_eq!(rgb.len(), size[0] * size[1] * 3, "luma: RGB values of a picture of {size:?}");
        let brightness = |p: &[f32; 3]| (0..3).map(|c| LUMA[c] * f64::from(p[c])).sum();
        Self { size, values: rgb.as_chunks().0.iter().map(brightness).collect() }
    }

    /// The value of a pixel.
    #[must_use]
    pub fn at(&self, y: usize, x: usize) -> f64 {
        self.values[y * self.size[1] + x]
    }

    /// Pixel by pixel with another plane of the same size.
    #[must_use]
    pub(super) fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!(self.size, other.size, "planes of one size");
        let values = self.values.iter().zip(&other.values).map(|(a, b)| f(*a, *b)).collect();
        Self { size: self.size, values }
    }

    /// Weighted means under a separable window, where it lies wholly inside: each side shrinks by `weights.len() - 1`.
    #[must_use]
    pub(super) fn filter_inside(&self, weights: &[f64]) -> Self {
        let [height, width] = self.size;
        let n = weights.len();
        let [rows, columns] = [height + 1 - n, width + 1 - n];
        let taps = |at: &dyn Fn(usize) -> f64| weights.iter().enumerate().map(|(k, w)| w * at(k)).sum::<f64>();
        let across: Vec<f64> =
            (0..height * columns).map(|i| taps(&|k| self.at(i / columns, i % columns + k))).collect();
        let values =
            (0..rows * columns).map(|i| taps(&|k| across[(i / columns + k) * columns + i % columns])).collect();
        Self { size: [rows, columns], values }
    }

    /// Gaussian blur of the same size; the window reaches 4 sigma, and the picture is mirrored at its edges.
    #[must_use]
    pub fn blurred(&self, sigma: f64) -> Self {
        let reach = (4.0 * sigma).ceil() as usize;
        let [height, width] = self.size;
        let mirror = |i: usize, n: usize| {
            let k = (i as isize - reach as isize).rem_euclid(2 * n as isize) as usize;
            k.min(2 * n - 1 - k)
        };
        let size = [height + 2 * reach, width + 2 * reach];
        let wide = |i: usize| self.at(mirror(i / size[1], height), mirror(i % size[1], width));
        Self { size, values: (0..size[0] * size[1]).map(wide).collect() }.filter_inside(&gaussian(2 * reach + 1, sigma))
    }

    /// The pixels at least `margin` away from every edge.
    ///
    /// # Panics
    /// When none are left.
    #[must_use]
    pub fn inner(&self, margin: usize) -> Self {
        let [height, width] = self.size;
        assert!(2 * margin < height.min(width), "inner: a margin of {margin} in a picture of {:?}", self.size);
        let size = [height - 2 * margin, width - 2 * margin];
        let values = (0..size[0] * size[1]).map(|i| self.at(margin + i / size[1], margin + i % size[1])).collect();
        Self { size, values }
    }

    /// Sum of the four neighbours less four times the value, on inner pixels.
    #[must_use]
    pub(super) fn laplacian(&self) -> Self {
        let size = [self.size[0] - 2, self.size[1] - 2];
        let value = |i: usize| {
            let (y, x) = (i / size[1] + 1, i % size[1] + 1);
            self.at(y - 1, x) + self.at(y + 1, x) + self.at(y, x - 1) + self.at(y, x + 1) - 4.0 * self.at(y, x)
        };
        Self { size, values: (0..size[0] * size[1]).map(value).collect() }
    }

    /// Value between pixels, from the four around; pixel centres are at + 0.5 and edges go on.
    #[must_use]
    pub(super) fn sample(&self, y: f64, x: f64) -> f64 {
        let axis = |p: f64, n: usize| {
            let p = (p - 0.5).clamp(0.0, (n - 1) as f64);
            let low = (p.floor() as usize).min(n.saturating_sub(2));
            (low, (low + 1).min(n - 1), p - low as f64)
        };
        let ((y0, y1, fy), (x0, x1, fx)) = (axis(y, self.size[0]), axis(x, self.size[1]));
        let row = |y: usize| (1.0 - fx) * self.at(y, x0) + fx * self.at(y, x1);
        (1.0 - fy) * row(y0) + fy * row(y1)
    }
}

/// `count` samples of a Gaussian around the middle, with sum 1.
#[must_use]
pub(super) fn gaussian(count: usize, sigma: f64) -> Vec<f64> {
    let middle = 0.5 * (count as f64 - 1.0);
    let raw: Vec<f64> = (0..count).map(|i| (-0.5 * ((i as f64 - middle) / sigma).powi(2)).exp()).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|w| w / sum).collect()
}

/// Mean; 0 of nothing.
#[must_use]
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    sum / count.max(1) as f64
}

/// Mean squared distance from the mean.
#[must_use]
pub(super) fn variance(values: &[f64]) -> f64 {
    let middle = mean(values.iter().copied());
    mean(values.iter().map(|v| (v - middle).powi(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(size: [usize; 2], f: impl Fn(usize, usize) -> f64) -> Plane {
        Plane { size, values: (0..size[0] * size[1]).map(|i| f(i / size[1], i % size[1])).collect() }
    }

    #[test]
    fn a_blur_keeps_constants_and_damps_a_wave_by_the_gaussians_transform() {
        let flat = plane([9, 7], |_, _| 0.3);
        assert!(flat.blurred(2.0).values.iter().all(|v| (v - 0.3).abs() < 1e-12));
        // cos(2 pi x / 16), centred on the mirror, is multiplied by exp(-(2 pi sigma / 16)^2 / 2).
        let wave = plane([8, 32], |_, x| (std::f64::consts::TAU * (x as f64 + 0.5) / 16.0).cos());
        let damping = (-0.5 * (std::f64::consts::TAU * 2.0 / 16.0).powi(2)).exp();
        let blurred = wave.blurred(2.0);
        // The window is cut at 4 sigma, where 6e-5 of its weight lies outside.
        let near = blurred.values.iter().zip(&wave.values).all(|(b, w)| (b - damping * w).abs() < 2e-4);
        assert!(near && blurred.size == wave.size);
    }

    #[test]
    fn the_laplacian_of_a_paraboloid_is_four() {
        let bowl = plane([6, 8], |y, x| (y * y + x * x) as f64);
        let found = bowl.laplacian();
        assert_eq!(found.size, [4, 6]);
        assert!(found.values.iter().all(|v| (v - 4.0).abs() < 1e-12));
    }

    #[test]
    fn samples_of_a_ramp_lie_on_it() {
        let ramp = plane([5, 6], |y, x| 10.0 * (y as f64 + 0.5) + x as f64 + 0.5);
        assert!((ramp.sample(2.25, 3.75) - 26.25).abs() < 1e-12);
        assert!((ramp.sample(-3.0, 99.0) - ramp.at(0, 5)).abs() < 1e-12);
        assert_eq!(ramp.inner(2).size, [1, 2]);
        assert_eq!(ramp.inner(2).values, [ramp.at(2, 2), ramp.at(2, 3)]);
    }

    #[test]
    fn luma_weighs_green_most() {
        let luma = Plane::luma(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], [1, 3]);
        assert_eq!(luma.values, LUMA);
        assert!((variance(&[1.0, 3.0]) - 1.0).abs() < 1e-15);
    }
}
