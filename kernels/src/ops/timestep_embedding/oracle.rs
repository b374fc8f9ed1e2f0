//! The formula of diffusers' `get_timestep_embedding`, in f64.

use super::TimestepEmbedding;

pub fn timestep_embedding(t: &[f64], op: &TimestepEmbedding) -> Vec<f64> {
    let half = op.dim / 2;
    let mut y = Vec::new();
    for &t in t {
        let angle = |i: usize| t * (-op.max_period.ln() * i as f64 / (half as f64 - op.freq_shift)).exp();
        let sines = (0..half).map(|i| angle(i).sin());
        let cosines = (0..half).map(|i| angle(i).cos());
        if op.flip_sin_to_cos {
            y.extend(cosines.chain(sines));
        } else {
            y.extend(sines.chain(cosines));
        }
        if op.dim % 2 == 1 {
            y.push(0.0);
        }
    }
    y
}
