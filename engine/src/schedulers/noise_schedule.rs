//! The forward process a model was trained with: alpha_bar over the training timesteps.
//!
//! diffusers computes betas, alphas and their running product in f32. The running product is where that shows
//! (near timestep 0 the rounding of 1 - beta is 3e-5 of the noise level), so the same roundings are done here; all
//! that follows is f64.

use super::error::SchedulerError;
use super::names::{PredictionType, TimestepSpacing};
use super::plan::Level;

/// How beta runs over the training timesteps. The strings are those of diffusers' `beta_schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize)]
pub enum BetaSchedule {
    /// Evenly spaced (Ho et al. 2020).
    #[default]
    #[serde(rename = "linear")]
    Linear,
    /// Evenly spaced in sqrt(beta): Stable Diffusion 1, 2 and XL.
    #[serde(rename = "scaled_linear")]
    ScaledLinear,
    /// alpha_bar follows a squared cosine (Nichol and Dhariwal 2021, eq. 17), beta capped at 0.999.
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredcosCapV2,
}

/// The part of a `scheduler_config.json` that describes the forward process. Missing keys take diffusers' defaults.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct NoiseScheduleConfig {
    /// Number of timesteps the model was trained with.
    pub num_train_timesteps: usize,
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// Shape between the two.
    pub beta_schedule: BetaSchedule,
    /// Betas given one by one; overrides the shape.
    pub trained_betas: Option<Vec<f64>>,
    /// What the model's output stands for.
    pub prediction_type: PredictionType,
    /// Added to the timesteps of leading spacing.
    pub steps_offset: usize,
    /// Whether DDIM's last step goes to alpha_bar = 1 (otherwise to that of timestep 0).
    pub set_alpha_to_one: bool,
    /// Shift the schedule so that the last timestep carries no signal (Lin et al. 2023, algorithm 1).
    pub rescale_betas_zero_snr: bool,
    /// Spacing the model's authors chose, if the file names one.
    pub timestep_spacing: Option<TimestepSpacing>,
}

impl Default for NoiseScheduleConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            prediction_type: PredictionType::Epsilon,
            steps_offset: 0,
            set_alpha_to_one: true,
            rescale_betas_zero_snr: false,
            timestep_spacing: None,
        }
    }
}

impl NoiseScheduleConfig {
    /// What Stable Diffusion 1, 2 and XL were all trained with; 2.1 at 768 pixels has `VPrediction`.
    pub fn stable_diffusion(prediction_type: PredictionType) -> Self {
        Self {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            prediction_type,
            steps_offset: 1,
            set_alpha_to_one: false,
            ..Self::default()
        }
    }
}

/// alpha_bar over the training timesteps, with what a sampler has to know about the model.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseSchedule {
    /// Share of signal variance at each training timestep, falling. Values are exact in f32.
    pub alphas_cumprod: Vec<f64>,
    /// What the model's output stands for.
    pub prediction_type: PredictionType,
    /// Added to the timesteps of leading spacing.
    pub steps_offset: usize,
    /// Whether DDIM's last step goes to alpha_bar = 1 (otherwise to that of timestep 0).
    pub set_alpha_to_one: bool,
}

impl NoiseSchedule {
    /// The schedule a configuration describes.
    ///
    /// # Errors
    /// [`SchedulerError::Config`] with the key at fault.
    pub fn from_config(config: &NoiseScheduleConfig) -> Result<Self, SchedulerError> {
        let mut betas = betas(config)?;
        if config.rescale_betas_zero_snr {
            rescale_to_zero_terminal_snr(&mut betas);
        }
        Ok(Self {
            alphas_cumprod: cumulative_alphas(&betas).into_iter().map(f64::from).collect(),
            prediction_type: config.prediction_type,
            steps_offset: config.steps_offset,
            set_alpha_to_one: config.set_alpha_to_one,
        })
    }

    /// [`NoiseScheduleConfig::stable_diffusion`] worked out.
    pub fn stable_diffusion(prediction_type: PredictionType) -> Self {
        let betas = shaped_betas(&NoiseScheduleConfig::stable_diffusion(prediction_type));
        Self {
            alphas_cumprod: cumulative_alphas(&betas).into_iter().map(f64::from).collect(),
            prediction_type,
            steps_offset: 1,
            set_alpha_to_one: false,
        }
    }

    /// Number of timesteps the model was trained with.
    pub fn num_train_timesteps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// alpha_bar at a training timestep.
    ///
    /// # Errors
    /// [`SchedulerError::Timestep`] past the last one.
    pub fn alpha_bar(&self, timestep: usize) -> Result<f64, SchedulerError> {
        self.alphas_cumprod.get(timestep).copied().ok_or(SchedulerError::Timestep {
            found: i64::try_from(timestep).unwrap_or(i64::MAX),
            train: self.num_train_timesteps(),
        })
    }

    /// Forward noising at a training timestep: x = signal · clean + noise · eps, of unit variance
    /// (diffusers' `DDIMScheduler.add_noise`).
    ///
    /// # Errors
    /// [`SchedulerError::Timestep`] past the last one.
    pub fn level(&self, timestep: usize) -> Result<Level, SchedulerError> {
        self.alpha_bar(timestep).map(Level::variance_preserving)
    }

    /// The level DDIM's last step goes to.
    pub(super) fn final_alpha_bar(&self) -> f64 {
        if self.set_alpha_to_one { 1.0 } else { self.alphas_cumprod.first().copied().unwrap_or(1.0) }
    }
}

fn betas(config: &NoiseScheduleConfig) -> Result<Vec<f32>, SchedulerError> {
    let bad = |key, found: String, expected| Err(SchedulerError::Config { key, found, expected });
    if let Some(betas) = &config.trained_betas {
        if betas.is_empty() || betas.iter().any(|b| !(*b > 0.0 && *b < 1.0)) {
            return bad("trained_betas", format!("{} values", betas.len()), "one or more values between 0 and 1");
        }
        return Ok(betas.iter().map(|b| *b as f32).collect());
    }
    if !(2..=1_000_000).contains(&config.num_train_timesteps) {
        return bad("num_train_timesteps", config.num_train_timesteps.to_string(), "2 to 1000000");
    }
    if !(config.beta_start > 0.0 && config.beta_start < 1.0) {
        return bad("beta_start", config.beta_start.to_string(), "a number between 0 and 1");
    }
    if !(config.beta_end >= config.beta_start && config.beta_end < 1.0) {
        return bad("beta_end", config.beta_end.to_string(), "a number from beta_start to below 1");
    }
    Ok(shaped_betas(config))
}

fn shaped_betas(config: &NoiseScheduleConfig) -> Vec<f32> {
    let n = config.num_train_timesteps;
    match config.beta_schedule {
        BetaSchedule::Linear => linspace_f32(config.beta_start as f32, config.beta_end as f32, n),
        BetaSchedule::ScaledLinear => {
            let roots = linspace_f32(config.beta_start.sqrt() as f32, config.beta_end.sqrt() as f32, n);
            roots.into_iter().map(|r| r * r).collect()
        }
        BetaSchedule::SquaredcosCapV2 => {
            let alpha_bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            (0..n)
                .map(|i| {
                    let (t1, t2) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                    (1.0 - alpha_bar(t2) / alpha_bar(t1)).min(0.999) as f32
                })
                .collect()
        }
    }
}

/// `torch.linspace` in f32: from both ends to the middle.
fn linspace_f32(start: f32, end: f32, n: usize) -> Vec<f32> {
    let step = (end - start) / (n - 1) as f32;
    (0..n).map(|i| if i < n / 2 { start + step * i as f32 } else { end - step * (n - 1 - i) as f32 }).collect()
}

/// Running product of 1 - beta: f32 factors and results, wide accumulator.
fn cumulative_alphas(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0f64;
    betas
        .iter()
        .map(|beta| {
            product *= f64::from(1.0 - beta);
            product as f32
        })
        .collect()
}

/// Lin et al. 2023, algorithm 1: shift sqrt(alpha_bar) to end at zero, then scale it back to its first value.
fn rescale_to_zero_terminal_snr(betas: &mut [f32]) {
    let root: Vec<f32> = cumulative_alphas(betas).into_iter().map(f32::sqrt).collect();
    let (Some(first), Some(last)) = (root.first().copied(), root.last().copied()) else {
        return;
    };
    let scale = first / (first - last);
    let alpha_bar: Vec<f32> = root.iter().map(|r| ((r - last) * scale).powi(2)).collect();
    let mut previous = 1.0f32;
    for (beta, bar) in betas.iter_mut().zip(alpha_bar) {
        *beta = 1.0 - bar / previous;
        previous = bar;
    }
}
