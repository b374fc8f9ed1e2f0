//! Which training timesteps the steps visit, with diffusers' (that is, numpy's) rounding.

use super::error::SchedulerError;
use super::names::TimestepSpacing;

/// What a method asks of the grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Number of timesteps the model was trained with.
    pub train: usize,
    /// Number of steps.
    pub steps: usize,
    /// Added by leading spacing.
    pub offset: usize,
    /// The method steps to the end of the range as a node of its own (DPM-Solver++): leading and linspace spacing lay
    /// out one node more than steps and drop the last.
    pub extra_node: bool,
    /// Timesteps are rounded to integers (all but Euler, which reads sigma between them).
    pub rounded: bool,
}

/// Timesteps, noisiest first.
///
/// # Errors
/// [`SchedulerError::Steps`] when they do not fit, [`SchedulerError::Timestep`] when the offset pushes one past the end.
pub(super) fn timesteps(grid: Grid, spacing: TimestepSpacing) -> Result<Vec<f64>, SchedulerError> {
    let Grid { train, steps, offset, extra_node, rounded } = grid;
    let nodes = steps + usize::from(extra_node);
    // With one node more than steps, `train` steps would visit a timestep twice.
    let max = if extra_node && spacing != TimestepSpacing::Trailing { train - 1 } else { train };
    if steps == 0 || steps > max {
        return Err(SchedulerError::Steps { found: steps, min: 1, max });
    }
    let mut falling: Vec<f64> = match spacing {
        TimestepSpacing::Leading => (0..nodes).rev().map(|i| (i * (train / nodes) + offset) as f64).collect(),
        TimestepSpacing::Linspace => {
            let even = linspace(0.0, (train - 1) as f64, nodes).into_iter().rev();
            if rounded { even.map(f64::round_ties_even).collect() } else { even.map(|t| f64::from(t as f32)).collect() }
        }
        TimestepSpacing::Trailing => trailing(train, steps),
    };
    if extra_node && spacing != TimestepSpacing::Trailing {
        falling.pop();
    }
    match falling.first() {
        Some(&first) if first > (train - 1) as f64 => Err(SchedulerError::Timestep { found: first as i64, train }),
        _ => Ok(falling),
    }
}

/// `numpy.arange(train, 0, -train / steps).round() - 1`, with numpy's way of laying out the range: the increment is what
/// remains of it after one addition. For some step counts rounding gives numpy one entry more, at timestep -1, which no
/// model was trained on and which is left out here.
fn trailing(train: usize, steps: usize) -> Vec<f64> {
    let start = train as f64;
    let ratio = -(start / steps as f64);
    let count = (-start / ratio).ceil() as usize;
    let increment = (start + ratio) - start;
    (0..count).map(|i| (start + i as f64 * increment).round_ties_even() - 1.0).filter(|t| *t >= 0.0).collect()
}

/// `numpy.linspace`.
pub(super) fn linspace(start: f64, stop: f64, count: usize) -> Vec<f64> {
    if count < 2 {
        return vec![start; count];
    }
    let step = (stop - start) / (count - 1) as f64;
    (0..count).map(|i| if i + 1 == count { stop } else { i as f64 * step + start }).collect()
}
