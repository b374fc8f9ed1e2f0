//! The formula, element by element.

use crate::ops::noise::NoiseKey;
use crate::ops::noise::oracle::normal;

/// `own · target + a · first + b · second + sigma · ξ` over `[B, h, w, C]`, every term in f64.
pub fn mix(dims: [usize; 4], values: [&[f64]; 3], factors: [f64; 4], ids: &[u32], key: &NoiseKey) -> Vec<f64> {
    let [target, first, second] = values;
    let [own, a, b, sigma] = factors;
    let per_view = dims[1] * dims[2] * dims[3];
    let noise = |i: usize| normal(key, ids[i / per_view], (i % per_view) as u32);
    (0..target.len()).map(|i| own * target[i] + a * first[i] + b * second[i] + sigma * noise(i)).collect()
}
