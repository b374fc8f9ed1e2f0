//! `scheduler_config.json`, of whatever class.

use serde::{Deserialize, Serialize};

use super::{Checker, Config};
use crate::error::Result;

/// Configuration of a scheduler: the noise schedule the model was trained with and how samplers are to space their steps.
/// Keys of single samplers that do not change the schedule are not listed. Defaults are those of `DDIMScheduler`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are diffusers' own and are documented there")]
pub struct SchedulerConfig {
    pub _class_name: String,
    pub num_train_timesteps: usize,
    pub beta_start: f64,
    pub beta_end: f64,
    pub beta_schedule: String,
    pub trained_betas: Option<Vec<f64>>,
    pub prediction_type: String,
    /// `None` where the file does not say: diffusers' default then depends on the class.
    pub timestep_spacing: Option<String>,
    pub steps_offset: usize,
    pub set_alpha_to_one: bool,
    pub clip_sample: bool,
    pub thresholding: bool,
    pub rescale_betas_zero_snr: bool,
    pub use_karras_sigmas: bool,
    pub interpolation_type: String,
    pub sigma_min: Option<f64>,
    pub sigma_max: Option<f64>,
    pub skip_prk_steps: bool,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            _class_name: String::new(),
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: "linear".to_owned(),
            trained_betas: None,
            prediction_type: "epsilon".to_owned(),
            timestep_spacing: None,
            steps_offset: 0,
            set_alpha_to_one: true,
            clip_sample: true,
            thresholding: false,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: false,
            interpolation_type: "linear".to_owned(),
            sigma_min: None,
            sigma_max: None,
            skip_prk_steps: false,
        }
    }
}

impl SchedulerConfig {
    /// Reads and checks the text of a `scheduler_config.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Self::parse_checked(file, text)
    }

    /// Like [`SchedulerConfig::from_json`], with another `prediction_type` than the file says.
    pub fn with_prediction(file: &str, text: &str, prediction_type: &str) -> Result<Self> {
        let mut config = Self::parse_checked(file, text)?;
        config.prediction_type = prediction_type.to_owned();
        config.check(&Checker::new(file))?;
        Ok(config)
    }
}

/// Classes whose noise schedule is the one described by the betas.
const CLASSES: [&str; 12] = [
    "DDIMScheduler",
    "DDPMScheduler",
    "PNDMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "UniPCMultistepScheduler",
];

impl Config for SchedulerConfig {
    fn check(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("_class_name", &self._class_name, &CLASSES)?;
        let steps = self.num_train_timesteps;
        c.require((1..=100_000).contains(&steps), "num_train_timesteps", steps, "1 to 100000")?;
        let schedules = ["scaled_linear", "linear", "squaredcos_cap_v2"];
        c.one_of("beta_schedule", &self.beta_schedule, &schedules)?;
        for (key, beta) in [("beta_start", self.beta_start), ("beta_end", self.beta_end)] {
            c.require(beta > 0.0 && beta < 1.0, key, beta, "a number between 0 and 1")?;
        }
        if let Some(betas) = &self.trained_betas {
            let right = betas.len() == steps && betas.iter().all(|b| (0.0..1.0).contains(b));
            c.require(right, "trained_betas", betas.len(), "num_train_timesteps values in [0, 1)")?;
        }
        c.one_of("prediction_type", &self.prediction_type, &["epsilon", "v_prediction", "sample"])?;
        let spacings = ["leading", "trailing", "linspace"];
        c.none_or("timestep_spacing", self.timestep_spacing.as_deref(), &spacings)?;
        c.require(self.steps_offset < steps, "steps_offset", self.steps_offset, "less than num_train_timesteps")?;
        c.equals("thresholding", self.thresholding, false)?;
        c.one_of("interpolation_type", &self.interpolation_type, &["linear"])
    }
}
