//! Golden directories: every expected tensor of the PyTorch reference, computed here and compared.
//!
//! Single modules are fed the reference's own inputs, so that an error shows where it is made; whole trajectories run from
//! the token ids on. Names that nothing here computes are listed as skipped and fail the report unless they are allowed.

mod control;
mod data;
mod modules;
mod report;
mod samplers;
mod texts;
mod trajectories;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

pub use report::{Report, TensorResult, Tolerances, Worst};

use crate::error::Result;
use data::Golden;
use modules::Modules;

/// How to verify.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// Storage type of weights and activations.
    pub elem: Elem,
    /// Whether names that nothing here computes may occur.
    pub allow_skipped: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { elem: Elem::F32, allow_skipped: false }
    }
}

/// Runs every expected tensor that `source`'s golden data names, calling `done` after each.
///
/// # Errors
/// When `source` is no golden directory or lacks an input, when the model cannot be loaded, when the device fails, and
/// when a layer writes NaN or infinity. Results beyond their tolerance are no errors: they are in the report.
pub fn verify(
    ctx: &Context,
    source: &ModelSource,
    options: &VerifyOptions,
    mut done: impl FnMut(&TensorResult),
) -> Result<Report> {
    let golden = Golden::open(source)?;
    let mut modules = Modules::new(ctx, source, &golden, options.elem);
    let mut report = Report::new(source.label(), ctx.adapter().name.clone(), options);
    // In an order in which neighbours share their work.
    let order = ["sched.", "te.", "te2.", "uncond.", "cond.", "controlnet.", "unet.", "vae.", "ip2p.", "traj."];
    let mut names: Vec<String> = golden.expected_names();
    names.sort_by_key(|name| (order.iter().position(|p| name.starts_with(p)), name.clone()));
    for name in names {
        let found = match name.split('.').next() {
            Some("sched") => samplers::compute(&golden, &name)?,
            Some("traj") => modules.trajectory(&name)?,
            _ => modules.compute(&name)?,
        };
        match found {
            None => report.skipped.push(name),
            Some(found) => {
                let result = report::compare(&name, &found, &golden.expected(&name)?, options.elem);
                done(&result);
                report.tensors.push(result);
            }
        }
    }
    report.finish();
    Ok(report)
}
