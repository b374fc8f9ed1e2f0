//! Euler and Euler ancestral, on states x = clean + sigma · eps.
//!
//! Euler: Karras et al. 2022, <https://arxiv.org/abs/2206.00364>, algorithm 2 without churn and correction, as diffusers'
//! `EulerDiscreteScheduler`. Ancestral: the same step to a lower sigma, then fresh noise up to the next one, as
//! `EulerAncestralDiscreteScheduler`; shaped sigma schedules for it (which diffusers lacks) are laid out as for Euler.

use super::ddim::checked_eta;
use super::error::SchedulerError;
use super::names::{SamplingMethod, TimestepSpacing};
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::sigmas::{Shaping, sigma_grid};
use super::timesteps::Grid;

/// The steps and the standard deviation of the state they start from.
pub(super) fn plan(
    method: SamplingMethod,
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    spacing: TimestepSpacing,
) -> Result<(f64, Vec<StepCoefficients>), SchedulerError> {
    let grid = Grid {
        train: schedule.num_train_timesteps(),
        steps: options.steps,
        offset: schedule.steps_offset,
        extra_node: false,
        rounded: false,
    };
    let eta = if method == SamplingMethod::EulerA { checked_eta(options.eta, 1.0)? } else { 0.0 };
    let visited = sigma_grid(schedule, grid, spacing, options.sigma_schedule, Shaping::VisitedRange)?;
    let mut sigmas = visited.sigmas;
    let max = sigmas.iter().copied().fold(0.0, f64::max);
    sigmas.push(0.0);
    let steps = sigmas.windows(2).zip(&visited.timesteps).map(|(s, t)| {
        let (from, to) = (s[0], s[1]);
        let (level, next_level) = (Level::variance_exploding(from), Level::variance_exploding(to));
        let up = eta * (to * to * (from * from - to * to).max(0.0) / (from * from)).sqrt();
        let down = (to * to - up * up).max(0.0).sqrt();
        StepCoefficients {
            // x + (down - from) (x - clean) / from
            next_x: down / from,
            next_clean: 1.0 - down / from,
            next_noise: up,
            ..StepCoefficients::at(*t, level, next_level, schedule.prediction_type)
        }
    });
    // Leading spacing leaves the noisiest level out, and diffusers then counts the image's own unit variance in.
    let init = if spacing == TimestepSpacing::Leading { (max * max + 1.0).sqrt() } else { max };
    Ok((init, steps.collect()))
}
