//! Editing by an instruction (Brooks et al. 2023, arXiv 2211.09800): ordinary sampling by a model that sees the picture's latents
//! beside its state.

use super::{EditGrid, PICTURE, begin, finish};
use crate::error::Result;
use crate::methods::plan::{Draw, Evaluate, Op, Plan, ViewReg, Weights, mix};
use crate::rng::Purpose;

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instructed {
    /// Factor of the picture's scaled latents: models were trained with unscaled ones.
    pub condition: f64,
    /// Weights of the model's rows of output.
    pub guidance: Weights,
}

impl Instructed {
    /// The operations, of one branch.
    ///
    /// # Errors
    /// Never, as it stands.
    pub fn plan(&self, grid: &EditGrid) -> Result<Plan> {
        let mut ops = begin();
        ops.push(mix(ViewReg::Condition, 0.0, &[(PICTURE, self.condition)], None));
        let first = Draw::new(Purpose::Initial, 0);
        let level = grid.level(0);
        ops.push(mix(ViewReg::State, 0.0, &[], Some((level.signal.hypot(level.noise), first))));
        for (k, step) in grid.steps.iter().enumerate() {
            let draw = Draw::new(Purpose::Step, k as u32);
            let deterministic = grid.deterministic(k);
            let step = if k + 1 == grid.len() { *step } else { deterministic };
            ops.push(Op::Evaluate(Evaluate::new(step, self.guidance, draw)));
            ops.push(Op::EndStep { step: k });
        }
        Ok(finish(ops, 1))
    }
}
