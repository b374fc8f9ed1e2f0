//! Collaborative score distillation (Kim et al. 2023, arXiv 2307.04787): the views of a latent canvas are particles of one Stein
//! variational gradient descent, so that they change alike.
//!
//! The gradient of view i is (w(t)/B) [ Σ_j K_ij Δ_j + R_i ] with the kernel K and its repulsion R over the noisy views of the step
//! (`kernels::ops::stein`); the canvas follows the mean over the views that saw a texel.
//!
//! | method | Δ | here |
//! |---|---|---|
//! | CSD | ε̂(x_t) − ε | [`Baseline::Noise`] |
//! | CSD-Edit | ε̂(x_t; y) − ε̂(x̃_t), the source x̃ noised alike | [`Baseline::Source`]: an `InstructPix2Pix` model with and without instruction, or a plain one with target and source prompt |
//! | SDS, DDS (Hertz et al. 2023) | the same | without [`Csd::coupling`], or with one view |
//!
//! Several prompts by regions: Δ is their mean, weighed by the area of each region in the view.
//!
//! Known deviations from the paper and its code: the kernel repels (the paper's eq. 8 has the other sign, the code this one); Δ is
//! particle j's (eq. 9 prints i); the median leaves out the diagonal, which makes two particles finite; prompts of one view share
//! its noise, so that the source is estimated once; without the kernel w(t) and 1/B stay (the code drops both for pictures).

#[cfg(test)]
mod tests;

use super::distillation::Weighting;
use super::plan::{
    AdamStep, CanvasReg, Draw, Evaluate, Fusion, Medium, Op, Plan, Reg, Stein, SteinSource, ViewReg, estimate_noise,
    mix,
};
use super::{Bandwidth, Finish};
use crate::error::{Error, Result};
use crate::rng::{Purpose, philox4x32_10};
use crate::schedulers::{Level, NoiseSchedule};

/// What noise estimates are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The noise itself.
    Noise,
    /// The estimate for the source's views.
    Source,
}

/// How the canvas follows its gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// Plain descent, by the mean over the views that saw a texel.
    Sgd {
        /// Learning rate at first.
        rate: f64,
        /// Its factor after each [`Optimiser::Sgd::every`] steps.
        decay: f64,
        /// Steps.
        every: usize,
    },
    /// Adam (Kingma and Ba 2015).
    Adam {
        /// Learning rate.
        rate: f64,
        /// Steps in which it grows from zero.
        warmup: usize,
    },
}

/// All switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Csd {
    /// What estimates are compared with.
    pub baseline: Baseline,
    /// Factor of the source's scaled latents as image latents of an `InstructPix2Pix` model; `None`: a model without. Such models
    /// were trained with unscaled ones: one over the autoencoder's scaling factor. The authors' code has 1.
    pub condition: Option<f64>,
    /// The kernel's bandwidth; `None`: views do not see each other.
    pub coupling: Option<Bandwidth>,
    /// Prompts, each with a region where there are several.
    pub prompts: usize,
    /// Optimisation steps.
    pub iterations: usize,
    /// How the canvas follows.
    pub optimiser: Optimiser,
    /// Classifier-free guidance of target and source. `InstructPix2Pix` models bring theirs.
    pub guidance_scale: [f64; 2],
    /// Lowest timestep drawn.
    pub t_min: usize,
    /// Highest timestep drawn.
    pub t_max: usize,
    /// Weight of a timestep.
    pub weighting: Weighting,
    /// Views at a time; `None`: all of a set. See [`crate::spaces::MiniBatch`].
    pub batch: Option<usize>,
    /// Whether all views get the same noise (as printed); otherwise each its own (the authors' code).
    pub one_noise: bool,
    /// Seed of the timesteps.
    pub seed: u64,
    /// How the picture is made in the end; `None`: the canvas is the result.
    pub finish: Option<Finish>,
}

impl Csd {
    /// CSD-Edit of a panorama or large picture by windows, as the authors' code has it: four windows at a time.
    #[must_use]
    pub fn panorama(seed: u64) -> Self {
        Self {
            baseline: Baseline::Source,
            condition: None,
            coupling: Some(Bandwidth::Guarded),
            prompts: 1,
            iterations: 200,
            optimiser: Optimiser::Sgd { rate: 2.0, decay: 0.9, every: 20 },
            guidance_scale: [7.5; 2],
            t_min: 20,
            t_max: 500,
            weighting: Weighting::Noise,
            batch: Some(4),
            one_noise: false,
            seed,
            finish: None,
        }
    }

    /// CSD-Edit of frames, all together as in the authors' code.
    #[must_use]
    pub fn frames(seed: u64) -> Self {
        let optimiser = Optimiser::Sgd { rate: 0.5, decay: 0.9, every: 20 };
        Self { iterations: 100, optimiser, batch: None, ..Self::panorama(seed) }
    }

    /// CSD-Edit of photos of a scene: 16 at a time as published; the rest is not, and as for frames.
    #[must_use]
    pub fn photos(seed: u64) -> Self {
        Self { batch: Some(16), ..Self::frames(seed) }
    }

    /// DDS of one picture as published: fresh noise shared by both branches, equal weights, 200 steps of 2000 · 0.1/64².
    #[must_use]
    pub fn dds(seed: u64) -> Self {
        let optimiser = Optimiser::Sgd { rate: 2000.0 * 0.1 / 4096.0, decay: 1.0, every: 1 };
        let (t_min, t_max, weighting) = (50, 948, Weighting::Uniform);
        Self { coupling: None, optimiser, t_min, t_max, weighting, batch: None, ..Self::panorama(seed) }
    }

    /// The same for latents of `side` × `side` and a set of `views`. Large ones keep the published numbers. With those, edits of the
    /// built-in models go four times too far (nights get northern lights); 40 steps are enough there, and each view moves as far
    /// whatever their number: with noise of its own it gets 2/(B + 1) of its gradient.
    #[must_use]
    pub fn for_latents(self, side: usize, views: usize) -> Self {
        if side >= 32 {
            return self;
        }
        let at_once = self.batch.unwrap_or(views).min(views);
        // Of few of many views a texel is seen every other step.
        let rate = if at_once < views { 1.0 } else { 0.11 * (at_once + 1) as f64 };
        Self { iterations: 40, optimiser: Optimiser::Sgd { rate, decay: 0.9, every: 20 }, ..self }
    }

    /// Text to canvas: score distillation as [`super::Distillation::sds`] has it, with the kernel.
    #[must_use]
    pub fn generation(iterations: usize, seed: u64) -> Self {
        let optimiser = Optimiser::Adam { rate: 0.1, warmup: iterations / 100 };
        let (t_min, t_max) = (100, 980);
        let (baseline, finish) = (Baseline::Noise, Some(Finish::Views));
        let base = Self { baseline, iterations, optimiser, guidance_scale: [30.0, 1.0], ..Self::panorama(seed) };
        Self { t_min, t_max, batch: None, finish, ..base }
    }

    /// Copies of the views that it needs: one for each prompt, and one for the source where there is one.
    #[must_use]
    pub fn branches(&self) -> usize {
        self.prompts + usize::from(self.baseline != Baseline::Noise)
    }

    /// Whether every number is one that a model with `train` timesteps can run.
    ///
    /// # Errors
    /// [`Error::Input`] with the first that is not.
    pub fn check(&self, train: usize) -> Result<()> {
        let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
        if self.iterations == 0 || self.prompts == 0 {
            let found = format!("{} and {}", self.iterations, self.prompts);
            return refuse("iterations and prompts", found, "at least 1 of each".into());
        }
        if self.t_max >= train || self.t_min > self.t_max || self.t_min == 0 {
            let found = format!("{} to {}", self.t_min, self.t_max);
            return refuse("timesteps", found, format!("a range within 1 to {}", train - 1));
        }
        let (rate, decay) = match self.optimiser {
            Optimiser::Sgd { rate, decay, every } => (rate, if every == 0 { 0.0 } else { decay }),
            Optimiser::Adam { rate, .. } => (rate, 1.0),
        };
        if !(rate > 0.0 && rate.is_finite() && decay > 0.0 && decay <= 1.0) {
            let expected = "a finite rate above 0, decaying by at most 1 every so many steps";
            return refuse("learning rate", format!("{:?}", self.optimiser), expected.into());
        }
        if self.guidance_scale.iter().any(|scale| !scale.is_finite()) {
            return refuse("cfg-scale", format!("{:?}", self.guidance_scale), "finite numbers".into());
        }
        match self.condition {
            Some(factor) if !factor.is_finite() || factor == 0.0 => {
                refuse("factor of image latents", factor.to_string(), "a finite number other than 0".into())
            }
            _ => Ok(()),
        }
    }

    /// The operations: optimisation over the space's sets of views in turn, then the picture. The space has [`Csd::branches`], and
    /// model 0 is the targets', model 1 the source's.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, noise: &NoiseSchedule, sets: usize) -> Result<Plan> {
        self.check(noise.num_train_timesteps())?;
        let mut ops = Vec::new();
        for k in 0..self.iterations {
            ops.push(Op::Look { step: k });
            self.iteration(&mut ops, noise, k)?;
            ops.push(Op::EndStep { step: k });
        }
        match self.finish {
            Some(Finish::Whole) => ops.push(Op::DecodeCanvas),
            Some(Finish::Views) => {
                // Set 0 again. Of the branches' equal views one is decoded.
                ops.push(Op::Look { step: self.iterations.next_multiple_of(sets.max(1)) });
                let state = self.targets(ViewReg::State, 0);
                ops.push(Op::Project { from: CanvasReg::Canvas, to: state, nearest: false });
                ops.push(Op::Fuse { from: state, to: CanvasReg::Picture, fusion: Fusion::Overlap });
            }
            None => {}
        }
        Ok(Plan { branches: self.branches(), ..Plan::new(Medium::Latent, ops) })
    }

    /// A branch's rows, or all where there is but one.
    fn targets(&self, reg: ViewReg, branch: usize) -> Reg {
        if self.branches() == 1 { reg.into() } else { Reg::Branch(reg, branch) }
    }

    fn iteration(&self, ops: &mut Vec<Op>, noise: &NoiseSchedule, k: usize) -> Result<()> {
        let t = self.timestep(k);
        let level = noise.level(t)?;
        // Source and target of a view draw the same numbers.
        let draw = Draw::new(Purpose::Step, k as u32).shared(true);
        let project = |from, to| Op::Project { from, to, nearest: false };
        for prompt in 0..self.prompts {
            ops.push(project(CanvasReg::Canvas, self.targets(ViewReg::Known, prompt)));
        }
        if self.baseline == Baseline::Source {
            ops.push(project(CanvasReg::Source, Reg::Branch(ViewReg::Known, self.prompts)));
        }
        if let Some(factor) = self.condition {
            ops.push(project(CanvasReg::Source, ViewReg::Condition.into()));
            ops.extend((factor != 1.0).then(|| mix(ViewReg::Condition, factor, &[], None)));
        }
        let known = [(ViewReg::Known.into(), level.signal)];
        ops.push(mix(ViewReg::State, 0.0, &known, Some((level.noise, draw))));
        let coefficients = estimate_noise(noise, t)?;
        let evaluate = |model: usize| {
            let scale = self.guidance_scale[model];
            Op::Evaluate(Evaluate::new(coefficients, scale, draw).of(model))
        };
        ops.push(evaluate(0));
        let source = if self.baseline == Baseline::Noise {
            SteinSource::Noise
        } else {
            ops.push(evaluate(1));
            SteinSource::Branch
        };
        let (prompts, coupling, weight) = (self.prompts, self.coupling, self.weighting.at(level));
        ops.push(Op::Stein(Stein { prompts, source, coupling, weight, level }));
        ops.push(Op::Scatter { from: self.targets(ViewReg::Kept, 0) });
        ops.push(self.step(k));
        Ok(())
    }

    fn step(&self, k: usize) -> Op {
        match self.optimiser {
            Optimiser::Sgd { rate, decay, every } => Op::Sgd { rate: rate * decay.powf((k / every) as f64) },
            Optimiser::Adam { rate, warmup } => {
                let rate = rate * ((k + 1) as f64 / warmup.max(1) as f64).min(1.0);
                Op::Adam(AdamStep { rate, betas: [0.9, 0.99], number: k as u32 + 1 })
            }
        }
    }

    /// Uniform over the range, both ends included.
    fn timestep(&self, k: usize) -> usize {
        let words = philox4x32_10([k as u32, 0, 0, 0], [self.seed as u32, (self.seed >> 32) as u32]);
        let unit = (f64::from(words[0]) + 0.5) / 4_294_967_296.0;
        self.t_min + (unit * (self.t_max - self.t_min + 1) as f64) as usize
    }
}

impl Weighting {
    /// w(t).
    pub(super) fn at(self, level: Level) -> f64 {
        match self {
            Self::Uniform => 1.0,
            Self::Noise => level.noise * level.noise,
            Self::Balanced => level.signal * level.noise,
        }
    }
}
