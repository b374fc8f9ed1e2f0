//! The formula of the paper in f64, row by row.

pub fn layer_norm(x: &[f64], weight: &[f64], bias: &[f64], eps: f64) -> Vec<f64> {
    let n = weight.len() as f64;
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks(weight.len()) {
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        y.extend(
            row.iter().zip(weight.iter().zip(bias)).map(|(v, (w, b))| (v - mean) / (variance + eps).sqrt() * w + b),
        );
    }
    y
}
