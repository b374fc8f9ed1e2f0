//! The noise levels that all models of a coupled run share, and where each model finds them in its own table.

use crate::error::{Error, Result};
use crate::schedulers::{
    Level, NoiseSchedule, PlanOptions, PredictionType, SamplingMethod, StepCoefficients, TimestepSpacing, flow_sigmas,
    plan,
};

/// What a model's levels are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ModelLevels<'a> {
    /// A diffusion model's table.
    Diffusion(&'a NoiseSchedule),
    /// Any s of 0..=1: a rectified-flow model, whose output is the velocity.
    Flow,
}

/// Which levels are visited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JointGrid {
    /// Trailing timesteps of one model's table; the others take the nearest sigma of theirs. The last step ends at ᾱ = 1.
    Diffusion {
        /// Number of steps.
        steps: usize,
        /// Whose table.
        of: usize,
    },
    /// Levels of rectified-flow models.
    Flow {
        /// Number of steps.
        steps: usize,
        /// Exponent of the shift; 0: even levels.
        mu: f64,
        /// How a step is taken.
        step: FlowStep,
    },
}

/// A step of a rectified flow from s to s'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// Euler on the ODE: x + (s' - s) v.
    Ode,
    /// Euler on the reverse SDE: x + (s' - s) (2 v + x / (1 - s)) + √(2 s (s - s') / (1 - s)) ξ. From s = 1, where it is not
    /// defined, the ODE's.
    Sde,
    /// The clean estimate noised afresh: (1 - s') clean + s' ξ.
    Renoise,
}

/// One joint step.
#[derive(Clone, Debug, PartialEq)]
pub struct JointStep {
    /// The level of the state, and the next one.
    pub level: Level,
    /// See [`JointStep::level`].
    pub next: Level,
    /// The ordinary step of each model, in its own terms: timestep of its own table, meaning of its own output.
    pub models: Vec<StepCoefficients>,
}

impl JointGrid {
    /// Number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        match *self {
            Self::Diffusion { steps, .. } | Self::Flow { steps, .. } => steps,
        }
    }

    /// Every step for every model.
    ///
    /// # Errors
    /// When the models' kinds differ from the grid's, there are no steps, or a level carries no signal for a model that
    /// predicts noise.
    pub fn resolve(&self, models: &[ModelLevels<'_>]) -> Result<Vec<JointStep>> {
        let refuse = |what, found: String, expected: &str| Err(Error::Input { what, found, expected: expected.into() });
        match *self {
            Self::Diffusion { steps, of } => {
                let mut tables = Vec::new();
                for model in models {
                    let ModelLevels::Diffusion(table) = model else {
                        return refuse("models", "a flow model".into(), "diffusion models on a grid of timesteps");
                    };
                    tables.push(*table);
                }
                let Some(first) = tables.get(of) else {
                    return refuse("joint grid", format!("model {of}"), "one of the models");
                };
                let options = PlanOptions { steps, spacing: Some(TimestepSpacing::Trailing), ..PlanOptions::default() };
                let steps = plan(SamplingMethod::Ddpm, first, &options)?.steps;
                steps.iter().map(|step| ancestral(step, &tables)).collect()
            }
            Self::Flow { steps, mu, step } => {
                if models.iter().any(|model| *model != ModelLevels::Flow) {
                    return refuse("models", "a diffusion model".into(), "flow models on a grid of flow levels");
                }
                if steps == 0 || !mu.is_finite() {
                    return refuse("steps", format!("{steps}, shift {mu}"), "at least 1, and a finite shift");
                }
                let levels = flow_sigmas(steps, mu);
                let joint = |pair: &[f64]| {
                    let models = vec![step.coefficients(pair[0], pair[1]); models.len()];
                    JointStep { level: Level::flow(pair[0]), next: Level::flow(pair[1]), models }
                };
                Ok(levels.windows(2).map(joint).collect())
            }
        }
    }
}

impl FlowStep {
    fn coefficients(self, s: f64, next: f64) -> StepCoefficients {
        let ode = StepCoefficients::flow(s, next);
        match self {
            Self::Sde if s < 1.0 => StepCoefficients {
                next_x: 1.0 + (next - s) / (1.0 - s),
                next_out: 2.0 * (next - s),
                next_noise: (2.0 * s / (1.0 - s) * (s - next)).sqrt(),
                ..ode
            },
            Self::Renoise => {
                StepCoefficients { next_x: 0.0, next_out: 0.0, next_clean: 1.0 - next, next_noise: next, ..ode }
            }
            Self::Ode | Self::Sde => ode,
        }
    }
}

/// A step of the joint grid in the terms of each model.
fn ancestral(step: &StepCoefficients, tables: &[&NoiseSchedule]) -> Result<JointStep> {
    let (level, next) = (step.level, step.next_level);
    let of = |(number, table): (usize, &&NoiseSchedule)| {
        if level.signal == 0.0 && table.prediction_type == PredictionType::Epsilon {
            return Err(Error::Input {
                what: "joint grid",
                found: format!("timestep {}, which carries no signal, for model {number}", step.timestep),
                expected:
                    "a v-prediction model there: one that predicts noise has no clean estimate; take the joint grid \
                           from another model's table"
                        .into(),
            });
        }
        let timestep = nearest(table, level.sigma()) as f64;
        let own = StepCoefficients::at(timestep, level, next, table.prediction_type);
        let (next_x, next_clean, next_noise) = (step.next_x, step.next_clean, step.next_noise);
        Ok(StepCoefficients { next_x, next_clean, next_noise, ..own })
    };
    let models = tables.iter().enumerate().map(of).collect::<Result<_>>()?;
    Ok(JointStep { level, next, models })
}

/// The timestep whose sigma is nearest. Levels without signal only answer to their like.
fn nearest(table: &NoiseSchedule, sigma: f64) -> usize {
    let sigmas = table.alphas_cumprod.iter().map(|a| Level::variance_preserving(*a).sigma());
    if sigma.is_infinite() {
        return table.num_train_timesteps().saturating_sub(1);
    }
    let distances = sigmas.enumerate().filter(|(_, own)| own.is_finite()).map(|(t, own)| (t, (own - sigma).abs()));
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(t, _)| t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::{BetaSchedule, NoiseScheduleConfig};

    fn table(config: &NoiseScheduleConfig) -> NoiseSchedule {
        NoiseSchedule::from_config(config).unwrap()
    }

    fn sd() -> NoiseScheduleConfig {
        NoiseScheduleConfig::stable_diffusion(PredictionType::Epsilon)
    }

    /// Stable Virtual Camera: betas 5e-6 to 0.012, scaled-linear, sigmas shifted by e^2.4.
    fn shifted() -> NoiseSchedule {
        let mut table = table(&NoiseScheduleConfig { beta_start: 5e-6, ..sd() });
        let shift = 2.4f64.exp();
        for alpha_bar in &mut table.alphas_cumprod {
            let sigma = Level::variance_preserving(*alpha_bar).sigma() * shift;
            *alpha_bar = 1.0 / (1.0 + sigma * sigma);
        }
        table
    }

    #[test]
    fn each_model_finds_the_joint_levels_in_its_own_table() {
        let (sd, wide) = (table(&sd()), shifted());
        let sigma = |t: usize| Level::variance_preserving(sd.alphas_cumprod[t]).sigma();
        let known = [(999, 620), (800, 349), (600, 201), (400, 121), (200, 68), (100, 43), (50, 28), (0, 0)];
        for (t, expected) in known {
            assert_eq!(nearest(&wide, sigma(t)), expected, "{t}");
            assert_eq!(nearest(&sd, sigma(t)), t);
        }
        let grid = JointGrid::Diffusion { steps: 10, of: 0 };
        let models = [ModelLevels::Diffusion(&sd), ModelLevels::Diffusion(&wide)];
        let steps = grid.resolve(&models).unwrap();
        assert_eq!(steps[0].models[0].timestep, 999.0);
        assert_eq!(steps[0].models[1].timestep, 620.0);
        assert_eq!(steps[9].models[0].timestep, 99.0);
        assert_eq!(steps[9].next, Level::CLEAN);
        // Both compute the same step of the same state.
        for step in &steps {
            let [a, b] = [step.models[0], step.models[1]];
            assert_eq!(
                (a.clean_x, a.clean_out, a.next_x, a.next_noise),
                (b.clean_x, b.clean_out, b.next_x, b.next_noise)
            );
        }
        // The other model's grid begins beyond what the first was trained on.
        let steps = JointGrid::Diffusion { steps: 10, of: 1 }.resolve(&models).unwrap();
        assert_eq!((steps[0].models[0].timestep, steps[0].models[1].timestep), (999.0, 999.0));
        assert!((steps[0].level.sigma() - 84.9).abs() < 0.1);
    }

    #[test]
    fn levels_without_signal_are_for_v_models() {
        let zero = NoiseScheduleConfig { rescale_betas_zero_snr: true, ..sd() };
        let (v, eps) = (NoiseScheduleConfig { prediction_type: PredictionType::VPrediction, ..zero.clone() }, zero);
        let (v, eps, plain) = (table(&v), table(&eps), table(&sd()));
        let resolve = |models: [&NoiseSchedule; 2]| {
            JointGrid::Diffusion { steps: 10, of: 0 }.resolve(&models.map(ModelLevels::Diffusion))
        };
        let steps = resolve([&v, &v]).unwrap();
        assert_eq!((steps[0].level.signal, steps[0].models[1].timestep), (0.0, 999.0));
        let text = resolve([&v, &plain]).unwrap_err().to_string();
        assert!(text.contains("timestep 999, which carries no signal, for model 1"), "{text}");
        assert!(resolve([&eps, &plain]).is_err());
        // Its other levels serve a joint grid that does not ask for the last.
        let steps = resolve([&plain, &eps]).unwrap();
        assert!(steps.iter().all(|step| step.models[1].timestep < 999.0 && step.models[1].clean_x.is_finite()));
    }

    /// With the exact velocity of N(m, d²) all three kinds of step end at that Gaussian: x is linear in what it was.
    #[test]
    fn every_flow_step_ends_at_the_pictures() {
        let (m, d2) = (0.8, 0.09);
        // Noising each estimate afresh forgets half of the pictures' spread here: the variant as it is written.
        for (kind, share) in [(FlowStep::Ode, 1.0), (FlowStep::Sde, 1.0), (FlowStep::Renoise, 0.492)] {
            let steps = JointGrid::Flow { steps: 800, mu: 0.0, step: kind }.resolve(&[ModelLevels::Flow]).unwrap();
            let (mut mean, mut variance) = (0.0, 1.0);
            for step in &steps {
                let (c, s) = (step.models[0], step.level.noise);
                let k = (1.0 - s) * d2 / ((1.0 - s) * (1.0 - s) * d2 + s * s);
                let (own, constant) = ((1.0 - k) / s, -(m - k * (1.0 - s) * m) / s);
                let out = c.next_out + c.next_clean * c.clean_out;
                let factor = c.next_x + c.next_clean * c.clean_x + out * own;
                (mean, variance) = (factor * mean + out * constant, factor * factor * variance + c.next_noise.powi(2));
            }
            assert!((mean - m).abs() < 0.01, "{kind:?}: mean {mean}");
            assert!((variance / d2 - share).abs() < 0.02, "{kind:?}: variance {variance} for {d2}");
        }
    }

    #[test]
    fn kinds_do_not_mix() {
        let sd = table(&NoiseScheduleConfig { beta_schedule: BetaSchedule::Linear, ..sd() });
        let grid = JointGrid::Flow { steps: 4, mu: 0.0, step: FlowStep::Ode };
        assert!(grid.resolve(&[ModelLevels::Flow, ModelLevels::Diffusion(&sd)]).is_err());
        assert!(
            JointGrid::Diffusion { steps: 4, of: 0 }
                .resolve(&[ModelLevels::Diffusion(&sd), ModelLevels::Flow])
                .is_err()
        );
        assert_eq!(grid.resolve(&[ModelLevels::Flow]).unwrap()[3].next, Level::CLEAN);
    }
}
