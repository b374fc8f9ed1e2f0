//! Editing by an instruction (Brooks et al. 2023, arXiv 2211.09800): ordinary sampling, from noise, by a model that sees the
//! picture's latents beside its state.

use super::{EditGrid, PICTURE, begin, finish};
use crate::methods::plan::{Draw, Evaluate, Op, Plan, ViewReg, mix};
use crate::rng::Purpose;

/// The switch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instructed {
    /// Factor of the picture's scaled latents beside the state: models were trained with unscaled ones.
    pub condition: f64,
}

impl Instructed {
    /// The operations, of one branch: steps of the probability flow. Guidance is the model's own.
    #[must_use]
    pub fn plan(&self, grid: &EditGrid) -> Plan {
        let mut ops = begin();
        ops.push(mix(ViewReg::Condition, 0.0, &[(PICTURE, self.condition)], None));
        let level = grid.level(0);
        let first = Draw::new(Purpose::Initial, 0);
        ops.push(mix(ViewReg::State, 0.0, &[], Some((level.signal.hypot(level.noise), first))));
        for k in 0..grid.len() {
            let draw = Draw::new(Purpose::Step, k as u32);
            ops.push(Op::Evaluate(Evaluate::new(grid.deterministic(k), 1.0, draw)));
            ops.push(Op::EndStep { step: k });
        }
        finish(ops, 1)
    }
}
