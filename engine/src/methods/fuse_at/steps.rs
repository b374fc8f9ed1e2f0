//! Timesteps of a synchronised run, and what a step between two of them multiplies.

use crate::error::Result;
use crate::methods::transition::Transition;
use crate::schedulers::{
    GridEnd, Level, NoiseSchedule, PlanOptions, SamplingMethod, SamplingPlan, StepCoefficients, ddim_nodes, plan,
};

/// Which timesteps are visited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeGrid {
    /// As diffusers' DDIM with leading spacing.
    Leading {
        /// Number of steps.
        steps: usize,
    },
    /// t_k = ⌊first + (last - first) · k / steps⌋, k = 0 … steps - 1, then the clean image (the StochSync code).
    Linear {
        /// Number of steps.
        steps: usize,
        /// First timestep.
        first: f64,
        /// What the timesteps run towards.
        last: f64,
    },
}

impl TimeGrid {
    /// Number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        match *self {
            Self::Leading { steps } | Self::Linear { steps, .. } => steps,
        }
    }

    fn deterministic(&self, noise: &NoiseSchedule) -> Result<SamplingPlan> {
        Ok(match *self {
            Self::Leading { steps } => {
                plan(SamplingMethod::Ddim, noise, &PlanOptions { steps, ..PlanOptions::default() })?
            }
            Self::Linear { steps, first, last } => {
                let at = |k: usize| (first + (last - first) * k as f64 / steps as f64 + 1e-9) as usize;
                let mut nodes: Vec<usize> = (0..steps).map(at).collect();
                nodes.dedup();
                ddim_nodes(noise, &nodes, GridEnd::Clean)?
            }
        })
    }

    pub(super) fn transitions(&self, noise: &NoiseSchedule, eta: f64) -> Result<Vec<Transition>> {
        let steps = self.deterministic(noise)?.steps;
        let transition = |(i, step): (usize, &StepCoefficients)| {
            let level = step.level;
            // Whatever level diffusers leaves in the end, a fused picture wants none.
            let next = if i + 1 == steps.len() { Level::CLEAN } else { step.next_level };
            let (now, then) = (level.alpha_bar(), next.alpha_bar());
            let variance = ((1.0 - then) / (1.0 - now) * (1.0 - now / then)).max(0.0);
            Transition { timestep: step.timestep as usize, level, next, sigma: eta * variance.sqrt() }
        };
        Ok(steps.iter().enumerate().map(transition).collect())
    }
}
