//! Exit codes, a documented contract:
//! 0 ok, 1 anything else, 2 usage, 3 bad input file, 4 model mismatch, 5 no suitable adapter, 6 out of memory or
//! budget, 7 device lost, 8 numeric failure, 9 output failure, 130 interrupted.

use std::process::ExitCode;

use serde_json::json;
use syncline::kernels::gpu::GpuError;
use syncline_loader::LoadError;

use crate::console;
use crate::output::OutputError;

/// Wrong flags or values.
pub const USAGE: u8 = 2;

/// A failure whose code the command itself knows.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What the user reads.
    pub message: String,
}

impl Failure {
    /// A flag's value is refused.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// An input file that is not what it should be.
    pub fn input(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }
}

fn gpu_code(error: &GpuError) -> u8 {
    match error {
        GpuError::NoAdapter { .. } | GpuError::Limit { .. } => 5,
        GpuError::OutOfMemory { .. } => 6,
        GpuError::DeviceLost { .. } => 7,
        GpuError::NonFinite { .. } => 8,
        _ => 1,
    }
}

fn engine_code(error: &syncline::Error) -> u8 {
    use syncline::Error;
    match error {
        Error::Gpu(gpu) => gpu_code(gpu),
        Error::At { source, .. } => engine_code(source),
        Error::Load(load) => load.code().exit_code(),
        Error::Scheduler(_) | Error::Input { .. } => USAGE,
        Error::NonFinite { .. } | Error::WeightExceedsF16 { .. } => 8,
        Error::Golden { .. } => 3,
        Error::UnsupportedModel { .. } => 4,
        Error::Cancelled => 130,
        _ => 1,
    }
}

/// The code of an error.
pub fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(e) = cause.downcast_ref::<Failure>() {
            return e.code;
        }
        if let Some(e) = cause.downcast_ref::<syncline::Error>() {
            return engine_code(e);
        }
        if let Some(e) = cause.downcast_ref::<GpuError>() {
            return gpu_code(e);
        }
        if let Some(e) = cause.downcast_ref::<LoadError>() {
            return e.code().exit_code();
        }
        if let Some(e) = cause.downcast_ref::<OutputError>() {
            return e.exit_code();
        }
    }
    1
}

/// Prints the error where the caller looks for it and gives the exit code.
pub fn report(as_json: bool, error: &anyhow::Error) -> ExitCode {
    let code = code(error);
    // Every message holds its causes already.
    let message = error.to_string();
    let shown =
        as_json && console::result(json!({ "schema": 1, "event": "error", "code": code, "message": message })).is_ok();
    if !shown {
        console::note(format_args!("error: {message}"));
        if code == USAGE {
            console::note("\nFor more information, try '--help'.");
        }
    }
    ExitCode::from(code)
}
