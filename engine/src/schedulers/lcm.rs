//! Consistency sampling (Luo et al. 2023, <https://arxiv.org/abs/2310.04378>, algorithm 3), as diffusers' `LCMScheduler` with its
//! defaults: the network's clean estimate, weighed with the state so that nothing changes at timestep 0, and fresh noise up to
//! the next level. It has timesteps of its own, every so many of the fifty it was distilled on; spacings do not apply.

use super::error::SchedulerError;
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::timesteps::linspace;

/// Timesteps of the distillation.
const ORIGINAL_STEPS: usize = 50;
/// Standard deviation of data in the boundary condition.
const SIGMA_DATA: f64 = 0.5;
/// Factor of timesteps in it.
const TIMESTEP_SCALING: f64 = 10.0;

pub(super) fn plan(schedule: &NoiseSchedule, options: &PlanOptions) -> Result<Vec<StepCoefficients>, SchedulerError> {
    let train = schedule.num_train_timesteps();
    let all = ORIGINAL_STEPS.min(train);
    if options.steps == 0 || options.steps > all {
        return Err(SchedulerError::Steps { found: options.steps, min: 1, max: all });
    }
    let stride = train / all;
    // numpy.linspace(0, all, steps, endpoint=False), from the noisiest.
    let mut nodes = linspace(0.0, all as f64, options.steps + 1);
    nodes.pop();
    let timesteps: Vec<usize> = nodes.iter().map(|i| (all - *i as usize) * stride - 1).collect();
    let step = |(i, &t): (usize, &usize)| {
        let level = Level::variance_preserving(schedule.alpha_bar(t)?);
        let next = match timesteps.get(i + 1) {
            Some(next) => Level::variance_preserving(schedule.alpha_bar(*next)?),
            None => Level::CLEAN,
        };
        let scaled = TIMESTEP_SCALING * t as f64;
        let square = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        Ok(StepCoefficients {
            next_x: next.signal * SIGMA_DATA * SIGMA_DATA / square,
            next_clean: next.signal * scaled / square.sqrt(),
            next_noise: next.noise,
            ..StepCoefficients::at(t as f64, level, next, schedule.prediction_type)
        })
    };
    timesteps.iter().enumerate().map(step).collect()
}
