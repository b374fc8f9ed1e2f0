//! The Fréchet distance of two sets of features, as Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge
//! to a Local Nash Equilibrium", 2017, take it of Inception's.

use super::eigen::{eigen, product};

/// Mean and covariance of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// `n` numbers.
    pub mean: Vec<f64>,
    /// `n · n`, row by row.
    pub covariance: Vec<f64>,
}

impl Gaussian {
    /// Fits rows of equal length, with N − 1 below the covariance.
    ///
    /// # Panics
    /// As [`Gaussian::fit_weighted`].
    #[must_use]
    pub fn fit(rows: &[&[f64]]) -> Self {
        Self::fit_weighted(&rows.iter().map(|row| (*row, 1.0)).collect::<Vec<_>>())
    }

    /// Fits rows with weights: with w of sum 1, mean Σ w x and covariance Σ w (x − mean)(x − mean)ᵀ / (1 − Σ w²), which is
    /// the N − 1 form for equal weights.
    ///
    /// # Panics
    /// With fewer than two rows, rows of different lengths, or weights that are not above 0.
    #[must_use]
    pub fn fit_weighted(rows: &[(&[f64], f64)]) -> Self {
        let n = rows.first().map_or(0, |(row, _)| row.len());
        let sound = rows.len() >= 2 && rows.iter().all(|(row, weight)| row.len() == n && *weight > 0.0);
        assert!(sound, "a Gaussian of {} rows", rows.len());
        let total: f64 = rows.iter().map(|(_, w)| w).sum();
        let mut mean = vec![0.0; n];
        for (row, weight) in rows {
            mean.iter_mut().zip(*row).for_each(|(m, x)| *m += weight / total * x);
        }
        let squares: f64 = rows.iter().map(|(_, w)| (w / total).powi(2)).sum();
        let mut covariance = vec![0.0; n * n];
        for (row, weight) in rows {
            let away: Vec<f64> = row.iter().zip(&mean).map(|(x, m)| x - m).collect();
            let factor = weight / total / (1.0 - squares);
            for (i, value) in covariance.iter_mut().enumerate() {
                *value += factor * away[i / n] * away[i % n];
            }
        }
        Self { mean, covariance }
    }
}

/// `|m₁ − m₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½)`: 0 for equal Gaussians; a squared distance, as FID is. Negative eigenvalues
/// out of rounding count as 0.
///
/// # Panics
/// When the dimensions differ.
#[must_use]
pub fn frechet_distance(a: &Gaussian, b: &Gaussian) -> f64 {
    let n = a.mean.len();
    assert!(b.mean.len() == n, "Fréchet distance of {n} and {} features", b.mean.len());
    let means: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b).powi(2)).sum();
    let root = eigen(n, &a.covariance).map(|v| v.max(0.0).sqrt());
    let mut inner = product(n, &product(n, &root, &b.covariance), &root);
    // Rounding leaves it not quite symmetric.
    for i in 0..n {
        for k in 0..i {
            let middle = 0.5 * (inner[i * n + k] + inner[k * n + i]);
            (inner[i * n + k], inner[k * n + i]) = (middle, middle);
        }
    }
    let roots: f64 = eigen(n, &inner).values.iter().map(|v| v.max(0.0).sqrt()).sum();
    let traces: f64 = (0..n).map(|i| a.covariance[i * n + i] + b.covariance[i * n + i]).sum();
    (means + traces - 2.0 * roots).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagonal(mean: &[f64], variances: &[f64]) -> Gaussian {
        let n = mean.len();
        let covariance = (0..n * n).map(|i| if i / n == i % n { variances[i % n] } else { 0.0 }).collect();
        Gaussian { mean: mean.to_vec(), covariance }
    }

    #[test]
    fn diagonal_gaussians_add_up_by_axis() {
        let a = diagonal(&[0.0, 1.0, -2.0], &[4.0, 0.25, 0.0]);
        let b = diagonal(&[3.0, 1.0, -1.0], &[1.0, 2.25, 9.0]);
        // Per axis (m − m')² + (s − s')².
        let expected = (9.0 + 1.0) + (0.0 + 1.0) + (1.0 + 9.0);
        assert!((frechet_distance(&a, &b) - expected).abs() < 1e-12);
        assert!((frechet_distance(&b, &a) - expected).abs() < 1e-12 && frechet_distance(&a, &a) < 1e-12);
    }

    /// Rotating both Gaussians keeps the distance; covariances that commute have that of their common axes.
    #[test]
    fn commuting_gaussians() {
        let (s, c) = 0.7f64.sin_cos();
        let turned = |g: &Gaussian| {
            let r = [c, -s, s, c];
            let rt = [c, s, -s, c];
            let covariance = product(2, &product(2, &r, &g.covariance), &rt);
            Gaussian { mean: vec![c * g.mean[0] - s * g.mean[1], s * g.mean[0] + c * g.mean[1]], covariance }
        };
        let (a, b) = (diagonal(&[1.0, 2.0], &[9.0, 1e-4]), diagonal(&[0.0, 2.0], &[1.0, 4.0]));
        let expected = 1.0 + 4.0 + (2.0 - 0.01f64).powi(2);
        assert!((frechet_distance(&turned(&a), &turned(&b)) - expected).abs() < 1e-10);
    }

    /// Two by two: tr (Σ₁Σ₂)^½ = sqrt(tr Σ₁Σ₂ + 2 sqrt(det Σ₁Σ₂)), whether they commute or not.
    #[test]
    fn gaussians_that_do_not_commute() {
        let a = Gaussian { mean: vec![0.0; 2], covariance: vec![2.0, 0.6, 0.6, 1.0] };
        let b = Gaussian { mean: vec![0.0; 2], covariance: vec![1.0, -0.3, -0.3, 3.0] };
        let trace = 2.0 - 0.18 - 0.18 + 3.0;
        let determinant = (2.0 - 0.36) * (3.0 - 0.09);
        let expected = 7.0 - 2.0 * f64::sqrt(trace + 2.0 * f64::sqrt(determinant));
        assert!((frechet_distance(&a, &b) - expected).abs() < 1e-12);
    }

    #[test]
    fn fits_have_the_covariance_of_the_rows() {
        let rows: [[f64; 2]; 3] = [[0.0, 1.0], [2.0, 1.0], [4.0, 7.0]];
        let rows: Vec<&[f64]> = rows.iter().map(|r| &r[..]).collect();
        let found = Gaussian::fit(&rows);
        assert!((found.mean[0] - 2.0).abs() < 1e-12 && (found.mean[1] - 3.0).abs() < 1e-12);
        let expected = [4.0, 6.0, 6.0, 12.0];
        assert!(found.covariance.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        // Weights of 2 stand for rows that come twice, in the mean; the weighted form is unbiased for unequal ones too.
        let weighted = Gaussian::fit_weighted(&[(rows[0], 2.0), (rows[1], 1.0), (rows[2], 1.0)]);
        assert!((weighted.mean[0] - 1.5).abs() < 1e-12 && (weighted.mean[1] - 2.5).abs() < 1e-12);
        let spread = 0.5 * 2.25 + 0.25 * 0.25 + 0.25 * 6.25;
        assert!((weighted.covariance[0] - spread / (1.0 - 0.375)).abs() < 1e-12, "{weighted:?}");
    }
}
