//! The dispatches of a recording by kind: what runs, how often and how long.

use std::collections::BTreeMap;

use serde::Serialize;
use syncline_kernels::gpu::{DispatchView, Recording};

use super::median;
use crate::error::Result;

/// All dispatches of one kernel on the same shapes.
#[derive(Clone, Debug, Serialize)]
pub struct OpTime {
    /// Kernel and shapes.
    pub name: String,
    /// Kernel alone.
    pub kernel: &'static str,
    /// Dispatches of this kind in a run.
    pub count: usize,
    /// Mean microseconds of one.
    pub us: f64,
    /// Floating point operations of one.
    pub flops: u64,
    /// Bytes of one.
    pub bytes: u64,
}

impl OpTime {
    /// TFLOP/s.
    #[must_use]
    pub fn tflops(&self) -> f64 {
        self.flops as f64 / self.us / 1e6
    }

    /// GB/s.
    #[must_use]
    pub fn gigabytes(&self) -> f64 {
        self.bytes as f64 / self.us / 1e3
    }
}

fn join(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// Kernel, shapes of what it reads and of what it writes, and whatever else tells dispatches apart.
#[must_use]
pub fn describe(d: &DispatchView<'_>) -> String {
    let name = d.kernel.name;
    let dims = |i: usize| d.bind[i].dims();
    let activation = d.overrides.iter().find(|(name, _)| *name == "activation").map_or(0.0, |(_, value)| *value);
    let shown = ["", " silu", " gelu", " quick_gelu", " geglu"].get(activation as usize).copied().unwrap_or("");
    match (name.split('_').next(), d.bind.len()) {
        (Some("gemm"), 3..) => format!("{name} {} by {}{shown}", join(dims(0)), join(dims(1))),
        (Some("conv2d"), 4..) => {
            let skip = dims(2)[3] - dims(0)[3];
            let more = if skip > 0 { format!("+{skip}") } else { String::new() };
            format!(
                "{name} {}{more} {}x{} to {}{shown}",
                join(dims(0)),
                dims(2)[1],
                dims(2)[2],
                join(dims(d.bind.len() - 1))
            )
        }
        (Some("attention"), 4..) => format!("{name} {} on {}", join(dims(0)), join(dims(1))),
        _ => format!("{name} {}", join(dims(0))),
    }
}

/// Mean times by kind over the medians of `runs` profiles, the dearest kind first.
pub(super) fn times(recording: &mut Recording, runs: usize) -> Result<Vec<OpTime>> {
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); recording.len()];
    for _ in 0..runs {
        for (sample, time) in samples.iter_mut().zip(recording.profile()?) {
            sample.push(time.ns / 1e3);
        }
    }
    let names: Vec<String> = recording.inspect().map(|d| describe(&d)).collect();
    let mut kinds: BTreeMap<String, OpTime> = BTreeMap::new();
    for ((name, (kernel, _, cost)), sample) in names.into_iter().zip(recording.dispatches()).zip(&mut samples) {
        let (flops, bytes) = (cost.flops, cost.bytes);
        let kind = kinds.entry(name.clone()).or_insert(OpTime { name, kernel, count: 0, us: 0.0, flops, bytes });
        kind.count += 1;
        kind.us += median(sample);
    }
    let mut list: Vec<OpTime> = kinds.into_values().collect();
    list.iter_mut().for_each(|op| op.us /= op.count as f64);
    list.sort_by(|a, b| (b.us * b.count as f64).total_cmp(&(a.us * a.count as f64)));
    Ok(list)
}

/// Sums by kernel, the dearest first: dispatches, microseconds, floating point operations and bytes of all of them.
#[must_use]
pub fn totals(ops: &[OpTime]) -> Vec<OpTime> {
    let mut kernels: BTreeMap<&str, OpTime> = BTreeMap::new();
    for op in ops {
        let name = op.kernel.to_owned();
        let sum = kernels.entry(op.kernel).or_insert(OpTime { name, count: 0, us: 0.0, flops: 0, bytes: 0, ..*op });
        sum.count += op.count;
        sum.us += op.us * op.count as f64;
        sum.flops += op.flops * op.count as u64;
        sum.bytes += op.bytes * op.count as u64;
    }
    let mut list: Vec<OpTime> = kernels.into_values().collect();
    list.sort_by(|a, b| b.us.total_cmp(&a.us));
    list
}
