//! Whether agreement was bought with blur: sharpness and the energy of details.

use super::plane::{Plane, mean, variance};

/// Mean absolute horizontal difference of an RGB image, over its inner part: `margin` pixels on each side are left out.
#[must_use]
pub fn sharpness(rgb: &[f32], [height, width]: [usize; 2], margin: usize) -> f64 {
    let (rows, columns) = (margin..height - margin, margin + 1..width - margin);
    let difference = |y: usize, x: usize, c: usize| {
        let i = (y * width + x) * 3 + c;
        f64::from((rgb[i] - rgb[i - 3]).abs())
    };
    let pixels = rows.flat_map(|y| columns.clone().flat_map(move |x| (0..3).map(move |c| (y, x, c))));
    mean(pixels.map(|(y, x, c)| difference(y, x, c)))
}

/// Three measures of detail in one view or the mean of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Detail {
    /// Mean |dx| of RGB 0..=1 between neighbouring pixels.
    pub sharpness: f64,
    /// Variance of the Laplacian of brightness.
    pub laplacian_variance: f64,
    /// Mean squared brightness of three bands, fine to coarse: what a Gaussian of sigma 1 pixel takes away, from 1 to 2,
    /// from 2 to 4.
    pub bands: [f64; 3],
}

impl Detail {
    /// Of the pixels of a picture that are at least `margin` away from its edges.
    ///
    /// # Panics
    /// When fewer than 3 × 3 are left.
    #[must_use]
    pub fn of(rgb: &[f32], size: [usize; 2], margin: usize) -> Self {
        let luma = Plane::luma(rgb, size).inner(margin);
        let blurred = [1.0, 2.0, 4.0].map(|sigma| luma.blurred(sigma));
        let energy = |a: &Plane, b: &Plane| mean(a.zip(b, |a, b| (a - b).powi(2)).values);
        Self {
            sharpness: sharpness(rgb, size, margin),
            laplacian_variance: variance(&luma.laplacian().values),
            bands: [energy(&luma, &blurred[0]), energy(&blurred[0], &blurred[1]), energy(&blurred[1], &blurred[2])],
        }
    }

    /// Mean of several; zeros of none.
    #[must_use]
    pub fn mean(of: &[Self]) -> Self {
        Self {
            sharpness: mean(of.iter().map(|d| d.sharpness)),
            laplacian_variance: mean(of.iter().map(|d| d.laplacian_variance)),
            bands: [0, 1, 2].map(|i| mean(of.iter().map(|d| d.bands[i]))),
        }
    }

    /// Each number divided by a reference's.
    #[must_use]
    pub fn relative_to(&self, reference: &Self) -> Self {
        let ratio = |a: f64, b: f64| a / b.max(1e-12);
        Self {
            sharpness: ratio(self.sharpness, reference.sharpness),
            laplacian_variance: ratio(self.laplacian_variance, reference.laplacian_variance),
            bands: [0, 1, 2].map(|i| ratio(self.bands[i], reference.bands[i])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(size: [usize; 2], f: impl Fn(usize, usize) -> f64) -> Vec<f32> {
        (0..size[0] * size[1]).flat_map(|i| [f(i / size[1], i % size[1]) as f32; 3]).collect()
    }

    #[test]
    fn sharpness_of_a_ramp_is_its_slope() {
        let rgb = grey([16, 16], |_, x| 0.01 * x as f64);
        assert!((sharpness(&rgb, [16, 16], 2) - 0.01).abs() < 1e-6);
    }

    /// A wave of amplitude a and frequency w: the Laplacian multiplies it by 2 cos w − 2, a Gaussian by exp(−s²w²/2).
    #[test]
    fn detail_of_a_wave() {
        let (size, a, w) = ([32, 64], 0.3, std::f64::consts::TAU / 8.0);
        let rgb = grey(size, |_, x| 0.5 + a * (w * (x as f64 + 0.5)).cos());
        let found = Detail::of(&rgb, size, 0);
        let power = 0.5 * a * a;
        let laplacian = power * (2.0 * w.cos() - 2.0).powi(2);
        // Columns 1..=62 are not whole periods: 62 of 64 columns, a few percent.
        assert!((found.laplacian_variance / laplacian - 1.0).abs() < 0.04, "{found:?} {laplacian}");
        let passed = |sigma: f64| (-0.5 * (sigma * w).powi(2)).exp();
        let bands = [1.0 - passed(1.0), passed(1.0) - passed(2.0), passed(2.0) - passed(4.0)];
        for (found, gain) in found.bands.iter().zip(bands) {
            // Windows are cut at 4 sigma; values are rounded to f32.
            assert!((found - power * gain * gain).abs() < 2e-3 * power, "{found} {}", power * gain * gain);
        }
    }

    #[test]
    fn blur_loses_the_fine_band_first() {
        let size = [48, 48];
        let noise = |y: usize, x: usize| ((y * 7919 + x * 104_729) * 2_654_435_761 % 1000) as f64 / 1000.0;
        let sharp = grey(size, noise);
        let plane = Plane { size, values: (0..48 * 48).map(|i| noise(i / 48, i % 48)).collect() }.blurred(1.0);
        let soft = grey(size, |y, x| plane.at(y, x));
        let ratio = Detail::of(&soft, size, 4).relative_to(&Detail::of(&sharp, size, 4));
        assert!(
            ratio.bands[0] < 0.2 && ratio.bands[0] < ratio.bands[1] && ratio.bands[1] < ratio.bands[2],
            "{ratio:?}"
        );
        assert!(ratio.sharpness < 0.5 && ratio.laplacian_variance < 0.1, "{ratio:?}");
        let one = Detail::of(&sharp, size, 4);
        assert!((Detail::mean(&[one, one]).relative_to(&one).bands[2] - 1.0).abs() < 1e-12);
    }
}
