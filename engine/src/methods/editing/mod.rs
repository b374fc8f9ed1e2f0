//! Editing a picture by two prompts: what coupled edits share, and the neighbours of sync-SDE.
//!
//! | method | here | what couples source and target |
//! |---|---|---|
//! | sync-SDE (Zhang and Scott 2025) | [`super::sync_sde`] | one Brownian path |
//! | FlowEdit (Kulikov et al. 2024) | [`FlowEdit`] | the same fresh noise, at every step anew |
//! | DDS (Hertz et al. 2023) | [`Dds`] | the same fresh noise, at random levels |
//! | SDEdit (Meng et al. 2021) | [`SdEdit`] | the picture, noised |
//! | RF-Inversion (Rout et al. 2024), and its diffusion form DDIM inversion | [`Inversion`] | the picture's own noise |
//!
//! All are operations over the same registers: the picture X is read from the canvas, branch 0 is the source's trajectory and
//! branch 1 the target's ([`SdEdit`] has one branch), and the edited picture ends on the canvas. The canvas model's first denoiser
//! has the source's prompt, its second the target's.

mod dds;
mod flow_edit;
mod grid;
mod instructed;
mod inversion;
mod recipe;
mod sdedit;
mod step;
#[cfg(test)]
pub(super) mod tests;

pub use dds::Dds;
pub use flow_edit::FlowEdit;
pub use grid::{EditGrid, Form};
pub use instructed::Instructed;
pub use inversion::{Inversion, Pull};
pub use recipe::{EditMethod, EditSettings};
pub use sdedit::SdEdit;
pub use step::{EditStep, PathVariance, SourcePath};

use super::plan::{CanvasReg, Draw, Evaluate, Fusion, Medium, Op, Plan, Reg, ViewReg};
use crate::error::{Error, Result};
use crate::schedulers::StepCoefficients;

/// The source picture, known to branch 0.
pub(super) const PICTURE: Reg = Reg::Branch(ViewReg::Known, 0);

/// The views of the canvas, which holds the source picture.
pub(super) fn begin() -> Vec<Op> {
    vec![Op::Look { step: 0 }, Op::Project { from: CanvasReg::Canvas, to: PICTURE, nearest: true }]
}

/// Clean estimates of source and target; their states stay.
pub(super) fn estimate_pair(ops: &mut Vec<Op>, estimate: &StepCoefficients, guidance: [f64; 2], draw: Draw) {
    for (model, scale) in guidance.into_iter().enumerate() {
        ops.push(Op::Evaluate(Evaluate::new(*estimate, scale, draw).of(model)));
    }
}

/// The last branch to the canvas.
pub(super) fn finish(mut ops: Vec<Op>, branches: usize) -> Plan {
    let from = Reg::Branch(ViewReg::State, branches - 1);
    ops.push(Op::Fuse { from, to: CanvasReg::Canvas, fusion: Fusion::Average });
    Plan { medium: Medium::Latent, branches, ops }
}

/// Guidance scales are numbers.
pub(super) fn check_guidance(scales: &[f64]) -> Result<()> {
    match scales.iter().find(|scale| !scale.is_finite()) {
        Some(scale) => {
            Err(Error::Input { what: "guidance", found: scale.to_string(), expected: "a finite number".into() })
        }
        None => Ok(()),
    }
}

/// The same for windows of one picture: what overlapping windows would change is averaged after every step, on the canvas.
pub(super) fn agree(plan: Plan) -> Plan {
    let difference = Reg::Branch(ViewReg::Kept, 0);
    let mut ops = Vec::with_capacity(plan.ops.len());
    for op in plan.ops {
        ops.push(op);
        // A first state has no difference; one that is not the target's own sum is not complete.
        if let Op::EditStep(step) = op
            && step.difference != [0.0; 2]
            && step.gamma != 0.0
        {
            ops.push(Op::Fuse { from: difference, to: CanvasReg::Fused, fusion: Fusion::Average });
            ops.push(Op::Project { from: CanvasReg::Fused, to: difference, nearest: true });
            ops.push(recipe::rejoined(&step));
        }
    }
    Plan { ops, ..plan }
}
