//! Noise keyed by meaning: the same on every device, whatever the batch, the order of views, or what else was drawn.
//!
//! # Definition
//! Element `e` of the noise of a [`NoiseKey`] (`e` counts through one view's device tensor, `[H, W, C]` with C fastest and
//! without padding) is component `e mod 4` of four normal numbers made from four Philox4x32-10 words:
//!
//! ```text
//! key     = (seed mod 2^32, seed div 2^32)
//! counter = (e div 4, step, view, trajectory xor purpose)     purpose = Purpose::word(), its number times 2^24
//! w0 w1 w2 w3 = philox4x32_10(counter, key)
//! (z0, z1) = pair(w0, w1)      (z2, z3) = pair(w2, w3)
//!
//! u(x)       = ((x >> 8) + 1/2) / 2^24            a real number, never 0 or 1
//! pair(a, b) = (r cos theta, r sin theta)         r = sqrt(-2 ln u(a)), from 0.00024 to 5.89; theta = 2 pi u(b)
//! ```
//!
//! # Evaluation
//! These are real numbers; the host computes them in f64 and rounds once, so that its libm does not show. A kernel works in f32,
//! where three things need care. Half of u's values are no f32: the logarithm near 1 has to take the distance to 1 from the
//! integer, and the quarter of the turn has to be split off in integers, which also makes the rest exact. And WGSL lets `log` be
//! off by 2^-21 next to 1 and `cos` by 2^-11, so a kernel brings its own polynomials. Done so, host and device agree to
//! 1e-6 · max(1, |z|), and a seed means the same picture on every device.

use super::philox::{key_of, philox4x32_10};

/// What noise is for, so that the same step of the same view can draw more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Purpose {
    /// The initial state.
    Initial = 0,
    /// The fresh noise of a sampler's step.
    Step = 1,
    /// Noising a clean estimate or an image to a level.
    Renoise = 2,
    /// The noise a known region is kept at (seams, inpainting).
    Keep = 3,
    /// Sampling an autoencoder's posterior.
    Encode = 4,
    /// A canvas of noise that views look at.
    Canvas = 5,
    /// Where views look.
    View = 6,
}

impl Purpose {
    /// The purpose as it enters the counter: clear of trajectories below 2^24.
    pub const fn word(self) -> u32 {
        (self as u32) << 24
    }
}

/// Everything noise depends on besides the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// Seed of the run.
    pub seed: u64,
    /// What for.
    pub purpose: Purpose,
    /// Which of several results made together; below 2^24.
    pub trajectory: u32,
    /// Which view of the canvas.
    pub view: u32,
    /// Which step of the run, counted from 0.
    pub step: u32,
}

impl NoiseKey {
    /// The key and the last three words of the counter, as a kernel takes them.
    pub const fn words(&self) -> ([u32; 2], [u32; 3]) {
        let last = self.trajectory ^ self.purpose.word();
        (key_of(self.seed), [self.step, self.view, last])
    }

    /// The four uniform numbers in (0, 1) of a block, from 24 bits each.
    pub fn units(&self, block: u32) -> [f64; 4] {
        let (key, [step, view, last]) = self.words();
        philox4x32_10([block, step, view, last], key).map(unit)
    }

    /// Elements 4 · block to 4 · block + 3.
    pub fn block(&self, block: u32) -> [f32; 4] {
        let (key, [step, view, last]) = self.words();
        let w = philox4x32_10([block, step, view, last], key);
        let [a, b] = [pair(w[0], w[1]), pair(w[2], w[3])];
        [a.0, a.1, b.0, b.1]
    }

    /// The first `count` elements.
    pub fn randn(&self, count: usize) -> Vec<f32> {
        let blocks = (0..count.div_ceil(4)).flat_map(|b| self.block(b as u32));
        blocks.take(count).collect()
    }
}

fn unit(x: u32) -> f64 {
    (f64::from(x >> 8) + 0.5) / 16_777_216.0
}

/// Two normal numbers from two words.
fn pair(a: u32, b: u32) -> (f32, f32) {
    let radius = (-2.0 * unit(a).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * unit(b)).sin_cos();
    ((radius * cosine) as f32, (radius * sine) as f32)
}
