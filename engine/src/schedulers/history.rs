//! Samplers that remember more than the previous clean estimate: UniPC and PNDM.
//!
//! Still linear, still data, but a step reads estimates or outputs from further back than the fused step kernel holds. They
//! have a plan type of their own, so that nothing can run them and leave that part out.

use super::error::SchedulerError;
use super::noise_schedule::NoiseSchedule;
use super::plan::{PlanOptions, StepCoefficients};
use super::{first_step, pndm, unipc};

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
