//! Buffers under an own byte budget.
//!
//! Software adapters accept allocations far beyond the machine's memory, and wgpu turns most real out-of-memory
//! conditions into a lost device. So the budget is ours and is checked before the driver is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{GpuError, Result};

/// Bytes before and after the payload in guarded contexts; a multiple of every storage offset alignment.
pub(super) const GUARD_BYTES: u64 = 256;
/// Sentinel in the guard bands.
pub(super) const GUARD_WORD: u32 = 0x5ca1_ab1e;
/// Poison in fresh payloads of guarded contexts: a NaN as f32, and a NaN in both halves as f16.
pub(super) const POISON_WORD: u32 = 0x7fe1_7fe1;

/// Bytes in use, the peak and the limit, shared by all buffers of a context.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0), peak: AtomicU64::new(0) })
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Takes `bytes` out of the budget or says why not.
    pub(super) fn take(self: &Arc<Self>, bytes: u64, label: &str) -> Result<Lease> {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&total| total <= self.limit)
        });
        match taken {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(Lease { budget: self.clone(), bytes })
            }
            Err(used) => {
                Err(GpuError::OutOfMemory { label: label.to_owned(), requested: bytes, used, budget: self.limit })
            }
        }
    }
}

/// A share of the budget, given back on drop.
#[derive(Debug)]
pub(super) struct Lease {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A GPU buffer that counts against its context's budget. Never shared between tensors except as a recording's slot.
#[derive(Debug)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    /// Where the payload begins: 0, or the guard band's size.
    pub(super) offset: u64,
    /// Payload bytes.
    pub(super) size: u64,
    pub(super) label: String,
    pub(super) _lease: Lease,
}

impl Buffer {
    /// Payload bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A binding of `bytes` of the payload from byte `start` on.
    pub(super) fn binding(&self, start: u64, bytes: u64) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.raw,
            offset: self.offset + start,
            size: std::num::NonZeroU64::new(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_refuses_and_gives_back() {
        let budget = Budget::new(100);
        let first = budget.take(60, "a").unwrap();
        let err = budget.take(41, "b").unwrap_err();
        assert!(matches!(err, GpuError::OutOfMemory { requested: 41, used: 60, budget: 100, .. }), "{err}");
        drop(first);
        let _second = budget.take(100, "b").unwrap();
        assert_eq!((budget.used(), budget.peak()), (100, 100));
    }
}
