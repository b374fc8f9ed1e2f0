//! Samplers as data, in f64, without tensors.
//!
//! Every sampler here is linear in the state, the model's output, the previous clean estimate and fresh noise, so a
//! sampler is nothing but numbers: [`plan()`] turns a [`NoiseSchedule`] (what the model was trained with) and
//! [`PlanOptions`] into a [`SamplingPlan`] of [`StepCoefficients`], which one fused kernel applies. Methods with their own
//! time grid make the same plan with [`ddim_nodes`] and [`dpmpp_2m_nodes`].
//!
//! | method | state | paper | diffusers class |
//! |---|---|---|---|
//! | `ddim` | variance preserving | Song et al. 2020, eq. 12, 16 | `DDIMScheduler`, `clip_sample=False` |
//! | `euler` | clean + sigma · eps | Karras et al. 2022, alg. 2 | `EulerDiscreteScheduler` |
//! | `euler_a` | clean + sigma · eps | the same, with noise put back | `EulerAncestralDiscreteScheduler` |
//! | `dpm++2m` | variance preserving | Lu et al. 2022 (DPM-Solver++), alg. 2 | `DPMSolverMultistepScheduler` |
//! | `ddpm` | variance preserving | Ho et al. 2020, eq. 7 | `DDPMScheduler`, `clip_sample=False` |
//! | `heun` | clean + sigma · eps | Karras et al. 2022, alg. 2 | `HeunDiscreteScheduler` |
//! | `lcm` | variance preserving | Luo et al. 2023, alg. 3 | `LCMScheduler` |
//! | `unipc` | variance preserving | Zhao et al. 2023, alg. 1, 2 | `UniPCMultistepScheduler` |
//! | `pndm` | variance preserving | Liu et al. 2022, eq. 9, 12 | `PNDMScheduler`, `skip_prk_steps` |
//!
//! Rectified-flow models have levels of their own ([`flow_sigmas`]) and the same [`StepCoefficients`].
//!
//! UniPC and PNDM read further back than the previous step; they are data as well, of another type ([`history_plan`]), in which
//! every method can be had ([`any_plan`]).
//!
//! Deviations from diffusers, all where it would fail or read past its table: step counts beyond the training timesteps
//! and timesteps beyond the last are errors; trailing spacing never visits timestep -1; the noise of DDPM's last step
//! (1e-10 there) is zero. Thresholding and clipping are not linear and not offered.

mod ddim;
mod ddpm;
mod dpmpp_2m;
mod error;
mod euler;
mod flow;
mod heun;
mod history;
mod lcm;
mod names;
mod noise_schedule;
mod plan;
mod pndm;
mod sigmas;
#[cfg(test)]
mod tests;
mod timesteps;
mod unipc;

pub use ddim::{GridEnd, ddim_nodes};
pub use dpmpp_2m::dpmpp_2m_nodes;
pub use error::SchedulerError;
pub use flow::{DynamicShift, flow_sigmas};
pub use history::{HistoryMethod, HistoryPlan, HistoryStep, PAST_OUTPUTS, any_plan, history_plan};
pub use names::{PredictionType, SamplerChoice, SamplingMethod, ScheduleChoice, SigmaSchedule, TimestepSpacing};
pub use noise_schedule::{BetaSchedule, NoiseSchedule, NoiseScheduleConfig};
pub use plan::{Level, PlanOptions, SamplingPlan, Start, StepCoefficients};

/// The steps of a sampler.
///
/// # Errors
/// [`SchedulerError`] names the option at fault, what it is and what it may be.
pub fn plan(
    method: SamplingMethod,
    schedule: &NoiseSchedule,
    options: &PlanOptions,
) -> Result<SamplingPlan, SchedulerError> {
    let train = schedule.num_train_timesteps();
    if options.steps == 0 || options.steps > train {
        return Err(SchedulerError::Steps { found: options.steps, min: 1, max: train });
    }
    let shapes_sigmas = !matches!(method, SamplingMethod::Ddim | SamplingMethod::Ddpm | SamplingMethod::Lcm);
    if !shapes_sigmas && options.sigma_schedule != SigmaSchedule::Discrete {
        let expected = "discrete (this method steps between training timesteps)";
        return Err(SchedulerError::SigmaSchedule {
            method: method.name(),
            schedule: options.sigma_schedule,
            expected,
        });
    }
    let spacing = options.spacing.unwrap_or(method.default_spacing());
    let first = first_step(options)?;
    let (init_noise_sigma, mut steps) = match method {
        SamplingMethod::UniPc | SamplingMethod::Pndm => return Err(SchedulerError::History { method: method.name() }),
        SamplingMethod::Lcm => (1.0, lcm::plan(schedule, options)?),
        // Two evaluations of the network for a step, and none before the first.
        SamplingMethod::Heun => {
            let (init_noise_sigma, steps) = heun::plan(schedule, options, spacing, first)?;
            return finished(SamplingPlan { init_noise_sigma, steps }, spacing);
        }
        SamplingMethod::Ddim => (1.0, ddim::plan(schedule, options, spacing)?),
        SamplingMethod::Ddpm => (1.0, ddpm::plan(schedule, options, spacing)?),
        SamplingMethod::Euler | SamplingMethod::EulerA => euler::plan(method, schedule, options, spacing)?,
        // A multistep method has no previous estimate at its first step, wherever that is.
        SamplingMethod::Dpmpp2m => {
            return finished(
                SamplingPlan { init_noise_sigma: 1.0, steps: dpmpp_2m::plan(schedule, options, spacing, first)? },
                spacing,
            );
        }
    };
    steps.drain(..first.min(steps.len()));
    finished(SamplingPlan { init_noise_sigma, steps }, spacing)
}

/// Timesteps of a run from `start` down over a coarse fixed grid: `start`, then every trunc(linspace(train - 1, 0, count))
/// that lies strictly between it and 0. The further along, the fewer (StochSync's multi-step prediction).
pub fn nodes_below(start: usize, count: usize, train: usize) -> Vec<usize> {
    let coarse = timesteps::linspace(train.saturating_sub(1) as f64, 0.0, count);
    let below = coarse.into_iter().map(|t| t as usize).filter(|t| (1..start).contains(t));
    let mut nodes: Vec<usize> = std::iter::once(start).chain(below).collect();
    nodes.dedup();
    nodes
}

/// Number of steps that a start skips.
fn first_step(options: &PlanOptions) -> Result<usize, SchedulerError> {
    let steps = options.steps;
    match options.start {
        Start::Noise => Ok(0),
        Start::Index(found) if found < steps => Ok(found),
        Start::Index(found) => Err(SchedulerError::StartIndex { found, steps }),
        Start::Strength(found) => {
            let run = (steps as f64 * found) as usize;
            if found > 0.0 && found <= 1.0 && run > 0 {
                Ok(steps - run.min(steps))
            } else {
                Err(SchedulerError::Strength { found, steps })
            }
        }
    }
}

/// A list of timesteps has to fall strictly.
fn check_nodes(nodes: &[usize], needed: usize) -> Result<(), SchedulerError> {
    if nodes.len() < needed {
        let found = nodes.last().copied().unwrap_or(0);
        return Err(SchedulerError::Nodes { index: nodes.len(), found, needed });
    }
    match nodes.windows(2).position(|pair| pair[1] >= pair[0]) {
        Some(i) => Err(SchedulerError::Nodes { index: i + 1, found: nodes[i + 1], needed }),
        None => Ok(()),
    }
}

/// The plan, unless a step divided by a signal of zero.
fn finished(plan: SamplingPlan, spacing: TimestepSpacing) -> Result<SamplingPlan, SchedulerError> {
    let finite = |s: &StepCoefficients| {
        [s.clean_x, s.clean_out, s.next_x, s.next_out, s.next_clean, s.next_prev_clean, s.next_noise]
            .iter()
            .all(|c| c.is_finite())
    };
    match plan.steps.iter().find(|s| !finite(s)) {
        Some(step) => Err(SchedulerError::NoSignal { timestep: step.timestep as usize, spacing }),
        None => Ok(plan),
    }
}
