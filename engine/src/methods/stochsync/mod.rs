//! StochSync (Yeo, Kim and Sung 2025, "StochSync: Stochastic Diffusion Synchronization for Image Generation in Arbitrary
//! Spaces"): views of a canvas are noised with fresh noise, denoised to clean images one by one, and fused; the next
//! step does the same with other, non-overlapping views at a lower noise level.
//!
//! | paper | here |
//! |---|---|
//! | Alg. 4, maximum stochasticity (σ_t = √(1 − ᾱ_t)): x_t = √ᾱ ℓ + √(1 − ᾱ) ξ, no noise estimate is kept | [`StochSync::max_stochasticity`] |
//! | multi-step clean estimate G(x_t, t) | [`StochSync::multi_step`], [`OuterStep::plan`] |
//! | non-overlapping views, two interleaved sets | the view sets of the space, used in turn |
//! | seam removal: RePaint-like blending in the last steps (official code) | [`OuterStep::blend`] |
//! | inpainting: z ← m ⊙ known + (1 − m) ⊙ x̂0 | [`StochSync::inpaint`] |
//!
//! Known deviations from the authors' code: the multi-step prediction ends at ᾱ = 1 instead of ᾱ_0 (which would leave
//! 3 % of the noise estimate in the "clean" image); projection wraps at the back column; views may be rendered wider than
//! they are used, predictions may have a fewest number of steps, what the autoencoder loses may be given back, and the last
//! two sets may be faded into each other (all switchable, see [`StochSync`]; off in the published presets).

mod blend;
mod ops;
mod presets;

pub use blend::BlendMask;
pub use presets::Preset;

use super::{Finish, Medium};
use crate::error::Error;
use crate::schedulers::{
    GridEnd, NoiseSchedule, SamplingPlan, SchedulerError, ddim_nodes, dpmpp_2m_nodes, nodes_below,
};

/// Solver of the multi-step prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OdeSolver {
    /// DDIM without noise (the paper).
    Ddim,
    /// DPM-Solver++(2M) (the authors' code).
    Dpmpp2m,
}

/// All switches of the method. See [`Preset`] for published values.
#[derive(Clone, Debug, PartialEq)]
pub struct StochSync {
    /// Outer steps K.
    pub steps: usize,
    /// Timestep at which the first refining step noises the views.
    pub t_max: f64,
    /// Timestep that the schedule runs towards.
    pub t_min: f64,
    /// Exponent of the way from `t_max` to `t_min`: 1 (published) is linear in the step, more spends more steps at low
    /// levels, where views come to agree.
    pub t_power: f64,
    /// First steps from pure noise, W.
    pub warmup_steps: usize,
    /// Last steps that blend into the old canvas at view borders, Q.
    pub seam_removal_steps: usize,
    /// Nodes of the full-range grid of the multi-step prediction.
    pub ode_steps: usize,
    /// Fewest steps of the prediction, whatever the grid leaves: one step from a low level is the mean of what the view
    /// could have been, and blurs a little more each time. 1 is the published behaviour.
    pub min_ode_steps: usize,
    /// Its solver. Seam-removal steps always use DDIM with at least 50 nodes, as the authors' code does.
    pub solver: OdeSolver,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// Whether what the autoencoder loses is given back: after each fusion the views are encoded again, and the difference to
    /// the latents they were decoded from is added the next time the same views are encoded. Without it (published) every
    /// pass through a lossy autoencoder blurs the canvas a little and shifts its colours.
    pub correct_encoding: bool,
    /// Vertical field in degrees in which views are generated.
    pub fov: f64,
    /// Field in degrees that fusion uses of it; smaller than `fov` means views are rendered wider than used.
    pub used_fov: f64,
    /// Whether the last sets of views are blended by distance to their borders in the end.
    pub feather: bool,
    /// Fresh noise in every step. Without it (rows 1 and 3 of the paper's ablation) the state of every view goes on by DDIM
    /// from the fused clean estimate, which needs the same views in every step.
    pub max_stochasticity: bool,
    /// Clean estimates of several steps. Without it (rows 1, 2 and 5) one evaluation gives the estimate.
    pub multi_step: bool,
    /// What the canvas holds.
    pub medium: Medium,
    /// How the picture is made of a latent canvas.
    pub finish: Finish,
    /// Whether a mask keeps known content.
    pub inpaint: bool,
}

/// One step of the schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct OuterStep {
    /// Timestep to which views are noised; `None`: pure noise, the canvas is not looked at.
    pub timestep: Option<usize>,
    /// The plan of the multi-step prediction.
    pub plan: SamplingPlan,
    /// Whether this step blends into the old canvas at view borders.
    pub blend: bool,
}

impl StochSync {
    /// Whether every number is one that a model with `train` timesteps can run.
    ///
    /// # Errors
    /// [`Error::Input`] with the first that is not.
    pub fn check(&self, train: usize) -> Result<(), Error> {
        let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
        for (what, count) in [("steps", self.steps), ("ode steps", self.ode_steps)] {
            if !(1..=train).contains(&count) {
                return refuse(what, count.to_string(), format!("1 to {train}"));
            }
        }
        let last = train.saturating_sub(1) as f64;
        if !(self.t_max >= 0.0 && self.t_max <= last) {
            return refuse("t max", self.t_max.to_string(), format!("a timestep from 0 to {last}"));
        }
        if !(self.t_min >= 0.0 && self.t_min <= self.t_max) {
            return refuse("t min", self.t_min.to_string(), format!("a timestep from 0 to t max ({})", self.t_max));
        }
        let states = !self.max_stochasticity;
        if states && (self.warmup_steps > 1 || self.seam_removal_steps > 0 || self.correct_encoding) {
            let found = format!(
                "{} warm-up steps, {} seam removal steps, correct encoding {}",
                self.warmup_steps, self.seam_removal_steps, self.correct_encoding
            );
            let expected = "at most 1, 0 and false: they belong to fresh noise in every step".into();
            return refuse("without maximum stochasticity", found, expected);
        }
        if !self.guidance_scale.is_finite() {
            return refuse("cfg-scale", self.guidance_scale.to_string(), "a finite number".into());
        }
        Ok(())
    }

    /// The schedule.
    ///
    /// # Errors
    /// When a number is outside what the noise schedule knows.
    pub fn schedule(&self, noise: &NoiseSchedule) -> Result<Vec<OuterStep>, SchedulerError> {
        if self.steps == 0 {
            return Err(SchedulerError::Steps { found: 0, min: 1, max: noise.num_train_timesteps() });
        }
        (0..self.steps).map(|k| self.outer_step(noise, k)).collect()
    }

    fn outer_step(&self, noise: &NoiseSchedule, k: usize) -> Result<OuterStep, SchedulerError> {
        let last = noise.num_train_timesteps() - 1;
        let left = (1.0 - k as f64 / self.steps as f64).powf(self.t_power);
        // The small summand undoes rounding: 900 to 270 in 25 steps must give 698.4, not 698.3999…
        let base = (self.t_min + (self.t_max - self.t_min) * left + 1e-9) as usize;
        let blend = k >= self.warmup_steps && k + self.seam_removal_steps >= self.steps;
        let t = match (k < self.warmup_steps, blend) {
            (true, _) => last,
            // Borders need more noise to be redrawn: the authors' code doubles the timestep.
            (false, true) => (2 * base).min(last),
            (false, false) => base.min(last),
        };
        let plan = if !self.multi_step {
            ddim_nodes(noise, &[t], GridEnd::Clean)?
        } else if blend || self.solver == OdeSolver::Ddim {
            let count = if blend { self.ode_steps.max(50) } else { self.ode_steps };
            ddim_nodes(noise, &nodes_below(t, count, last + 1), GridEnd::Clean)?
        } else {
            dpmpp_2m_nodes(noise, &self.prediction_nodes(t, last + 1))?
        };
        let timestep = (k >= self.warmup_steps && t < last).then_some(t);
        // A step that cannot see the canvas has nothing to blend with.
        Ok(OuterStep { timestep, plan, blend: blend && timestep.is_some() })
    }

    /// The nodes of a prediction from `t`.
    fn prediction_nodes(&self, t: usize, train: usize) -> Vec<usize> {
        let nodes = nodes_below(t, self.ode_steps, train);
        if nodes.len() >= self.min_ode_steps {
            return nodes;
        }
        let count = self.min_ode_steps.min(t.max(1));
        (0..count).map(|i| t - t * i / count).collect()
    }

    /// The same method without any coupling: each of `sets` view sets from pure noise, hard tiles. The baseline of every
    /// report.
    #[must_use]
    pub fn independent(&self, sets: usize) -> Self {
        Self { steps: sets, warmup_steps: sets, seam_removal_steps: 0, feather: false, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::PredictionType;

    /// The table of the authors' panorama schedule: timestep and network evaluations of each step.
    #[test]
    fn official_panorama_schedule_is_the_published_one() {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        let steps = Preset::Official.method().schedule(&noise).unwrap();
        let expected = [
            (999, 24),
            (999, 24),
            (849, 21),
            (824, 20),
            (799, 20),
            (774, 19),
            (748, 18),
            (723, 18),
            (698, 17),
            (673, 17),
            (648, 16),
            (622, 15),
            (597, 15),
            (572, 14),
            (547, 14),
            (522, 13),
            (496, 12),
            (471, 12),
            (446, 11),
            (421, 11),
            (396, 10),
            (370, 9),
            (345, 9),
            (640, 32),
            (590, 29),
        ];
        let got: Vec<(usize, usize)> =
            steps.iter().map(|s| (s.plan.steps[0].timestep as usize, s.plan.steps.len())).collect();
        // The list without its final zero, as DPM-Solver++ runs it; DDIM seam steps end with one more to the clean image.
        for (k, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert_eq!(got.0, expected.0, "step {k}");
            assert!(got.1.abs_diff(expected.1) <= 1, "step {k}: {} evaluations, {} published", got.1, expected.1);
        }
        assert!(steps[..2].iter().all(|s| s.timestep.is_none()) && steps[2].timestep == Some(849));
        assert_eq!(steps.iter().filter(|s| s.blend).count(), 2);
    }

    #[test]
    fn independent_views_never_look_at_the_canvas() {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        let steps = Preset::Official.method().independent(2).schedule(&noise).unwrap();
        assert_eq!(steps.len(), 2);
        assert!(steps.iter().all(|step| step.timestep.is_none() && !step.blend));
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        let official = || Preset::Official.method();
        assert!(Preset::ALL.iter().all(|preset| preset.method().check(1000).is_ok()));
        let refused = [
            ("steps", StochSync { steps: 1001, ..official() }),
            ("ode steps", StochSync { ode_steps: 0, ..official() }),
            ("t max", StochSync { t_max: f64::NAN, ..official() }),
            ("t max", StochSync { t_max: 1000.0, ..official() }),
            ("t min", StochSync { t_min: 901.0, ..official() }),
            ("cfg-scale", StochSync { guidance_scale: f64::INFINITY, ..official() }),
        ];
        for (name, method) in refused {
            let message = method.check(1000).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{name}: found ")), "{message}");
        }
    }

    /// A panorama of five views without guidance: some 150 evaluations instead of 4 200.
    #[test]
    fn turbo_needs_few_evaluations() {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        let count = |preset: Preset| {
            let method = preset.method();
            let rows = if method.guidance_scale == 1.0 { 1 } else { 2 };
            5 * rows * method.plan(&noise, 2).unwrap().evaluations()
        };
        assert_eq!(count(Preset::Turbo), 140);
        assert!((4150..=4250).contains(&count(Preset::Official)), "{}", count(Preset::Official));
    }

    #[test]
    fn zero_steps_are_refused() {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        let method = StochSync { steps: 0, ..Preset::Official.method() };
        assert!(method.schedule(&noise).is_err());
    }
}
