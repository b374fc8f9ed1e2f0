//! A finished plan: immutable launches over physical buffers, replayed as often as wanted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compile::compile;
use super::context::Context;
use super::error::Result;
use super::memory::Buffer;
use super::pipeline::{PARAMS_STRIDE, Pipeline};
use super::recorder::{Cost, Dispatch, DispatchId, Recorder};
use super::slots::{Life, SlotPlan, assign_slots};
use super::split::next_submit;
use crate::tensor::{Storage, Tensor};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Dispatches done in this run.
    pub done: usize,
    /// Dispatches of the whole recording.
    pub total: usize,
}

impl Progress {
    /// Whether the run is complete.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.done == self.total
    }
}

pub(super) struct Step {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) storage: wgpu::BindGroup,
    pub(super) offset: u32,
    pub(super) dispatch: Dispatch,
}

/// A replayable plan. See the crate's example.
pub struct Recording {
    pub(super) ctx: Context,
    pub(super) steps: Vec<Step>,
    pub(super) params_group: Option<wgpu::BindGroup>,
    params_buffer: Option<Arc<Buffer>>,
    params: Vec<u8>,
    params_dirty: bool,
    pub(super) slots: SlotPlan,
    cursor: usize,
    submits: u64,
    /// Expected nanoseconds of each step, corrected after every submit.
    expected_ns: Vec<f64>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording({} dispatches, {} bytes of slots)", self.steps.len(), self.slots.total_bytes())
    }
}

/// When each value of a recorder is alive, and where in that list a value is.
pub(super) fn lifetimes(recorder: &Recorder) -> (Vec<Life>, HashMap<u32, usize>) {
    let mut lives: Vec<Life> = Vec::new();
    let mut index = HashMap::new();
    for (at, dispatch) in recorder.dispatches.iter().enumerate() {
        for tensor in &dispatch.bind {
            let Storage::Virtual { id, .. } = tensor.storage else { continue };
            if recorder.placed.iter().any(|(placed, _)| *placed == id) {
                continue;
            }
            let bytes = recorder.values[id as usize];
            let entry = *index.entry(id).or_insert_with(|| {
                lives.push(Life { bytes, first: at, last: at });
                lives.len() - 1
            });
            lives[entry].last = at;
        }
    }
    (lives, index)
}

/// Before anything is measured: what a modest adapter of the kind does.
fn guess_ns(cost: Cost, software: bool) -> f64 {
    let (flops_per_ns, bytes_per_ns) = if software { (4.0, 2.0) } else { (500.0, 50.0) };
    2000.0 + cost.flops as f64 / flops_per_ns + cost.bytes as f64 / bytes_per_ns
}

impl Recording {
    pub(super) fn new(recorder: Recorder) -> Result<Self> {
        let ctx = recorder.ctx.clone();
        compile(&ctx, &recorder.dispatches)?;
        let (lives, index) = lifetimes(&recorder);
        let slots = assign_slots(&lives);
        let buffers = slots
            .slot_bytes
            .iter()
            .enumerate()
            .map(|(i, &bytes)| ctx.buffer(&format!("slot {i}"), bytes))
            .collect::<Result<Vec<_>>>()?;
        let placed: HashMap<u32, Tensor> = recorder.placed.into_iter().collect();
        let resolve = |tensor: &Tensor| -> Tensor {
            let Storage::Virtual { id, .. } = tensor.storage else { return tensor.clone() };
            let storage = match placed.get(&id) {
                Some(resident) => resident.storage.clone(),
                None => Storage::Resident { buffer: buffers[slots.slot_of[index[&id]]].clone(), start: 0 },
            };
            Tensor { storage, ..tensor.clone() }
        };
        let params_size = recorder.dispatches.len().max(1) * PARAMS_STRIDE;
        let mut params = vec![0u8; params_size];
        let mut steps = Vec::with_capacity(recorder.dispatches.len());
        for (i, mut dispatch) in recorder.dispatches.into_iter().enumerate() {
            dispatch.bind = dispatch.bind.iter().map(resolve).collect();
            let start = i * PARAMS_STRIDE;
            params[start..start + dispatch.params.len()].copy_from_slice(&dispatch.params);
            steps.push(build_step(&ctx, dispatch, u32::try_from(start).unwrap_or(u32::MAX))?);
        }
        let software = ctx.caps().software;
        let expected_ns = steps.iter().map(|s| guess_ns(s.dispatch.cost, software)).collect();
        let mut recording = Self {
            ctx,
            steps,
            params_group: None,
            params_buffer: None,
            params,
            params_dirty: true,
            slots,
            cursor: 0,
            submits: 0,
            expected_ns,
        };
        recording.create_params()?;
        Ok(recording)
    }

    fn create_params(&mut self) -> Result<()> {
        let Some(first) = self.steps.first() else { return Ok(()) };
        let (size, layout) = (self.params.len() as u64, &first.pipeline.params_layout);
        let (buffer, group) = self.ctx.scoped("params", |device| {
            let buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("params"),
                size,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("params"),
                layout,
                entries: &[wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer,
                        offset: 0,
                        size: std::num::NonZeroU64::new(PARAMS_STRIDE as u64),
                    }),
                }],
            });
            (buffer, group)
        })?;
        self.params_buffer = Some(self.ctx.adopt(buffer, size, "params")?);
        self.params_group = Some(group);
        Ok(())
    }

    /// Number of dispatches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Arithmetic of one replay.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.steps.iter().fold(Cost::default(), |sum, step| Cost {
            flops: sum.flops + step.dispatch.cost.flops,
            bytes: sum.bytes + step.dispatch.cost.bytes,
        })
    }

    /// Bytes of activation memory this recording holds.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        self.slots.total_bytes()
    }

    /// Submits made so far, over all runs.
    #[must_use]
    pub fn submits(&self) -> u64 {
        self.submits
    }

    /// Kernel, layer and arithmetic of each dispatch, in order.
    pub fn dispatches(&self) -> impl Iterator<Item = (&'static str, &str, Cost)> {
        self.steps.iter().map(|s| (s.dispatch.kernel.name, s.dispatch.layer.as_str(), s.dispatch.cost))
    }

    /// Changes the params of one dispatch for the next runs.
    ///
    /// # Panics
    /// When the size is not the kernel's.
    pub fn set_params(&mut self, id: DispatchId, params: &[u8]) {
        let step = &self.steps[id.0];
        assert_eq!(params.len(), step.dispatch.kernel.params, "{}: size of params", step.dispatch.kernel.name);
        let start = step.offset as usize;
        self.params[start..start + params.len()].copy_from_slice(params);
        self.params_dirty = true;
    }

    /// The whole plan from start to end. Blocks until it is done.
    ///
    /// # Errors
    /// When the device is lost or refuses a submit.
    pub fn run(&mut self) -> Result<()> {
        self.restart();
        while !self.advance(Duration::MAX)?.finished() {}
        Ok(())
    }

    /// Goes back to the first dispatch.
    pub fn restart(&mut self) {
        self.cursor = 0;
    }

    /// Runs at most about `budget` of GPU work and returns; call again until finished. Submits are cut to the
    /// context's submit time and to the budget by the times measured so far; at least one dispatch runs.
    ///
    /// # Errors
    /// When the device is lost or refuses a submit.
    pub fn advance(&mut self, budget: Duration) -> Result<Progress> {
        let total = self.steps.len();
        let mut left = budget.as_nanos() as f64;
        while self.cursor < total && left > 0.0 {
            let limit = left.min(self.ctx.inner.submit_ns);
            let count = next_submit(&self.expected_ns[self.cursor..], limit);
            let expected: f64 = self.expected_ns[self.cursor..self.cursor + count].iter().sum();
            if count == 1 && expected > left && left < budget.as_nanos() as f64 {
                break;
            }
            left -= self.submit(self.cursor..self.cursor + count)?;
            self.cursor += count;
        }
        Ok(Progress { done: self.cursor, total })
    }

    /// Submits a range of steps, waits, corrects the expected times; returns the nanoseconds it took.
    pub(super) fn submit(&mut self, range: std::ops::Range<usize>) -> Result<f64> {
        self.upload_params()?;
        let begin = Instant::now();
        self.ctx.scoped("submit", |device| {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in &self.steps[range.clone()] {
                self.encode(&mut pass, step);
            }
            drop(pass);
            self.ctx.inner.queue.submit([encoder.finish()]);
        })?;
        self.ctx.wait("submit")?;
        self.submits += 1;
        let measured = begin.elapsed().as_nanos() as f64;
        let expected: f64 = self.expected_ns[range.clone()].iter().sum();
        // Half way towards the measurement: one noisy submit must not swing the next cut.
        let scale = (0.5 + 0.5 * measured / expected.max(1.0)).clamp(0.02, 50.0);
        self.expected_ns[range].iter_mut().for_each(|ns| *ns *= scale);
        Ok(measured)
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, step: &Step) {
        pass.set_pipeline(&step.pipeline.raw);
        pass.set_bind_group(0, &step.storage, &[]);
        if let Some(params) = &self.params_group {
            pass.set_bind_group(1, params, &[step.offset]);
        }
        let [x, y, z] = step.dispatch.grid;
        pass.dispatch_workgroups(x, y, z);
    }

    pub(super) fn upload_params(&mut self) -> Result<()> {
        if let (true, Some(buffer)) = (self.params_dirty, &self.params_buffer) {
            self.ctx.scoped("params", |_| self.ctx.inner.queue.write_buffer(&buffer.raw, 0, &self.params))?;
            self.params_dirty = false;
        }
        Ok(())
    }
}

fn build_step(ctx: &Context, dispatch: Dispatch, offset: u32) -> Result<Step> {
    let pipeline = ctx.pipeline(dispatch.kernel, dispatch.store, &dispatch.overrides)?;
    let entries: Vec<_> = (0u32..)
        .zip(&dispatch.bind)
        .filter_map(|(binding, tensor)| match &tensor.storage {
            Storage::Resident { buffer, start } => Some(wgpu::BindGroupEntry {
                binding,
                resource: buffer.binding(*start, tensor.bytes().next_multiple_of(4)),
            }),
            Storage::Virtual { .. } => None,
        })
        .collect();
    let storage = ctx.scoped(dispatch.kernel.name, |device| {
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.kernel.name),
            layout: &pipeline.storage_layout,
            entries: &entries,
        })
    })?;
    Ok(Step { pipeline, storage, offset, dispatch })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{ContextOptions, GpuError};
    use crate::ops::convert::convert_scaled;
    use crate::tensor::Elem;

    #[test]
    fn replays_slices_and_survives_tiny_budgets() {
        let ctx = Context::new(&ContextOptions::strict()).unwrap();
        let x = ctx.upload(&(0..192).map(|i| i as f32).collect::<Vec<_>>(), &[3, 64], Elem::F32).unwrap();
        let all = ctx.upload(&[0.0; 192], &[3, 64], Elem::F32).unwrap();
        let mut rec = Recorder::new(&ctx);
        let mut y = x.slice(1, 1);
        for _ in 0..10 {
            y = convert_scaled(&mut rec, &y, Elem::F32, 2.0);
        }
        rec.place(&y, &all.slice(2, 1));
        let mut recording = rec.finish().unwrap();
        assert_eq!(recording.slot_bytes(), 512, "a chain needs two slots");
        for _ in 0..3 {
            recording.restart();
            let mut calls = 0;
            while !recording.advance(Duration::from_nanos(1)).unwrap().finished() {
                calls += 1;
            }
            assert_eq!(calls, 9, "at least and at most one dispatch within one nanosecond");
        }
        let got = ctx.read(&all).unwrap();
        assert!(got[..128].iter().all(|&v| v == 0.0));
        assert!((0..64).all(|i| got[128 + i] == 1024.0 * (64 + i) as f32));
        ctx.verify_guards().unwrap();
    }

    #[test]
    fn a_lost_device_is_an_error_everywhere() {
        let ctx = Context::new(&ContextOptions::default()).unwrap();
        let x = ctx.upload(&[1.0; 4], &[4], Elem::F32).unwrap();
        let mut rec = Recorder::new(&ctx);
        let y = convert_scaled(&mut rec, &x, Elem::F32, 2.0);
        rec.keep(&y).unwrap();
        let mut recording = rec.finish().unwrap();
        ctx.simulate_loss();
        assert!(matches!(recording.run(), Err(GpuError::DeviceLost { .. })));
        assert!(matches!(ctx.read(&x), Err(GpuError::DeviceLost { .. })));
        assert!(matches!(ctx.tensor(&[4], Elem::F32), Err(GpuError::DeviceLost { .. })));
    }
}
