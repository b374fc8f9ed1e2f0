//! Choosing an adapter and saying what is wanted of it.

use std::path::PathBuf;

use super::error::{GpuError, Result};

/// Which backends may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backends {
    /// Vulkan, Metal or DX12, whichever exists, in this order of preference.
    #[default]
    Any,
    /// Vulkan only.
    Vulkan,
    /// Metal only.
    Metal,
    /// Direct3D 12 only.
    Dx12,
    /// No GPU at all: buffers exist, dispatches do nothing. For plans, counts and tests of the recorder.
    Noop,
}

impl Backends {
    fn to_wgpu(self) -> wgpu::Backends {
        match self {
            Backends::Any => wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
            Backends::Vulkan => wgpu::Backends::VULKAN,
            Backends::Metal => wgpu::Backends::METAL,
            Backends::Dx12 => wgpu::Backends::DX12,
            Backends::Noop => wgpu::Backends::NOOP,
        }
    }
}

/// Artificial restrictions, so that one machine can stand in for weaker ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Request WebGPU's default limits (128 MiB bindings, 16 KiB workgroup memory, 256 invocations, 8 storage
    /// buffers) instead of the adapter's own.
    pub webgpu_limits: bool,
    /// Use `SHADER_F16` where the adapter has it.
    pub shader_f16: bool,
    /// Use subgroup operations where the adapter has them.
    pub subgroups: bool,
    /// Use cooperative matrices where the adapter has them.
    pub matrix: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self { webgpu_limits: false, shader_f16: true, subgroups: true, matrix: true }
    }
}

/// How to make a [`Context`](super::Context).
#[derive(Clone, Debug)]
pub struct ContextOptions {
    /// Index into [`list_adapters`], or a case-insensitive part of the adapter's name. `None`: the best one.
    pub adapter: Option<String>,
    /// Backends to look at.
    pub backends: Backends,
    /// Artificial restrictions.
    pub profile: Profile,
    /// Most bytes of GPU memory this context may hold. `None`: no limit of ours.
    pub max_bytes: Option<u64>,
    /// Compile shaders with every bounds and loop check on. Tests run this way; it costs 1.3–3× on software adapters.
    pub checked: bool,
    /// Put sentinels around every buffer and poison fresh memory (tests; see [`Context::verify_guards`](super::Context::verify_guards)).
    pub guarded: bool,
    /// Longest GPU time of one submit, in milliseconds. Windows resets a device after 2 s.
    pub submit_ms: u32,
    /// Where to keep compiled pipelines between runs (Vulkan only). `None`: nowhere.
    pub pipeline_cache: Option<PathBuf>,
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self {
            adapter: None,
            backends: Backends::default(),
            profile: Profile::default(),
            max_bytes: None,
            checked: false,
            guarded: false,
            submit_ms: 250,
            pipeline_cache: None,
        }
    }
}

impl ContextOptions {
    /// The strict settings of the test suites: all shader checks, sentinels and poison.
    #[must_use]
    pub fn strict() -> Self {
        Self { checked: true, guarded: true, ..Self::default() }
    }
}

/// What an adapter says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterReport {
    /// Position in the list; accepted as [`ContextOptions::adapter`].
    pub index: usize,
    /// Marketing name.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12` …
    pub backend: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `Cpu` …
    pub kind: String,
    /// Driver and its version.
    pub driver: String,
    /// PCI vendor id.
    pub vendor: u32,
    /// PCI device id.
    pub device: u32,
    /// Whether shaders may use 16-bit floats.
    pub shader_f16: bool,
    /// Whether shaders may use subgroup operations.
    pub subgroups: bool,
    /// Smallest and largest subgroup size.
    pub subgroup_size: (u32, u32),
    /// Side of cooperative matrices with f16 factors and f32 sums: 16, 8, or 0 without them.
    pub matrix: u32,
    /// Whether passes can be timed on the GPU.
    pub timestamps: bool,
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// Invocations of one workgroup.
    pub workgroup_invocations: u32,
}

impl AdapterReport {
    pub(super) fn new(index: usize, adapter: &wgpu::Adapter) -> Self {
        let (info, features, limits) = (adapter.get_info(), adapter.features(), adapter.limits());
        let driver = format!("{} {}", info.driver, info.driver_info);
        Self {
            index,
            name: info.name,
            backend: format!("{:?}", info.backend),
            kind: format!("{:?}", info.device_type),
            driver: driver.trim().to_owned(),
            vendor: info.vendor,
            device: info.device,
            shader_f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
            matrix: matrix_side(adapter),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        }
    }
}

/// The larger of the square shapes with f16 factors and f32 sums.
fn matrix_side(adapter: &wgpu::Adapter) -> u32 {
    use wgpu::CooperativeScalarType::{F16, F32};
    if !adapter.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        return 0;
    }
    let square = |p: &wgpu::CooperativeMatrixProperties| p.m_size == p.n_size && p.m_size == p.k_size;
    let wanted = |p: &wgpu::CooperativeMatrixProperties| square(p) && p.ab_type == F16 && p.cr_type == F32;
    adapter.cooperative_matrix_properties().iter().filter(|p| wanted(p)).map(|p| p.m_size).max().unwrap_or(0)
}

fn instance(backends: Backends) -> wgpu::Instance {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
    desc.backends = backends.to_wgpu();
    desc.backend_options.noop.enable = backends == Backends::Noop;
    wgpu::Instance::new(desc)
}

fn adapters(backends: Backends) -> Vec<wgpu::Adapter> {
    pollster::block_on(instance(backends).enumerate_adapters(backends.to_wgpu()))
}

/// Every adapter of the given backends, in the order of their indices.
#[must_use]
pub fn list_adapters(backends: Backends) -> Vec<AdapterReport> {
    adapters(backends).iter().enumerate().map(|(i, adapter)| AdapterReport::new(i, adapter)).collect()
}

/// Real GPUs before software, discrete before integrated, Vulkan before the rest.
fn rank(adapter: &wgpu::Adapter) -> (u8, u8) {
    let info = adapter.get_info();
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    (kind, u8::from(info.backend != wgpu::Backend::Vulkan))
}

pub(super) fn choose(options: &ContextOptions) -> Result<(usize, wgpu::Adapter)> {
    let found = adapters(options.backends);
    let names: Vec<String> = found.iter().map(|a| a.get_info().name).collect();
    let position = match &options.adapter {
        None => (0..found.len()).min_by_key(|&i| (rank(&found[i]), i)),
        Some(wanted) => match wanted.parse::<usize>() {
            Ok(index) => Some(index).filter(|&i| i < found.len()),
            Err(_) => {
                let wanted = wanted.to_lowercase();
                names.iter().position(|name| name.to_lowercase().contains(&wanted))
            }
        },
    };
    match position.and_then(|i| found.into_iter().nth(i).map(|adapter| (i, adapter))) {
        Some(chosen) => Ok(chosen),
        None => Err(GpuError::NoAdapter {
            wanted: options.adapter.clone().unwrap_or_else(|| format!("{:?}", options.backends)),
            found: names.join(", "),
        }),
    }
}
