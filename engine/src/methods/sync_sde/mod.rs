//! sync-SDE (Zhang and Scott 2025, "Semantic editing with coupled SDEs", arXiv 2509.24223): a picture's own noising path is, in
//! reverse, driven by some Brownian path; the same one drives the reverse process under the target's prompt. Only the difference
//! D = target - source is integrated, in f32; the noise cancels in it, and equal prompts give back the picture to the bit.
//!
//! | paper, code | here |
//! |---|---|
//! | flow SDE dX = -X/(1-s) ds + √(2s/(1-s)) dW, Euler: D' = D + δ (-2 (v_t - v_s) - D/(1-s)) | [`Integrator::Euler`], [`Form::Flow`] |
//! | path by the midpoint rule; the levels' own variance | [`PathVariance`] |
//! | a new path each step | [`SyncSde::resample`] |
//! | start index i0 | [`SyncSde::start`], from 1 |
//! | negative prompt, for the target | its denoiser's |
//! | mask: read and not used | D = 0 wherever the picture is kept, at every step |
//!
//! **Diffusion form** ([`Form::Diffusion`], for models like SD 2.1 and SDXL; the code for it was not published): source and target
//! take ancestral steps with the same noise, D' = c0 (clean_t - clean_s) + ct D. That is exactly what freezing clean_t - clean_s
//! over a step of the flow SDE gives ([`Integrator::Exponential`]): both follow from the levels alone.
//!
//! Known deviations: the path is walked down as a bridge instead of being stored (same law); the picture is encoded to the
//! posterior's mean.

use super::editing::{EditGrid, EditStep, Form, PathVariance, SourcePath, begin, estimate_pair, finish};
use super::plan::{Draw, Op, Plan};
use crate::error::{Error, Result};
use crate::rng::Purpose;

/// How the difference goes from a level to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrator {
    /// Euler on the flow SDE, as published. Only in [`Form::Flow`].
    Euler,
    /// Exact for a difference of clean estimates that is frozen over the step: never unstable, and lands on that difference in the
    /// last step, where Euler overshoots to 2 · difference - D.
    Exponential,
}

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SyncSde {
    /// Index of the first level, from 1; the number of steps changes nothing. Small is a large edit.
    pub start: usize,
    /// Noise of the path.
    pub variance: PathVariance,
    /// Steps of the difference.
    pub integrator: Integrator,
    /// A new path for each step.
    pub resample: bool,
    /// Classifier-free guidance of source and target.
    pub guidance: [f64; 2],
}

impl SyncSde {
    /// The published flow form.
    #[must_use]
    pub fn published(start: usize, guidance: [f64; 2]) -> Self {
        let (variance, integrator) = (PathVariance::Midpoint, Integrator::Euler);
        Self { start, variance, integrator, resample: false, guidance }
    }

    /// The diffusion form; also the flow form with the levels' own variance and the stabler steps.
    #[must_use]
    pub fn exact(start: usize, guidance: [f64; 2]) -> Self {
        let (variance, integrator) = (PathVariance::Exact, Integrator::Exponential);
        Self { start, variance, integrator, resample: false, guidance }
    }

    /// Whether the grid can run it.
    ///
    /// # Errors
    /// [`Error::Input`] with what it cannot.
    pub fn check(&self, grid: &EditGrid) -> Result<()> {
        grid.check_start(self.start)?;
        let published = self.variance == PathVariance::Midpoint || self.integrator == Integrator::Euler;
        if grid.form == Form::Diffusion && published {
            return Err(Error::Input {
                what: "midpoint variance and Euler steps",
                found: "the diffusion form".into(),
                expected: "the flow form: they are made for its line between picture and noise".into(),
            });
        }
        super::editing::check_guidance(&self.guidance)
    }

    /// `[own, clean]` of the difference from index `i` to the next.
    #[must_use]
    pub fn difference(&self, grid: &EditGrid, i: usize) -> [f64; 2] {
        let (level, next) = (grid.level(i), grid.level(i + 1));
        match self.integrator {
            Integrator::Euler => {
                let (s, delta) = (level.noise, level.noise - next.noise);
                [1.0 - 2.0 * delta / s - delta / level.signal, 2.0 * delta / s]
            }
            Integrator::Exponential => {
                let left = (next.sigma() / level.sigma()).powi(2);
                [next.signal / level.signal * left, next.signal * (1.0 - left)]
            }
        }
    }

    /// The operations: branch 0 is the source, branch 1 the target, which ends on the canvas.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, grid: &EditGrid) -> Result<Plan> {
        self.check(grid)?;
        let path = SourcePath::new(grid, self.variance);
        let mut ops = begin();
        ops.push(EditStep::first(&path, self.start, Draw::new(Purpose::Initial, 0).shared(true)).into());
        for i in self.start..grid.len() {
            let k = i - self.start;
            let draw = Draw::new(Purpose::Step, k as u32).shared(true);
            estimate_pair(&mut ops, &grid.estimate(i), self.guidance, draw);
            let (source, sigma) = if self.resample { path.fresh(i + 1) } else { path.step(i) };
            ops.push(EditStep { difference: self.difference(grid, i), source, sigma, gamma: 1.0, draw }.into());
            ops.push(Op::EndStep { step: k });
        }
        Ok(finish(ops, 2))
    }
}

#[cfg(test)]
mod tests;
