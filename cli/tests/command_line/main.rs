//! The built binary, as a user meets it: exit codes, streams, files and messages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cancel;
mod canvas;
mod conventions;
mod devices;
mod edit;
mod edit_set;
mod flags;
mod journal;
mod metrics;
mod metrics_set;
mod model_files;
mod numeric;
mod outputs;
mod pair;
mod pictures;
mod prompts;
mod report;
mod reproject;
mod rerun;
mod runner;
mod safetensors;
mod streams;
mod viewer;
