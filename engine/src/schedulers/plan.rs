//! A sampler as data: what to multiply with what, step by step.

use super::names::{PredictionType, SigmaSchedule, TimestepSpacing};

/// How much of the clean image and of unit noise a state holds: x = signal · clean + noise · eps.
///
/// Two conventions occur. Variance preserving (DDIM, DPM-Solver++, DDPM): signal² + noise² = 1. Variance exploding
/// (Euler): signal = 1, noise = sigma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Factor of the clean image.
    pub signal: f64,
    /// Factor of unit noise.
    pub noise: f64,
}

impl Level {
    /// No noise left.
    pub const CLEAN: Level = Level { signal: 1.0, noise: 0.0 };

    /// sqrt(alpha_bar) and sqrt(1 - alpha_bar).
    pub fn variance_preserving(alpha_bar: f64) -> Self {
        Self { signal: alpha_bar.sqrt(), noise: (1.0 - alpha_bar).sqrt() }
    }

    /// 1 and sigma.
    pub const fn variance_exploding(sigma: f64) -> Self {
        Self { signal: 1.0, noise: sigma }
    }

    /// The variance-preserving level with this ratio of noise to signal.
    pub fn from_sigma(sigma: f64) -> Self {
        let signal = 1.0 / (sigma * sigma + 1.0).sqrt();
        Self { signal, noise: sigma * signal }
    }

    /// Ratio of noise to signal: the sigma of Karras et al. Infinite where there is no signal.
    pub fn sigma(self) -> f64 {
        self.noise / self.signal
    }

    /// Share of signal in the variance, whichever the convention.
    pub fn alpha_bar(self) -> f64 {
        let (s, n) = (self.signal * self.signal, self.noise * self.noise);
        s / (s + n)
    }
}

/// One step: everything a sampler does to a state x, given the model's (guided) output.
///
/// ```text
/// out        = model(x · input_scale, timestep)
/// clean      = clean_x · x + clean_out · out
/// x'         = next_x · x + next_out · out + next_clean · clean + next_prev_clean · clean(previous step) + next_noise · eps
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepCoefficients {
    /// What the model gets as its time. Integers except for Euler with linspace spacing or a shaped sigma schedule.
    pub timestep: f64,
    /// What x holds before the step.
    pub level: Level,
    /// What x' is meant to hold. Not always the level of the following step: DDIM counts back by train/steps whatever
    /// the spacing, as diffusers does.
    pub next_level: Level,
    /// The model's input is x times this.
    pub input_scale: f64,
    /// Factor of x in the clean estimate.
    pub clean_x: f64,
    /// Factor of the model's output in the clean estimate.
    pub clean_out: f64,
    /// Factor of x in x'.
    pub next_x: f64,
    /// Factor of the model's output in x'.
    pub next_out: f64,
    /// Factor of the clean estimate in x'.
    pub next_clean: f64,
    /// Factor of the previous step's clean estimate in x'; zero in the first step of a plan.
    pub next_prev_clean: f64,
    /// Factor of fresh unit noise in x'.
    pub next_noise: f64,
}

impl StepCoefficients {
    /// A step that leaves x' to be filled in, with the clean estimate for what the model predicts.
    pub(crate) fn at(timestep: f64, level: Level, next_level: Level, prediction: PredictionType) -> Self {
        let Level { signal, noise } = level;
        // Written for x = signal · clean + noise · eps in either convention; v is defined on the unit-variance state.
        let norm = unit_if_near(signal.hypot(noise));
        let (clean_x, clean_out) = match prediction {
            PredictionType::Epsilon => (1.0 / signal, -noise / signal),
            PredictionType::VPrediction => (signal / (norm * norm), -noise / norm),
            PredictionType::Sample => (0.0, 1.0),
        };
        Self {
            timestep,
            level,
            next_level,
            input_scale: 1.0 / norm,
            clean_x,
            clean_out,
            next_x: 0.0,
            next_out: 0.0,
            next_clean: 0.0,
            next_prev_clean: 0.0,
            next_noise: 0.0,
        }
    }

    /// The same step with x' written in x and the clean estimate alone (`next_out` is zero): for methods that replace
    /// the clean estimate before the update, and mean the noise estimate to follow it.
    pub fn through_clean(self) -> Self {
        if self.next_out == 0.0 || self.clean_out == 0.0 {
            return self;
        }
        let per_clean = self.next_out / self.clean_out;
        Self {
            next_out: 0.0,
            next_clean: self.next_clean + per_clean,
            next_x: self.next_x - per_clean * self.clean_x,
            ..self
        }
    }

    /// One element of the step: (x', clean).
    pub fn advance(&self, x: f64, out: f64, prev_clean: f64, eps: f64) -> (f64, f64) {
        let clean = self.clean_x * x + self.clean_out * out;
        let next = self.next_x * x
            + self.next_out * out
            + self.next_clean * clean
            + self.next_prev_clean * prev_clean
            + self.next_noise * eps;
        (next, clean)
    }
}

/// Exactly one for variance-preserving levels, whose norm is one but for the last bit.
fn unit_if_near(norm: f64) -> f64 {
    if (norm - 1.0).abs() < 1e-12 { 1.0 } else { norm }
}

/// A whole run of a sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingPlan {
    /// The initial state is unit noise times this, if the plan starts from noise. A plan that starts from an image
    /// instead noises it to [`SamplingPlan::start_level`].
    pub init_noise_sigma: f64,
    /// The steps to run, noisiest first.
    pub steps: Vec<StepCoefficients>,
}

impl SamplingPlan {
    /// The level to noise an image to before the first step (diffusers' `add_noise` for that scheduler).
    pub fn start_level(&self) -> Level {
        self.steps.first().map_or(Level::CLEAN, |s| s.level)
    }

    /// Whether any step draws fresh noise.
    pub fn draws_noise(&self) -> bool {
        self.steps.iter().any(|s| s.next_noise != 0.0)
    }
}

/// Where in the schedule a run starts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Start {
    /// With the first step, from noise.
    #[default]
    Noise,
    /// Image to image: run the last int(steps · strength) steps, as diffusers' img2img pipelines do. In (0, 1].
    Strength(f64),
    /// With this step, counted from the noisiest.
    Index(usize),
}

/// What [`plan`](super::plan()) needs besides the method and the schedule of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanOptions {
    /// Number of steps of the whole schedule, before [`PlanOptions::start`] drops some.
    pub steps: usize,
    /// Which noise levels the steps visit.
    pub sigma_schedule: SigmaSchedule,
    /// Which timesteps the steps visit; `None` is the method's own default in diffusers.
    pub spacing: Option<TimestepSpacing>,
    /// Share of fresh noise. DDIM: 0 is deterministic (its default), 1 is ancestral. Euler a: 1 is its default.
    /// The other methods have none to set.
    pub eta: Option<f64>,
    /// Where to start.
    pub start: Start,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { steps: 20, sigma_schedule: SigmaSchedule::Discrete, spacing: None, eta: None, start: Start::Noise }
    }
}
