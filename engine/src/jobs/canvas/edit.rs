//! Steps of coupled edits, and where their mask lets them change anything.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::edit_step::{self, EditScalars, edit_step};
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::step::StepNoise;
use syncline_kernels::tensor::{Elem, Tensor};

use super::CanvasOptions;
use super::registers::Registers;
use crate::error::Result;
use crate::methods::{EditStep, Op, Reg, ViewReg};
use crate::spaces::{self, Interpolation, Project, Space};

/// The recorded step, replayed with other numbers.
#[derive(Debug)]
pub(super) struct EditRecording {
    pub(super) step: Recording,
    id: DispatchId,
    dims: Vec<usize>,
    mask: Option<Mask>,
}

/// The mask as the views of the sources see it.
#[derive(Debug)]
struct Mask {
    project: Recording,
    dims: Vec<usize>,
    /// It was projected for the present views.
    aimed: bool,
}

impl EditRecording {
    /// `None` when the plan has no such step.
    pub(super) fn new(
        ctx: &Context,
        space: &dyn Space,
        options: &CanvasOptions,
        registers: &mut Registers,
    ) -> Result<Option<Self>> {
        if !options.plan.ops.iter().any(|op| matches!(op, Op::EditStep(_))) {
            return Ok(None);
        }
        let (state, clean) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Clean)?);
        let known = registers.get(Reg::Branch(ViewReg::Known, 0))?;
        let difference = registers.get(Reg::Branch(ViewReg::Kept, 0))?;
        let mask = options.edit_mask.as_ref().map(|mask| record_mask(ctx, space, registers, mask)).transpose()?;
        let (mask, seen) = mask.unzip();
        let mut rec = Recorder::new(ctx);
        rec.set_layer("edit");
        let scalars = EditScalars::default();
        let noise = StepNoise::Keyed(&registers.scope(Some(0)).shared_ids);
        let options = edit_step::EditStep {
            state: &state,
            clean: &clean,
            known: &known,
            difference: &difference,
            mask: seen.as_ref(),
            noise,
            scalars,
        };
        let id = edit_step(&mut rec, &options);
        Ok(Some(Self { step: rec.finish()?, id, dims: difference.dims().to_vec(), mask }))
    }

    /// The views look elsewhere.
    pub(super) fn look(&mut self) {
        if let Some(mask) = &mut self.mask {
            mask.aimed = false;
        }
    }

    /// Numbers of the next step.
    pub(super) fn set(&mut self, step: &EditStep, key: NoiseKey) -> Result<()> {
        if let Some(mask) = self.mask.as_mut().filter(|mask| !mask.aimed) {
            mask.project.run()?;
            mask.aimed = true;
        }
        let [[d_own, d_clean], [s_own, s_known]] = [step.difference, step.source].map(|pair| pair.map(|v| v as f32));
        let (sigma, gamma) = (step.sigma as f32, step.gamma as f32);
        let scalars = EditScalars { d_own, d_clean, s_own, s_known, sigma, gamma, key };
        let mask = self.mask.as_ref().map(|mask| &mask.dims[..]);
        self.step.set_params(self.id, &edit_step::params(&self.dims, mask, &scalars));
        Ok(())
    }
}

/// Projection of the canvas' mask, and where it goes: `[V, h, w, 1]`.
fn record_mask(ctx: &Context, space: &dyn Space, registers: &mut Registers, mask: &[f32]) -> Result<(Mask, Tensor)> {
    let canvas = registers.get(crate::methods::CanvasReg::Canvas)?;
    let views = registers.get(Reg::Branch(ViewReg::Known, 0))?;
    let [h, w] = [canvas.dims()[0], canvas.dims()[1]];
    let mask = ctx.upload_named("edit mask", mask, &[h, w, 1], Elem::F32)?;
    let scope = registers.scope(Some(0));
    let mut rec = Recorder::new(ctx);
    rec.set_layer("edit mask");
    let project = Project {
        geometry: space.geometry(),
        // Cells that are neither kept nor free would be both a little at every step.
        interpolation: Interpolation::Nearest,
        size: [views.dims()[1], views.dims()[2]],
        canvas: &mask,
        words: &scope.used,
        views: &scope.ids,
        map: [1.0, 0.0],
        elem: Elem::F32,
    };
    let seen = spaces::project(&mut rec, &project);
    let seen = rec.keep(&seen)?;
    let dims = seen.dims().to_vec();
    Ok((Mask { project: rec.finish()?, dims, aimed: false }, seen))
}
