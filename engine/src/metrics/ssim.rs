//! How alike two pictures are: PSNR, and the structural similarity of Wang, Bovik, Sheikh and Simoncelli, "Image Quality
//! Assessment: From Error Visibility to Structural Similarity", IEEE Transactions on Image Processing 13 (4), 2004.

use super::plane::{Plane, gaussian, mean};

/// Side of SSIM's window in pixels.
pub const SSIM_WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// (0.01 · L)² and (0.03 · L)² of the paper, with the range of values L = 1.
const C1: f64 = 1e-4;
const C2: f64 = 9e-4;

/// Peak signal to noise ratio in dB of values in 0..=1: −10 log10 of the mean squared difference. Equal pictures have an
/// infinite one.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn psnr(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "PSNR of pictures of one size");
    -10.0 * mean(a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))).log10()
}

/// SSIM of brightness at every place where the 11 × 11 window lies wholly inside: each side is 10 pixels shorter. Gaussian
/// weights of sigma 1.5, no correction of the sample variance, values in 0..=1.
///
/// # Panics
/// When the sizes differ or a side is below [`SSIM_WINDOW`].
#[must_use]
pub fn ssim_map(a: &Plane, b: &Plane) -> Plane {
    assert!(a.size == b.size && a.size.iter().all(|n| *n >= SSIM_WINDOW), "SSIM of {:?} and {:?}", a.size, b.size);
    let window = gaussian(SSIM_WINDOW, SIGMA);
    let filtered = |x: &Plane, y: &Plane| x.zip(y, |x, y| x * y).filter_inside(&window);
    let (mean_a, mean_b) = (a.filter_inside(&window), b.filter_inside(&window));
    let (aa, bb, ab) = (filtered(a, a), filtered(b, b), filtered(a, b));
    let value = |i: usize| {
        let (ma, mb) = (mean_a.values[i], mean_b.values[i]);
        let (va, vb, cov) = (aa.values[i] - ma * ma, bb.values[i] - mb * mb, ab.values[i] - ma * mb);
        let luminance = (2.0 * ma * mb + C1) / (ma * ma + mb * mb + C1);
        luminance * (2.0 * cov + C2) / (va + vb + C2)
    };
    Plane { size: mean_a.size, values: (0..mean_a.values.len()).map(value).collect() }
}

/// Mean SSIM of two RGB pictures' brightness: 1 for equal ones.
///
/// # Panics
/// As [`ssim_map`].
#[must_use]
pub fn ssim(a: &[f32], b: &[f32], size: [usize; 2]) -> f64 {
    mean(ssim_map(&Plane::luma(a, size), &Plane::luma(b, size)).values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(size: [usize; 2], f: impl Fn(f64, f64) -> f64) -> Plane {
        let [_, width] = size;
        Plane { size, values: (0..size[0] * width).map(|i| f((i / width) as f64, (i % width) as f64)).collect() }
    }

    #[test]
    fn psnr_of_a_constant_difference() {
        assert!((psnr(&[0.2; 30], &[0.3; 30]) - 20.0).abs() < 1e-5);
        assert_eq!(psnr(&[0.2; 3], &[0.2; 3]), f64::INFINITY);
    }

    #[test]
    fn flat_pictures_differ_by_luminance_alone() {
        let (a, b) = (0.4, 0.7);
        let found = ssim_map(&plane([12, 14], |_, _| a), &plane([12, 14], |_, _| b));
        let expected = (2.0 * a * b + C1) / (a * a + b * b + C1);
        assert_eq!(found.size, [2, 4]);
        assert!(found.values.iter().all(|v| (v - expected).abs() < 1e-12));
    }

    /// A checkerboard of ±d: under any window its mean is m ± d·e with e = (Σ ±g)², its variance d²(1 − e²).
    #[test]
    fn checkerboards_of_two_contrasts() {
        let (m, d, k) = (0.5, 0.2, -0.75);
        let sign = |y: f64, x: f64| if (y + x) % 2.0 == 0.0 { 1.0 } else { -1.0 };
        let found =
            ssim_map(&plane([11, 12], |y, x| m + d * sign(y, x)), &plane([11, 12], |y, x| m + k * d * sign(y, x)));
        let alternating: f64 = gaussian(11, 1.5).iter().enumerate().map(|(i, g)| g * sign(0.0, i as f64)).sum();
        for (i, value) in found.values.iter().enumerate() {
            let e = alternating * alternating * if i % 2 == 0 { 1.0 } else { -1.0 };
            let (ma, mb) = (m + d * e, m + k * d * e);
            let variance = d * d * (1.0 - e * e);
            let expected = (2.0 * ma * mb + C1) / (ma * ma + mb * mb + C1) * (2.0 * k * variance + C2)
                / ((1.0 + k * k) * variance + C2);
            assert!((value - expected).abs() < 1e-10, "{value} {expected}");
        }
    }

    #[test]
    fn equal_pictures_have_one_and_negatives_less_than_nothing() {
        let a = plane([24, 24], |y, x| 0.5 + 0.4 * (0.9 * x).sin() * (0.7 * y).cos());
        let negative = Plane { size: a.size, values: a.values.iter().map(|v| 1.0 - v).collect() };
        assert!(ssim_map(&a, &a).values.iter().all(|v| (v - 1.0).abs() < 1e-12));
        assert!(mean(ssim_map(&a, &negative).values) < -0.5);
    }

    /// Numbers of scikit-image 0.26 (`structural_similarity` with Gaussian weights and without sample covariance).
    #[test]
    fn scikit_image_says_the_same() {
        let size = [40, 56];
        let a = plane(size, |y, x| {
            0.5 + 0.3 * (0.31 * x + 0.17 * y).sin() + 0.15 * (0.9 * y).cos() * (0.05 * x * y / 7.0).sin()
        });
        let b = plane(size, |y, x| 0.5 + 0.25 * (0.31 * x + 0.17 * y + 0.4).sin() + 0.18 * (0.93 * y).cos());
        assert!((mean(ssim_map(&a, &b).values) - 0.532700898022).abs() < 1e-11);
        let single = |p: &Plane| p.values.iter().map(|v| *v as f32).collect::<Vec<_>>();
        // Rounded to f32 values.
        assert!((psnr(&single(&a), &single(&b)) - 16.327243841261).abs() < 1e-5);
    }
}
