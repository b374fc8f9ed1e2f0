//! What can go wrong in the engine, typed.

use syncline_kernels::gpu::GpuError;
use syncline_loader::LoadError;
use thiserror::Error;

use crate::schedulers::SchedulerError;

/// A failure of the engine. Every message says what was found, what was expected and what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A model file or configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The GPU.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A sampling plan.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// A failure and the stage of the job it happened in.
    #[error("{stage}: {source}")]
    At {
        /// Stage and step.
        stage: String,
        /// The failure.
        source: Box<Error>,
    },
    /// A value that a caller gave.
    #[error("{what}: found {found}, expected {expected}")]
    Input {
        /// Name of the option.
        what: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// NaN or infinity that no single layer could be blamed for.
    #[error("{stage}: {count} values are NaN or infinite; try --precision f32, or a lower --cfg-scale")]
    NonFinite {
        /// Stage and step.
        stage: String,
        /// How many values.
        count: u32,
    },
    /// The job was asked to stop.
    #[error("interrupted; nothing was written")]
    Cancelled,
    /// A golden directory.
    #[error("{dir}: {problem}; a golden directory is made with tests/golden/make_golden.py")]
    Golden {
        /// The directory.
        dir: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A weight does not fit the storage type.
    #[error("{tensor}: found {value}, expected at most 65504 in f16 storage; use --precision f32")]
    WeightExceedsF16 {
        /// Full name of the tensor.
        tensor: String,
        /// The first such value.
        value: f32,
    },
    /// A configuration that the loader lets pass and the engine cannot compute.
    #[error("{component}: {key} is {found}, expected {expected}; pick an SD-2.1, SDXL or SD-1.5 class model")]
    UnsupportedModel {
        /// Class of the component.
        component: &'static str,
        /// Key of its configuration.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
}

impl Error {
    /// The same failure with the stage it happened in.
    #[must_use]
    pub fn at_stage(self, stage: &str) -> Self {
        Self::At { stage: stage.to_owned(), source: Box::new(self) }
    }
}

/// Result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;
