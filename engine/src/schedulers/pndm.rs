//! PNDM without its Runge-Kutta start (Liu et al. 2022, <https://arxiv.org/abs/2202.09778>, eq. 9 and 12), as diffusers'
//! `PNDMScheduler` with `skip_prk_steps=True`, which repeats the second step instead.

use super::error::SchedulerError;
use super::history::{HistoryStep, PAST_OUTPUTS};
use super::names::{PredictionType, SigmaSchedule, TimestepSpacing};
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::timesteps::{Grid, timesteps};

/// Eq. 9 from one alpha_bar to another: x' = state · x + output · out.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    state: f64,
    output: f64,
}

pub(super) fn steps(
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    first: usize,
) -> Result<Vec<HistoryStep>, SchedulerError> {
    if options.sigma_schedule != SigmaSchedule::Discrete {
        let expected = "discrete (this method steps between training timesteps)";
        return Err(SchedulerError::SigmaSchedule { method: "pndm", schedule: options.sigma_schedule, expected });
    }
    if schedule.prediction_type == PredictionType::Sample {
        let (key, found) = ("prediction_type", schedule.prediction_type.to_string());
        return Err(SchedulerError::Config { key, found, expected: "epsilon or v_prediction for PNDM" });
    }
    let train = schedule.num_train_timesteps();
    let grid = Grid { train, steps: options.steps, offset: schedule.steps_offset, extra_node: false, rounded: true };
    let mut visited = timesteps(grid, options.spacing.unwrap_or(TimestepSpacing::Leading))?;
    if visited.len() > 1 {
        visited.insert(1, visited[1]);
    }
    let stride = train / options.steps;
    let visited = &visited[first.min(visited.len())..];
    visited.iter().enumerate().map(|(k, t)| step(schedule, (k, *t as usize), visited[0] as usize, stride)).collect()
}

/// Step k of the run, at timestep t.
fn step(
    schedule: &NoiseSchedule,
    (k, t): (usize, usize),
    first: usize,
    stride: usize,
) -> Result<HistoryStep, SchedulerError> {
    // The second step goes once more from the initial state to where the first one went, with the mean of both outputs.
    let (from, to) = if k == 1 { (t + stride, Some(t)) } else { (t, t.checked_sub(stride)) };
    let (at, next) = (schedule.alpha_bar(t)?, alpha_bar_or_final(schedule, to)?);
    let transfer = transfer(schedule.alpha_bar(from)?, next, schedule.prediction_type);
    let levels = (Level::variance_preserving(at), Level::variance_preserving(next));
    let base = StepCoefficients::at(t as f64, levels.0, levels.1, schedule.prediction_type);
    let (now, past) = adams_bashforth(k);
    let mut next_x = transfer.state;
    let mut past_outs = past.map(|c| c * transfer.output);
    if k == 1 {
        let to = alpha_bar_or_final(schedule, first.checked_sub(stride))?;
        let initial = self::transfer(schedule.alpha_bar(first)?, to, schedule.prediction_type);
        next_x = transfer.state / initial.state;
        past_outs[0] -= next_x * initial.output;
    }
    let step = StepCoefficients { next_x, next_out: now * transfer.output, ..base };
    Ok(HistoryStep { step, older_clean: 0.0, past_outs })
}

fn alpha_bar_or_final(schedule: &NoiseSchedule, timestep: Option<usize>) -> Result<f64, SchedulerError> {
    timestep.map_or(Ok(schedule.final_alpha_bar()), |t| schedule.alpha_bar(t))
}

fn transfer(from: f64, to: f64, prediction: PredictionType) -> Transfer {
    let denominator = from * (1.0 - to).sqrt() + (from * (1.0 - from) * to).sqrt();
    let (state, noise) = ((to / from).sqrt(), (from - to) / denominator);
    if prediction == PredictionType::VPrediction {
        return Transfer { state: state + noise * (1.0 - from).sqrt(), output: noise * from.sqrt() };
    }
    Transfer { state, output: noise }
}

/// Weights of this output and of those 1, 2, 3 and 4 steps back. The output of the repeated step (k = 1) enters only there.
fn adams_bashforth(k: usize) -> (f64, [f64; PAST_OUTPUTS]) {
    match k {
        0 => (1.0, [0.0; PAST_OUTPUTS]),
        1 => (0.5, [0.5, 0.0, 0.0, 0.0]),
        2 => (1.5, [0.0, -0.5, 0.0, 0.0]),
        3 => (23.0 / 12.0, [-16.0 / 12.0, 0.0, 5.0 / 12.0, 0.0]),
        4 => (55.0 / 24.0, [-59.0 / 24.0, 37.0 / 24.0, 0.0, -9.0 / 24.0]),
        _ => (55.0 / 24.0, [-59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0, 0.0]),
    }
}
