//! Noise as `torch.randn(..., device="cuda")` draws it, which A1111 ("GPU" and "NV") and stable-diffusion.cpp ("cuda") share.
//!
//! Each element is a Philox subsequence of its own: counter = (draw, 0, element, 0), key = seed. Of the four words the first
//! two become one normal number by Box-Muller with curand's constants, the sine branch; the other three numbers that a counter
//! could give are left unused. A draw moves the counter on by one whatever its size.
//!
//! torch does so as long as the GPU runs one thread an element (SMs · threads per SM: 221184 elements on an A100, 270336 on an
//! H100); a larger tensor would depend on the GPU, and gets the same rule here. curand takes the sine from the GPU's fast
//! approximation, so numbers agree with a GPU to about 1e-6, not to the bit; words and order are exact.

use super::philox::{key_of, philox4x32_10};

/// 2^-32.
const TO_UNIT: f32 = 1.0 / 4_294_967_296.0;
/// 2 pi 2^-32.
const TO_ANGLE: f32 = TO_UNIT * std::f32::consts::TAU;

/// Draws what `torch.Generator("cuda").manual_seed(seed)` would.
#[derive(Debug, Clone)]
pub struct CudaGenerator {
    key: [u32; 2],
    draws: u32,
}

impl CudaGenerator {
    /// A generator that has drawn nothing yet. Unlike torch's CPU generator it takes all 64 bits of the seed.
    pub const fn new(seed: u64) -> Self {
        Self { key: key_of(seed), draws: 0 }
    }

    /// `torch.randn` of so many elements, in torch's order (N, C, H, W for latents). Element 2^32 would repeat element 0.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        let element = |i: usize| {
            let words = philox4x32_10([self.draws, 0, i as u32, 0], self.key);
            box_muller_sine(words[0], words[1])
        };
        let values = (0..count).map(element).collect();
        self.draws = self.draws.wrapping_add(1);
        values
    }
}

/// curand's Box-Muller: uniform and angle in f32 with one rounding each, halfway between the grid points.
fn box_muller_sine(x: u32, y: u32) -> f32 {
    let u = (x as f32).mul_add(TO_UNIT, TO_UNIT / 2.0);
    let angle = (y as f32).mul_add(TO_ANGLE, TO_ANGLE / 2.0);
    let radius = (-2.0 * (f64::from(u).ln() as f32)).sqrt();
    radius * (f64::from(angle).sin() as f32)
}
