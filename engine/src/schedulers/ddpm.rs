//! Ancestral sampling of the posterior (Ho, Jain and Abbeel 2020, <https://arxiv.org/abs/2006.11239>, eq. 7), as diffusers'
//! `DDPMScheduler` with `variance_type="fixed_small"` and `clip_sample=False`.

use super::error::SchedulerError;
use super::names::TimestepSpacing;
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::timesteps::{Grid, timesteps};

pub(super) fn plan(
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    spacing: TimestepSpacing,
) -> Result<Vec<StepCoefficients>, SchedulerError> {
    let grid = Grid {
        train: schedule.num_train_timesteps(),
        steps: options.steps,
        offset: schedule.steps_offset,
        extra_node: false,
        rounded: true,
    };
    let visited = timesteps(grid, spacing)?;
    let mut alpha_bars = visited.iter().map(|t| schedule.alpha_bar(*t as usize)).collect::<Result<Vec<_>, _>>()?;
    alpha_bars.push(1.0);
    let step = |(a, t): (&[f64], &f64)| {
        let (from, to) = (a[0], a[1]);
        let alpha = from / to;
        // Eq. 7: the posterior of x' given x and the clean image.
        let mean_clean = to.sqrt() * (1.0 - alpha) / (1.0 - from);
        let mean_x = alpha.sqrt() * (1.0 - to) / (1.0 - from);
        let variance = (1.0 - to) / (1.0 - from) * (1.0 - alpha);
        let (level, next_level) = (Level::variance_preserving(from), Level::variance_preserving(to));
        StepCoefficients {
            next_x: mean_x,
            next_clean: mean_clean,
            next_noise: variance.max(0.0).sqrt(),
            ..StepCoefficients::at(*t, level, next_level, schedule.prediction_type)
        }
    };
    Ok(alpha_bars.windows(2).zip(&visited).map(step).collect())
}
