//! Text to image and image to image: a batch of independent latents.

use std::sync::Arc;

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};

use super::denoise::{Denoise, Fresh, FreshNoise};
use super::job::{Program, Status};
use super::text::{Prompts, TextStage};
use super::tiled::{Cut, Tiled, Way};
use crate::error::{Error, Result};
use crate::guidance::Guidance;
use crate::models::Wrap;
use crate::pipeline::{GuidedUNet, StableDiffusion};
use crate::rng::{HostNoise, NoiseKey, NoiseMode, Purpose};
use crate::schedulers::{PlanOptions, SamplingMethod, SamplingPlan, Start, plan};

/// What to draw. `Default` is 20 steps of DPM++ 2M Karras at guidance 7, one image of the model's native size.
#[derive(Clone, Debug)]
pub struct TextToImageOptions {
    /// What to show.
    pub prompts: Prompts,
    /// `[height, width]` in pixels; `None`: the model's own.
    pub size: Option<[usize; 2]>,
    /// Images at a time; image i draws from `seed + i`.
    pub batch: usize,
    /// Seed of the first image.
    pub seed: u64,
    /// Source of noise.
    pub rng: NoiseMode,
    /// Sampler.
    pub method: SamplingMethod,
    /// Its steps, levels and start.
    pub plan: PlanOptions,
    /// Classifier-free guidance; 1 switches it off.
    pub cfg_scale: f64,
    /// Edges that continue on the opposite side.
    pub wrap: Wrap,
    /// Image to start from.
    pub init: Option<InitImage>,
    /// Latent cells of a decoder tile; `None`: as large as the adapter can.
    pub vae_tile: Option<usize>,
}

/// An image to start from; [`PlanOptions::start`] says how much of it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct InitImage {
    /// `[height, width]` in pixels.
    pub size: [usize; 2],
    /// RGB in 0..=1, row by row.
    pub rgb: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Text,
    Encode,
    Denoise(usize),
    Decode(usize),
    Done,
}

/// The program of `txt2img` and `img2img`.
#[derive(Debug)]
pub struct TextToImage {
    model: Arc<StableDiffusion>,
    options: TextToImageOptions,
    size: [usize; 2],
    plan: SamplingPlan,
    text: TextStage,
    encode: Option<Encode>,
    denoise: Option<Denoise>,
    decode: Option<Tiled>,
    noise: Vec<HostNoise>,
    stage: Stage,
    /// The present recording has been handed out.
    begun: bool,
    latents: Vec<f32>,
    images: Vec<Vec<f32>>,
}

#[derive(Debug)]
struct Encode {
    recording: Recording,
    mean: Tensor,
}

/// What a [`TextToImage`] job gives.
#[derive(Clone, Debug)]
pub struct Images {
    /// `[height, width]` in pixels.
    pub size: [usize; 2],
    /// RGB in 0..=1, row by row, one per image.
    pub rgb: Vec<Vec<f32>>,
    /// Final latents `[B, h, w, C]`.
    pub latents: Vec<f32>,
}

impl TextToImage {
    /// Checks the options and records the text stage.
    ///
    /// # Errors
    /// When an option is refused or the device has no room.
    pub fn new(model: &Arc<StableDiffusion>, options: TextToImageOptions) -> Result<Self> {
        model.require_plain_latents()?;
        let native = model.native_size();
        let [height, width] = options.init.as_ref().map_or(options.size, |init| Some(init.size)).unwrap_or([native; 2]);
        let size = model.latent_size(height, width)?;
        let prompts = options.prompts.positive.len();
        if options.batch == 0 || (prompts != 1 && prompts != options.batch) {
            return Err(Error::Input {
                what: "batch",
                found: format!("{} images for {prompts} prompts", options.batch),
                expected: "at least one image, and one prompt or as many as images".into(),
            });
        }
        if !options.cfg_scale.is_finite() {
            let found = options.cfg_scale.to_string();
            return Err(Error::Input { what: "cfg-scale", found, expected: "a finite number".into() });
        }
        if options.init.is_none() && matches!(options.plan.start, Start::Strength(_)) {
            return Err(Error::Input {
                what: "strength",
                found: "no image".into(),
                expected: "an image to start from".into(),
            });
        }
        let plan = plan(options.method, &model.noise_schedule, &options.plan)?;
        let guided = Guidance::ClassifierFree { scale: options.cfg_scale }.reduced().rows().len() > 1;
        let text = TextStage::new(model, &options.prompts, options.batch, guided)?;
        let noise =
            (0..options.batch as u64).map(|i| HostNoise::new(options.rng, options.seed.wrapping_add(i))).collect();
        Ok(Self {
            model: model.clone(),
            options,
            size,
            plan,
            text,
            encode: None,
            denoise: None,
            decode: None,
            noise,
            stage: Stage::Text,
            begun: false,
            latents: Vec::new(),
            images: Vec::new(),
        })
    }

    /// Tokens of the prompt that did not fit the text encoder.
    #[must_use]
    pub fn truncated_tokens(&self) -> usize {
        self.text.truncated()
    }

    fn latent_len(&self) -> usize {
        self.size[0] * self.size[1] * self.model.latent_channels()
    }

    /// Unit noise of the whole batch, `[B, h, w, C]`.
    fn draw(&mut self, purpose: Purpose, step: u32) -> Vec<f32> {
        let (count, channels) = (self.latent_len(), self.model.latent_channels());
        let seed = self.options.seed;
        let rows = self.noise.iter_mut().enumerate().map(|(i, noise)| {
            let key = NoiseKey { seed: seed.wrapping_add(i as u64), purpose, trajectory: 0, view: 0, step };
            let values = noise.randn(&key, count);
            if noise.is_channel_first() { channels_last(&values, channels) } else { values }
        });
        rows.collect::<Vec<_>>().concat()
    }

    /// Records the encoder for the initial image.
    fn begin_encode(&mut self, init: &InitImage) -> Result<()> {
        let ctx = &self.model.ctx;
        let values: Vec<f32> = init.rgb.iter().map(|v| 2.0 * v - 1.0).collect();
        let image = ctx.upload_named("initial image", &values, &[1, init.size[0], init.size[1], 3], Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        let mean = self.model.vae.record_encode(&mut rec, &image, self.options.wrap).mean;
        let mean = rec.keep(&mean)?;
        self.encode = Some(Encode { recording: rec.finish()?, mean });
        Ok(())
    }

    /// Records the sampler and sets the first state.
    fn begin_denoise(&mut self) -> Result<()> {
        let mut x = self.draw(Purpose::Initial, 0);
        match &mut self.encode {
            None => x.iter_mut().for_each(|v| *v *= self.plan.init_noise_sigma as f32),
            Some(encode) => {
                let level = self.plan.start_level();
                let factor = level.signal * self.model.vae.config().scaling_factor;
                let mean = self.model.ctx.read(&encode.mean)?;
                super::check_host(&mean, "encode", &mut encode.recording)?;
                let scaled = x.iter_mut().zip(mean.iter().cycle());
                scaled.for_each(|(v, m)| *v = (f64::from(*m) * factor + f64::from(*v) * level.noise) as f32);
            }
        }
        let Some(conditioning) = self.text.conditioning() else { return Ok(()) };
        let denoiser = GuidedUNet {
            model: &self.model,
            conditioning,
            guidance: Guidance::ClassifierFree { scale: self.options.cfg_scale }.reduced(),
            batch: self.options.batch,
            size: self.size,
            wrap: self.options.wrap,
        };
        let denoise = Denoise::new(&self.model.ctx, &denoiser, FreshNoise::Host)?;
        self.model.ctx.write(&denoise.x, &x)?;
        self.denoise = Some(denoise);
        self.encode = None;
        Ok(())
    }

    fn enter(&mut self, stage: Stage) -> Result<()> {
        self.stage = stage;
        self.begun = false;
        match stage {
            Stage::Encode => match self.options.init.take() {
                Some(init) => self.begin_encode(&init),
                None => self.enter(Stage::Denoise(0)),
            },
            Stage::Denoise(0) => self.begin_denoise(),
            Stage::Decode(0) => {
                if let Some(denoise) = self.denoise.take() {
                    self.latents = self.model.ctx.read(&denoise.x)?;
                }
                let cut =
                    Cut { tile: self.options.vae_tile.map(|side| [side; 2]), wrap: self.options.wrap, most: None };
                self.decode = Some(Tiled::new(&self.model, Way::Decode, self.size, &cut)?);
                Ok(())
            }
            Stage::Text | Stage::Denoise(_) | Stage::Decode(_) | Stage::Done => Ok(()),
        }
    }

    fn prepare_step(&mut self, i: usize) -> Result<()> {
        let c = self.plan.steps[i];
        let fresh = if c.next_noise == 0.0 { Vec::new() } else { self.draw(Purpose::Step, i as u32) };
        match &mut self.denoise {
            Some(denoise) => denoise.prepare(&c, &Fresh { values: &fresh, ..Fresh::default() }),
            None => Ok(()),
        }
    }
}

/// `[C, h·w]` to `[h·w, C]`.
fn channels_last(values: &[f32], channels: usize) -> Vec<f32> {
    let pixels = values.len() / channels;
    (0..pixels).flat_map(|p| (0..channels).map(move |c| values[c * pixels + p])).collect()
}

impl Program for TextToImage {
    type Output = Images;

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        let begin = !std::mem::replace(&mut self.begun, true);
        match self.stage {
            Stage::Text => Ok(self.text.next()),
            Stage::Encode => Ok(self.encode.as_mut().map(|encode| &mut encode.recording)),
            Stage::Denoise(i) => {
                if begin {
                    self.prepare_step(i)?;
                }
                Ok(self.denoise.as_mut().map(Denoise::recording))
            }
            Stage::Decode(i) => {
                let count = self.latent_len();
                let latents = &self.latents[i * count..(i + 1) * count];
                self.decode.as_mut().map_or(Ok(None), |decode| decode.next(latents, begin))
            }
            Stage::Done => Ok(None),
        }
    }

    fn done(&mut self) -> Result<()> {
        self.begun = false;
        match self.stage {
            Stage::Text => {
                self.text.done()?;
                if self.text.next().is_none() { self.enter(Stage::Encode) } else { Ok(()) }
            }
            Stage::Encode => self.enter(Stage::Denoise(0)),
            Stage::Denoise(i) => {
                if let Some(denoise) = &mut self.denoise {
                    denoise.check(&format!("step {} of {}", i + 1, self.plan.steps.len()))?;
                }
                let last = i + 1 == self.plan.steps.len();
                self.enter(if last { Stage::Decode(0) } else { Stage::Denoise(i + 1) })
            }
            Stage::Decode(i) => {
                let Some(decode) = &mut self.decode else { return Ok(()) };
                decode.done()?;
                if decode.next(&[], false)?.is_some() {
                    return Ok(());
                }
                self.images.extend(decode.take());
                self.enter(if i + 1 == self.options.batch { Stage::Done } else { Stage::Decode(i + 1) })
            }
            Stage::Done => Ok(()),
        }
    }

    fn status(&self) -> Status {
        let steps = self.plan.steps.len();
        // A decode costs about as much as two guided evaluations.
        let total = steps as f64 + 2.0;
        let tiles = self.decode.as_ref().map_or(1, Tiled::tiles);
        let (stage, step, of, work) = match self.stage {
            Stage::Text => ("text", 0, 1, 0.0),
            Stage::Encode => ("encode", 0, 1, 0.0),
            Stage::Denoise(i) => ("denoise", i, steps, i as f64),
            Stage::Decode(i) => {
                let share = i as f64 / self.options.batch as f64;
                ("decode", i * tiles, self.options.batch * tiles, steps as f64 + 2.0 * share)
            }
            Stage::Done => ("decode", self.options.batch * tiles, self.options.batch * tiles, total),
        };
        Status { stage, step, steps: of, fraction: work / total }
    }

    fn finish(&mut self) -> Result<Images> {
        let f = self.model.downscale();
        Ok(Images {
            size: self.size.map(|n| n * f),
            rgb: std::mem::take(&mut self.images),
            latents: std::mem::take(&mut self.latents),
        })
    }
}
