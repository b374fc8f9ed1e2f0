//! Names of samplers, sigma schedules and timestep spacings in the dialects people bring along.
//!
//! We print the first name of each row and accept the others, whatever their case: stable-diffusion.cpp, ComfyUI,
//! A1111 labels (also the old form with the schedule behind the sampler, "DPM++ 2M Karras"), diffusers class names.

use std::fmt;
use std::str::FromStr;

use super::error::SchedulerError;

/// A sampler: how one step goes from a noise level to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SamplingMethod {
    /// DDIM (Song et al. 2020, eq. 12); diffusers' `DDIMScheduler`.
    Ddim,
    /// Euler on the probability-flow ODE (Karras et al. 2022, algorithm 2 without churn); `EulerDiscreteScheduler`.
    Euler,
    /// Euler with fresh noise each step; `EulerAncestralDiscreteScheduler`.
    EulerA,
    /// DPM-Solver++(2M) (Lu et al. 2022, algorithm 2, midpoint); `DPMSolverMultistepScheduler`.
    Dpmpp2m,
    /// Ancestral sampling of the posterior (Ho et al. 2020, eq. 7); `DDPMScheduler` with the small fixed variance.
    Ddpm,
    /// Heun's method on the probability-flow ODE, two evaluations a step (Karras et al. 2022, algorithm 2);
    /// `HeunDiscreteScheduler`.
    Heun,
    /// Consistency sampling of distilled models (Luo et al. 2023); `LCMScheduler`.
    Lcm,
    /// UniPC of order 2 (Zhao et al. 2023); `UniPCMultistepScheduler`. For single pictures: it looks further back.
    UniPc,
    /// Pseudo linear multistep (Liu et al. 2022), also PLMS; `PNDMScheduler`. For single pictures: it looks further back.
    Pndm,
}

/// Which noise levels the steps visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum SigmaSchedule {
    /// The levels of the timesteps chosen by [`TimestepSpacing`].
    #[default]
    Discrete,
    /// Evenly spaced in sigma^(1/7) (Karras et al. 2022, eq. 5); diffusers' `use_karras_sigmas`.
    Karras,
    /// Evenly spaced in log sigma; diffusers' `use_exponential_sigmas`.
    Exponential,
}

/// Which training timesteps the steps visit (Lin et al. 2023, table 2), with diffusers' rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepSpacing {
    /// Multiples of train/steps counted up from 0 (plus the offset): the noisiest timestep is left out.
    Leading,
    /// Multiples of train/steps counted down from the noisiest timestep, which is always visited.
    Trailing,
    /// Both ends and evenly between.
    Linspace,
}

/// What the model's output stands for. The strings are those of diffusers' `prediction_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize)]
pub enum PredictionType {
    /// The noise.
    #[default]
    #[serde(rename = "epsilon")]
    Epsilon,
    /// sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) clean (Salimans and Ho 2022).
    #[serde(rename = "v_prediction")]
    VPrediction,
    /// The clean image itself.
    #[serde(rename = "sample")]
    Sample,
}

/// A sampler's name as people write it, which may carry a sigma schedule or a spacing with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SamplerChoice {
    /// The method.
    pub method: SamplingMethod,
    /// Set when the name says so ("DPM++ 2M Karras").
    pub sigma_schedule: Option<SigmaSchedule>,
    /// Set when the name says so ("ddim_trailing").
    pub spacing: Option<TimestepSpacing>,
}

/// A schedule's name as people write it, which stands for a sigma schedule and may fix the spacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScheduleChoice {
    /// The sigma schedule.
    pub sigma_schedule: SigmaSchedule,
    /// Set when the name says so ("sgm_uniform" is trailing).
    pub spacing: Option<TimestepSpacing>,
}

impl SamplingMethod {
    /// All methods, in the order we list them.
    pub const ALL: [SamplingMethod; 9] = [
        Self::Ddim,
        Self::Euler,
        Self::EulerA,
        Self::Heun,
        Self::Dpmpp2m,
        Self::Ddpm,
        Self::UniPc,
        Self::Pndm,
        Self::Lcm,
    ];

    /// Whether it looks no further back than the previous clean estimate, so that [`plan`](super::plan()) has it.
    pub const fn is_plain(self) -> bool {
        !matches!(self, Self::UniPc | Self::Pndm)
    }

    /// Our name, which is also stable-diffusion.cpp's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Euler => "euler",
            Self::EulerA => "euler_a",
            Self::Dpmpp2m => "dpm++2m",
            Self::Ddpm => "ddpm",
            Self::Heun => "heun",
            Self::Lcm => "lcm",
            Self::UniPc => "unipc",
            Self::Pndm => "pndm",
        }
    }

    /// The spacing that diffusers' class uses when its configuration names none.
    pub const fn default_spacing(self) -> TimestepSpacing {
        match self {
            Self::Ddim | Self::Ddpm | Self::Pndm | Self::Lcm => TimestepSpacing::Leading,
            Self::Euler | Self::EulerA | Self::Heun | Self::Dpmpp2m | Self::UniPc => TimestepSpacing::Linspace,
        }
    }
}

impl SigmaSchedule {
    /// Our name, which is also stable-diffusion.cpp's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Karras => "karras",
            Self::Exponential => "exponential",
        }
    }
}

impl TimestepSpacing {
    /// diffusers' name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leading => "leading",
            Self::Trailing => "trailing",
            Self::Linspace => "linspace",
        }
    }
}

impl PredictionType {
    /// diffusers' name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::VPrediction => "v_prediction",
            Self::Sample => "sample",
        }
    }
}

macro_rules! display_name {
    ($($t:ty),*) => {$(
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    )*};
}
display_name!(SamplingMethod, SigmaSchedule, TimestepSpacing, PredictionType);

/// Lower case, with blanks and hyphens as underscores: "DPM++ 2M" and "dpm++_2m" are one name.
fn folded(s: &str) -> String {
    s.trim().chars().map(|c| if c == ' ' || c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

fn unknown(kind: &'static str, found: &str, expected: &'static str) -> SchedulerError {
    SchedulerError::UnknownName { kind, found: found.to_owned(), expected }
}

fn method_of(folded: &str) -> Option<SamplingMethod> {
    Some(match folded {
        "ddim" | "ddim_uniform" | "ddimscheduler" => SamplingMethod::Ddim,
        "euler" | "k_euler" | "eulerdiscretescheduler" => SamplingMethod::Euler,
        "euler_a" | "euler_ancestral" | "k_euler_a" | "k_euler_ancestral" | "eulerancestraldiscretescheduler" => {
            SamplingMethod::EulerA
        }
        "dpm++2m" | "dpm++_2m" | "dpmpp_2m" | "dpmpp2m" | "k_dpmpp_2m" | "dpmsolvermultistepscheduler" => {
            SamplingMethod::Dpmpp2m
        }
        "ddpm" | "ddpmscheduler" => SamplingMethod::Ddpm,
        "heun" | "k_heun" | "heundiscretescheduler" => SamplingMethod::Heun,
        "lcm" | "lcmscheduler" => SamplingMethod::Lcm,
        "unipc" | "uni_pc" | "uni_pc_bh2" | "unipcmultistepscheduler" => SamplingMethod::UniPc,
        "pndm" | "plms" | "pndmscheduler" => SamplingMethod::Pndm,
        _ => return None,
    })
}

impl FromStr for SamplerChoice {
    type Err = SchedulerError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let name = folded(s);
        let plain = |method| SamplerChoice { method, sigma_schedule: None, spacing: None };
        if let Some(method) = method_of(&name) {
            return Ok(plain(method));
        }
        if name == "ddim_trailing" {
            return Ok(SamplerChoice { spacing: Some(TimestepSpacing::Trailing), ..plain(SamplingMethod::Ddim) });
        }
        for (suffix, schedule) in [("_karras", SigmaSchedule::Karras), ("_exponential", SigmaSchedule::Exponential)] {
            if let Some(method) = name.strip_suffix(suffix).and_then(method_of) {
                return Ok(SamplerChoice { sigma_schedule: Some(schedule), ..plain(method) });
            }
        }
        Err(unknown("sampler", s, "ddim, ddim_trailing, euler, euler_a, heun, dpm++2m, ddpm, unipc, pndm, lcm"))
    }
}

impl FromStr for SamplingMethod {
    type Err = SchedulerError;

    /// Only names that stand for a method alone; see [`SamplerChoice`] for the others.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        method_of(&folded(s))
            .ok_or_else(|| unknown("sampler", s, "ddim, euler, euler_a, heun, dpm++2m, ddpm, unipc, pndm, lcm"))
    }
}

impl FromStr for ScheduleChoice {
    type Err = SchedulerError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (sigma_schedule, spacing) = match folded(s).as_str() {
            "discrete" | "default" | "automatic" => (SigmaSchedule::Discrete, None),
            "normal" | "uniform" => (SigmaSchedule::Discrete, Some(TimestepSpacing::Linspace)),
            "sgm_uniform" | "simple" | "trailing" => (SigmaSchedule::Discrete, Some(TimestepSpacing::Trailing)),
            "leading" | "ddim_uniform" => (SigmaSchedule::Discrete, Some(TimestepSpacing::Leading)),
            "linspace" => (SigmaSchedule::Discrete, Some(TimestepSpacing::Linspace)),
            "karras" | "use_karras_sigmas" => (SigmaSchedule::Karras, None),
            "exponential" | "use_exponential_sigmas" => (SigmaSchedule::Exponential, None),
            _ => {
                return Err(unknown(
                    "schedule",
                    s,
                    "discrete, karras, exponential, normal, sgm_uniform, simple, ddim_uniform",
                ));
            }
        };
        Ok(ScheduleChoice { sigma_schedule, spacing })
    }
}

impl FromStr for SigmaSchedule {
    type Err = SchedulerError;

    /// Only the sigma schedule itself; see [`ScheduleChoice`] for names that also fix the spacing.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(|c: ScheduleChoice| c.sigma_schedule)
    }
}

impl FromStr for TimestepSpacing {
    type Err = SchedulerError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match folded(s).as_str() {
            "leading" => Ok(Self::Leading),
            "trailing" => Ok(Self::Trailing),
            "linspace" => Ok(Self::Linspace),
            _ => Err(unknown("timestep spacing", s, "leading, trailing, linspace")),
        }
    }
}

impl FromStr for PredictionType {
    type Err = SchedulerError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match folded(s).as_str() {
            "epsilon" | "eps" => Ok(Self::Epsilon),
            "v_prediction" | "v" => Ok(Self::VPrediction),
            "sample" => Ok(Self::Sample),
            _ => Err(unknown("prediction type", s, "epsilon, v_prediction, sample")),
        }
    }
}
