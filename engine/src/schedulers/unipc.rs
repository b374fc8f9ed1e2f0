//! UniPC (Zhao et al. 2023, <https://arxiv.org/abs/2302.04867>, algorithms 1 and 2), order 2, B(h) = e^h - 1, on clean
//! estimates, as diffusers' `UniPCMultistepScheduler` with `solver_type="bh2"`, `final_sigmas_type="zero"`.
//!
//! A step first corrects the state it was given, now that the clean estimate there is known, then predicts the next one. With p
//! the coefficients of the last prediction and c those of the correction over the same interval, both starting from the same
//! earlier state, the corrected state is x + (c - p) in the clean estimates: the earlier state need not be kept.

use super::error::SchedulerError;
use super::history::{HistoryStep, PAST_OUTPUTS};
use super::names::TimestepSpacing;
use super::noise_schedule::NoiseSchedule;
use super::plan::{Level, PlanOptions, StepCoefficients};
use super::sigmas::{Shaping, sigma_grid};
use super::timesteps::Grid;

/// Factors of the clean estimates at the end of an interval, at its start, and at the start of the one before.
#[derive(Debug, Clone, Copy)]
struct Factors {
    end: f64,
    start: f64,
    before: f64,
}

pub(super) fn steps(
    schedule: &NoiseSchedule,
    options: &PlanOptions,
    first: usize,
) -> Result<Vec<HistoryStep>, SchedulerError> {
    let grid = Grid {
        train: schedule.num_train_timesteps(),
        steps: options.steps,
        offset: schedule.steps_offset,
        extra_node: true,
        rounded: true,
    };
    let spacing = options.spacing.unwrap_or(TimestepSpacing::Linspace);
    let visited = sigma_grid(schedule, grid, spacing, options.sigma_schedule, Shaping::FullRange)?;
    let first = first.min(visited.sigmas.len());
    let (timesteps, sigmas) = (&visited.timesteps[first..], &visited.sigmas[first..]);
    let count = sigmas.len();
    let step = |i: usize| {
        let level = Level::from_sigma(sigmas[i]);
        let next = sigmas.get(i + 1).map_or(Level::CLEAN, |s| Level::from_sigma(*s));
        let base = StepCoefficients::at(timesteps[i], level, next, schedule.prediction_type);
        let kept = next.noise / level.noise;
        let predicted = predict(sigmas, i, order(i, count));
        let correction = if i == 0 {
            Factors { end: 0.0, start: 0.0, before: 0.0 }
        } else {
            let last = order(i - 1, count);
            let (p, c) = (predict(sigmas, i - 1, last), correct(sigmas, i - 1, last));
            Factors { end: c.end, start: c.start - p.start, before: c.before - p.before }
        };
        HistoryStep {
            step: StepCoefficients {
                next_x: kept,
                next_clean: predicted.start + kept * correction.end,
                next_prev_clean: predicted.before + kept * correction.start,
                ..base
            },
            older_clean: kept * correction.before,
            past_outs: [0.0; PAST_OUTPUTS],
        }
    };
    Ok((0..count).map(step).collect())
}

/// Two but for the first step, which has no history, and the last.
fn order(i: usize, count: usize) -> usize {
    if i == 0 || i + 1 == count { 1 } else { 2 }
}

/// From node i to node i + 1, which for the last is the clean image.
fn predict(sigmas: &[f64], i: usize, order: usize) -> Factors {
    let Some(interval) = Interval::new(sigmas, i) else {
        return Factors { end: 0.0, start: 1.0, before: 0.0 };
    };
    let pull = interval.pull();
    let slope = if order == 1 { 0.0 } else { 0.5 * pull / interval.ratio };
    Factors { end: 0.0, start: pull - slope, before: slope }
}

/// The same with the clean estimate at node i + 1.
fn correct(sigmas: &[f64], i: usize, order: usize) -> Factors {
    let Some(interval) = Interval::new(sigmas, i) else {
        return Factors { end: 0.0, start: 1.0, before: 0.0 };
    };
    let pull = interval.pull();
    if order == 1 {
        return Factors { end: 0.5 * pull, start: 0.5 * pull, before: 0.0 };
    }
    // The paper's system R rho = b in two unknowns, with rows (1, 1) and (ratio, 1).
    let minus_h = -interval.h;
    let b_h = minus_h.exp_m1();
    let phi_2 = b_h / minus_h - 1.0;
    let phi_3 = phi_2 / minus_h - 0.5;
    let (b1, b2) = (phi_2 / b_h, 2.0 * phi_3 / b_h);
    let rho_before = (b1 - b2) / (1.0 - interval.ratio);
    let rho_end = b1 - rho_before;
    let slope = pull * rho_before / interval.ratio;
    Factors { end: pull * rho_end, start: pull - slope - pull * rho_end, before: slope }
}

struct Interval {
    /// Step in lambda = -ln sigma.
    h: f64,
    /// The previous step in lambda over this one, negated; meaningless in the first interval.
    ratio: f64,
    /// Signal at the end.
    signal: f64,
}

impl Interval {
    fn new(sigmas: &[f64], i: usize) -> Option<Self> {
        let end = *sigmas.get(i + 1)?;
        let h = sigmas[i].ln() - end.ln();
        let before = if i == 0 { sigmas[0] } else { sigmas[i - 1] };
        Some(Self { h, ratio: (sigmas[i].ln() - before.ln()) / h, signal: Level::from_sigma(end).signal })
    }

    /// Factor of a constant clean estimate.
    fn pull(&self) -> f64 {
        -self.signal * (-self.h).exp_m1()
    }
}
