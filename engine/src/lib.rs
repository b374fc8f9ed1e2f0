//! What to compute: models, samplers, spaces, methods, jobs.

pub mod bench;
pub mod denoiser;
pub mod error;
pub mod guidance;
pub mod jobs;
pub mod methods;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod pipeline;
pub mod reproject;
pub mod rng;
pub mod schedulers;
pub mod spaces;
pub mod verify;

pub use error::{Error, Result};
pub use syncline_kernels as kernels;
