//! The inner loop: one network evaluation and one fused sampler step over a batch of latents.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::convert::convert;
use syncline_kernels::ops::finite::{self, finite};
use syncline_kernels::ops::model_input::{self, ModelInput, model_input};
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::step::{self, Step, StepNoise, StepScalars, step};
use syncline_kernels::tensor::{Elem, Tensor};

use super::history::History;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::guidance::Guidance;
use crate::methods::Weights;
use crate::schedulers::{HistoryStep, StepCoefficients};

/// One recorded step, replayed with new coefficients.
#[derive(Debug)]
pub(super) struct Denoise {
    ctx: Context,
    recording: Recording,
    /// The state, f32 `[B, h, w, C]`; updated in place.
    pub(super) x: Tensor,
    /// The state before the step, to find the layer when a step fails.
    before: Tensor,
    condition: Option<Condition>,
    history: Option<History>,
    elem: Elem,
    noise: NoiseSource,
    timesteps: Tensor,
    report: Tensor,
    guidance: Guidance,
    input: DispatchId,
    step: DispatchId,
}

/// What a step is recorded on.
#[derive(Debug)]
pub(super) struct On {
    /// State and clean estimate `[batch, h, w, C]` f32.
    pub(super) state: (Tensor, Tensor),
    /// Further input channels `[batch or 1, h, w, Ce]` f32 for networks that take them.
    pub(super) condition: Option<Tensor>,
    /// What samplers with a longer memory keep.
    pub(super) history: Option<History>,
}

/// Further input channels that the first guidance rows see.
#[derive(Debug)]
struct Condition {
    latents: Tensor,
    rows: usize,
}

impl Condition {
    fn of(&self) -> (&Tensor, usize) {
        (&self.latents, self.rows)
    }
}

/// Where the fresh noise of ancestral steps comes from.
#[derive(Clone, Debug)]
pub(super) enum FreshNoise {
    /// Uploaded for each step.
    Host,
    /// Drawn in the kernel; u32 `[B]` says which view each latent is.
    Keyed(Tensor),
}

/// What a run needs besides its coefficients.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fresh<'a> {
    /// Other guidance than the denoiser's own.
    pub(super) guidance: Option<Weights>,
    /// Which noise, when it is drawn in the kernel.
    pub(super) key: NoiseKey,
    /// The host's noise, when the step draws any.
    pub(super) values: &'a [f32],
}

#[derive(Debug)]
enum NoiseSource {
    Host(Tensor),
    Keyed(Tensor),
}

impl NoiseSource {
    fn as_step_noise(&self) -> StepNoise<'_> {
        match self {
            Self::Host(tensor) => StepNoise::Drawn(tensor),
            Self::Keyed(views) => StepNoise::Keyed(views),
        }
    }
}

/// A state and a clean estimate `[B, h, w, C]` f32. The first step multiplies the previous estimate by zero: it must exist and
/// be finite.
pub(super) fn new_latents(ctx: &Context, dims: &[usize]) -> Result<(Tensor, Tensor)> {
    let zeros = vec![0.0; dims.iter().product()];
    let x = ctx.named_tensor("latents", dims, Elem::F32)?;
    Ok((x, ctx.upload_named("clean estimate", &zeros, dims, Elem::F32)?))
}

impl Denoise {
    /// Records the step of `denoiser` on tensors of the caller.
    pub(super) fn on(ctx: &Context, denoiser: &dyn Denoiser, noise: FreshNoise, on: On) -> Result<Self> {
        let On { state: (x, clean), condition, mut history } = on;
        let dims = x.dims().to_vec();
        let rows = denoiser.guidance().rows().len();
        let zeros = vec![0.0; dims.iter().product()];
        let noise = match noise {
            FreshNoise::Host => NoiseSource::Host(ctx.upload_named("step noise", &zeros, &dims, Elem::F32)?),
            FreshNoise::Keyed(views) => NoiseSource::Keyed(views),
        };
        let timesteps = ctx.named_tensor("timesteps", &[rows * dims[0]], Elem::F32)?;
        let report = finite::new_report(ctx)?;
        let elem = denoiser.elem();
        let mut rec = Recorder::new(ctx);
        rec.set_layer("sampler");
        let condition = condition.map(|latents| Condition {
            latents: if elem == Elem::F32 { latents } else { convert(&mut rec, &latents, elem) },
            rows: denoiser.conditioned_rows(),
        });
        let before = convert(&mut rec, &x, Elem::F32);
        let before = rec.keep(&before)?;
        let cond = condition.as_ref().map(Condition::of);
        let (sample, input) = model_input(&mut rec, &ModelInput { x: &x, scale: 1.0, rows, cond, elem });
        let out = denoiser.record(&mut rec, &sample, &timesteps);
        rec.set_layer("sampler");
        finite(&mut rec, &out, &report);
        let scalars = StepScalars::default();
        let step_noise = noise.as_step_noise();
        let step = step(&mut rec, &Step { x: &x, out: &out, clean: &clean, noise: step_noise, scalars });
        if let Some(history) = &mut history {
            history.record(&mut rec, &x, &clean, &before);
        }
        finite(&mut rec, &x, &report);
        let guidance = *denoiser.guidance();
        let recording = rec.finish()?;
        let ctx = ctx.clone();
        Ok(Self {
            ctx,
            recording,
            x,
            before,
            condition,
            history,
            elem,
            noise,
            timesteps,
            report,
            guidance,
            input,
            step,
        })
    }

    /// Sets the coefficients of the next run.
    pub(super) fn prepare(&mut self, c: &StepCoefficients, fresh: &Fresh<'_>) -> Result<()> {
        let times = vec![c.timestep as f32; self.timesteps.dims()[0]];
        self.ctx.write(&self.timesteps, &times)?;
        if let (NoiseSource::Host(tensor), true) = (&self.noise, c.next_noise != 0.0) {
            self.ctx.write(tensor, fresh.values)?;
        }
        let weights = match (fresh.guidance, self.guidance) {
            (Some(Weights::Scale(scale)), Guidance::ClassifierFree { .. }) => {
                Guidance::ClassifierFree { scale }.weights()
            }
            (Some(Weights::Rows(weights)), _) => weights,
            _ => self.guidance.weights(),
        };
        let rows = self.guidance.rows().len();
        let cond = self.condition.as_ref().map(Condition::of);
        let input = ModelInput { x: &self.x, scale: c.input_scale as f32, rows, cond, elem: self.elem };
        self.recording.set_params(self.input, &model_input::params(&input));
        let scalars = StepScalars {
            guidance: weights.map(|weight| weight as f32),
            clean_x: c.clean_x as f32,
            clean_out: c.clean_out as f32,
            next_x: c.next_x as f32,
            next_out: c.next_out as f32,
            next_clean: c.next_clean as f32,
            next_prev_clean: c.next_prev_clean as f32,
            next_noise: c.next_noise as f32,
            key: fresh.key,
        };
        self.recording.set_params(self.step, &step::params(self.x.dims(), rows, &scalars));
        Ok(())
    }

    /// As [`Denoise::prepare`], for a step that may read the past.
    pub(super) fn prepare_after(&mut self, step: &HistoryStep, fresh: &Fresh<'_>) -> Result<()> {
        self.prepare(&step.step, fresh)?;
        if let Some(history) = &mut self.history {
            history.prepare(&mut self.recording, self.x.dims(), step);
        }
        Ok(())
    }

    /// The past, for another recording of the same run.
    pub(super) fn into_history(self) -> Option<History> {
        self.history
    }

    /// The recording to run after `prepare`.
    pub(super) fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    /// Fails with the layer's name when the run produced NaN or infinity. Four words are read back each step: without
    /// it a numeric failure would only show as a black picture at the end, its origin overwritten.
    pub(super) fn check(&mut self, stage: &str) -> Result<()> {
        let found = finite::take_report(&self.ctx, &self.report)?;
        if found.count == 0 {
            return Ok(());
        }
        // The step has updated its state in place: the replay needs what it began with.
        let state = self.ctx.read(&self.before)?;
        self.ctx.write(&self.x, &state)?;
        let culprit = self.recording.find_nonfinite()?;
        Err(culprit.map_or_else(
            || Error::NonFinite { stage: stage.to_owned(), count: found.count },
            |error| Error::from(error).at_stage(stage),
        ))
    }
}
