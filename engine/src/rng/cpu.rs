//! Noise as `torch.randn` draws it from the CPU generator.
//!
//! One number at a time below sixteen; from sixteen on, uniforms for the whole buffer first, then Box-Muller within blocks of
//! sixteen, element j paired with element j + 8. A last block that is not full is drawn anew, over the last sixteen elements.

use super::cephes;
use super::mt19937::Mt19937;

/// Elements torch transforms together.
const BLOCK: usize = 16;

/// How logarithm, sine and cosine are computed for sixteen elements or more. The results differ in their last bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CpuFill {
    /// As torch on x86 processors with AVX2.
    #[default]
    Vector,
    /// As torch elsewhere: with the C library's functions, taken as correctly rounded here.
    Library,
}

/// Draws what `torch.Generator().manual_seed(seed)` would.
#[derive(Debug, Clone)]
pub struct CpuGenerator {
    twister: Mt19937,
    fill: CpuFill,
    /// The second number of a pair drawn one at a time; kept across draws, as torch does.
    kept: Option<f64>,
}

impl CpuGenerator {
    /// A generator with torch's fill for x86. Like torch it only takes the low 32 bits of the seed.
    pub fn new(seed: u64) -> Self {
        Self::with_fill(seed, CpuFill::Vector)
    }

    /// A generator with a fill of choice.
    pub fn with_fill(seed: u64, fill: CpuFill) -> Self {
        Self { twister: Mt19937::new(seed as u32), fill, kept: None }
    }

    /// `torch.rand`: uniform numbers in [0, 1) of 24 bits.
    pub fn rand(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.uniform()).collect()
    }

    /// `torch.randn` of so many elements, in torch's order (N, C, H, W for latents).
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.single() as f32).collect();
        }
        let mut values = self.rand(count);
        let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
        for block in blocks {
            transform(block, self.fill);
        }
        if !rest.is_empty() {
            let mut block = [0.0; BLOCK];
            block.fill_with(|| self.uniform());
            transform(&mut block, self.fill);
            values[count - BLOCK..].copy_from_slice(&block);
        }
        values
    }

    fn uniform(&mut self) -> f32 {
        (self.twister.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.twister.next_u32());
        let low = u64::from(self.twister.next_u32());
        (((high << 32) | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    /// Box-Muller in f64, two at a time.
    fn single(&mut self) -> f64 {
        if let Some(value) = self.kept.take() {
            return value;
        }
        let angle = 2.0 * std::f64::consts::PI * self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        self.kept = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

fn transform(block: &mut [f32; BLOCK], fill: CpuFill) {
    let (radii, angles) = block.split_at_mut(BLOCK / 2);
    for (first, second) in radii.iter_mut().zip(angles) {
        let (u1, u2) = (1.0 - *first, *second);
        let (log, sine, cosine) = match fill {
            CpuFill::Vector => {
                let (sine, cosine) = cephes::sin_cos(std::f32::consts::TAU * u2);
                (cephes::ln(u1), sine, cosine)
            }
            CpuFill::Library => {
                let angle = f64::from((std::f64::consts::TAU * f64::from(u2)) as f32);
                (f64::from(u1).ln() as f32, angle.sin() as f32, angle.cos() as f32)
            }
        };
        let radius = (-2.0 * log).sqrt();
        (*first, *second) = (radius * cosine, radius * sine);
    }
}
