//! What changes from one operation to the next: written before its recordings run, checked after.

use syncline_kernels::ops::noise::NoiseKey;

use super::CanvasProgram;
use super::model::CanvasModel;
use crate::error::Result;
use crate::methods::{Draw, Op};

impl<M: CanvasModel> CanvasProgram<M> {
    fn key(&self, draw: Draw) -> NoiseKey {
        let purpose = draw.purpose.word();
        NoiseKey { seed: self.options.seed, trajectory: 0, purpose, step: draw.step }
    }

    /// Sets everything an operation reads that does not depend on the part; returns how many recordings it runs.
    pub(super) fn prepare(&mut self, op: Op) -> Result<usize> {
        if let Op::Look { step } = op {
            return self.look(step);
        }
        let keys = match op {
            Op::Mix(mix) => Some(self.key(mix.draw)),
            Op::Evaluate(evaluate) => Some(self.key(evaluate.draw)),
            Op::EditStep(step) => Some(self.key(step.draw)),
            Op::Blend { draw, .. } | Op::KeepViews { draw, .. } | Op::Background { draw } => Some(self.key(draw)),
            _ => None,
        };
        let key = keys.unwrap_or_default();
        let Some(work) = &mut self.work else { return Ok(0) };
        match op {
            Op::Evaluate(evaluate) => work.samplers.prepare(&evaluate, key)?,
            Op::Mix(mix) => work.set_mix(&mix, key, self.options.space.as_ref())?,
            Op::Blend { level, threshold, .. } => work.set_blend(level, threshold, key)?,
            Op::KeepViews { level, .. } => work.set_keep_views(level, key)?,
            Op::EditStep(step) => work.set_edit(&step, key)?,
            Op::Stein(_) | Op::Adam(_) | Op::Sgd { .. } => work.set_optimisation(op),
            Op::Couple { push, first_view } => {
                if let Some(coupling) = &mut work.coupling {
                    coupling.set(push, first_view);
                }
            }
            Op::Background { .. } => work.paint_background(&self.views, key)?,
            _ => {}
        }
        work.parts(op, self.set, self.options.space.as_ref(), self.step)
    }

    /// Chunks of views are aimed at one after the other.
    pub(super) fn prepare_part(&mut self, op: Op) -> Result<()> {
        let Some(work) = &mut self.work else { return Ok(()) };
        work.aim(op, &self.views, self.part)
    }

    /// Aims at the views of a step; returns how many recordings that takes.
    pub(super) fn look(&mut self, step: usize) -> Result<usize> {
        let space = &self.options.space;
        self.views = space.views(step);
        self.step = step;
        self.set = step % space.set_count();
        let changed = self.model.look(&self.views)?;
        if let Some(work) = &mut self.work {
            work.look(&self.views)?;
        }
        Ok(changed)
    }

    /// Numeric checks after a recording.
    pub(super) fn check(&mut self) -> Result<()> {
        let op = self.options.plan.ops[self.at];
        let ends = |op: &&Op| matches!(op, Op::EndStep { .. });
        let steps = self.options.plan.ops.iter().filter(ends).count();
        let step = self.steps_done() + 1;
        let Some(work) = &mut self.work else { return Ok(()) };
        if let Op::Evaluate(evaluate) = op {
            self.evaluations += work.samplers.cost(evaluate.model);
            let t = evaluate.coefficients.timestep;
            return work.samplers.check(evaluate.model, &format!("step {step} of {steps}, timestep {t}"));
        }
        work.check(op, self.part, &format!("step {step} of {steps}"))
    }
}
