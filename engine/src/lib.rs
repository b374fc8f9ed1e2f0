//! What to compute: models, samplers, spaces, methods, jobs.
