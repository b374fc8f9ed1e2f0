//! Optimisation of a latent canvas: gradients on views, carried back by the adjoint of projection, and Adam.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::adam::{self, Adam, AdamScalars, adam};
use syncline_kernels::ops::finite;
use syncline_kernels::ops::scatter_views::new_sums;
use syncline_kernels::tensor::{Elem, Tensor};

use super::registers::Registers;
use crate::error::{Error, Result};
use crate::methods::{AdamStep, CanvasReg, ViewReg};
use crate::spaces::{self, Scatter, Space};

/// Adam's denominator is no smaller than this: canvases hold latents of about unit variance.
const EPSILON: f64 = 1e-8;

/// Gradient, moments and the two recordings.
#[derive(Debug)]
pub(super) struct Gradient {
    ctx: Context,
    pub(super) moments: [Tensor; 2],
    report: Tensor,
    pub(super) scatter: Recording,
    pub(super) adam: Recording,
    id: DispatchId,
    canvas: Tensor,
}

impl Gradient {
    pub(super) fn new(ctx: &Context, space: &dyn Space, registers: &mut Registers) -> Result<Self> {
        let (canvas, views) = (registers.get(CanvasReg::Canvas)?, registers.get(ViewReg::Clean)?);
        let zeros = || ctx.upload_named("moment", &vec![0.0; canvas.shape().len()], canvas.dims(), Elem::F32);
        let moments = [zeros()?, zeros()?];
        let sums = new_sums(ctx, canvas.dims())?;
        let report = finite::new_report(ctx)?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("scatter");
        let scatter = Scatter {
            geometry: space.geometry(),
            interpolation: registers.latent_interpolation,
            views: &views,
            words: &registers.all.used,
            sums: &sums,
            hits: None,
            report: &report,
            gain: 1.0,
        };
        spaces::scatter(&mut rec, &scatter);
        let scatter = rec.finish()?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("adam");
        let [first, second] = &moments;
        let scalars = AdamScalars { epsilon: EPSILON, ..AdamScalars::default() };
        let options =
            Adam { canvas: &canvas, moments: [first, second], sums: &sums, hits: None, report: &report, scalars };
        let id = adam(&mut rec, &options);
        let adam = rec.finish()?;
        Ok(Self { ctx: ctx.clone(), moments, report, scatter, adam, id, canvas })
    }

    /// Numbers of the next step.
    pub(super) fn set(&mut self, step: &AdamStep) {
        let AdamStep { rate, betas, number } = *step;
        let scalars = AdamScalars { rate, betas, epsilon: EPSILON, step: number, scale: 1.0 };
        self.adam.set_params(self.id, &adam::params(self.canvas.dims(), &scalars));
    }

    /// Fails when a gradient was not finite, or too large for the fixed point it is summed in.
    pub(super) fn check(&self, stage: &str) -> Result<()> {
        let found = finite::take_report(&self.ctx, &self.report)?;
        if found.count == 0 {
            return Ok(());
        }
        Err(Error::NonFinite { stage: format!("{stage}, gradient of the canvas"), count: found.count })
    }
}
