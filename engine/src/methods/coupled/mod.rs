//! Coupled Diffusion Sampling (Alzayer et al. 2025, <https://arxiv.org/abs/2510.14981>): several trajectories, each with its own
//! model or prompt, take their ordinary steps, and after each step every one is pushed toward the others' clean estimates:
//!
//! ```text
//! x_k' = c0 clean_k + ct x_k + sigma xi_k  +  lambda_k sqrt(1 - alpha_bar') (mean over j != k of clean_j - clean_k)
//! ```
//!
//! with the old estimates on both sides, and the factor of the *next* level: so the last step, which ends at ᾱ' = 1, is not pushed.
//! Rectified flows: ODE step and s' in place of sqrt(1 - ᾱ'). One branch of the plan for each trajectory, one dispatch per step for
//! all pushes.
//!
//! The paper assumes that all models share one table of noise levels, which those it names do not: here there is one joint grid, and
//! each model gets the timestep of its own table that has the nearest sigma ([`JointGrid`]).

mod composed;
mod grid;
#[cfg(test)]
mod tests;

use syncline_kernels::ops::couple::MAX_BRANCHES;

pub use composed::{Composed, Langevin};
pub use grid::{FlowStep, JointGrid, JointStep, ModelLevels};

use super::plan::{CanvasReg, Draw, Evaluate, Fusion, Medium, Op, Plan, Reg, ViewReg, mix};
use crate::error::{Error, Result};
use crate::rng::Purpose;
use crate::schedulers::{Level, StepCoefficients};

/// Steps that the strength of the coupling is told for: what accumulates over a run is about lambda · steps.
const LAMBDA_STEPS: f64 = 50.0;

/// All switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Coupled {
    /// Levels.
    pub grid: JointGrid,
    /// Classifier-free guidance of each branch, before the coupling.
    pub guidance: Vec<f64>,
    /// How strongly each branch is pushed toward the others.
    pub lambda: Vec<f64>,
    /// Whether `lambda` is meant for 50 steps, and changes with their number so that the whole push stays about the same.
    pub rescale: bool,
    /// Steps that are coupled, counted from 0 at the noisiest.
    pub window: [usize; 2],
    /// Views of each branch below this one are not pushed (a view that is given).
    pub first_view: usize,
    /// Whether all branches begin with the same noise.
    pub shared_init: bool,
    /// Whether all branches draw the same noise in their steps.
    pub shared_noise: bool,
    /// The branch that becomes the picture; `None`: all of them, where the space has a place for each.
    pub picture: Option<usize>,
}

impl Coupled {
    /// `branches` trajectories with one strength, all steps coupled, noise of their own.
    #[must_use]
    pub fn new(branches: usize, grid: JointGrid, guidance: f64, lambda: f64) -> Self {
        Self {
            grid,
            guidance: vec![guidance; branches],
            lambda: vec![lambda; branches],
            rescale: true,
            window: [0, usize::MAX],
            first_view: 0,
            shared_init: false,
            shared_noise: false,
            picture: None,
        }
    }

    /// Number of trajectories.
    #[must_use]
    pub fn branches(&self) -> usize {
        self.lambda.len()
    }

    /// Factor from `lambda` to what a step of this run is coupled with.
    fn scale(&self) -> f64 {
        if self.rescale { LAMBDA_STEPS / self.grid.steps().max(1) as f64 } else { 1.0 }
    }

    /// Whether every number is one that can be run.
    ///
    /// # Errors
    /// [`Error::Input`] with the first that is not.
    pub fn check(&self) -> Result<()> {
        let refuse = |what, found: String, expected: &str| Err(Error::Input { what, found, expected: expected.into() });
        check_branches(self.branches(), &self.guidance)?;
        if let Some(lambda) = self.lambda.iter().find(|lambda| !(lambda.is_finite() && **lambda >= 0.0)) {
            return refuse("lambda", lambda.to_string(), "0 (uncoupled) or more");
        }
        if self.window[0] > self.window[1] {
            return refuse(
                "coupled steps",
                format!("{} to {}", self.window[0], self.window[1]),
                "a first one not after the last",
            );
        }
        if self.picture.is_some_and(|branch| branch >= self.branches()) {
            return refuse("branch of the picture", format!("{:?}", self.picture), "one of the branches");
        }
        Ok(())
    }

    /// The operations. `models`: one for all branches (a batch with other prompts), or one for each.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, models: &[ModelLevels<'_>]) -> Result<Plan> {
        self.check()?;
        check_models(models.len(), &self.guidance)?;
        let mut ops = start(self.shared_init);
        for (k, step) in self.grid.resolve(models)?.iter().enumerate() {
            let draw = Draw::new(Purpose::Step, k as u32).shared(self.shared_noise);
            ops.extend(evaluations(step, &self.guidance, draw));
            let push = self.pushes(k, step);
            if push.iter().any(|push| *push != 0.0) {
                ops.push(Op::Couple { push, first_view: self.first_view });
            }
            ops.push(Op::EndStep { step: k });
        }
        ops.push(finish(self.picture));
        Ok(Plan { branches: self.branches(), ..Plan::new(Medium::Latent, ops) })
    }

    /// What each branch is pushed with in a step.
    fn pushes(&self, k: usize, step: &JointStep) -> [f64; MAX_BRANCHES] {
        let coupled = (self.window[0]..self.window[1]).contains(&k);
        let factor = if coupled { self.scale() * spread(step.next) } else { 0.0 };
        std::array::from_fn(|b| self.lambda.get(b).map_or(0.0, |lambda| lambda * factor))
    }

    /// Strengths beyond which the coupling overshoots where a network's output does not depend on its input: see [`Bounds`].
    ///
    /// # Errors
    /// When the grid is refused.
    pub fn bounds(&self, models: &[ModelLevels<'_>]) -> Result<Bounds> {
        let steps = self.grid.resolve(models)?;
        // Everybody's difference to the others' mean shrinks by this for each unit of lambda.
        let count = self.branches() as f64;
        let others = count / (count - 1.0);
        let mut bounds = Bounds { overshoots: f64::INFINITY, diverges: f64::INFINITY };
        let coupled = steps.iter().enumerate().filter(|(k, _)| (self.window[0]..self.window[1]).contains(k));
        for step in coupled.flat_map(|(_, step)| &step.models) {
            let pull = self.scale() * others * spread(step.next_level) * step.clean_x;
            if pull > 0.0 {
                let own = step.next_x + step.next_clean * step.clean_x;
                bounds.overshoots = bounds.overshoots.min(own / pull);
                bounds.diverges = bounds.diverges.min((own + 1.0) / pull);
            }
        }
        Ok(bounds)
    }
}

/// Where coupling stops helping, in the same terms as [`Coupled::lambda`] (the mean of all branches). Exact for a network whose
/// output is zero, whose differences grow most (every step multiplies them by `c0 q + ct - lambda P/(P-1) sqrt(1 - ᾱ') q`, q the
/// factor of x in the clean estimate); trained ones bear more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// A step's factor is negative from here on: trajectories change places instead of meeting.
    pub overshoots: f64,
    /// A step's factor is below -1 from here on: they part.
    pub diverges: f64,
}

/// Deviation of the noise in a state.
fn spread(level: Level) -> f64 {
    level.noise
}

fn check_branches(branches: usize, guidance: &[f64]) -> Result<()> {
    let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
    if !(2..=MAX_BRANCHES).contains(&branches) {
        return refuse("coupled trajectories", branches.to_string(), format!("2 to {MAX_BRANCHES}"));
    }
    if guidance.len() != branches {
        return refuse("guidance scales", guidance.len().to_string(), format!("{branches}, one for each trajectory"));
    }
    match guidance.iter().find(|scale| !scale.is_finite()) {
        Some(scale) => refuse("cfg-scale", scale.to_string(), "a finite number".into()),
        None => Ok(()),
    }
}

/// One model for each branch, or one for all; that one is guided in one way.
fn check_models(models: usize, guidance: &[f64]) -> Result<()> {
    if models != 1 && models != guidance.len() {
        let expected = format!("1 for all {} trajectories, or one for each", guidance.len());
        return Err(Error::Input { what: "models", found: models.to_string(), expected });
    }
    if models == 1 && guidance.iter().any(|scale| *scale != guidance[0]) {
        let expected = "one scale where one model draws all trajectories in a batch".into();
        return Err(Error::Input { what: "guidance scales", found: format!("{guidance:?}"), expected });
    }
    Ok(())
}

/// Looks, and fills all states with noise.
fn start(shared: bool) -> Vec<Op> {
    let draw = Draw::new(Purpose::Initial, 0).shared(shared);
    vec![Op::Look { step: 0 }, mix(ViewReg::State, 0.0, &[], Some((1.0, draw)))]
}

/// The ordinary steps of all models.
fn evaluations<'a>(step: &'a JointStep, guidance: &'a [f64], draw: Draw) -> impl Iterator<Item = Op> + 'a {
    let of = move |(m, c): (usize, &StepCoefficients)| Op::Evaluate(Evaluate::new(*c, guidance[m], draw).of(m));
    step.models.iter().enumerate().map(of)
}

/// The picture of the final states.
fn finish(branch: Option<usize>) -> Op {
    let from = branch.map_or(Reg::View(ViewReg::State), |branch| Reg::Branch(ViewReg::State, branch));
    Op::Fuse { from, to: CanvasReg::Picture, fusion: Fusion::Overlap }
}
