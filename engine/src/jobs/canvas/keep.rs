//! Inpainting: what a mask keeps of the canvas, on the canvas and in the views while they are denoised.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::repaint::{Repaint, RepaintScalars, params, repaint};
use syncline_kernels::tensor::Elem;

use super::Keep;
use super::registers::Registers;
use crate::error::{Error, Result};
use crate::methods::{CanvasReg, ViewReg};
use crate::schedulers::Level;
use crate::spaces::{self, Interpolation, Project, Space};

/// A value of the mask from here on is drawn anew.
const FREE: f32 = 0.5;

/// The two recordings.
#[derive(Debug)]
pub(super) struct KeepRecordings {
    /// Canvas = source where it is kept.
    pub(super) canvas: Recording,
    /// The mask as the views see it, and state = noised known views there.
    pub(super) views: Recording,
    id: DispatchId,
}

impl KeepRecordings {
    pub(super) fn new(
        ctx: &Context,
        space: &dyn Space,
        registers: &mut Registers,
        (keep, [h, w]): (&Keep, [usize; 2]),
    ) -> Result<Self> {
        if registers.picture.as_ref().is_some_and(|picture| picture.whole().is_none()) {
            return Err(Error::Input {
                what: "mask",
                found: format!("a canvas of {w}x{h}, larger than a storage binding of this adapter"),
                expected: "a smaller canvas".into(),
            });
        }
        ctx.write(&registers.get(CanvasReg::Source)?, &keep.rgb)?;
        let canvas = registers.images(CanvasReg::Canvas.into())?;
        let source = registers.images(CanvasReg::Source.into())?;
        let mask = ctx.upload_named("mask", &keep.mask, &[h, w], Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("keep");
        let scalars = RepaintScalars { threshold: FREE, signal: 1.0, ..RepaintScalars::default() };
        let views = &registers.canvas_id;
        repaint(&mut rec, &Repaint { x: &canvas, known: &source, mask: &mask, views, scalars });
        let canvas = rec.finish()?;
        let (views, id) = record_views(ctx, space, registers, (keep, [h, w]))?;
        Ok(Self { canvas, views, id })
    }

    /// Level and noise of the next run on the views.
    pub(super) fn set(&mut self, dims: &[usize], level: Level, key: NoiseKey) {
        let scalars = RepaintScalars { threshold: FREE, signal: level.signal as f32, sigma: level.noise as f32, key };
        self.views.set_params(self.id, &params(dims, &[dims[0], dims[1], dims[2], 1], &scalars));
    }
}

/// The mask is sampled where each latent cell's middle lies: a cell that is mostly free is free.
fn record_views(
    ctx: &Context,
    space: &dyn Space,
    registers: &mut Registers,
    (keep, [h, w]): (&Keep, [usize; 2]),
) -> Result<(Recording, DispatchId)> {
    let (x, known) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Known)?);
    let mask = ctx.upload_named("mask", &keep.mask, &[h, w, 1], Elem::F32)?;
    let mut rec = Recorder::new(ctx);
    rec.set_layer("keep views");
    let project = Project {
        geometry: space.geometry(),
        interpolation: Interpolation::Bilinear,
        size: [x.dims()[1], x.dims()[2]],
        canvas: &mask,
        words: &registers.all.used,
        views: &registers.all.ids,
        map: [1.0, 0.0],
        elem: Elem::F32,
    };
    let seen = spaces::project(&mut rec, &project);
    let (views, scalars) = (&registers.all.ids, RepaintScalars::default());
    let id = repaint(&mut rec, &Repaint { x: &x, known: &known, mask: &seen, views, scalars });
    Ok((rec.finish()?, id))
}
