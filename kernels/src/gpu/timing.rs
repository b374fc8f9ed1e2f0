//! Times of single dispatches by the GPU's own clock.

use std::time::Instant;

use super::error::Result;
use super::recording::Recording;

/// Passes of one profiled submit: two queries each, of the 4096 that any device has in a set.
const PASSES: usize = 1024;

/// Time of one dispatch.
#[derive(Clone, Debug)]
pub struct DispatchTime {
    /// Kernel name.
    pub kernel: &'static str,
    /// Layer name.
    pub layer: String,
    /// Nanoseconds: by GPU timestamps where they exist, otherwise wall time of a submit of its own.
    pub ns: f64,
    /// Floating point operations.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

impl Recording {
    /// Runs the plan once with every dispatch in a pass of its own and returns their times.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn profile(&mut self) -> Result<Vec<DispatchTime>> {
        self.upload_params()?;
        // Software adapters take seconds for a submit; one each keeps them below any watchdog.
        let passes = if self.ctx.caps().software { 1 } else { PASSES };
        let mut times = Vec::with_capacity(self.len());
        while times.len() < self.len() {
            let at = times.len();
            if self.ctx.caps().timestamps {
                times.extend(self.stamp(at..(at + passes).min(self.len()))?);
            } else {
                times.push(self.clock(at)?);
            }
        }
        let label = |(step, ns): (&super::recording::Step, f64)| {
            let d = &step.dispatch;
            let (flops, bytes) = (d.cost.flops, d.cost.bytes);
            DispatchTime { kernel: d.kernel.name, layer: d.layer.clone(), ns, flops, bytes }
        };
        Ok(self.steps.iter().zip(times).map(label).collect())
    }

    fn clock(&self, at: usize) -> Result<f64> {
        let begin = Instant::now();
        self.ctx.scoped("profile", |device| {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.encode(&mut pass, &self.steps[at]);
            drop(pass);
            self.ctx.inner.queue.submit([encoder.finish()]);
        })?;
        self.ctx.wait("profile")?;
        Ok(begin.elapsed().as_nanos() as f64)
    }

    fn stamp(&self, range: std::ops::Range<usize>) -> Result<Vec<f64>> {
        let inner = &self.ctx.inner;
        let count = range.len();
        let resolved = self.ctx.scoped("profile", |device| {
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * count as u32,
            });
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("profile"),
                size: (16 * count as u64).next_multiple_of(256),
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (first, step) in (0u32..).step_by(2).zip(&self.steps[range.clone()]) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(first),
                        end_of_pass_write_index: Some(first + 1),
                    }),
                });
                self.encode(&mut pass, step);
            }
            encoder.resolve_query_set(&queries, 0..2 * count as u32, &resolved, 0);
            inner.queue.submit([encoder.finish()]);
            resolved
        })?;
        let words = self.ctx.read_words(&resolved, 0, 16 * count as u64)?;
        let ticks = |i: usize| u64::from(words[i]) | (u64::from(words[i + 1]) << 32);
        let period = f64::from(inner.queue.get_timestamp_period());
        Ok((0..count).map(|i| ticks(4 * i + 2).wrapping_sub(ticks(4 * i)) as f64 * period).collect())
    }
}
