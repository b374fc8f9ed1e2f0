//! Noise keyed by meaning: the same on every device, whatever the batch, the order of views, or what else was drawn.
//!
//! # Definition
//! Element `e` of the noise of a [`NoiseKey`] (`e` counts through one view's device tensor, `[H, W, C]` with C fastest) is
//! component `e % 4` of four normal numbers made from four Philox4x32-10 words:
//!
//! ```text
//! key     = (seed mod 2^32, seed div 2^32)
//! counter = (e div 4, step, view, trajectory xor (purpose · 2^24))
//! w0 w1 w2 w3 = philox4x32_10(counter, key)
//! (z0, z1) = pair(w0, w1)      (z2, z3) = pair(w2, w3)
//!
//! pair(a, b):  m = (a >> 8) | 1            odd, below 2^24: exact in f32, never 0 or 1 after scaling
//!              n = (b >> 8) | 1
//!              r = sqrt(-2 ln(m · 2^-24))   from 0.000345 to 5.77
//!              theta = 2 pi · n · 2^-24
//!              (r cos theta, r sin theta)
//! ```
//!
//! Purposes are those of [`Purpose`]; a trajectory below 2^24 keeps them apart.
//!
//! # Evaluation
//! A GPU's own `log`, `sin` and `cos` may be off by 2^-21 and more (2^-11 for the sine, by WGSL's rules), so both sides use these
//! f32 operations instead, in this order; constants are [`LN`], [`SIN_TURN`] and [`COS_TURN`], all lowest power first, evaluated
//! by Horner's rule.
//!
//! ```text
//! ln:   u = f32(m) · 2^-24;  bits = bitcast<u32>(u)
//!       e = i32((bits + 0x004afb0d) >> 23) - 127          exponent of u over the range sqrt(1/2) .. sqrt(2)
//!       f = bitcast<f32>(bits - (u32(e) << 23)) - 1         exact
//!       ln u = f32(e) · 0.6931472 + (f + f·f · (f · LN(f) - 0.5))
//! turn: q = (n + 2^21) >> 22                                nearest quarter of a turn, 0 .. 4
//!       w = f32(i32(n) - i32(q << 22)) · 2^-24              exact, -1/8 .. 1/8 turns
//!       s = w · SIN_TURN(w·w);  c = 1 + w·w · COS_TURN(w·w)
//!       q & 3 = 0: (cos, sin) = (c, s)   1: (-s, c)   2: (-c, -s)   3: (s, -c)
//! ```
//!
//! Agreement: as written these operations are within 1e-6 of the real numbers of the definition (|z| is at most 5.77). A GPU may
//! fuse multiplications with additions and take a square root that is off by 4 ULP; that moves a number by at most 3e-6. Tests
//! hold both.

use super::philox::{key_of, philox4x32_10};

/// (ln(1 + f) - f + f²/2) / f³ for 1 + f from sqrt(1/2) to sqrt(2), lowest power first; minimax, 6e-9 relative in the logarithm.
pub const LN: [f32; 8] =
    [0.333_333_3, -0.250_008_2, 0.200_012_27, -0.166_233_57, 0.142_017_59, -0.131_601_83, 0.127_615_75, -0.076_344_93];
/// sin(2 pi w) / w in powers of w² up to 1/64; minimax, 3e-9 relative.
pub const SIN_TURN: [f32; 4] = [6.283_185_5, -41.341_663, 81.592_354, -75.393_61];
/// (cos(2 pi w) - 1) / w² in powers of w² up to 1/64; minimax, 1e-10 in the cosine.
pub const COS_TURN: [f32; 4] = [-19.739_208, 64.939_32, -85.443_24, 59.229_2];

/// 2^-24.
const TO_UNIT: f32 = 1.0 / 16_777_216.0;

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
        let last = self.trajectory ^ ((self.purpose as u32) << 24);
        (key_of(self.seed), [self.step, self.view, last])
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

/// Two normal numbers from two words.
pub(super) fn pair(a: u32, b: u32) -> (f32, f32) {
    let radius = (-2.0 * ln_of_24_bits((a >> 8) | 1)).sqrt();
    let (sine, cosine) = sin_cos_of_turn((b >> 8) | 1);
    (radius * cosine, radius * sine)
}

/// ln(m 2^-24).
fn ln_of_24_bits(m: u32) -> f32 {
    let bits = (m as f32 * TO_UNIT).to_bits();
    // 0x004afb0d carries into the exponent from a mantissa of sqrt(2) on.
    let exponent = ((bits + 0x004a_fb0d) >> 23) as i32 - 127;
    let f = f32::from_bits(bits.wrapping_sub((exponent as u32) << 23)) - 1.0;
    exponent as f32 * std::f32::consts::LN_2 + (f + f * f * (f * horner(&LN, f) - 0.5))
}

/// Sine and cosine of 2 pi n 2^-24.
fn sin_cos_of_turn(n: u32) -> (f32, f32) {
    let quarter = (n + (1 << 21)) >> 22;
    let w = (n as i32 - (quarter << 22) as i32) as f32 * TO_UNIT;
    let square = w * w;
    let (s, c) = (w * horner(&SIN_TURN, square), 1.0 + square * horner(&COS_TURN, square));
    match quarter & 3 {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

fn horner(coefficients: &[f32], x: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}
