//! Times of single dispatches by the GPU's own clock.

use std::time::Instant;

use super::error::Result;
use super::recording::Recording;

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
        let stamps = self.ctx.caps().timestamps;
        (0..self.len())
            .map(|at| {
                let ns = if stamps { self.stamp(at)? } else { self.clock(at)? };
                let d = &self.steps[at].dispatch;
                let (flops, bytes) = (d.cost.flops, d.cost.bytes);
                Ok(DispatchTime { kernel: d.kernel.name, layer: d.layer.clone(), ns, flops, bytes })
            })
            .collect()
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

    fn stamp(&self, at: usize) -> Result<f64> {
        let inner = &self.ctx.inner;
        let resolved = self.ctx.scoped("profile", |device| {
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("profile"),
                size: 256,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            self.encode(&mut pass, &self.steps[at]);
            drop(pass);
            encoder.resolve_query_set(&queries, 0..2, &resolved, 0);
            inner.queue.submit([encoder.finish()]);
            resolved
        })?;
        let words = self.ctx.read_words(&resolved, 0, 16)?;
        let ticks = |i: usize| u64::from(words[i]) | (u64::from(words[i + 1]) << 32);
        Ok(ticks(2).wrapping_sub(ticks(0)) as f64 * f64::from(inner.queue.get_timestamp_period()))
    }
}
