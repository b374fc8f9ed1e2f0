//! The levels an edit visits, and what a model's output means at each.

use crate::error::{Error, Result};
use crate::schedulers::{
    DynamicShift, Level, NoiseSchedule, PlanOptions, SamplingMethod, StepCoefficients, TimestepSpacing, flow_sigmas,
    plan,
};

/// In which terms a path is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// signal² + noise² = 1, what diffusion models are trained on.
    Diffusion,
    /// signal + noise = 1, the straight line between picture and noise. Diffusion models see it rescaled.
    Flow,
}

/// Levels of a run, noisiest first, each with the ordinary sampling step to the next; the last goes to the clean image.
#[derive(Clone, Debug, PartialEq)]
pub struct EditGrid {
    /// In which terms.
    pub form: Form,
    /// Ancestral steps (Ho et al. 2020) in [`Form::Diffusion`], Euler steps of the probability flow in [`Form::Flow`].
    pub steps: Vec<StepCoefficients>,
    /// Whether the model's output is the velocity along the line.
    velocity: bool,
}

impl EditGrid {
    /// `steps` of a diffusion model's timesteps, trailing.
    ///
    /// # Errors
    /// When there are none, or more than the model was trained with.
    pub fn diffusion(noise: &NoiseSchedule, steps: usize) -> Result<Self> {
        let options = PlanOptions { steps, spacing: Some(TimestepSpacing::Trailing), ..PlanOptions::default() };
        let steps = plan(SamplingMethod::Ddpm, noise, &options)?.steps;
        Ok(Self { form: Form::Diffusion, steps, velocity: false })
    }

    /// The same timesteps of a diffusion model in the terms of a flow: s / (1 - s) is the ratio of noise to signal.
    ///
    /// # Errors
    /// As [`EditGrid::diffusion`].
    pub fn flow_of_diffusion(noise: &NoiseSchedule, steps: usize) -> Result<Self> {
        let line = |level: Level| Level::flow(level.noise / (level.signal + level.noise));
        let step = |step: &StepCoefficients| {
            let (level, next) = (line(step.level), line(step.next_level));
            let own = next.noise / level.noise;
            let at = StepCoefficients::at(step.timestep, level, next, noise.prediction_type);
            StepCoefficients { next_x: own, next_clean: 1.0 - own, ..at }
        };
        let steps = Self::diffusion(noise, steps)?.steps.iter().map(step).collect();
        Ok(Self { form: Form::Flow, steps, velocity: false })
    }

    /// `steps` of a rectified-flow model whose picture has `tokens` tokens.
    ///
    /// # Errors
    /// When there are none.
    pub fn flow(shift: &DynamicShift, tokens: usize, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::Input { what: "steps", found: "0".into(), expected: "at least 1".into() });
        }
        let levels = flow_sigmas(steps, shift.mu(tokens));
        let steps = levels.windows(2).map(|pair| StepCoefficients::flow(pair[0], pair[1])).collect();
        Ok(Self { form: Form::Flow, steps, velocity: true })
    }

    /// Number of steps n.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Never true of a grid that was made here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The level of index 0 to n, which is clean.
    #[must_use]
    pub fn level(&self, i: usize) -> Level {
        self.steps.get(i).map_or(Level::CLEAN, |step| step.level)
    }

    /// The evaluation at an index that leaves the state alone, for the clean estimate.
    #[must_use]
    pub fn estimate(&self, i: usize) -> StepCoefficients {
        StepCoefficients { next_x: 1.0, next_out: 0.0, next_clean: 0.0, next_noise: 0.0, ..self.steps[i] }
    }

    /// The step of the probability flow (DDIM) from index `i` to the level of `i + 1`.
    #[must_use]
    pub fn deterministic(&self, i: usize) -> StepCoefficients {
        let (level, next) = (self.level(i), self.level(i + 1));
        let own = next.noise / level.noise;
        StepCoefficients { next_x: own, next_clean: next.signal - own * level.signal, ..self.estimate(i) }
    }

    /// The step back, from the level of `i + 1` up to index `i`, with the model's output at the time of `i` (diffusers'
    /// `DDIMInverseScheduler`; the only choice that asks nothing of a clean image's level).
    #[must_use]
    pub fn inverse(&self, i: usize) -> StepCoefficients {
        let (level, below) = (self.level(i), self.level(i + 1));
        let at = self.steps[i];
        if self.velocity {
            return StepCoefficients { next_x: 1.0, next_out: level.noise - below.noise, ..self.estimate(i) };
        }
        // eps = (x - signal · clean) / noise, at the level of the time.
        let (eps_x, eps_out) =
            ((1.0 - level.signal * at.clean_x) / level.noise, -level.signal * at.clean_out / level.noise);
        let own = level.signal / below.signal;
        let other = level.noise - own * below.noise;
        StepCoefficients { next_x: own + other * eps_x, next_out: other * eps_out, ..self.estimate(i) }
    }

    /// An index to start from: 1 to n. Index 0 has (nearly) nothing of the picture left, and in flow models nothing.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not.
    pub fn check_start(&self, start: usize) -> Result<()> {
        let n = self.len();
        if (1..=n).contains(&start) {
            return Ok(());
        }
        let share = 100.0 * self.level(start.min(n)).signal;
        let found = format!("{start}, where the state holds {share:.2} % of the picture");
        let expected = format!("1 to {n}: smaller changes more, {n} changes nothing");
        Err(Error::Input { what: "start index", found, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::PredictionType;

    fn schedule() -> NoiseSchedule {
        NoiseSchedule::stable_diffusion(PredictionType::Epsilon)
    }

    #[test]
    fn grids_fall_to_the_clean_image() {
        let shift = DynamicShift::FLUX;
        let grids = [
            EditGrid::diffusion(&schedule(), 28).unwrap(),
            EditGrid::flow_of_diffusion(&schedule(), 28).unwrap(),
            EditGrid::flow(&shift, 4096, 28).unwrap(),
        ];
        for grid in &grids {
            assert_eq!((grid.len(), grid.level(28)), (28, Level::CLEAN));
            assert!((0..28).all(|i| grid.level(i + 1).sigma() < grid.level(i).sigma()));
            let (levels, next) = (grid.steps[1..].iter(), grid.steps.iter());
            assert!(levels.zip(next).all(|(later, step)| step.next_level == later.level));
        }
        // The same ratios of noise to signal, and the same timesteps.
        for i in 0..28 {
            let [a, b] = [grids[0].level(i).sigma(), grids[1].level(i).sigma()];
            assert!((a - b).abs() < 1e-9 * a && grids[0].steps[i].timestep == grids[1].steps[i].timestep);
            assert!((grids[1].level(i).signal + grids[1].level(i).noise - 1.0).abs() < 1e-15);
        }
        assert_eq!(grids[0].steps[0].timestep, 999.0);
    }

    /// With the true noise of a point, up and down again is the identity at every level and in every form.
    #[test]
    fn inversion_and_sampling_are_inverse_for_true_noise() {
        let (clean, eps) = (0.4, -1.7);
        for grid in
            [EditGrid::diffusion(&schedule(), 10).unwrap(), EditGrid::flow_of_diffusion(&schedule(), 10).unwrap()]
        {
            for i in 0..10 {
                let (level, below) = (grid.level(i), grid.level(i + 1));
                let at = |level: Level| level.signal * clean + level.noise * eps;
                let (up, _) = grid.inverse(i).advance(at(below), eps, 0.0, 0.0);
                assert!((up - at(level)).abs() < 1e-9, "{i}: {up} {}", at(level));
                let (down, estimate) = grid.deterministic(i).advance(at(level), eps, 0.0, 0.0);
                assert!((down - at(below)).abs() < 1e-9 && (estimate - clean).abs() < 1e-9);
            }
        }
        let flow = EditGrid::flow(&DynamicShift::FLUX, 1024, 10).unwrap();
        for i in 1..10 {
            let at = |level: Level| level.signal * clean + level.noise * eps;
            let (up, _) = flow.inverse(i).advance(at(flow.level(i + 1)), eps - clean, 0.0, 0.0);
            assert!((up - at(flow.level(i))).abs() < 1e-12, "{i}: {up}");
            let (down, _) = flow.deterministic(i).advance(at(flow.level(i)), eps - clean, 0.0, 0.0);
            assert!((down - at(flow.level(i + 1))).abs() < 1e-12);
        }
    }

    #[test]
    fn starts_are_refused_with_numbers() {
        let grid = EditGrid::flow(&DynamicShift::FLUX, 4096, 28).unwrap();
        assert!((1..=28).all(|start| grid.check_start(start).is_ok()));
        let text = grid.check_start(0).unwrap_err().to_string();
        assert!(
            text.starts_with("start index: found 0, where the state holds 0.00 % of the picture, expected 1 to 28"),
            "{text}"
        );
        assert!(grid.check_start(29).is_err());
        assert!(EditGrid::flow(&DynamicShift::FLUX, 4096, 0).is_err());
        assert!(EditGrid::diffusion(&schedule(), 0).is_err());
    }
}
