//! FlowEdit (Kulikov et al. 2024, arXiv 2412.08629): the picture itself moves by the difference of the two velocities, each taken
//! at the picture and the edit noised alike with fresh noise.

use super::{EditGrid, EditStep, Form, PathVariance, SourcePath, begin, check_guidance, estimate_pair, finish};
use crate::error::{Error, Result};
use crate::methods::plan::{Draw, Evaluate, Op, Plan, Reg, ViewReg, mix};
use crate::rng::Purpose;

/// All switches. Of n steps the first n - `n_max` are left out, as sync-SDE's start index does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowEdit {
    /// Steps that run, counted from the last.
    pub n_max: usize,
    /// Steps at the end that are ordinary sampling with the target's prompt; 0 published.
    pub n_min: usize,
    /// Noises averaged in each step; 1 published.
    pub n_avg: usize,
    /// Classifier-free guidance of source and target; 1.5 and 5.5 published for Flux.
    pub guidance: [f64; 2],
}

/// The difference at the beginning of a step, while [`EditStep`]'s own takes part after part. Of another register than that and the
/// states: a sum cannot read a register that it writes.
const BEFORE: Reg = Reg::Branch(ViewReg::Known, 1);

impl FlowEdit {
    /// From a start index on, with one noise and no ordinary sampling.
    #[must_use]
    pub fn published(steps: usize, start: usize, guidance: [f64; 2]) -> Self {
        Self { n_max: steps.saturating_sub(start), n_min: 0, n_avg: 1, guidance }
    }

    fn check(&self, grid: &EditGrid) -> Result<()> {
        let n = grid.len();
        if grid.form != Form::Flow {
            return Err(Error::Input {
                what: "FlowEdit",
                found: "the diffusion form".into(),
                expected: "levels in the terms of a flow".into(),
            });
        }
        grid.check_start(n.saturating_sub(self.n_max))?;
        if self.n_min > self.n_max || self.n_avg == 0 {
            return Err(Error::Input {
                what: "FlowEdit",
                found: format!("n_min {}, n_max {}, n_avg {}", self.n_min, self.n_max, self.n_avg),
                expected: "n_min up to n_max, and n_avg of at least 1".into(),
            });
        }
        check_guidance(&self.guidance)
    }

    /// The operations: branch 0 is the source, branch 1 the target.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, grid: &EditGrid) -> Result<Plan> {
        self.check(grid)?;
        let (n, path) = (grid.len(), SourcePath::new(grid, PathVariance::Exact));
        let (start, sampled) = (n - self.n_max, n - self.n_min);
        let mut ops = begin();
        ops.push(EditStep::first(&path, start, Draw::new(Purpose::Initial, 0).shared(true)).into());
        for i in start..n {
            let k = i - start;
            if i < sampled {
                self.step(&mut ops, grid, &path, (i, k));
            } else {
                let draw = Draw::new(Purpose::Step, k as u32);
                ops.push(Op::Evaluate(Evaluate::new(grid.deterministic(i), self.guidance[1], draw).of(1)));
            }
            ops.push(Op::EndStep { step: k });
        }
        Ok(finish(ops, 2))
    }

    /// E' = E - δ · mean of (v_t(S + E) - v_s(S)), each with an S of its own.
    fn step(&self, ops: &mut Vec<Op>, grid: &EditGrid, path: &SourcePath, (i, k): (usize, usize)) {
        let kept = Reg::Branch(ViewReg::Kept, 0);
        if self.n_avg > 1 {
            ops.push(mix(BEFORE, 0.0, &[(kept, 1.0)], None));
        }
        let share = 1.0 - grid.level(i + 1).noise / grid.level(i).noise;
        for part in 0..self.n_avg {
            let draw = Draw::new(Purpose::Step, (k * self.n_avg + part) as u32).shared(true);
            estimate_pair(ops, &grid.estimate(i), self.guidance, draw);
            let last = part + 1 == self.n_avg;
            let (source, sigma) = path.fresh(if last { i + 1 } else { i });
            let own = if part == 0 { 1.0 - share } else { 1.0 };
            let difference = [own, share / self.n_avg as f64];
            let gamma = if last { 1.0 } else { 0.0 };
            ops.push(EditStep { difference, source, sigma, gamma, draw }.into());
            if !last {
                ops.push(mix(Reg::Branch(ViewReg::State, 1), 1.0, &[(BEFORE, 1.0)], None));
            }
        }
    }
}
