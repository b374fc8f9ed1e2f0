//! Which adapter, and how it is used.

use clap::{Args, ValueEnum};

use super::positive;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Backend {
    Auto,
    Vulkan,
    Metal,
    Dx12,
}

/// The adapter.
#[derive(Debug, Args)]
pub struct AdapterArgs {
    /// Adapter: index or part of its name (see `syncline devices`)
    #[arg(long, env = "WGPU_ADAPTER_NAME")]
    pub device: Option<String>,
    /// Graphics API
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: Backend,
    /// Most GPU memory to use, in GiB
    #[arg(long, value_name = "GIB", value_parser = positive)]
    pub max_vram: Option<f64>,
    /// Compile shaders with every bounds check on (slower)
    #[arg(long)]
    pub checked: bool,
    /// Stay within WebGPU's default limits whatever the adapter has
    #[arg(long, hide = true)]
    pub webgpu_limits: bool,
}
