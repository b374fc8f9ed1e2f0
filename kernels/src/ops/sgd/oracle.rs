//! The formula, texel by texel.

/// `canvas − rate · sum / hits`; sums `[texels · channels]` and hits `[texels]` in f64. What has no hits stays.
pub fn sgd(canvas: &[f64], sums: &[f64], hits: Option<&[f64]>, rate: f64) -> Vec<f64> {
    let channels = hits.map_or(1, |hits| canvas.len() / hits.len());
    let step = |(i, (value, sum)): (usize, (&f64, &f64))| match hits.map(|hits| hits[i / channels]) {
        Some(0.0) => *value,
        Some(hits) => value - rate * (sum / hits),
        None => value - rate * sum,
    };
    canvas.iter().zip(sums).enumerate().map(step).collect()
}
