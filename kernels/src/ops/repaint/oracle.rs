//! The definition in f64.

use super::RepaintScalars;
use crate::ops::noise::oracle;

/// `values` are x, known and mask; `views` the view id of each batch row.
#[must_use]
pub fn repaint(dims: [usize; 4], values: [&[f64]; 3], views: &[u32], scalars: &RepaintScalars) -> Vec<f64> {
    let [x, known, mask] = values;
    let noise = oracle::noise(dims, &scalars.key, views);
    let pixels = dims[1] * dims[2];
    (0..x.len())
        .map(|i| {
            let free = mask[i / dims[3] % mask.len().max(pixels)] as f32 >= scalars.threshold;
            let kept = f64::from(scalars.signal) * known[i] + f64::from(scalars.sigma) * noise[i];
            if free { x[i] } else { kept }
        })
        .collect()
}
