//! softmax(q kᵀ / √D) v, written out in f64 with the whole row of scores.

pub struct Input<'a> {
    /// `[B, L, heads·D]`
    pub q: &'a [f64],
    /// `[B, S, heads·D]`
    pub k: &'a [f64],
    /// `[B, S, heads·D]`
    pub v: &'a [f64],
    /// `[B, L, S, heads, D]`
    pub dims: [usize; 5],
    pub causal: bool,
}

pub fn attention(input: &Input<'_>) -> Vec<f64> {
    let [batch, queries, keys, heads, size] = input.dims;
    let width = heads * size;
    let mut y = vec![0.0; batch * queries * width];
    for b in 0..batch {
        for h in 0..heads {
            for i in 0..queries {
                let row = |data: &[f64], length: usize, at: usize| -> Vec<f64> {
                    let start = (b * length + at) * width + h * size;
                    data[start..start + size].to_vec()
                };
                let q = row(input.q, queries, i);
                let seen = if input.causal { keys.min(i + 1) } else { keys };
                let scores: Vec<f64> = (0..seen)
                    .map(|j| {
                        row(input.k, keys, j).iter().zip(&q).map(|(k, q)| k * q).sum::<f64>() / (size as f64).sqrt()
                    })
                    .collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
                let total: f64 = weights.iter().sum();
                for (j, weight) in weights.iter().enumerate() {
                    for (c, value) in row(input.v, keys, j).iter().enumerate() {
                        y[(b * queries + i) * width + h * size + c] += weight / total * value;
                    }
                }
            }
        }
    }
    y
}
