//! The step in f64, element by element.

use super::StepScalars;

/// Inputs as stored; `noise` already drawn.
pub(super) struct Inputs<'a> {
    pub(super) x: &'a [f64],
    pub(super) out: &'a [f64],
    pub(super) clean: &'a [f64],
    pub(super) noise: Option<&'a [f64]>,
}

/// (next x, new clean estimate).
pub(super) fn step(input: &Inputs<'_>, s: &StepScalars) -> (Vec<f64>, Vec<f64>) {
    let n = input.x.len();
    let f = f64::from;
    let mut next = Vec::new();
    let mut clean = Vec::new();
    for i in 0..n {
        let rows = input.out.len() / n;
        let m: f64 = (0..rows).map(|r| f(s.guidance[r]) * input.out[r * n + i]).sum();
        let estimate = f(s.clean_x) * input.x[i] + f(s.clean_out) * m;
        clean.push(estimate);
        next.push(
            f(s.next_x) * input.x[i]
                + f(s.next_out) * m
                + f(s.next_clean) * estimate
                + f(s.next_prev_clean) * input.clean[i]
                + f(s.next_noise) * input.noise.map_or(0.0, |noise| noise[i]),
        );
    }
    (next, clean)
}
