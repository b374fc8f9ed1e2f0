//! What a recording is made of, for those who run it elsewhere: other WebGPU implementations in the tests, dumps in bug
//! reports.

use super::pipeline::{Kernel, Store};
use super::recording::Recording;
use crate::tensor::Tensor;

/// One dispatch with everything that determines its result.
#[derive(Clone, Copy, Debug)]
pub struct DispatchView<'a> {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Storage variant.
    pub store: Store,
    /// Override constants.
    pub overrides: &'a [(&'static str, f64)],
    /// Storage bindings in the kernel's order; all have a buffer, slots included.
    pub bind: &'a [Tensor],
    /// Bytes of the params struct as recorded.
    pub params: &'a [u8],
    /// Workgroups.
    pub grid: [u32; 3],
}

impl Recording {
    /// The dispatches in order.
    pub fn inspect(&self) -> impl Iterator<Item = DispatchView<'_>> {
        self.steps.iter().map(|step| {
            let d = &step.dispatch;
            DispatchView {
                kernel: d.kernel,
                store: d.store,
                overrides: &d.overrides,
                bind: &d.bind,
                params: &d.params,
                grid: d.grid,
            }
        })
    }
}
