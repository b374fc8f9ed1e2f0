//! Editing by the picture's own noise: DDIM inversion under the source's prompt, sampling under the target's (Song et al. 2020,
//! Mokady et al. 2022), and RF-Inversion (Rout et al. 2024, arXiv 2410.10792), which pulls the way up to one fixed noise and the way
//! down to the picture.

use super::{EditGrid, PICTURE, begin, check_guidance, finish};
use crate::error::{Error, Result};
use crate::methods::plan::{Draw, Evaluate, Op, Plan, Reg, ViewReg, mix};
use crate::rng::Purpose;
use crate::schedulers::StepCoefficients;

/// RF-Inversion's controllers, for levels in the terms of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pull {
    /// How much of the way up goes to a fixed noise: γ, 0.5 published.
    pub up: f64,
    /// How much of the way down goes to the picture: η, 0.9 published.
    pub down: f64,
    /// In how many of the first steps down.
    pub steps: usize,
}

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inversion {
    /// Index that inversion goes up to and sampling comes down from; 0 is all the way.
    pub start: usize,
    /// Guidance on the way up, with the source's prompt, and on the way down, with the target's.
    pub guidance: [f64; 2],
    /// RF-Inversion's controllers; without them it is DDIM inversion.
    pub pull: Option<Pull>,
}

/// Branch 0 goes up, branch 1 down.
const UP: Reg = Reg::Branch(ViewReg::State, 0);
const DOWN: Reg = Reg::Branch(ViewReg::State, 1);
/// The fixed noise; then what inversion found.
const NOISE: Reg = Reg::Branch(ViewReg::Kept, 0);

impl Inversion {
    fn check(&self, grid: &EditGrid) -> Result<()> {
        if self.start > grid.len() {
            let expected = format!("0 to {}", grid.len());
            return Err(Error::Input { what: "start index", found: self.start.to_string(), expected });
        }
        let pulls = self.pull.map_or([0.0; 2], |pull| [pull.up, pull.down]);
        if pulls.iter().any(|pull| !(0.0..=1.0).contains(pull)) {
            let found = format!("{} and {}", pulls[0], pulls[1]);
            return Err(Error::Input { what: "pull up and down", found, expected: "numbers from 0 to 1".into() });
        }
        if self.pull.is_some() && grid.form != super::Form::Flow {
            return Err(Error::Input {
                what: "RF-Inversion",
                found: "the diffusion form".into(),
                expected: "levels in the terms of a flow, or no pull".into(),
            });
        }
        check_guidance(&self.guidance)
    }

    /// The operations.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, grid: &EditGrid) -> Result<Plan> {
        self.check(grid)?;
        let mut ops = begin();
        if self.pull.is_some() {
            ops.push(mix(NOISE, 0.0, &[], Some((1.0, Draw::new(Purpose::Initial, 0)))));
        }
        ops.push(mix(UP, 0.0, &[(PICTURE, 1.0)], None));
        let steps = grid.len() - self.start;
        for (k, i) in (self.start..grid.len()).rev().enumerate() {
            // What the step is, but for the pull, moves the state by δ · velocity.
            let remaining = grid.level(i + 1).signal;
            let delta = grid.level(i).noise - grid.level(i + 1).noise;
            let share = self.pull.map_or(0.0, |pull| pull.up);
            let to = (NOISE, share * delta / remaining);
            self.step(&mut ops, (0, k), &grid.inverse(i), (share, to));
        }
        // By way of another register: a sum cannot read the one it writes.
        ops.push(mix(NOISE, 0.0, &[(UP, 1.0)], None));
        ops.push(mix(DOWN, 0.0, &[(NOISE, 1.0)], None));
        for (k, i) in (self.start..grid.len()).enumerate() {
            let active = self.pull.filter(|pull| k < pull.steps);
            let delta = grid.level(i).noise - grid.level(i + 1).noise;
            let share = active.map_or(0.0, |pull| pull.down);
            let to = (PICTURE, share * delta / grid.level(i).noise);
            self.step(&mut ops, (1, steps + k), &grid.deterministic(i), (share, to));
        }
        Ok(finish(ops, 2))
    }

    /// x' = (1 - share) (step of x) + share · x + factor · (to - x).
    fn step(
        &self,
        ops: &mut Vec<Op>,
        (branch, k): (usize, usize),
        step: &StepCoefficients,
        (share, (to, factor)): (f64, (Reg, f64)),
    ) {
        let draw = Draw::new(Purpose::Step, k as u32);
        let left = 1.0 - share;
        let pulled = StepCoefficients {
            next_x: left * step.next_x + share - factor,
            next_out: left * step.next_out,
            next_clean: left * step.next_clean,
            ..*step
        };
        ops.push(Op::Evaluate(Evaluate::new(pulled, self.guidance[branch], draw).of(branch)));
        if factor != 0.0 {
            ops.push(mix([UP, DOWN][branch], 1.0, &[(to, factor)], None));
        }
        ops.push(Op::EndStep { step: k });
    }
}
