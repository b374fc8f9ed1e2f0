//! Optimisation of a latent canvas: gradients on views, carried back by the adjoint of projection, and a step along them.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::adam::{self, Adam, AdamScalars, adam};
use syncline_kernels::ops::finite;
use syncline_kernels::ops::scatter_views::new_sums;
use syncline_kernels::ops::sgd::{self, Sgd, sgd};
use syncline_kernels::tensor::{Elem, Tensor};

use super::registers::Registers;
use crate::error::{Error, Result};
use crate::methods::{AdamStep, CanvasReg, Op, Plan, Reg};
use crate::spaces::{self, Scatter, Space};

/// Adam's denominator is no smaller than this: canvases hold latents of about unit variance.
const EPSILON: f64 = 1e-8;

/// Gradient and the recordings that make it and follow it.
#[derive(Debug)]
pub(super) struct Gradient {
    ctx: Context,
    /// Counts what is not finite, or too large for the fixed point that gradients are summed in.
    pub(super) report: Tensor,
    scatter: Vec<(Reg, Recording)>,
    optimiser: Optimiser,
    canvas: Tensor,
}

#[derive(Debug)]
enum Optimiser {
    Adam { moments: [Tensor; 2], recording: Recording, id: DispatchId },
    Sgd { recording: Recording, id: DispatchId },
}

impl Gradient {
    /// `None` for plans that optimise nothing. A plan follows its gradients in one way.
    pub(super) fn new(
        ctx: &Context,
        space: &dyn Space,
        plan: &Plan,
        registers: &mut Registers,
    ) -> Result<Option<Self>> {
        let uses = |wanted: fn(&Op) -> bool| plan.ops.iter().any(wanted);
        let (by_adam, by_mean) = (uses(|op| matches!(op, Op::Adam(_))), uses(|op| matches!(op, Op::Sgd { .. })));
        if by_adam && by_mean {
            let found = "Adam and plain descent".to_owned();
            return Err(Error::Input { what: "optimiser", found, expected: "one of them in a plan".into() });
        }
        if !by_adam && !by_mean {
            return Ok(None);
        }
        let canvas = registers.get(CanvasReg::Canvas)?;
        let sums = new_sums(ctx, canvas.dims())?;
        let hits = by_mean.then(|| new_sums(ctx, &canvas.dims()[..2])).transpose()?;
        let report = finite::new_report(ctx)?;
        let mut scatter: Vec<(Reg, Recording)> = Vec::new();
        for op in &plan.ops {
            let Op::Scatter { from } = *op else { continue };
            if scatter.iter().all(|(known, _)| *known != from) {
                let buffers = (&sums, hits.as_ref(), &report);
                scatter.push((from, record_scatter(ctx, space, registers, from, buffers)?));
            }
        }
        let optimiser = match &hits {
            Some(hits) => record_sgd(ctx, &canvas, (&sums, hits, &report))?,
            None => record_adam(ctx, &canvas, (&sums, &report))?,
        };
        Ok(Some(Self { ctx: ctx.clone(), report, scatter, optimiser, canvas }))
    }

    /// Adam's moments, which live from one step to the next.
    pub(super) fn moments(&self) -> &[Tensor] {
        if let Optimiser::Adam { moments, .. } = &self.optimiser { moments } else { &[] }
    }

    /// The recording that scatters views.
    pub(super) fn scatter(&mut self, from: Reg) -> Option<&mut Recording> {
        self.scatter.iter_mut().find(|(known, _)| *known == from).map(|(_, recording)| recording)
    }

    /// The recording of the optimiser's step.
    pub(super) fn step(&mut self) -> &mut Recording {
        let (Optimiser::Adam { recording, .. } | Optimiser::Sgd { recording, .. }) = &mut self.optimiser;
        recording
    }

    /// Numbers of the next step.
    pub(super) fn set_adam(&mut self, step: &AdamStep) {
        let AdamStep { rate, betas, number } = *step;
        let scalars = AdamScalars { rate, betas, epsilon: EPSILON, step: number, scale: 1.0 };
        if let Optimiser::Adam { recording, id, .. } = &mut self.optimiser {
            recording.set_params(*id, &adam::params(self.canvas.dims(), &scalars));
        }
    }

    /// Learning rate of the next step.
    pub(super) fn set_sgd(&mut self, rate: f64) {
        if let Optimiser::Sgd { recording, id } = &mut self.optimiser {
            recording.set_params(*id, &sgd::params(self.canvas.dims(), rate));
        }
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

fn record_scatter(
    ctx: &Context,
    space: &dyn Space,
    registers: &mut Registers,
    from: Reg,
    (sums, hits, report): (&Tensor, Option<&Tensor>, &Tensor),
) -> Result<Recording> {
    let views = registers.get(from)?;
    let mut rec = Recorder::new(ctx);
    rec.set_layer("scatter");
    let scatter = Scatter {
        geometry: space.geometry(),
        interpolation: registers.latent_interpolation,
        views: &views,
        words: &registers.scope(from.branch()).used,
        sums,
        hits,
        report,
        gain: 1.0,
    };
    spaces::scatter(&mut rec, &scatter);
    Ok(rec.finish()?)
}

fn record_adam(ctx: &Context, canvas: &Tensor, (sums, report): (&Tensor, &Tensor)) -> Result<Optimiser> {
    let zeros = || ctx.upload_named("moment", &vec![0.0; canvas.shape().len()], canvas.dims(), Elem::F32);
    let moments = [zeros()?, zeros()?];
    let mut rec = Recorder::new(ctx);
    rec.set_layer("adam");
    let [first, second] = &moments;
    let scalars = AdamScalars { epsilon: EPSILON, ..AdamScalars::default() };
    let id = adam(&mut rec, &Adam { canvas, moments: [first, second], sums, hits: None, report, scalars });
    Ok(Optimiser::Adam { moments, recording: rec.finish()?, id })
}

fn record_sgd(ctx: &Context, canvas: &Tensor, (sums, hits, report): (&Tensor, &Tensor, &Tensor)) -> Result<Optimiser> {
    let mut rec = Recorder::new(ctx);
    rec.set_layer("sgd");
    let id = sgd(&mut rec, &Sgd { canvas, sums, hits: Some(hits), report, rate: 0.0 });
    Ok(Optimiser::Sgd { recording: rec.finish()?, id })
}
