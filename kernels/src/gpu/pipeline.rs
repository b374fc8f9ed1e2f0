//! Kernel descriptors and the cache of compiled pipelines, in memory and (Vulkan) on disk.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::adapter::AdapterReport;
use super::context::Context;
use super::error::Result;
use crate::tensor::Elem;
use crate::wgsl::{self, Consumer};

/// What a kernel does with one storage binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`, every element written.
    Write,
    /// `var<storage, read_write>`, read and updated in place.
    ReadWrite,
}

/// How float tensors are stored in a kernel variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Store {
    /// `vec4<f32>`.
    F32,
    /// `vec4<f16>`, needs `SHADER_F16`.
    F16,
    /// Two packed pairs in `vec2<u32>`: the same bytes as `F16` on adapters without `SHADER_F16`.
    F16Packed,
    /// As `F16`, in a module that may use cooperative matrices; needs [`Caps::matrix`](super::Caps::matrix).
    F16Matrix,
}

impl Store {
    /// Every storage variant of a kernel that works on any adapter.
    pub const ALL: [Store; 3] = [Store::F32, Store::F16, Store::F16Packed];

    /// The variant for tensors of type `elem` on `ctx`.
    #[must_use]
    pub fn of(elem: Elem, ctx: &Context) -> Self {
        match elem {
            Elem::F16 if ctx.caps().shader_f16 => Store::F16,
            Elem::F16 => Store::F16Packed,
            Elem::F32 | Elem::U32 => Store::F32,
        }
    }
}

/// A kernel: constant data beside its .wgsl file. Bindings and params size are compared with naga's reflection of the
/// source in a test, so there is one truth.
#[derive(Debug)]
pub struct Kernel {
    /// Mathematical name; also the folder, the launcher and the debug label.
    pub name: &'static str,
    /// The .wgsl file.
    pub source: &'static str,
    /// Shared WGSL appended after the kernel.
    pub libs: &'static [&'static str],
    /// `@group(0)` in order, inputs then outputs.
    pub access: &'static [Access],
    /// Bytes of the `@group(1) @binding(0)` uniform struct; 0 when the kernel has none.
    pub params: usize,
    /// Whether the source uses subgroup operations.
    pub subgroups: bool,
    /// Storage variants that exist.
    pub stores: &'static [Store],
    /// Values of the overrides in every variant the launcher may ask for; portability tests compile each.
    pub variants: &'static [&'static [(&'static str, f64)]],
}

/// Spacing of params in the uniform buffer: WebGPU's default `minUniformBufferOffsetAlignment`.
pub(super) const PARAMS_STRIDE: usize = 256;

/// What lets a device have features that wgpu calls experimental: cooperative matrices.
#[expect(unsafe_code, reason = "wgpu asks to be told that bugs of these features are expected")]
pub(super) fn experimental_features() -> wgpu::ExperimentalFeatures {
    // SAFETY: cooperative matrices are used by kernels whose results a self-test compares with the ordinary kernels'
    // before anything else runs on them; their launchers assert every bound.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) storage_layout: wgpu::BindGroupLayout,
    pub(super) params_layout: wgpu::BindGroupLayout,
}

#[derive(Debug)]
pub(super) struct PipelineCache {
    compiled: Mutex<HashMap<u64, Arc<Pipeline>>>,
    driver: Option<wgpu::PipelineCache>,
    file: Option<PathBuf>,
}

impl PipelineCache {
    pub(super) fn new(device: &wgpu::Device, report: &AdapterReport, folder: Option<&Path>) -> Self {
        let mut cache = Self { compiled: Mutex::default(), driver: None, file: None };
        if let (Some(folder), true) = (folder, device.features().contains(wgpu::Features::PIPELINE_CACHE)) {
            let mut name = DefaultHasher::new();
            (report.vendor, report.device, &report.name, &report.driver, env!("CARGO_PKG_VERSION")).hash(&mut name);
            let file = folder.join(format!("pipelines-{:016x}.bin", name.finish()));
            cache.driver = Some(open_driver_cache(device, read_sealed(&file).as_deref()));
            cache.file = Some(file);
        }
        cache
    }

    /// Number of compiled pipelines.
    pub(super) fn len(&self) -> usize {
        self.compiled.lock().map(|map| map.len()).unwrap_or(0)
    }
}

#[expect(unsafe_code, reason = "wgpu trusts the bytes of a pipeline cache; ours are sealed with a checksum")]
fn open_driver_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let desc = wgpu::PipelineCacheDescriptor { label: Some("syncline"), data, fallback: true };
    // SAFETY: `data` came out of `get_data` of the same driver (the file name holds adapter, driver and version) and
    // its checksum has been verified; the driver validates its own header on top, with `fallback` for a mismatch.
    unsafe { device.create_pipeline_cache(&desc) }
}

fn checksum(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

fn read_sealed(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (seal, data) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*seal) == checksum(data)).then(|| data.to_vec())
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        let (Some(driver), Some(file)) = (&self.driver, &self.file) else { return };
        let Some(data) = driver.get_data() else { return };
        let sealed = [&checksum(&data).to_le_bytes()[..], &data].concat();
        let partial = file.with_extension(format!("{}.tmp", std::process::id()));
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        // A cache that cannot be written only costs time next run.
        if let Err(e) =
            folder.and_then(|()| std::fs::write(&partial, sealed)).and_then(|()| std::fs::rename(&partial, file))
        {
            tracing::debug!("pipeline cache {} not written: {e}", file.display());
        }
    }
}

fn storage_layout(device: &wgpu::Device, kernel: &Kernel) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0u32..)
        .zip(kernel.access)
        .map(|(binding, access)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: *access == Access::Read },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &entries })
}

fn params_layout(device: &wgpu::Device, kernel: &Kernel) -> wgpu::BindGroupLayout {
    let entry = wgpu::BindGroupLayoutEntry {
        binding: 0,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: true,
            min_binding_size: None,
        },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &[entry] })
}

#[expect(unsafe_code, reason = "checks are off only for kernels whose launchers assert every bound")]
fn shader_module(device: &wgpu::Device, kernel: &Kernel, source: String, checked: bool) -> wgpu::ShaderModule {
    let desc =
        wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source: wgpu::ShaderSource::Wgsl(source.into()) };
    if checked {
        return device.create_shader_module(desc);
    }
    // SAFETY: sources are ours, compiled in. Launchers assert shapes, so no invocation indexes outside its bindings;
    // loops are bounded by those shapes; no division by a runtime zero. The test suites run the same sources checked.
    unsafe { device.create_shader_module_trusted(desc, wgpu::ShaderRuntimeChecks::all(false)) }
}

impl Context {
    /// The compiled pipeline of a kernel variant. Key: linked source, overrides, check mode.
    pub(super) fn pipeline(
        &self,
        kernel: &Kernel,
        store: Store,
        overrides: &[(&'static str, f64)],
    ) -> Result<Arc<Pipeline>> {
        assert!(kernel.stores.contains(&store), "{}: no {store:?} variant", kernel.name);
        let inner = &self.inner;
        let source = wgsl::link(kernel, store, Consumer::Naga);
        let mut hasher = DefaultHasher::new();
        (&source, kernel.access, inner.checked).hash(&mut hasher);
        overrides.iter().for_each(|(name, value)| (name, value.to_bits()).hash(&mut hasher));
        let key = hasher.finish();
        if let Some(hit) = inner.pipelines.compiled.lock().ok().and_then(|map| map.get(&key).cloned()) {
            return Ok(hit);
        }
        let pipeline = self.scoped(&format!("compiling {} ({store:?})", kernel.name), |device| {
            let module = shader_module(device, kernel, source, inner.checked);
            let storage_layout = storage_layout(device, kernel);
            let params_layout = params_layout(device, kernel);
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(kernel.name),
                bind_group_layouts: &[Some(&storage_layout), Some(&params_layout)],
                immediate_size: 0,
            });
            let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: overrides,
                    // Kernels write workgroup memory before they read it; the polyfill costs more than some kernels.
                    zero_initialize_workgroup_memory: false,
                },
                cache: inner.pipelines.driver.as_ref(),
            });
            Pipeline { raw, storage_layout, params_layout }
        })?;
        let pipeline = Arc::new(pipeline);
        if let Ok(mut map) = inner.pipelines.compiled.lock() {
            map.insert(key, pipeline.clone());
        }
        Ok(pipeline)
    }

    /// Number of pipelines compiled so far.
    #[must_use]
    pub fn pipelines(&self) -> usize {
        self.inner.pipelines.len()
    }
}
