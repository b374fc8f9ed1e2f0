//! The device, and the one door through which every wgpu call goes.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use super::adapter::{self, AdapterReport, ContextOptions};
use super::error::{GpuError, Result};
use super::memory::{Budget, Buffer, GUARD_BYTES, GUARD_WORD, POISON_WORD};
use super::pipeline::{PipelineCache, experimental_features};
use super::tier::{Tier, TileKey};
use crate::tensor::{Elem, Shape, Storage, Tensor};

/// What the device can do, after the profile's restrictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// `SHADER_F16` is on: f16 tensors are read as `vec4<f16>`; otherwise as packed pairs.
    pub shader_f16: bool,
    /// Subgroup operations may be used.
    pub subgroups: bool,
    /// Side of the cooperative matrices (f16 factors, f32 sums) that kernels may use: 16, 8, or 0 for none.
    pub matrix: u32,
    /// Passes can be timed on the GPU.
    pub timestamps: bool,
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// Invocations of one workgroup.
    pub workgroup_invocations: u32,
    /// Workgroups per grid dimension.
    pub grid: u32,
    /// The adapter runs on the CPU (lavapipe, WARP): barriers and shared memory are dear there.
    pub software: bool,
}

#[derive(Debug, Default)]
struct Lost {
    flag: AtomicBool,
    reason: Mutex<String>,
}

impl Lost {
    fn set(&self, reason: &str) {
        if let Ok(mut text) = self.reason.lock() {
            reason.clone_into(&mut text);
        }
        self.flag.store(true, Ordering::SeqCst);
    }
}

pub(super) struct Inner {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) report: AdapterReport,
    pub(super) caps: Caps,
    pub(super) checked: bool,
    pub(super) tier: OnceLock<Tier>,
    /// Tiles by product that were found fastest here.
    pub(super) tiles: Mutex<HashMap<TileKey, usize>>,
    pub(super) submit_ns: f64,
    /// The host's device: no callbacks of ours, no blocking waits.
    borrowed: bool,
    guarded: Option<Mutex<Vec<Weak<Buffer>>>>,
    budget: Arc<Budget>,
    lost: Arc<Lost>,
    pub(super) pipelines: PipelineCache,
    next_id: AtomicU64,
    /// Bytes written since the last flush of uploads.
    pub(super) unflushed: AtomicU64,
    /// Readbacks so far, and their bytes.
    pub(super) readbacks: [AtomicU64; 2],
}

/// A GPU device with its caches. Cheap to clone; all clones are the same device.
#[derive(Clone)]
pub struct Context {
    pub(super) inner: Arc<Inner>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} via {})", self.inner.report.name, self.inner.report.backend)
    }
}

fn wanted_features(adapter: &wgpu::Adapter, options: &ContextOptions) -> wgpu::Features {
    let mut wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE;
    wanted.set(wgpu::Features::SHADER_F16, options.profile.shader_f16);
    wanted.set(wgpu::Features::SUBGROUP, options.profile.subgroups);
    let matrix = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP_BARRIER;
    wanted.set(matrix, options.profile.matrix);
    wanted & adapter.features()
}

/// Cooperative kernels need f16 and subgroups of one size besides.
fn matrix_side(features: wgpu::Features, report: &AdapterReport, options: &ContextOptions) -> u32 {
    let needed = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
        | wgpu::Features::SHADER_F16
        | wgpu::Features::SUBGROUP
        | wgpu::Features::SUBGROUP_BARRIER;
    let profile = options.profile;
    let allowed = profile.matrix && profile.shader_f16 && profile.subgroups;
    let fixed = report.subgroup_size.0 == report.subgroup_size.1;
    if allowed && fixed && features.contains(needed) { report.matrix } else { 0 }
}

impl Context {
    /// Opens an adapter as `options` say.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`] when none matches, [`GpuError::Limit`] when the device refuses our limits.
    pub fn new(options: &ContextOptions) -> Result<Self> {
        let (index, adapter) = adapter::choose(options)?;
        let report = AdapterReport::new(index, &adapter);
        let limits = if options.profile.webgpu_limits {
            wgpu::Limits::defaults().using_alignment(adapter.limits())
        } else {
            adapter.limits()
        };
        let desc = wgpu::DeviceDescriptor {
            label: Some("syncline"),
            required_features: wanted_features(&adapter, options),
            required_limits: limits,
            experimental_features: experimental_features(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&desc)).map_err(|e| GpuError::NoAdapter {
            wanted: format!("{} with its own limits ({e})", report.name),
            found: report.name.clone(),
        })?;
        let lost = Arc::new(Lost::default());
        let seen = lost.clone();
        device.set_device_lost_callback(move |_, reason| seen.set(&reason));
        device.on_uncaptured_error(Arc::new(|error| tracing::error!("uncaptured wgpu error: {error}")));
        Ok(Self::assemble(device, queue, report, options, lost, false))
    }

    /// Works on a device the host application owns. Installs no callbacks, lets no error escape a scope and never
    /// blocks the device for longer than a poll.
    #[must_use]
    pub fn borrowed(
        adapter: &wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &ContextOptions,
    ) -> Self {
        let report = AdapterReport::new(0, adapter);
        Self::assemble(device, queue, report, options, Arc::new(Lost::default()), true)
    }

    fn assemble(
        device: wgpu::Device,
        queue: wgpu::Queue,
        report: AdapterReport,
        options: &ContextOptions,
        lost: Arc<Lost>,
        borrowed: bool,
    ) -> Self {
        let (features, limits) = (device.features(), device.limits());
        let has = |feature, allowed| allowed && features.contains(feature);
        let caps = Caps {
            shader_f16: has(wgpu::Features::SHADER_F16, options.profile.shader_f16),
            subgroups: has(wgpu::Features::SUBGROUP, options.profile.subgroups),
            matrix: matrix_side(features, &report, options),
            timestamps: has(wgpu::Features::TIMESTAMP_QUERY, true),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            grid: limits.max_compute_workgroups_per_dimension,
            software: report.kind == "Cpu",
        };
        let tier = Tier::choose(&caps, &report);
        let pipelines = PipelineCache::new(&device, &report, options.pipeline_cache.as_deref());
        let context = Self {
            inner: Arc::new(Inner {
                device,
                queue,
                report,
                caps,
                checked: options.checked,
                tier: OnceLock::new(),
                tiles: Mutex::default(),
                submit_ns: f64::from(options.submit_ms.max(1)) * 1e6,
                borrowed,
                guarded: options.guarded.then(|| Mutex::new(Vec::new())),
                budget: Budget::new(options.max_bytes.unwrap_or(u64::MAX)),
                lost,
                pipelines,
                next_id: AtomicU64::new(0),
                unflushed: AtomicU64::new(0),
                readbacks: [AtomicU64::new(0), AtomicU64::new(0)],
            }),
        };
        context.settle(tier);
        context
    }

    /// The adapter's description.
    #[must_use]
    pub fn adapter(&self) -> &AdapterReport {
        &self.inner.report
    }

    /// What the device can do.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.inner.caps
    }

    /// Bytes of GPU memory this context holds now and held at most.
    #[must_use]
    pub fn memory(&self) -> (u64, u64) {
        (self.inner.budget.used(), self.inner.budget.peak())
    }

    /// How often something was read back from the device, and how many bytes in all.
    #[must_use]
    pub fn readbacks(&self) -> (u64, u64) {
        let [count, bytes] = &self.inner.readbacks;
        (count.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed))
    }

    pub(super) fn fresh_id(&self) -> u64 {
        self.inner.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Fails when the device has been lost. wgpu itself stays silent: submits "succeed" on a dead device.
    ///
    /// # Errors
    /// [`GpuError::DeviceLost`].
    pub fn check_alive(&self, during: &str) -> Result<()> {
        let lost = &self.inner.lost;
        if lost.flag.load(Ordering::SeqCst) {
            let reason = lost.reason.lock().map(|text| text.clone()).unwrap_or_default();
            return Err(GpuError::DeviceLost { reason, during: during.to_owned() });
        }
        Ok(())
    }

    /// Destroys the device as a driver reset would; everything after fails with [`GpuError::DeviceLost`]. For tests
    /// of recovery.
    pub fn simulate_loss(&self) {
        self.inner.device.destroy();
        self.inner.lost.set("destroyed on request");
    }

    /// Runs `f` with error scopes of all three filters on this thread; whatever they catch becomes an `Err`.
    pub(super) fn scoped<T>(&self, during: &str, f: impl FnOnce(&wgpu::Device) -> T) -> Result<T> {
        self.check_alive(during)?;
        let device = &self.inner.device;
        let scopes = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation]
            .map(|filter| device.push_error_scope(filter));
        let value = f(device);
        let mut first = None;
        for scope in scopes.into_iter().rev() {
            first = first.or(pollster::block_on(scope.pop()));
        }
        self.check_alive(during)?;
        match first {
            None => Ok(value),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(GpuError::OutOfMemory {
                label: during.to_owned(),
                requested: 0,
                used: self.inner.budget.used(),
                budget: self.inner.budget.used(),
            }),
            Some(wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. }) => {
                Err(GpuError::Validation { during: during.to_owned(), message: description })
            }
        }
    }

    /// Waits until everything submitted so far is done.
    pub(super) fn wait(&self, during: &str) -> Result<()> {
        let device = &self.inner.device;
        if !self.inner.borrowed {
            let status = device.poll(wgpu::PollType::wait_indefinitely());
            self.check_alive(during)?;
            return status
                .map(|_| ())
                .map_err(|e| GpuError::DeviceLost { reason: e.to_string(), during: during.to_owned() });
        }
        // A blocking wait would hold the host's own submits and presents.
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        self.inner.queue.on_submitted_work_done(move || flag.store(true, Ordering::SeqCst));
        while !done.load(Ordering::SeqCst) {
            self.check_alive(during)?;
            device
                .poll(wgpu::PollType::Poll)
                .map_err(|e| GpuError::DeviceLost { reason: e.to_string(), during: during.to_owned() })?;
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    pub(super) fn buffer(&self, label: &str, bytes: u64) -> Result<Arc<Buffer>> {
        let limit = self.inner.caps.max_binding.min(self.inner.caps.max_buffer);
        if bytes > limit {
            return Err(GpuError::Limit {
                adapter: self.inner.report.name.clone(),
                limit: "maxStorageBufferBindingSize",
                found: limit,
                needed: bytes,
                what: label.to_owned(),
            });
        }
        let guard = if self.inner.guarded.is_some() { GUARD_BYTES } else { 0 };
        let payload = bytes.next_multiple_of(4);
        let lease = self.inner.budget.take(payload + 2 * guard, label)?;
        let raw = self.scoped(label, |device| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: payload + 2 * guard,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        })?;
        let buffer = Arc::new(Buffer { raw, offset: guard, size: payload, label: label.to_owned(), _lease: lease });
        if let Some(live) = &self.inner.guarded {
            self.soil(&buffer)?;
            if let Ok(mut live) = live.lock() {
                live.retain(|weak| weak.strong_count() > 0);
                live.push(Arc::downgrade(&buffer));
            }
        }
        Ok(buffer)
    }

    /// Puts a buffer made elsewhere under the budget.
    pub(super) fn adopt(&self, raw: wgpu::Buffer, size: u64, label: &str) -> Result<Arc<Buffer>> {
        let lease = self.inner.budget.take(size, label)?;
        Ok(Arc::new(Buffer { raw, offset: 0, size, label: label.to_owned(), _lease: lease }))
    }

    /// Writes sentinels around the payload and NaN into it, so that "wrote nothing" and "wrote outside" both show.
    fn soil(&self, buffer: &Buffer) -> Result<()> {
        let guard = (GUARD_BYTES / 4) as usize;
        let mut words = vec![GUARD_WORD; 2 * guard + (buffer.size / 4) as usize];
        let end = words.len() - guard;
        words[guard..end].fill(POISON_WORD);
        self.scoped("soiling test memory", |_| {
            self.inner.queue.write_buffer(&buffer.raw, 0, bytemuck::cast_slice(&words));
        })
    }

    /// In guarded contexts: fails when any kernel wrote outside the payload of a live buffer.
    ///
    /// # Errors
    /// [`GpuError::Validation`] naming the buffer and the word, or the failure of the readback itself.
    pub fn verify_guards(&self) -> Result<()> {
        let Some(live) = &self.inner.guarded else { return Ok(()) };
        let buffers: Vec<_> =
            live.lock().map(|live| live.iter().filter_map(Weak::upgrade).collect()).unwrap_or_default();
        for buffer in buffers {
            for offset in [0, GUARD_BYTES + buffer.size] {
                let words = self.read_words(&buffer.raw, offset, GUARD_BYTES)?;
                if let Some(at) = words.iter().position(|&w| w != GUARD_WORD) {
                    return Err(GpuError::Validation {
                        during: format!("guard check of {}", buffer.label),
                        message: format!("word {at} of the band at byte {offset} was overwritten: {:#x}", words[at]),
                    });
                }
            }
        }
        Ok(())
    }

    /// A tensor with a buffer of its own, contents undefined (zero on ordinary contexts).
    ///
    /// # Errors
    /// When the budget or a limit of the adapter is exceeded.
    pub fn tensor(&self, dims: &[usize], elem: Elem) -> Result<Tensor> {
        self.named_tensor("tensor", dims, elem)
    }

    /// As [`Context::tensor`], with a label for messages and debuggers.
    ///
    /// # Errors
    /// When the budget or a limit of the adapter is exceeded.
    pub fn named_tensor(&self, label: &str, dims: &[usize], elem: Elem) -> Result<Tensor> {
        let shape = Shape::new(dims);
        let buffer = self.buffer(label, shape.padded_len() as u64 * elem.bytes())?;
        Ok(Tensor { shape, elem, storage: Storage::Resident { buffer, start: 0 } })
    }
}
