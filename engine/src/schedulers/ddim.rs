//! DDIM (Song, Meng and Ermon 2020, <https://arxiv.org/abs/2010.02502>, eq. 12 and 16), as diffusers' `DDIMScheduler`
//! with `clip_sample=False`.

use super::error::SchedulerError;
use super::names::{PredictionType, TimestepSpacing};
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, SamplingPlan, StepCoefficients};
use super::timesteps::{Grid, timesteps};

/// Where a run over a method's own list of timesteps ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GridEnd {
    /// The last timestep of the list is the destination: its level of noise stays in the state.
    AtLastNode,
    /// After the last timestep one more step goes to the clean image.
    #[default]
    Clean,
}

pub(super) fn plan(
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    spacing: TimestepSpacing,
) -> Result<Vec<StepCoefficients>, SchedulerError> {
    let train = schedule.num_train_timesteps();
    let grid = Grid { train, steps: options.steps, offset: schedule.steps_offset, extra_node: false, rounded: true };
    let eta = checked_eta(options.eta, 0.0)?;
    // diffusers counts back by this whatever the spacing, so that except for leading spacing the level stepped to is
    // not quite that of the next timestep.
    let stride = train / options.steps;
    let step = |t: f64| {
        let timestep = t as usize;
        let next = match timestep.checked_sub(stride) {
            Some(next) => schedule.alpha_bar(next)?,
            None => schedule.final_alpha_bar(),
        };
        Ok(ddim_step(t, schedule.alpha_bar(timestep)?, next, eta, schedule.prediction_type))
    };
    timesteps(grid, spacing)?.into_iter().map(step).collect()
}

/// Deterministic DDIM over a method's own timesteps, strictly falling.
///
/// With [`GridEnd::AtLastNode`] there is one step fewer than timesteps, with [`GridEnd::Clean`] as many.
///
/// # Errors
/// [`SchedulerError::Nodes`] or [`SchedulerError::Timestep`] for a list that is too short, does not fall or leaves the
/// schedule; [`SchedulerError::NoSignal`] if a step divides by a vanishing signal.
pub fn ddim_nodes(schedule: &NoiseSchedule, nodes: &[usize], end: GridEnd) -> Result<SamplingPlan, SchedulerError> {
    super::check_nodes(nodes, if end == GridEnd::Clean { 1 } else { 2 })?;
    let mut alpha_bars = nodes.iter().map(|t| schedule.alpha_bar(*t)).collect::<Result<Vec<_>, _>>()?;
    if end == GridEnd::Clean {
        alpha_bars.push(1.0);
    }
    let steps = alpha_bars
        .windows(2)
        .zip(nodes)
        .map(|(a, t)| ddim_step(*t as f64, a[0], a[1], 0.0, schedule.prediction_type))
        .collect();
    super::finished(SamplingPlan { init_noise_sigma: 1.0, steps }, TimestepSpacing::Linspace)
}

/// Eq. 12 with sigma from eq. 16: x' = sqrt(a') clean + sqrt(1 - a' - sigma²) eps_model + sigma eps.
fn ddim_step(timestep: f64, alpha_bar: f64, next: f64, eta: f64, prediction: PredictionType) -> StepCoefficients {
    let level = Level::variance_preserving(alpha_bar);
    let next_level = Level::variance_preserving(next);
    let variance = ((1.0 - next) / (1.0 - alpha_bar) * (1.0 - alpha_bar / next)).max(0.0);
    let sigma = eta * variance.sqrt();
    let direction = (1.0 - next - sigma * sigma).max(0.0).sqrt();
    let base = StepCoefficients::at(timestep, level, next_level, prediction);
    // The model's noise estimate in x and its output; from the estimate itself where the model predicts it.
    let (eps_x, eps_out, eps_clean) = match prediction {
        PredictionType::Epsilon => (0.0, 1.0, 0.0),
        PredictionType::VPrediction => (level.noise, level.signal, 0.0),
        PredictionType::Sample => (1.0 / level.noise, 0.0, -level.signal / level.noise),
    };
    StepCoefficients {
        next_x: direction * eps_x,
        next_out: direction * eps_out,
        next_clean: next_level.signal + direction * eps_clean,
        next_noise: sigma,
        ..base
    }
}

/// Eta within [0, 1].
pub(super) fn checked_eta(eta: Option<f64>, default: f64) -> Result<f64, SchedulerError> {
    let found = eta.unwrap_or(default);
    if (0.0..=1.0).contains(&found) { Ok(found) } else { Err(SchedulerError::Eta { found, max: 1.0 }) }
}
