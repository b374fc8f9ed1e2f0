//! Samplers that remember more than the previous clean estimate: UniPC and PNDM.
//!
//! Still linear, still data, but a step reads estimates or outputs from further back than the fused step kernel holds. They
//! have a plan type of their own, so that nothing can run them and leave that part out.

use super::error::SchedulerError;
use super::names::SamplingMethod;
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::{first_step, plan, pndm, unipc};

/// Outputs that PNDM looks back over. It reads three of them: its second output is never read again.
pub const PAST_OUTPUTS: usize = 4;

/// A sampler with a longer memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HistoryMethod {
    /// UniPC of order 2 (Zhao et al. 2023); diffusers' `UniPCMultistepScheduler`.
    UniPc,
    /// Pseudo linear multistep (Liu et al. 2022), also called PLMS; diffusers' `PNDMScheduler` with `skip_prk_steps`.
    Pndm,
}

/// One step: that of [`StepCoefficients`], and to its x' is added
/// `older_clean` · clean(two steps back) + sum over k of `past_outs[k]` · out(k + 1 steps back).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryStep {
    /// The part that reads the state, this output and the last two clean estimates.
    pub step: StepCoefficients,
    /// Factor of the clean estimate of two steps back.
    pub older_clean: f64,
    /// Factors of the model's outputs 1, 2, 3 and 4 steps back.
    pub past_outs: [f64; PAST_OUTPUTS],
}

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPlan {
    /// The initial state is unit noise times this.
    pub init_noise_sigma: f64,
    /// The steps to run, noisiest first. PNDM runs the model once more than asked: its second step is repeated.
    pub steps: Vec<HistoryStep>,
}

impl HistoryPlan {
    /// What the state holds before the first step.
    pub fn start_level(&self) -> Level {
        self.steps.first().map_or(Level::CLEAN, |s| s.step.level)
    }

    /// How many steps back the plan reads beyond the previous clean estimate, 0 for methods without history.
    pub fn depth(&self) -> usize {
        let reads = |s: &HistoryStep| {
            let outs = s.past_outs.iter().rposition(|factor| *factor != 0.0).map_or(0, |k| k + 1);
            if s.older_clean == 0.0 { outs } else { outs.max(2) }
        };
        self.steps.iter().map(reads).max().unwrap_or(0)
    }
}

/// The steps of any method.
///
/// # Errors
/// [`SchedulerError`] names the option at fault, what it is and what it may be.
pub fn any_plan(
    method: SamplingMethod,
    schedule: &NoiseSchedule,
    options: &PlanOptions,
) -> Result<HistoryPlan, SchedulerError> {
    match method {
        SamplingMethod::UniPc => history_plan(HistoryMethod::UniPc, schedule, options),
        SamplingMethod::Pndm => history_plan(HistoryMethod::Pndm, schedule, options),
        _ => {
            let plain = plan(method, schedule, options)?;
            let step = |&step| HistoryStep { step, older_clean: 0.0, past_outs: [0.0; PAST_OUTPUTS] };
            Ok(HistoryPlan { init_noise_sigma: plain.init_noise_sigma, steps: plain.steps.iter().map(step).collect() })
        }
    }
}

/// The steps of a sampler with a longer memory.
///
/// # Errors
/// [`SchedulerError`] names the option at fault, what it is and what it may be.
pub fn history_plan(
    method: HistoryMethod,
    schedule: &NoiseSchedule,
    options: &PlanOptions,
) -> Result<HistoryPlan, SchedulerError> {
    let train = schedule.num_train_timesteps();
    if options.steps == 0 || options.steps > train {
        return Err(SchedulerError::Steps { found: options.steps, min: 1, max: train });
    }
    let first = first_step(options)?;
    let steps = match method {
        HistoryMethod::UniPc => unipc::steps(schedule, options, first)?,
        HistoryMethod::Pndm => pndm::steps(schedule, options, first)?,
    };
    Ok(HistoryPlan { init_noise_sigma: 1.0, steps })
}
