//! Heun's second-order method on states x = clean + sigma · eps (Karras et al. 2022, <https://arxiv.org/abs/2206.00364>,
//! algorithm 2 without churn), as diffusers' `HeunDiscreteScheduler`: each level but the last is an Euler step and then, from
//! where that led, the same interval again with the mean of both slopes.
//!
//! The second half starts again from the state before the first one. That state is linear in where the first half led and in its
//! clean estimate, so nothing but the previous clean estimate has to be kept.

use super::error::SchedulerError;
use super::names::TimestepSpacing;
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::sigmas::{Shaping, sigma_grid};
use super::timesteps::Grid;

/// The evaluations of the network, and the standard deviation of the state they start from. `first` levels are skipped.
pub(super) fn plan(
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    spacing: TimestepSpacing,
    first: usize,
) -> Result<(f64, Vec<StepCoefficients>), SchedulerError> {
    let grid = Grid {
        train: schedule.num_train_timesteps(),
        steps: options.steps,
        offset: schedule.steps_offset,
        extra_node: false,
        rounded: false,
    };
    let visited = sigma_grid(schedule, grid, spacing, options.sigma_schedule, Shaping::VisitedRange)?;
    let max = visited.sigmas.iter().copied().fold(0.0, f64::max);
    let first = first.min(visited.sigmas.len());
    let (sigmas, timesteps) = (&visited.sigmas[first..], &visited.timesteps[first..]);
    let mut steps = Vec::new();
    for (i, (&sigma, &t)) in sigmas.iter().zip(timesteps).enumerate() {
        let next = sigmas.get(i + 1).copied().unwrap_or(0.0);
        let (level, next_level) = (Level::variance_exploding(sigma), Level::variance_exploding(next));
        let base = |t, level| StepCoefficients::at(t, level, next_level, schedule.prediction_type);
        let kept = next / sigma;
        steps.push(StepCoefficients { next_x: kept, next_clean: 1.0 - kept, ..base(t, level) });
        let Some(&next_t) = timesteps.get(i + 1) else { continue };
        // x' = x0 + (next - sigma) / 2 · ((x0 - clean0) / sigma + (x - clean) / next) with x0 = (x - (1 - kept) clean0) / kept.
        let (half, own) = (0.5 * (next - sigma), 0.5 * (next - sigma) / next);
        let from = 1.0 + half / sigma;
        steps.push(StepCoefficients {
            next_x: from / kept + own,
            next_clean: -own,
            next_prev_clean: -half / sigma - from * (1.0 - kept) / kept,
            ..base(next_t, next_level)
        });
    }
    let init = if spacing == TimestepSpacing::Leading { (max * max + 1.0).sqrt() } else { max };
    Ok((init, steps))
}
