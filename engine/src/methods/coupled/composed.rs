//! What coupling is compared with: one trajectory whose noise estimate is the mean of all models' (Liu et al. 2022, composable
//! diffusion), and the same with Langevin steps at each level (Du et al. 2023, "Reduce, reuse, recycle").
//!
//! The state is kept once in each branch, so that each model computes its own rows. At one state clean estimates are affine in noise
//! estimates, so the mean of one is the mean of the other: after the ordinary step of each branch a push by the whole factor of the
//! clean estimate, (P - 1)/P · c0 toward the mean of the others, replaces each one's own by the mean of all. Branches then differ by
//! rounding, which every step shrinks by the factor of the state.

use syncline_kernels::ops::couple::MAX_BRANCHES;

use super::grid::{JointGrid, JointStep, ModelLevels};
use super::{check_branches, check_models, evaluations, finish, start};
use crate::error::{Error, Result};
use crate::methods::plan::{Draw, Medium, Op, Plan};
use crate::rng::Purpose;
use crate::schedulers::StepCoefficients;

/// Unadjusted Langevin steps at each level before the step to the next: x + τ/2 · score + √τ ξ with τ = `rate` · β of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Langevin {
    /// How many.
    pub steps: usize,
    /// Size relative to the noise that the following step removes; stable below 4.
    pub rate: f64,
}

/// All switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// Levels.
    pub grid: JointGrid,
    /// Classifier-free guidance of each branch.
    pub guidance: Vec<f64>,
    /// Du et al.; `None`: Liu et al.
    pub langevin: Option<Langevin>,
    /// The branch that becomes the picture, `None`: all, which are the same.
    pub picture: Option<usize>,
}

impl Composed {
    /// The operations. `models`: one for all branches, or one for each.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, models: &[ModelLevels<'_>]) -> Result<Plan> {
        let branches = self.guidance.len();
        check_branches(branches, &self.guidance)?;
        check_models(models.len(), &self.guidance)?;
        let diffusion = matches!(self.grid, JointGrid::Diffusion { .. });
        if let Some(Langevin { rate, .. }) = self.langevin
            && !(diffusion && rate > 0.0 && rate < 4.0)
        {
            let found = format!("rate {rate}, {}", if diffusion { "diffusion" } else { "flow" });
            let expected = "a rate above 0 and below 4, with diffusion models".into();
            return Err(Error::Input { what: "Langevin steps", found, expected });
        }
        let mut ops = start(true);
        for (k, step) in self.grid.resolve(models)?.into_iter().enumerate() {
            for i in 0..self.langevin.map_or(0, |langevin| langevin.steps) {
                let draw = Draw::new(Purpose::Renoise, (1000 * k + i) as u32);
                self.together(&mut ops, langevin(&step, self.langevin.map_or(0.0, |langevin| langevin.rate)), draw);
            }
            self.together(&mut ops, step, Draw::new(Purpose::Step, k as u32));
            ops.push(Op::EndStep { step: k });
        }
        ops.push(finish(self.picture));
        Ok(Plan { branches, ..Plan::new(Medium::Latent, ops) })
    }

    /// One update by the mean of all estimates.
    fn together(&self, ops: &mut Vec<Op>, step: JointStep, draw: Draw) {
        let models: Vec<StepCoefficients> = step.models.iter().map(|model| model.through_clean()).collect();
        let branches = self.guidance.len();
        let share = (branches - 1) as f64 / branches as f64;
        let of = |b: usize| models.get(b).or(models.first()).map_or(0.0, |model| model.next_clean * share);
        let push = std::array::from_fn(|b| if b < branches { of(b) } else { 0.0 });
        debug_assert!(branches <= MAX_BRANCHES);
        ops.extend(evaluations(&JointStep { models, ..step }, &self.guidance, draw.shared(true)));
        ops.push(Op::Couple { push, first_view: 0 });
    }
}

/// A Langevin step at the level of a step: score = (signal · clean - x) / noise².
fn langevin(step: &JointStep, rate: f64) -> JointStep {
    let (level, next) = (step.level, step.next);
    let tau = rate * (1.0 - level.alpha_bar() / next.alpha_bar());
    let half = tau / (2.0 * level.noise * level.noise);
    let update = |own: &StepCoefficients| StepCoefficients {
        next_level: level,
        next_x: 1.0 - half,
        next_out: 0.0,
        next_clean: half * level.signal,
        next_noise: tau.sqrt(),
        ..*own
    };
    JointStep { next: level, level, models: step.models.iter().map(update).collect() }
}
