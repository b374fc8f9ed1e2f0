//! What to compute: models, samplers, spaces, methods, jobs.

pub mod guidance;
pub mod rng;
pub mod schedulers;
