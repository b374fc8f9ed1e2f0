//! The formulas in f64, pair by pair.

use super::Bandwidth;

/// Squared distances `[B][B]`.
pub fn distances(particles: &[f64], count: usize) -> Vec<Vec<f64>> {
    let n = particles.len() / count;
    let row = |i: usize| &particles[i * n..(i + 1) * n];
    let between = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| (a - b).powi(2)).sum();
    (0..count).map(|i| (0..count).map(|j| between(i, j)).collect()).collect()
}

/// 1/h; 0 where K = 1.
pub fn inverse_bandwidth(distances: &[Vec<f64>], bandwidth: Bandwidth) -> f64 {
    let count = distances.len();
    let with = bandwidth == Bandwidth::Diagonal;
    let places = (0..count).flat_map(|i| (0..count).map(move |j| (i, j)));
    let mut all: Vec<f64> = places.filter(|(i, j)| with || i != j).map(|(i, j)| distances[i][j]).collect();
    all.sort_by(f64::total_cmp);
    // torch.median: the lower of the two in the middle.
    let Some(median) = all.get(all.len().saturating_sub(1) / 2).copied().filter(|median| *median > 0.0) else {
        return 0.0;
    };
    match bandwidth {
        Bandwidth::Guarded | Bandwidth::Diagonal => (count as f64 + 1.0).ln() / median,
        Bandwidth::Published => (count as f64).ln() / median.sqrt().powi(2),
    }
}

/// Σ_j K_ij Δ_j + R_i with R_i = −(2/h) Σ_j K_ij (X_i − X_j), for every particle.
pub fn gradients(particles: &[f64], deltas: &[f64], count: usize, inverse: f64) -> Vec<f64> {
    let n = particles.len() / count;
    let distances = distances(particles, count);
    let mut out = vec![0.0; particles.len()];
    for i in 0..count {
        for (j, distance) in distances[i].iter().enumerate() {
            let k = (-inverse * distance).exp();
            for e in 0..n {
                let apart = particles[i * n + e] - particles[j * n + e];
                out[i * n + e] += k * deltas[j * n + e] - 2.0 * inverse * k * apart;
            }
        }
    }
    out
}
