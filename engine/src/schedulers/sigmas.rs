//! Noise levels as sigma = sqrt((1 - alpha_bar) / alpha_bar), the ratio of noise to signal, and schedules shaped in it.

use super::error::SchedulerError;
use super::names::{SigmaSchedule, TimestepSpacing};
use super::noise_schedule::NoiseSchedule;
use super::timesteps::{Grid, linspace, timesteps};

/// Exponent of Karras et al. 2022, eq. 5.
const KARRAS_RHO: f64 = 7.0;

/// diffusers puts this for an alpha_bar of zero so that the first sigma is finite.
const SMALLEST_ALPHA_BAR: f64 = 1.0 / 16_777_216.0;

/// The steps' timesteps and the sigmas before each of them, noisiest first; the level after the last step is clean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SigmaGrid {
    pub timesteps: Vec<f64>,
    pub sigmas: Vec<f64>,
}

/// How a method reads a shaped schedule back as timesteps and where it takes the range from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shaping {
    /// From the first to the last visited level; timesteps between the integers (Euler).
    VisitedRange,
    /// From the noisiest to the cleanest training level; timesteps rounded for Karras and cut for exponential (DPM++).
    FullRange,
}

/// The grid for a method that steps from sigma to sigma.
pub(super) fn sigma_grid(
    schedule: &NoiseSchedule,
    grid: Grid,
    spacing: TimestepSpacing,
    shape: SigmaSchedule,
    shaping: Shaping,
) -> Result<SigmaGrid, SchedulerError> {
    let table = sigma_table(schedule);
    let visited = timesteps(grid, spacing)?;
    let sigmas: Vec<f64> = visited.iter().map(|t| interpolate(&table, *t)).collect();
    if shape == SigmaSchedule::Discrete {
        return Ok(SigmaGrid { timesteps: visited, sigmas });
    }
    let range = if shaping == Shaping::VisitedRange { &sigmas } else { &table };
    let low = range.iter().copied().fold(f64::INFINITY, f64::min);
    let high = range.iter().copied().fold(0.0, f64::max);
    let sigmas = if shape == SigmaSchedule::Karras {
        karras(high, low, grid.steps)
    } else {
        linspace(high.ln(), low.ln(), grid.steps).into_iter().map(f64::exp).collect()
    };
    let log_table: Vec<f64> = table.iter().map(|s| f64::from((*s as f32).ln())).collect();
    let timesteps = sigmas.iter().map(|s| {
        let t = timestep_of(&log_table, s.ln());
        match (shaping, shape) {
            (Shaping::VisitedRange, _) => t,
            (Shaping::FullRange, SigmaSchedule::Karras) => t.round_ties_even(),
            (Shaping::FullRange, _) => t.trunc(),
        }
    });
    Ok(SigmaGrid { timesteps: timesteps.collect(), sigmas })
}

/// Sigma at each training timestep, rounded to f32 as diffusers has it (which decides some rounded timesteps).
fn sigma_table(schedule: &NoiseSchedule) -> Vec<f64> {
    let sigma = |alpha_bar: f64| {
        let a = alpha_bar.max(SMALLEST_ALPHA_BAR) as f32;
        f64::from(((1.0 - a) / a).sqrt())
    };
    schedule.alphas_cumprod.iter().map(|a| sigma(*a)).collect()
}

/// Sigma at a training timestep.
pub(super) fn sigma_at(schedule: &NoiseSchedule, timestep: usize) -> Result<f64, SchedulerError> {
    schedule.alpha_bar(timestep).map(|a| {
        let a = a.max(SMALLEST_ALPHA_BAR);
        ((1.0 - a) / a).sqrt()
    })
}

/// Linear between the entries, constant beyond them (`numpy.interp` over the indices).
fn interpolate(table: &[f64], at: f64) -> f64 {
    let last = table.len() - 1;
    let low = (at.max(0.0).floor() as usize).min(last);
    if low == last {
        return table[last];
    }
    table[low] + (table[low + 1] - table[low]) * (at - low as f64)
}

/// Karras et al. 2022, eq. 5.
fn karras(high: f64, low: f64, steps: usize) -> Vec<f64> {
    let (high, low) = (high.powf(1.0 / KARRAS_RHO), low.powf(1.0 / KARRAS_RHO));
    linspace(0.0, 1.0, steps).into_iter().map(|ramp| (high + ramp * (low - high)).powf(KARRAS_RHO)).collect()
}

/// The timestep whose log sigma this is, linear in log sigma and held at the ends (diffusers' `_sigma_to_t`).
fn timestep_of(log_table: &[f64], log_sigma: f64) -> f64 {
    let below = log_table.partition_point(|l| *l <= log_sigma);
    let low = below.saturating_sub(1).min(log_table.len() - 2);
    let weight = (log_table[low] - log_sigma) / (log_table[low] - log_table[low + 1]);
    let weight = weight.clamp(0.0, 1.0);
    (1.0 - weight) * low as f64 + weight * (low + 1) as f64
}
