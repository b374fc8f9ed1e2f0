//! What can go wrong on the GPU side, typed.

use thiserror::Error;

/// A failure of the GPU layer. Every message says what was found, what was expected and what to do next.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter at all, or none that matches the request.
    #[error(
        "no suitable adapter: wanted {wanted}, found [{found}]; list adapters with `syncline devices`, or install a Vulkan driver (Debian/Ubuntu: mesa-vulkan-drivers)"
    )]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// The adapters that exist.
        found: String,
    },
    /// The adapter lacks a limit or feature that a kernel needs.
    #[error(
        "{adapter}: {limit} is {found}, {needed} needed for {what}; choose another adapter with --device (see `syncline devices`)"
    )]
    Limit {
        /// Adapter name.
        adapter: String,
        /// The limit's WebGPU name.
        limit: &'static str,
        /// Its value.
        found: u64,
        /// The value needed.
        needed: u64,
        /// For what.
        what: String,
    },
    /// Our own byte budget would be exceeded.
    #[error(
        "out of GPU memory: {label} needs {requested} bytes, {used} of {budget} are in use; lower the size or the batch, or raise --max-vram"
    )]
    OutOfMemory {
        /// What was to be allocated.
        label: String,
        /// Bytes asked for.
        requested: u64,
        /// Bytes already in use.
        used: u64,
        /// The budget in bytes.
        budget: u64,
    },
    /// The device is gone.
    #[error(
        "GPU device lost ({reason}) during {during}; run the command again, and if it repeats lower the size or try another --device"
    )]
    DeviceLost {
        /// What the driver said.
        reason: String,
        /// What was being done.
        during: String,
    },
    /// wgpu refused a call: an error of ours, or a driver that breaks its promises.
    #[error(
        "GPU call failed during {during}: {message}; please report this with the output of `syncline devices --json`"
    )]
    Validation {
        /// What was being done.
        during: String,
        /// wgpu's message.
        message: String,
    },
    /// A tensor holds NaN or infinity.
    #[error(
        "numeric failure: {layer}: {count} of {total} values are NaN or infinite, the first at index {first}; try --precision f32"
    )]
    NonFinite {
        /// Layer and kernel that produced the values.
        layer: String,
        /// How many values.
        count: u32,
        /// Of how many.
        total: u64,
        /// Flat index of the first, pad lanes included.
        first: u32,
    },
}

/// Result of the GPU layer.
pub type Result<T, E = GpuError> = std::result::Result<T, E>;
