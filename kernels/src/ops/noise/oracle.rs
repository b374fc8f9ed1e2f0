//! The definition in u64 and f64.

use super::NoiseKey;

/// Philox 4×32-10.
pub(crate) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = 0xD251_1F53_u64 * u64::from(counter[0]);
        let b = 0xCD9E_8D57_u64 * u64::from(counter[2]);
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

fn uniform(word: u32) -> f64 {
    (f64::from(word >> 8) + 0.5) / 16_777_216.0
}

/// Element `element` of view `view`.
pub(crate) fn normal(key: &NoiseKey, view: u32, element: u32) -> f64 {
    let counter = [element / 4, key.step, view, key.trajectory ^ key.purpose];
    let words = philox(counter, [key.seed as u32, (key.seed >> 32) as u32]);
    let pair = (element % 4 / 2 * 2) as usize;
    let radius = (-2.0 * uniform(words[pair]).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(words[pair + 1]);
    radius * if element.is_multiple_of(2) { angle.cos() } else { angle.sin() }
}

/// All of `[B, h, w, C]`.
pub(crate) fn noise(dims: [usize; 4], key: &NoiseKey, views: &[u32]) -> Vec<f64> {
    let per_view = (dims[1] * dims[2] * dims[3]) as u32;
    views.iter().flat_map(|&view| (0..per_view).map(move |e| normal(key, view, e))).collect()
}
