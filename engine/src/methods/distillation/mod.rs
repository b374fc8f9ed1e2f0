//! Score distillation on a latent canvas: the canvas is optimised until its views, noised, are what the model expects.
//!
//! The gradient of a view x at level t is w(t) (ε̂(x_t) − ε), carried to the canvas by the adjoint of projection; Adam
//! follows it. The methods differ in ε:
//!
//! | method | ε | here |
//! |---|---|---|
//! | SDS (Poole et al. 2022, DreamFusion) | fresh noise | [`Target::Noise`] |
//! | SDI (Lukoianov et al. 2024), as the StochSync code has it | noise that DDIM inversion of the view finds, with negative guidance | [`Target::Inversion`] |
//! | ISM (Liang et al. 2023, LucidDreamer) | the unconditional estimate a step below, on the view's own inversion path | [`Target::Interval`] |
//!
//! Known deviations from the authors' code: canvases are latent (nothing is differentiated through an encoder), projection is
//! bilinear, the inversion never asks for a timestep below 0, and t is the timestep that ε belongs to.

use super::Finish;
use super::plan::{AdamStep, CanvasReg, Draw, Evaluate, Medium, Op, Plan, Reg, ViewReg, estimate_noise, mix, picture};
use super::transition::Transition;
use crate::error::{Error, Result};
use crate::rng::{Purpose, philox4x32_10};
use crate::schedulers::NoiseSchedule;

/// What the noise estimate is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Fresh noise.
    Noise,
    /// The noise of the view's DDIM inversion.
    Inversion {
        /// Guidance of the inversion; -7.5 published.
        guidance: f64,
        /// Inversion steps over the whole range.
        steps: usize,
        /// Fresh noise on top of what inversion finds; 0.3 published.
        extra: f64,
    },
    /// The unconditional estimate at a timestep below.
    Interval {
        /// How far below at the end; 50 or 80 published.
        below: usize,
        /// Longest jump of the inversion; 200 published.
        jump: usize,
    },
}

/// Weight of a timestep's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// 1.
    Uniform,
    /// 1 − ᾱ (DreamFusion).
    Noise,
    /// √(ᾱ (1 − ᾱ)).
    Balanced,
}

/// All switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Distillation {
    /// What the noise estimate is compared with.
    pub target: Target,
    /// Optimisation steps.
    pub iterations: usize,
    /// Adam's learning rate.
    pub rate: f64,
    /// Steps in which the rate grows from zero.
    pub warmup: usize,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// Highest timestep.
    pub t_max: usize,
    /// Lowest timestep.
    pub t_min: usize,
    /// Whether t falls from `t_max` to `t_min` instead of being drawn.
    pub annealed: bool,
    /// Weight of a timestep.
    pub weighting: Weighting,
    /// Seed of the timesteps.
    pub seed: u64,
}

impl Distillation {
    /// SDS as the StochSync authors ran it, but for the number of iterations (theirs: 10 000).
    #[must_use]
    pub fn sds(iterations: usize, seed: u64) -> Self {
        let (warmup, weighting) = (iterations / 100, Weighting::Noise);
        Self {
            target: Target::Noise,
            iterations,
            rate: 0.1,
            warmup,
            guidance_scale: 30.0,
            t_max: 980,
            t_min: 100,
            annealed: false,
            weighting,
            seed,
        }
    }

    /// SDI as the StochSync authors ran it, but for the number of iterations.
    #[must_use]
    pub fn sdi(iterations: usize, seed: u64) -> Self {
        let target = Target::Inversion { guidance: -7.5, steps: 10, extra: 0.3 };
        let base = Self::sds(iterations, seed);
        Self { target, rate: 0.01, guidance_scale: 7.5, t_max: 999, t_min: 0, annealed: true, ..base }
    }

    /// ISM as the StochSync authors ran it, but for the number of iterations (theirs: 2 000).
    #[must_use]
    pub fn ism(iterations: usize, seed: u64) -> Self {
        let target = Target::Interval { below: 50, jump: 200 };
        let base = Self::sds(iterations, seed);
        let weighting = Weighting::Balanced;
        Self { target, rate: 0.03, guidance_scale: 7.5, t_max: 980, t_min: 20, weighting, ..base }
    }

    /// Whether every number is one that a model with `train` timesteps can run.
    ///
    /// # Errors
    /// [`Error::Input`] with the first that is not.
    pub fn check(&self, train: usize) -> Result<()> {
        let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
        if self.iterations == 0 {
            return refuse("iterations", "0".into(), "at least 1".into());
        }
        if self.t_max >= train || self.t_min > self.t_max {
            let found = format!("{} to {}", self.t_min, self.t_max);
            return refuse("timesteps", found, format!("a range within 0 to {}", train - 1));
        }
        if !(self.rate > 0.0 && self.rate.is_finite() && self.guidance_scale.is_finite()) {
            let found = format!("{} and {}", self.rate, self.guidance_scale);
            return refuse("learning rate and cfg-scale", found, "finite numbers, the rate above 0".into());
        }
        Ok(())
    }

    /// The operations: optimisation over the space's sets of views in turn, then the picture from set 0.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, noise: &NoiseSchedule, sets: usize) -> Result<Plan> {
        self.check(noise.num_train_timesteps())?;
        let mut ops = Vec::new();
        for k in 0..self.iterations {
            let t = self.timestep(k, noise.num_train_timesteps());
            ops.push(Op::Look { step: k });
            ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::Known.into(), nearest: false });
            match self.target {
                Target::Noise => self.against_noise(&mut ops, noise, k, t)?,
                Target::Inversion { guidance, steps, extra } => {
                    self.against_inversion(&mut ops, noise, (k, t), (guidance, steps, extra))?;
                }
                Target::Interval { below, jump } => self.against_interval(&mut ops, noise, (k, t), (below, jump))?,
            }
            ops.push(Op::Scatter { from: ViewReg::Clean.into() });
            let rate = self.rate * ((k + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
            ops.push(Op::Adam(AdamStep { rate, betas: [0.9, 0.99], number: k as u32 + 1 }));
            ops.push(Op::EndStep { step: k });
        }
        // Set 0 again.
        ops.push(Op::Look { step: self.iterations.next_multiple_of(sets.max(1)) });
        picture(&mut ops, true, Finish::Views);
        Ok(Plan::new(Medium::Latent, ops))
    }

    /// A uniform number of iteration k.
    fn uniform(&self, k: usize, which: u32) -> f64 {
        let words = philox4x32_10([k as u32, which, 0, 0], [self.seed as u32, (self.seed >> 32) as u32]);
        (f64::from(words[0]) + 0.5) / 4_294_967_296.0
    }

    fn timestep(&self, k: usize, train: usize) -> usize {
        let (low, high) = (self.t_min as f64, self.t_max as f64);
        let u = if self.annealed { 1.0 - k as f64 / self.iterations as f64 } else { self.uniform(k, 0) };
        // ISM narrows its range over the first 1 500 of 5 000 iterations.
        let share = if matches!(self.target, Target::Interval { .. }) { self.early(k) } else { 1.0 };
        let top = if share < 1.0 { low + (high - low) * (0.5 + 0.5 * share) } else { high };
        ((low + u * (top - low)) as usize).clamp(1, train - 1)
    }

    /// 1 at the beginning, 0 from three tenths of the iterations on.
    fn early(&self, k: usize) -> f64 {
        1.0 - (k as f64 / (0.3 * self.iterations as f64)).min(1.0)
    }

    fn against_noise(&self, ops: &mut Vec<Op>, noise: &NoiseSchedule, k: usize, t: usize) -> Result<()> {
        let level = noise.level(t)?;
        let draw = Draw::new(Purpose::Step, k as u32);
        ops.push(mix(ViewReg::State, 0.0, &[(known(), level.signal)], Some((level.noise, draw))));
        ops.push(self.evaluate_noise(noise, t, self.guidance_scale, draw)?);
        // w (ε̂ − ε) with ε = (x_t − √ᾱ x) / σ.
        let w = self.weighting.at(level);
        let terms = [(ViewReg::State.into(), -w / level.noise), (known(), w * level.signal / level.noise)];
        ops.push(mix(ViewReg::Clean, w, &terms, None));
        Ok(())
    }

    fn against_inversion(
        &self,
        ops: &mut Vec<Op>,
        noise: &NoiseSchedule,
        (k, t): (usize, usize),
        (guidance, steps, extra): (f64, usize, f64),
    ) -> Result<()> {
        let train = noise.num_train_timesteps();
        let draw = Draw::new(Purpose::Step, k as u32);
        ops.push(mix(ViewReg::State, 0.0, &[(known(), 1.0)], None));
        let mut nodes: Vec<usize> = (0..steps).map(|i| i * train / steps).filter(|node| *node < t).collect();
        nodes.push(t);
        self.invert(ops, noise, &nodes, (guidance, draw))?;
        let level = noise.level(t)?;
        let terms = [(ViewReg::State.into(), 1.0 / level.noise), (known(), -level.signal / level.noise)];
        let fresh = (extra != 0.0).then_some((extra * level.noise, draw));
        ops.push(mix(ViewReg::Kept, 0.0, &terms, fresh));
        let terms = [(known(), level.signal), (ViewReg::Kept.into(), level.noise)];
        ops.push(mix(ViewReg::State, 0.0, &terms, None));
        ops.push(self.evaluate_noise(noise, t, self.guidance_scale, draw)?);
        let w = self.weighting.at(level);
        ops.push(mix(ViewReg::Clean, w, &[(ViewReg::Kept.into(), -w)], None));
        Ok(())
    }

    fn against_interval(
        &self,
        ops: &mut Vec<Op>,
        noise: &NoiseSchedule,
        (k, t): (usize, usize),
        (below, jump): (usize, usize),
    ) -> Result<()> {
        let draw = Draw::new(Purpose::Step, k as u32);
        let delta = below as f64 + self.early(k) * (100.0f64.max(below as f64) - below as f64);
        let s = t.saturating_sub(delta as usize);
        let start = noise.level(0)?;
        ops.push(mix(ViewReg::State, 0.0, &[(known(), start.signal)], Some((start.noise, draw))));
        let mut nodes: Vec<usize> = (0..s).step_by(jump.max(1)).collect();
        nodes.push(s);
        self.invert(ops, noise, &nodes, (0.0, draw))?;
        // The estimate at s is kept in Clean; the state goes on to t.
        ops.push(if s < t {
            self.inversion_step(noise, [s, t], (0.0, draw))?
        } else {
            self.evaluate_noise(noise, t, 0.0, draw)?
        });
        ops.push(mix(ViewReg::Kept, 0.0, &[(ViewReg::Clean.into(), 1.0)], None));
        ops.push(self.evaluate_noise(noise, t, self.guidance_scale, draw)?);
        let w = self.weighting.at(noise.level(t)?);
        ops.push(mix(ViewReg::Clean, w, &[(ViewReg::Kept.into(), -w)], None));
        Ok(())
    }

    /// DDIM upwards over the nodes.
    fn invert(
        &self,
        ops: &mut Vec<Op>,
        noise: &NoiseSchedule,
        nodes: &[usize],
        (guidance, draw): (f64, Draw),
    ) -> Result<()> {
        for pair in nodes.windows(2).filter(|pair| pair[0] < pair[1]) {
            ops.push(self.inversion_step(noise, [pair[0], pair[1]], (guidance, draw))?);
        }
        Ok(())
    }

    /// The state from one timestep to a higher one by its noise estimate, which stays in [`ViewReg::Clean`].
    fn inversion_step(
        &self,
        noise: &NoiseSchedule,
        [from, to]: [usize; 2],
        (guidance, draw): (f64, Draw),
    ) -> Result<Op> {
        let step = Transition { timestep: from, level: noise.level(from)?, next: noise.level(to)?, sigma: 0.0 };
        let update = step.coefficients(noise)?;
        let eps = estimate_noise(noise, from)?;
        let coefficients =
            crate::schedulers::StepCoefficients { next_x: update.next_x, next_out: update.next_out, ..eps };
        Ok(Op::Evaluate(Evaluate::new(coefficients, guidance, draw)))
    }

    /// The noise estimate in [`ViewReg::Clean`]; the state stays.
    fn evaluate_noise(&self, noise: &NoiseSchedule, t: usize, guidance: f64, draw: Draw) -> Result<Op> {
        Ok(Op::Evaluate(Evaluate::new(estimate_noise(noise, t)?, guidance, draw)))
    }
}

fn known() -> Reg {
    Reg::View(ViewReg::Known)
}
