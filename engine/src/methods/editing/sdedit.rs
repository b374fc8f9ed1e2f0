//! SDEdit (Meng et al. 2021, arXiv 2108.01073): the picture, noised to a level, and sampled from there with the target's prompt.

use super::{EditGrid, Form, PICTURE, begin, check_guidance, finish};
use crate::error::Result;
use crate::methods::plan::{Draw, Evaluate, Op, Plan, ViewReg, mix};
use crate::rng::Purpose;

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SdEdit {
    /// Index of the first level, from 1.
    pub start: usize,
    /// Classifier-free guidance.
    pub guidance: f64,
}

impl SdEdit {
    /// The operations, of one branch.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, grid: &EditGrid) -> Result<Plan> {
        grid.check_start(self.start)?;
        check_guidance(&[self.guidance])?;
        let level = grid.level(self.start);
        let mut ops = begin();
        let noise = Draw::new(Purpose::Initial, 0);
        ops.push(mix(ViewReg::State, 0.0, &[(PICTURE, level.signal)], Some((level.noise, noise))));
        for i in self.start..grid.len() {
            let k = i - self.start;
            let draw = Draw::new(Purpose::Step, k as u32);
            // Ancestral steps of diffusion models, as the paper's; flow models have the probability flow.
            let step = if grid.form == Form::Diffusion { grid.steps[i] } else { grid.deterministic(i) };
            ops.push(Op::Evaluate(Evaluate::new(step, self.guidance, draw)));
            ops.push(Op::EndStep { step: k });
        }
        Ok(finish(ops, 1))
    }
}
