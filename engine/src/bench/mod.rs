//! Measuring whole networks and their single dispatches: true shapes, generated weights, the GPU's own clock with the
//! host's beside it.

mod check;
mod networks;
mod ops;

use std::time::{Duration, Instant};

use serde::Serialize;
use syncline_kernels::gpu::Recording;

pub use check::{Spot, check_ops};
pub use networks::Networks;
pub use ops::{OpTime, describe, totals};

use crate::error::Result;

/// Least time of work before a measurement, where a run takes less than that.
const WARM_UP: Duration = Duration::from_millis(1000);

/// Times of a whole recording.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// Dispatches of a run.
    pub dispatches: usize,
    /// Submits of a run after warm-up.
    pub submits: u64,
    /// Floating point operations of a run.
    pub flops: u64,
    /// Bytes that dispatches read and write, each binding once.
    pub bytes: u64,
    /// Bytes of activation memory.
    pub slot_bytes: u64,
    /// Median milliseconds of a run by the host's clock, waiting included.
    pub host_ms: f64,
    /// Shortest and longest of them.
    pub host_spread_ms: [f64; 2],
    /// Sum of the dispatches' times, each in a pass of its own.
    pub gpu_ms: f64,
    /// Times by kind of dispatch, the dearest first.
    pub ops: Vec<OpTime>,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Runs a recording `runs` times after warming up, then profiles it.
///
/// # Errors
/// When the device fails.
pub fn time(recording: &mut Recording, runs: usize) -> Result<Timing> {
    // Expected times settle over some runs, and with them the number of submits; clocks follow the load slowly.
    let (begin, mut warm) = (Instant::now(), 0);
    while warm < runs.min(5) || (warm > 1 && begin.elapsed() < WARM_UP && warm < 2000) {
        recording.run()?;
        warm += 1;
    }
    let before = recording.submits();
    let mut host = Vec::new();
    for _ in 0..runs.max(1) {
        let begin = Instant::now();
        recording.run()?;
        host.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let submits = (recording.submits() - before) / host.len() as u64;
    let host_ms = median(&mut host);
    let ops = ops::times(recording, runs.clamp(1, 5))?;
    let cost = recording.cost();
    Ok(Timing {
        dispatches: recording.len(),
        submits,
        flops: cost.flops,
        bytes: cost.bytes,
        slot_bytes: recording.slot_bytes(),
        host_ms,
        host_spread_ms: [host[0], host[host.len() - 1]],
        gpu_ms: ops.iter().map(|op| op.us * op.count as f64).sum::<f64>() / 1e3,
        ops,
    })
}
