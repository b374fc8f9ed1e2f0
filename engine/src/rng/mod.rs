//! Noise: other programs' numbers for the same seed, and our own that do not depend on order.
//!
//! | mode | numbers | agreement |
//! |---|---|---|
//! | `cpu` | `torch.randn` on a CPU (ComfyUI, diffusers with a CPU generator, A1111 "CPU") | every bit, against torch 2.15 on x86 |
//! | `cuda` | `torch.randn` on an NVIDIA GPU (A1111 "GPU" and "NV", stable-diffusion.cpp) | words exactly, values to about 1e-6 |
//! | `portable` | Philox keyed by seed, purpose, trajectory, view, step and element | the same on every device to 1e-6 |
//!
//! The first two are streams: what a draw gives depends on the draws before it, and elements come in torch's order, N, C, H, W.
//! The third is a function of a [`NoiseKey`] with elements in the order of our tensors, H, W, C, and is what kernels draw.

mod cephes;
mod cpu;
mod cuda;
mod mt19937;
mod philox;
mod portable;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use cpu::{CpuFill, CpuGenerator};
pub use cuda::CudaGenerator;
pub use philox::philox4x32_10;
pub use portable::{NoiseKey, Purpose};

/// Where noise comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoiseMode {
    /// As torch on an NVIDIA GPU.
    Cuda,
    /// As torch on a CPU.
    Cpu,
    /// Keyed by meaning.
    Portable,
}

impl NoiseMode {
    /// All modes.
    pub const ALL: [NoiseMode; 3] = [Self::Cuda, Self::Cpu, Self::Portable];

    /// Our name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for NoiseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A noise mode's name was none of ours, stable-diffusion.cpp's or A1111's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rng: found \"{found}\", expected cuda, cpu or portable")]
pub struct UnknownNoiseMode {
    /// The text.
    pub found: String,
}

impl FromStr for NoiseMode {
    type Err = UnknownNoiseMode;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.trim().to_ascii_lowercase().as_str() {
            // A1111's "GPU" means the torch device, which is what "NV" imitates.
            "cuda" | "nv" | "gpu" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            "portable" => Ok(Self::Portable),
            _ => Err(UnknownNoiseMode { found: s.to_owned() }),
        }
    }
}

/// Noise on the host in any mode.
#[derive(Debug, Clone)]
pub enum HostNoise {
    /// A stream as torch's on an NVIDIA GPU.
    Cuda(CudaGenerator),
    /// A stream as torch's on a CPU.
    Cpu(CpuGenerator),
    /// A function of the key, which carries the seed.
    Portable,
}

impl HostNoise {
    /// Noise for a seed.
    pub fn new(mode: NoiseMode, seed: u64) -> Self {
        match mode {
            NoiseMode::Cuda => Self::Cuda(CudaGenerator::new(seed)),
            NoiseMode::Cpu => Self::Cpu(CpuGenerator::new(seed)),
            NoiseMode::Portable => Self::Portable,
        }
    }

    /// The next draw of a stream, in torch's element order, or the noise of the key in ours.
    pub fn randn(&mut self, key: &NoiseKey, count: usize) -> Vec<f32> {
        match self {
            Self::Cuda(generator) => generator.randn(count),
            Self::Cpu(generator) => generator.randn(count),
            Self::Portable => key.randn(count),
        }
    }

    /// Whether elements come in torch's order (N, C, H, W) and not in ours (H, W, C).
    pub const fn is_channel_first(&self) -> bool {
        !matches!(self, Self::Portable)
    }
}
