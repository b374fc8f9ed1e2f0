//! What samplers with a longer memory add to a state: model outputs and clean estimates of earlier steps.
//!
//! Outputs are not kept. A step's guided output is (clean - clean_x · x) / clean_out of its own coefficients, so clean estimates
//! and the states they were made from are enough.

use std::collections::VecDeque;

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::mix::{self, Mix, MixScalars, mix};
use syncline_kernels::tensor::{Elem, Tensor};

use crate::error::Result;
use crate::schedulers::{HistoryStep, StepCoefficients};

/// Past steps, latest first, and the dispatches that add them to the state.
#[derive(Debug)]
pub(super) struct History {
    /// Clean estimate and state before the step, `[B, h, w, C]` f32 each.
    slots: Vec<[Tensor; 2]>,
    added: Vec<DispatchId>,
    /// Coefficients of the steps in the slots.
    past: VecDeque<StepCoefficients>,
}

/// Factors of a past step's clean estimate and of its state.
fn factors(step: &HistoryStep, k: usize, past: &StepCoefficients) -> [f64; 2] {
    let out = step.past_outs[k] / past.clean_out;
    let older = if k == 1 { step.older_clean } else { 0.0 };
    [out + older, -out * past.clean_x]
}

impl History {
    /// Nothing yet, for steps that read `depth` steps back.
    pub(super) fn new(ctx: &Context, dims: &[usize], depth: usize) -> Result<Self> {
        let zeros = vec![0.0; dims.iter().product()];
        let slot = || -> Result<[Tensor; 2]> {
            Ok([
                ctx.upload_named("past clean estimate", &zeros, dims, Elem::F32)?,
                ctx.upload_named("past state", &zeros, dims, Elem::F32)?,
            ])
        };
        let slots = (0..depth).map(|_| slot()).collect::<Result<_>>()?;
        Ok(Self { slots, added: Vec::new(), past: VecDeque::new() })
    }

    /// Records, behind a step, what the past adds to `x`, and how `clean` and the state `before` become past.
    pub(super) fn record(&mut self, rec: &mut Recorder, x: &Tensor, clean: &Tensor, before: &Tensor) {
        let scalars = MixScalars { own: 1.0, ..MixScalars::default() };
        let add =
            |[clean, state]: &[Tensor; 2]| mix(rec, &Mix { target: x, terms: &[clean, state], noise: None, scalars });
        self.added = self.slots.iter().map(add).collect();
        let copy = MixScalars { a: 1.0, ..MixScalars::default() };
        for k in (0..self.slots.len()).rev() {
            let from = if k == 0 { [clean, before] } else { self.slots[k - 1].each_ref() };
            for (target, from) in self.slots[k].iter().zip(from) {
                mix(rec, &Mix { target, terms: &[from], noise: None, scalars: copy });
            }
        }
    }

    /// Numbers of the next step.
    pub(super) fn prepare(&mut self, recording: &mut Recording, dims: &[usize], step: &HistoryStep) {
        for (k, id) in self.added.iter().enumerate() {
            let [a, b] = self.past.get(k).map_or([0.0; 2], |past| factors(step, k, past));
            let scalars = MixScalars { own: 1.0, a: a as f32, b: b as f32, ..MixScalars::default() };
            recording.set_params(*id, &mix::params(dims, &scalars));
        }
        self.past.push_front(step.step);
        self.past.truncate(self.slots.len());
    }
}
