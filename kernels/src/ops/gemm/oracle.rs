//! The product by its definition, in f64.

use super::Activation;

/// The error function by its Maclaurin series and, beyond 3, its continued fraction.
pub(crate) fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let tail = (1..60).rev().fold(0.0, |tail, n| f64::from(n) / 2.0 / (a + tail));
        1.0 - (-a * a).exp() / ((a + tail) * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

pub(crate) fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

pub(crate) fn activate(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::None | Activation::Geglu => x,
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => gelu(x),
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
    }
}

/// Sizes of one product: `a [batch, m, k]`, `w [w_batch, rows, k]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) batch: usize,
    pub(crate) w_batch: usize,
    pub(crate) m: usize,
    pub(crate) rows: usize,
    pub(crate) k: usize,
    pub(crate) activation: Activation,
}

/// `activation(a · wᵀ + bias) + residual`.
pub(crate) fn gemm(p: Product, a: &[f64], w: &[f64], bias: Option<&[f64]>, residual: Option<&[f64]>) -> Vec<f64> {
    let n = if p.activation == Activation::Geglu { p.rows / 2 } else { p.rows };
    let mut y = Vec::with_capacity(p.batch * p.m * n);
    for b in 0..p.batch {
        let w = &w[(b % p.w_batch) * p.rows * p.k..];
        for m in 0..p.m {
            let a = &a[(b * p.m + m) * p.k..][..p.k];
            let linear = |row: usize| {
                let dot: f64 = a.iter().zip(&w[row * p.k..][..p.k]).map(|(a, w)| a * w).sum();
                dot + bias.map_or(0.0, |bias| bias[row])
            };
            for column in 0..n {
                let value = match p.activation {
                    Activation::Geglu => linear(column) * gelu(linear(n + column)),
                    other => activate(linear(column), other),
                };
                y.push(value + residual.map_or(0.0, |r| r[y.len()]));
            }
        }
    }
    y
}
