//! What one step of a coupled edit multiplies.

use super::EditGrid;
use crate::methods::plan::{Draw, Op};
use crate::schedulers::Level;

/// One step of source and target, branches 0 and 1 (kernel `edit_step`): the difference D of the two trajectories, in branch 0 of
/// [`super::super::ViewReg::Kept`], the source's state S and the target's state Z, from [`super::super::ViewReg::Clean`] of both
/// and the source picture X, branch 0 of [`super::super::ViewReg::Known`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EditStep {
    /// D' = (own · D + clean · (clean of the target - clean of the source)) · mask.
    pub difference: [f64; 2],
    /// S' = own · S + known · X + sigma · ξ.
    pub source: [f64; 2],
    /// Factor of unit noise, the same for both of a pair.
    pub sigma: f64,
    /// Z' = S' + gamma · D'.
    pub gamma: f64,
    /// Which noise.
    pub draw: Draw,
}

/// How the noise of the source's path is distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathVariance {
    /// That of the levels.
    Exact,
    /// The sum of the midpoint rule over the steps left (sync-SDE's code): less than the levels' at high noise.
    Midpoint,
}

/// The source's path down the levels of a grid: S_i = signal_i (X + B_i), Var B_i = V_i, B of independent increments. Walked from
/// above it is a bridge that ends at X: B_{i+1} given B_i has mean V_{i+1} / V_i · B_i and variance V_{i+1} (1 - V_{i+1} / V_i). The
/// same law as drawing all increments from the picture up, with nothing to store; in [`super::Form::Diffusion`] it is the posterior
/// of Ho et al. 2020 given X.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePath {
    levels: Vec<Level>,
    /// V_0 to V_n = 0; V_0 may be infinite.
    variances: Vec<f64>,
}

impl SourcePath {
    /// Of all levels.
    #[must_use]
    pub fn new(grid: &EditGrid, variance: PathVariance) -> Self {
        let n = grid.len();
        let levels: Vec<Level> = (0..=n).map(|i| grid.level(i)).collect();
        let exact = |level: &Level| level.sigma() * level.sigma();
        let mut variances: Vec<f64> = levels.iter().map(exact).collect();
        if variance == PathVariance::Midpoint {
            for i in (0..n).rev() {
                let (s, next) = (levels[i].noise, levels[i + 1].noise);
                let middle = 0.5 * (s + next);
                variances[i] = variances[i + 1] + 2.0 * middle / (1.0 - middle).powi(3) * (s - next);
            }
        }
        Self { levels, variances }
    }

    /// Standard deviation of S_i - signal_i · X.
    #[must_use]
    pub fn deviation(&self, i: usize) -> f64 {
        self.levels[i].signal * self.variances[i].sqrt()
    }

    /// `[own, known]` and sigma of a state at `i` that follows nothing.
    #[must_use]
    pub fn fresh(&self, i: usize) -> ([f64; 2], f64) {
        ([0.0, self.levels[i].signal], self.deviation(i))
    }

    /// `[own, known]` and sigma of the step from `i` to `i + 1`.
    #[must_use]
    pub fn step(&self, i: usize) -> ([f64; 2], f64) {
        let ([now, next], [v, next_v]) = ([i, i + 1].map(|k| self.levels[k]), [i, i + 1].map(|k| self.variances[k]));
        let (left, gone) = (next_v / v, (v - next_v) / v);
        ([next.signal / now.signal * left, next.signal * gone], next.signal * (next_v * gone).sqrt())
    }
}

impl EditStep {
    /// The first state of a run at index `i`: no difference yet.
    #[must_use]
    pub fn first(path: &SourcePath, i: usize, draw: Draw) -> Self {
        let (source, sigma) = path.fresh(i);
        Self { difference: [0.0, 0.0], source, sigma, gamma: 1.0, draw }
    }
}

impl From<EditStep> for Op {
    fn from(step: EditStep) -> Self {
        Self::EditStep(step)
    }
}
