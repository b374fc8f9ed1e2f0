//! DPM-Solver++(2M) (Lu et al. 2022, <https://arxiv.org/abs/2211.01095>, algorithm 2), as diffusers'
//! `DPMSolverMultistepScheduler` with `algorithm_type="dpmsolver++"`, order 2, midpoint, `final_sigmas_type="zero"`.
//!
//! With lambda = ln(signal / noise) and h the step in it:
//! x' = (noise'/noise) x - signal' (e^-h - 1) D, where D = clean in the first and the last step and otherwise
//! clean + (clean - previous clean) h / (2 h_previous). The last step, to sigma = 0, is x' = clean.

use super::error::SchedulerError;
use super::names::{PredictionType, TimestepSpacing};
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, SamplingPlan, StepCoefficients};
use super::sigmas::{Shaping, sigma_at, sigma_grid};
use super::timesteps::Grid;

pub(super) fn plan(
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    spacing: TimestepSpacing,
    first: usize,
) -> Result<Vec<StepCoefficients>, SchedulerError> {
    let grid = Grid {
        train: schedule.num_train_timesteps(),
        steps: options.steps,
        offset: schedule.steps_offset,
        extra_node: true,
        rounded: true,
    };
    let visited = sigma_grid(schedule, grid, spacing, options.sigma_schedule, Shaping::FullRange)?;
    let first = first.min(visited.timesteps.len());
    Ok(steps(&visited.timesteps[first..], &visited.sigmas[first..], schedule.prediction_type))
}

/// DPM-Solver++(2M) over a method's own timesteps, strictly falling, and on to the clean image: as many steps as
/// timesteps.
///
/// # Errors
/// [`SchedulerError::Nodes`] or [`SchedulerError::Timestep`] for a list that is empty, does not fall or leaves the
/// schedule.
pub fn dpmpp_2m_nodes(schedule: &NoiseSchedule, nodes: &[usize]) -> Result<SamplingPlan, SchedulerError> {
    super::check_nodes(nodes, 1)?;
    let sigmas = nodes.iter().map(|t| sigma_at(schedule, *t)).collect::<Result<Vec<_>, _>>()?;
    let timesteps: Vec<f64> = nodes.iter().map(|t| *t as f64).collect();
    let steps = steps(&timesteps, &sigmas, schedule.prediction_type);
    super::finished(SamplingPlan { init_noise_sigma: 1.0, steps }, TimestepSpacing::Linspace)
}

fn steps(timesteps: &[f64], sigmas: &[f64], prediction: PredictionType) -> Vec<StepCoefficients> {
    let lambda = |i: usize| -sigmas[i].ln();
    (0..sigmas.len())
        .map(|i| {
            let level = Level::from_sigma(sigmas[i]);
            let next = sigmas.get(i + 1).map_or(Level::CLEAN, |s| Level::from_sigma(*s));
            let base = StepCoefficients::at(timesteps[i], level, next, prediction);
            if i + 1 == sigmas.len() {
                return StepCoefficients { next_clean: 1.0, ..base };
            }
            let h = lambda(i + 1) - lambda(i);
            let pull = -next.signal * (-h).exp_m1();
            let extrapolation = if i == 0 { 0.0 } else { 0.5 * h / (lambda(i) - lambda(i - 1)) };
            StepCoefficients {
                next_x: next.noise / level.noise,
                next_clean: pull * (1.0 + extrapolation),
                next_prev_clean: -pull * extrapolation,
                ..base
            }
        })
        .collect()
}
