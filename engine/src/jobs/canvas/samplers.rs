//! Evaluations: one recorded step for each denoiser, on its rows of the state and the clean estimate.

use syncline_kernels::gpu::{Context, Recording};
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::tensor::Tensor;

use super::model::CanvasModel;
use super::registers::{Registers, rows_of};
use crate::error::{Error, Result};
use crate::jobs::denoise::{Denoise, Fresh, FreshNoise, On};
use crate::methods::{Evaluate, ViewReg};
use crate::spaces::{View, branches};

/// A denoiser's step.
#[derive(Debug)]
struct Sampler {
    denoise: Denoise,
    /// Rows of output for each latent.
    kinds: usize,
    /// Views it computes.
    rows: std::ops::Range<usize>,
    /// Noise ids in use, u32 `[rows]`.
    ids: Tensor,
    /// Noise ids of its present views.
    own: Vec<u32>,
    /// Whether the ids in use are those that all branches share; `None`: of views before.
    shared: Option<bool>,
}

/// The steps of all denoisers.
#[derive(Debug)]
pub(super) struct Samplers {
    ctx: Context,
    list: Vec<Sampler>,
}

impl Samplers {
    /// Records the step of each denoiser of the model, in the order of their rows.
    pub(super) fn new<M: CanvasModel>(ctx: &Context, model: &M, registers: &mut Registers) -> Result<Self> {
        let (x, clean) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Clean)?);
        let denoisers = model.denoisers();
        let total: usize = denoisers.iter().map(|denoiser| denoiser.batch()).sum();
        let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
        if total != x.dims()[0] {
            return refuse("denoisers", format!("{total} views together"), format!("{}, as the space", x.dims()[0]));
        }
        let mut first = 0;
        let mut list = Vec::new();
        for denoiser in denoisers {
            if denoiser.latent_dims()[..] != x.dims()[1..] {
                let found = format!("latents of {:?} and {:?}", &x.dims()[1..], denoiser.latent_dims());
                return refuse("denoisers", found, "latents of one shape".into());
            }
            let rows = first..first + denoiser.batch();
            first = rows.end;
            let ids = ctx.upload_u32(&vec![0; rows.len()], &[rows.len()])?;
            let state = (rows_of(&x, &rows)?, rows_of(&clean, &rows)?);
            let condition = (denoiser.conditioned_rows() > 0)
                .then(|| rows_of(&registers.get(ViewReg::Condition)?, &rows))
                .transpose()?;
            let on = On { state, condition, history: None };
            let denoise = Denoise::on(ctx, denoiser, FreshNoise::Keyed(ids.clone()), on)?;
            let kinds = denoiser.guidance().rows().len();
            list.push(Sampler { denoise, kinds, rows, ids, own: Vec::new(), shared: None });
        }
        Ok(Self { ctx: ctx.clone(), list })
    }

    /// Noise ids of the views from now on.
    pub(super) fn look(&mut self, views: &[View]) {
        for sampler in &mut self.list {
            sampler.own = views[sampler.rows.clone()].iter().map(|view| view.id).collect();
            sampler.shared = None;
        }
    }

    /// Numbers of the next evaluation.
    pub(super) fn prepare(&mut self, evaluate: &Evaluate, key: NoiseKey) -> Result<()> {
        let sampler = &mut self.list[evaluate.model];
        let shared = evaluate.draw.shared;
        if sampler.shared != Some(shared) {
            let id = |id: &u32| if shared { branches::shared_id(*id) } else { *id };
            let ids: Vec<u32> = sampler.own.iter().map(id).collect();
            self.ctx.write_u32(&sampler.ids, &ids)?;
            sampler.shared = Some(shared);
        }
        let fresh = Fresh { guidance: Some(evaluate.guidance), key, values: &[] };
        sampler.denoise.prepare(&evaluate.coefficients, &fresh)
    }

    /// The recording to run after `prepare`.
    pub(super) fn recording(&mut self, model: usize) -> &mut Recording {
        self.list[model].denoise.recording()
    }

    /// Network evaluations of one run, counting each view and each guidance row.
    pub(super) fn cost(&self, model: usize) -> usize {
        self.list[model].rows.len() * self.list[model].kinds
    }

    /// Fails with the layer's name when the run produced NaN or infinity.
    pub(super) fn check(&mut self, model: usize, stage: &str) -> Result<()> {
        self.list[model].denoise.check(stage)
    }
}
