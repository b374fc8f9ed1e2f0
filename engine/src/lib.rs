//! What to compute: models, samplers, spaces, methods, jobs.

pub mod error;
pub mod guidance;
pub mod models;
pub mod nn;
pub mod rng;
pub mod schedulers;
pub mod verify;

pub use error::{Error, Result};
