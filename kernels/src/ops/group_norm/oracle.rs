//! The formula of the paper in f64: one mean and variance per image and group over all pixels.

pub struct Input<'a> {
    /// `[B, pixels, C]`, already concatenated.
    pub x: &'a [f64],
    pub weight: &'a [f64],
    pub bias: &'a [f64],
    pub batch: usize,
    pub groups: usize,
    pub eps: f64,
    pub silu: bool,
}

pub fn group_norm(input: &Input<'_>) -> Vec<f64> {
    let channels = input.weight.len();
    let pixels = input.x.len() / input.batch / channels;
    let per_group = channels / input.groups;
    let mut y = vec![0.0; input.x.len()];
    for b in 0..input.batch {
        for g in 0..input.groups {
            let members: Vec<usize> = (0..pixels)
                .flat_map(|p| (0..per_group).map(move |c| (b * pixels + p) * channels + g * per_group + c))
                .collect();
            let n = members.len() as f64;
            let mean = members.iter().map(|&i| input.x[i]).sum::<f64>() / n;
            let variance = members.iter().map(|&i| (input.x[i] - mean).powi(2)).sum::<f64>() / n;
            for i in members {
                let c = i % channels;
                let v = (input.x[i] - mean) / (variance + input.eps).sqrt() * input.weight[c] + input.bias[c];
                y[i] = if input.silu { v / (1.0 + (-v).exp()) } else { v };
            }
        }
    }
    y
}
