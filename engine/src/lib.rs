//! What to compute: models, samplers, spaces, methods, jobs.

pub mod schedulers;
