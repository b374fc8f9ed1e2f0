//! Eigenvalues of symmetric matrices by Jacobi's rotations.
//!
//! The matrices here have at most a few dozen rows: Jacobi needs milliseconds, is the most accurate method for the small
//! eigenvalues of positive matrices, and is shorter than the choice of a linear algebra crate.

/// A symmetric matrix as `V diag(values) Vᵀ`.
#[derive(Clone, Debug)]
pub(super) struct Eigen {
    /// Not sorted.
    pub values: Vec<f64>,
    /// `n · n`, row by row: column k belongs to `values[k]`.
    pub vectors: Vec<f64>,
}

/// Sweeps over all pairs; a dozen are plenty for matrices of a thousand rows.
const SWEEPS: usize = 30;

/// Decomposes a symmetric `n` × `n` matrix given row by row. Only finite values may be in it.
pub(super) fn eigen(n: usize, matrix: &[f64]) -> Eigen {
    let mut a = matrix.to_vec();
    let mut vectors: Vec<f64> = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    let scale: f64 = a.iter().map(|v| v * v).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n * n).filter(|i| i / n != i % n).map(|i| a[i] * a[i]).sum();
        // Below this the diagonal is exact to rounding.
        if off <= 1e-32 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(n, &mut a, &mut vectors, (p, q));
            }
        }
    }
    Eigen { values: (0..n).map(|i| a[i * n + i]).collect(), vectors }
}

/// One rotation in the plane of axes p and q that makes `a[p][q]` zero.
fn rotate(n: usize, a: &mut [f64], vectors: &mut [f64], (p, q): (usize, usize)) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    let turn = |values: &mut [f64], i: usize, k: usize| {
        let (x, y) = (values[i], values[k]);
        (values[i], values[k]) = (c * x - s * y, s * x + c * y);
    };
    for k in 0..n {
        turn(a, k * n + p, k * n + q);
        turn(vectors, k * n + p, k * n + q);
    }
    for k in 0..n {
        turn(a, p * n + k, q * n + k);
    }
}

impl Eigen {
    /// `V diag(f(values)) Vᵀ`.
    pub(super) fn map(&self, f: impl Fn(f64) -> f64) -> Vec<f64> {
        let n = self.values.len();
        let scaled: Vec<f64> = self.vectors.iter().enumerate().map(|(i, v)| v * f(self.values[i % n])).collect();
        let transposed: Vec<f64> = (0..n * n).map(|i| self.vectors[i % n * n + i / n]).collect();
        product(n, &scaled, &transposed)
    }
}

/// The product of two `n` × `n` matrices.
pub(super) fn product(n: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..n * n).map(|i| (0..n).map(|k| a[i / n * n + k] * b[k * n + i % n]).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
    }

    #[test]
    fn a_known_matrix() {
        // Second differences: eigenvalues 2 − 2 cos(k π / 6), k = 1..5.
        let n = 5usize;
        let matrix: Vec<f64> = (0..n * n)
            .map(|i| match (i / n).abs_diff(i % n) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            })
            .collect();
        let mut values = eigen(n, &matrix).values;
        values.sort_by(f64::total_cmp);
        let expected: Vec<f64> = (1..6).map(|k| 2.0 - 2.0 * (k as f64 * std::f64::consts::PI / 6.0).cos()).collect();
        assert!(near(&values, &expected, 1e-14), "{values:?} {expected:?}");
    }

    #[test]
    fn the_parts_make_the_matrix_again() {
        for n in [1, 2, 7, 33] {
            let noise = |i: usize| ((i * 7919 + 13) * 104_729 % 10_007) as f64 / 10_007.0 - 0.5;
            let matrix: Vec<f64> = (0..n * n).map(|i| noise(i / n * n + i % n) + noise(i % n * n + i / n)).collect();
            let parts = eigen(n, &matrix);
            assert!(near(&parts.map(|v| v), &matrix, 1e-13), "{n}");
            let transposed: Vec<f64> = (0..n * n).map(|i| parts.vectors[i % n * n + i / n]).collect();
            let identity: Vec<f64> = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
            assert!(near(&product(n, &transposed, &parts.vectors), &identity, 1e-13), "{n}");
        }
        assert_eq!(eigen(3, &[0.0; 9]).values, [0.0; 3]);
    }
}
