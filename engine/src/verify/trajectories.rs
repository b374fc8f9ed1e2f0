//! `traj.<name>.<what>`: whole runs with guidance, from token ids to latents and the picture.

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};

use super::control::NetworkInputs;
use super::data::{channels_first, channels_last};
use super::modules::Modules;
use super::samplers::{State, draws_noise, make_plan, sampler};
use super::texts::{Text, UploadedTexts};
use crate::error::Result;
use crate::guidance::{Guidance, Row};
use crate::schedulers::HistoryPlan;

/// What the reference uses where `golden/meta.json` does not say.
const GUIDANCE_SCALE: f64 = 7.5;
const IMAGE_GUIDANCE_SCALE: f64 = 1.5;

/// Which half of the golden's text a row is conditioned on.
fn half(row: Row) -> &'static str {
    match row {
        Row::Prompt | Row::PromptAndImage => "cond",
        Row::NegativePrompt | Row::Image | Row::Neither => "uncond",
    }
}

/// A UNet recorded for one batch, its inputs and its output.
struct Denoiser {
    recording: Recording,
    sample: Tensor,
    timesteps: Tensor,
    output: Tensor,
}

impl Modules<'_> {
    /// The expected tensor `name` of a trajectory, in the reference's layout; `None` when it is not known.
    pub fn trajectory(&mut self, name: &str) -> Result<Option<Vec<f32>>> {
        let mut parts = name.splitn(3, '.').skip(1);
        let (Some(method), Some(_)) = (parts.next(), parts.next()) else { return Ok(None) };
        if sampler(method).is_none() {
            return Ok(None);
        }
        match self.recall(name) {
            Some(values) => Ok(Some(values)),
            None => {
                self.run_trajectory(method)?;
                Ok(self.recall(name))
            }
        }
    }

    fn run_trajectory(&mut self, method: &str) -> Result<()> {
        let Some(which) = sampler(method) else { return Ok(()) };
        let meta = &self.golden.meta;
        let spacing = meta.timestep_spacing.as_deref().unwrap_or("leading");
        let plan = make_plan(self.golden, which, None, spacing, meta.steps)?;
        let scale = meta.guidance_scale.unwrap_or(GUIDANCE_SCALE);
        let guidance = if self.edits() {
            let image = meta.image_guidance_scale.unwrap_or(IMAGE_GUIDANCE_SCALE);
            Guidance::InstructPix2Pix { text: scale, image }
        } else {
            Guidance::ClassifierFree { scale }
        };
        let (latents, dims) = self.golden.image("latents")?;
        let states = self.sample(&plan, &guidance, (&latents, dims))?;
        let Some(last) = states.last() else { return Ok(()) };
        let picture = format!("traj.{method}.image.u8");
        if self.golden.maybe_expected(&picture)?.is_some() {
            let bytes = self.picture(last, dims)?;
            self.remember(picture, bytes);
        }
        let all = states.iter().flat_map(|x| channels_first(x, dims)).collect();
        self.remember(format!("traj.{method}.latents"), all);
        let timesteps = plan.steps.iter().map(|s| s.step.timestep as f32).collect();
        self.remember(format!("traj.{method}.timesteps"), timesteps);
        Ok(())
    }

    /// The state after each step. The update runs in f64 on the host and is rounded to f32 after each step, so that what
    /// is measured here is the models; the fused update kernel has an oracle of its own.
    fn sample(
        &mut self,
        plan: &HistoryPlan,
        guidance: &Guidance,
        (latents, dims): (&[f32], [usize; 4]),
    ) -> Result<Vec<Vec<f32>>> {
        let image = if self.edits() { Some(self.image_latents()?.0) } else { None };
        let noise = self.step_noise(plan, dims)?;
        let mut denoiser = self.denoiser(guidance, dims)?;
        let (ctx, n) = (self.ctx, latents.len());
        let mut state = State::new(plan, latents);
        let mut states = Vec::new();
        for (i, step) in plan.steps.iter().enumerate() {
            let scaled: Vec<f32> = state.x.iter().map(|&v| (f64::from(v) * step.step.input_scale) as f32).collect();
            ctx.write(&denoiser.sample, &batch_rows(&scaled, image.as_deref(), guidance, dims[3]))?;
            ctx.write(&denoiser.timesteps, &vec![step.step.timestep as f32; guidance.rows().len()])?;
            denoiser.recording.run()?;
            let rows = ctx.read(&denoiser.output)?;
            if rows.iter().any(|v| !v.is_finite())
                && let Some(error) = denoiser.recording.find_nonfinite()?
            {
                return Err(error.into());
            }
            let element = |j: usize| -> Vec<f64> { rows.iter().skip(j).step_by(n).map(|&v| f64::from(v)).collect() };
            let guided: Vec<f64> = (0..n).map(|j| guidance.combine(&element(j))).collect();
            state.advance(step, &guided, noise.get(i * n..).unwrap_or(&[]));
            states.push(state.x.clone());
        }
        Ok(states)
    }

    /// The noise the reference drew, one state after the other in `[h, w, c]`; nothing for deterministic samplers.
    fn step_noise(&self, plan: &HistoryPlan, [_, h, w, c]: [usize; 4]) -> Result<Vec<f32>> {
        if !draws_noise(plan) {
            return Ok(Vec::new());
        }
        let noise = self.golden.input("traj.euler_a.noise")?.to_f32();
        let draws = noise.len() / (h * w * c);
        if draws < plan.steps.len() {
            return Err(self.golden.bad("traj.euler_a.noise", format!("{draws} draws for {} steps", plan.steps.len())));
        }
        Ok(channels_last(&noise, [draws, c, h, w]))
    }

    fn denoiser(&mut self, guidance: &Guidance, [_, h, w, _]: [usize; 4]) -> Result<Denoiser> {
        let texts: Vec<Text> = guidance.rows().iter().map(|&row| self.own_text(half(row))).collect::<Result<_>>()?;
        let (ctx, rows) = (self.ctx, texts.len());
        let picture = self.control_picture(rows)?;
        let network = self.network()?;
        let texts = UploadedTexts::new(ctx, network.unet, &texts.iter().collect::<Vec<_>>(), [h, w])?;
        let sample = ctx.tensor(&[rows, h, w, network.unet.config().in_channels], Elem::F32)?;
        let timesteps = ctx.tensor(&[rows], Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        let inputs = NetworkInputs {
            sample: &sample,
            timesteps: &timesteps,
            control_timesteps: &timesteps,
            texts: &texts,
            picture: picture.as_ref(),
        };
        let output = network.record(&mut rec, &inputs);
        let output = rec.keep(&output)?;
        Ok(Denoiser { recording: rec.finish()?, sample, timesteps, output })
    }
}

/// The model's batch: the state in every row and, where the model edits, the image's latents (or zeros) behind its
/// channels.
fn batch_rows(x: &[f32], image: Option<&[f32]>, guidance: &Guidance, channels: usize) -> Vec<f32> {
    let mut batch = Vec::new();
    for &row in guidance.rows() {
        let sees = row != Row::Neither;
        match image {
            None => batch.extend_from_slice(x),
            Some(image) => {
                for (pixel, latent) in x.chunks(channels).zip(image.chunks(channels)) {
                    batch.extend_from_slice(pixel);
                    batch.extend(latent.iter().map(|v| if sees { *v } else { 0.0 }));
                }
            }
        }
    }
    batch
}
