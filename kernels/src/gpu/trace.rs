//! Looking at a plan: as text, and dispatch by dispatch for the first bad number.

use std::fmt;

use super::error::{GpuError, Result};
use super::pipeline::Access;
use super::recording::Recording;
use crate::ops::finite::count_nonfinite;
use crate::tensor::Elem;

impl Recording {
    /// Replays the plan one dispatch at a time and checks everything it writes; returns the first layer that writes
    /// NaN or infinity. Slow: call it when a cheap check of the result has failed, with the inputs unchanged.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn find_nonfinite(&mut self) -> Result<Option<GpuError>> {
        for at in 0..self.steps.len() {
            self.submit(at..at + 1)?;
            let dispatch = &self.steps[at].dispatch;
            for (tensor, access) in dispatch.bind.iter().zip(dispatch.kernel.access) {
                if *access == Access::Read || tensor.elem() == Elem::U32 {
                    continue;
                }
                let found = count_nonfinite(&self.ctx, tensor)?;
                if found.count > 0 {
                    return Ok(Some(GpuError::NonFinite {
                        layer: format!("{} ({})", dispatch.layer, dispatch.kernel.name),
                        count: found.count,
                        total: tensor.shape().padded_len() as u64,
                        first: found.first,
                    }));
                }
            }
        }
        Ok(None)
    }
}

/// One line per dispatch; the plan snapshots are this text.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let d = &step.dispatch;
            write!(f, "{:<20} {:<52} {:?}", d.kernel.name, d.layer, d.store)?;
            for tensor in &d.bind {
                write!(f, " {:?}", tensor.shape)?;
            }
            writeln!(f, " grid {:?}", d.grid)?;
        }
        let cost = self.cost();
        writeln!(
            f,
            "{} dispatches, {} flops, {} bytes moved, {} bytes in {} slots",
            self.len(),
            cost.flops,
            cost.bytes,
            self.slot_bytes(),
            self.slots.slot_bytes.len()
        )
    }
}
