//! Everything that can be wrong with a request for a sampler.

use super::names::{SigmaSchedule, TimestepSpacing};

/// Why a sampling plan or a noise schedule could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// The number of denoising steps does not fit the schedule the model was trained with.
    #[error("steps: found {found}, expected {min} to {max}")]
    Steps {
        /// Steps asked for.
        found: usize,
        /// Fewest possible.
        min: usize,
        /// Most possible with this method and timestep spacing.
        max: usize,
    },
    /// The strength of an image-to-image start leaves no step to run, or is not a fraction.
    #[error(
        "strength: found {found}, expected more than 0 and at most 1, and at least 1/{steps} so that one of {steps} steps runs; raise --strength or --steps"
    )]
    Strength {
        /// Strength asked for.
        found: f64,
        /// Steps of the whole schedule.
        steps: usize,
    },
    /// The first step to run lies outside the schedule.
    #[error("first step: found {found}, expected 0 to {}", steps.saturating_sub(1))]
    StartIndex {
        /// Index asked for, counted from the noisiest step.
        found: usize,
        /// Steps of the whole schedule.
        steps: usize,
    },
    /// The share of fresh noise is not a usable number.
    #[error("eta: found {found}, expected a number from 0 to {max}")]
    Eta {
        /// Eta asked for.
        found: f64,
        /// Largest value for which every step keeps a real direction.
        max: f64,
    },
    /// A timestep that the model was not trained on.
    #[error(
        "timestep: found {found}, expected 0 to {}; fewer steps or another spacing avoid it",
        train.saturating_sub(1)
    )]
    Timestep {
        /// The timestep.
        found: i64,
        /// Number of timesteps the model was trained with.
        train: usize,
    },
    /// A list of timesteps that is not strictly falling, or is too short.
    #[error("timestep list: found {found} at position {index}, expected {needed} or more strictly falling timesteps")]
    Nodes {
        /// Position of the offending entry, or the length of a list that is too short.
        index: usize,
        /// The offending entry, or the last one.
        found: usize,
        /// Fewest entries.
        needed: usize,
    },
    /// A noise schedule this method has no steps for.
    #[error("{method} with the {schedule} sigma schedule: expected {expected}")]
    SigmaSchedule {
        /// The method.
        method: &'static str,
        /// The sigma schedule asked for.
        schedule: SigmaSchedule,
        /// What it can be combined with.
        expected: &'static str,
    },
    /// A method that remembers more than its caller does.
    #[error(
        "{method}: it reads model outputs of several steps back, which only single pictures keep; use ddim, euler, \
             euler_a, heun, dpm++2m, ddpm or lcm"
    )]
    History {
        /// The method.
        method: &'static str,
    },
    /// The model's output says nothing about the noise at a level without signal.
    #[error(
        "timestep {timestep} ({spacing} spacing) carries no signal: an epsilon model has no clean estimate there; use a v_prediction model or leading spacing"
    )]
    NoSignal {
        /// The timestep whose cumulative alpha is zero.
        timestep: usize,
        /// The spacing that chose it, or the list of nodes.
        spacing: TimestepSpacing,
    },
    /// A name in no dialect we know.
    #[error("{kind}: found \"{found}\", expected one of {expected}")]
    UnknownName {
        /// What was named: sampler, schedule, spacing, prediction type.
        kind: &'static str,
        /// The text.
        found: String,
        /// Our names, separated by commas.
        expected: &'static str,
    },
    /// A value in a scheduler configuration that makes no schedule.
    #[error("scheduler config, key \"{key}\": found {found}, expected {expected}")]
    Config {
        /// Key in scheduler_config.json.
        key: &'static str,
        /// The value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}
