//! Text to image, image to image, inpainting and editing: a batch of independent latents.

mod beside;
mod options;

use std::sync::Arc;

use syncline_kernels::gpu::Recording;
use syncline_kernels::tensor::Tensor;

use super::denoise::{Denoise, Fresh, FreshNoise, On, new_latents};
use super::history::History;
use super::job::{Program, Status};
use super::text::TextStage;
use super::tiled::{Cut, Tiled, Way};
use crate::error::Result;
use crate::pipeline::{ControlRows, GuidedUNet, MicroConditions, StableDiffusion};
use crate::rng::{HostNoise, NoiseKey, Purpose};
use crate::schedulers::{HistoryPlan, any_plan};

pub use options::{Beside, ControlPicture, InitImage, TextToImageOptions};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Text,
    Control(usize),
    Encode(usize),
    Denoise(usize),
    Decode(usize),
    Done,
}

/// The program of `txt2img` and `img2img`.
#[derive(Debug)]
pub struct TextToImage {
    options: TextToImageOptions,
    plan: HistoryPlan,
    text: TextStage,
    unet: GuidedUNet,
    /// Pictures that are to be encoded, and what became of them.
    pictures: Vec<Vec<f32>>,
    encoded: Vec<Vec<f32>>,
    encode: Option<Tiled>,
    /// State and clean estimate.
    state: Option<(Tensor, Tensor)>,
    /// What the UNet sees beside the state.
    beside: Option<Tensor>,
    denoise: Option<Denoise>,
    decode: Option<Tiled>,
    noise: Vec<HostNoise>,
    stage: Stage,
    /// The present recording has been handed out.
    begun: bool,
    latents: Vec<f32>,
    images: Vec<Vec<f32>>,
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
        let pixels = options.pixels(model);
        let size = model.latent_size(pixels[0], pixels[1])?;
        options.check(model)?;
        let plan = any_plan(options.method, &model.noise_schedule, &options.plan)?;
        let guidance = options.guidance();
        let micro = options.micro.unwrap_or(MicroConditions::whole(pixels));
        let text = TextStage::new(model, &options.prompts, options.batch, (guidance, micro))?;
        let unet = GuidedUNet { wrap: options.wrap, ..GuidedUNet::new(model, guidance, options.batch, size) };
        let noise =
            (0..options.batch as u64).map(|i| HostNoise::new(options.rng, options.seed.wrapping_add(i))).collect();
        Ok(Self {
            pictures: beside::pictures(&options),
            options,
            plan,
            text,
            unet,
            encoded: Vec::new(),
            encode: None,
            state: None,
            beside: None,
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
        self.unet.size[0] * self.unet.size[1] * self.unet.model.latent_channels()
    }

    /// Unit noise of the whole batch, `[B, h, w, C]`.
    fn draw(&mut self, purpose: Purpose, step: u32) -> Vec<f32> {
        let (count, channels) = (self.latent_len(), self.unet.model.latent_channels());
        let seed = self.options.seed;
        let rows = self.noise.iter_mut().enumerate().map(|(i, noise)| {
            let key = NoiseKey { seed: seed.wrapping_add(i as u64), purpose, trajectory: 0, view: 0, step };
            let values = noise.randn(&key, count);
            if noise.is_channel_first() { channels_last(&values, channels) } else { values }
        });
        rows.collect::<Vec<_>>().concat()
    }

    fn coder(&self, way: Way) -> Result<Tiled> {
        let cut = Cut { tile: self.options.vae_tile.map(|side| [side; 2]), wrap: self.options.wrap, most: None };
        Tiled::new(&self.unet.model, way, self.unet.size, &cut)
    }

    /// Sets the first state and what stands beside it.
    fn begin_denoise(&mut self) -> Result<()> {
        let mut x = self.draw(Purpose::Initial, 0);
        let image = self.encoded.first().filter(|_| self.options.starts_from_image());
        match image {
            None => x.iter_mut().for_each(|v| *v *= self.plan.init_noise_sigma as f32),
            Some(latents) => {
                let level = self.plan.start_level();
                let mixed = x.iter_mut().zip(latents.iter().cycle());
                mixed.for_each(|(v, m)| *v = (f64::from(*m) * level.signal + f64::from(*v) * level.noise) as f32);
            }
        }
        let (model, [h, w]) = (&self.unet.model, self.unet.size);
        let state = new_latents(&model.ctx, &[self.options.batch, h, w, model.latent_channels()])?;
        model.ctx.write(&state.0, &x)?;
        self.beside = beside::channels(model, &self.options, [h, w], &self.encoded)?;
        self.state = Some(state);
        self.encode = None;
        Ok(())
    }

    /// The ControlNet `i`'s rows, once the text's are there.
    fn begin_control(&mut self, i: usize) -> Result<()> {
        let (control, Some(conditioning)) = (&self.options.controls[i], &self.unet.conditioning) else { return Ok(()) };
        let picture = (control.picture.size, control.picture.rgb.as_slice());
        let rows = ControlRows::new(&self.unet.model.ctx, &control.net, conditioning, picture, self.options.wrap)?;
        self.unet.controls.push(rows);
        Ok(())
    }

    /// Records the sampler for step `i` where other ControlNets steer it than the step before.
    fn record_step(&mut self, i: usize) -> Result<()> {
        let steps = self.plan.steps.len();
        let mut same = self.denoise.is_some();
        for (rows, control) in self.unet.controls.iter_mut().zip(&self.options.controls) {
            let steers = control.steers(i, steps);
            same &= rows.active == steers;
            rows.active = steers;
        }
        let (false, Some(state)) = (same, self.state.clone()) else { return Ok(()) };
        let (ctx, depth) = (&self.unet.model.ctx, self.plan.depth());
        // The recording before gives its memory back first, and keeps the past.
        let history = match self.denoise.take() {
            Some(denoise) => denoise.into_history(),
            None if depth > 0 => Some(History::new(ctx, state.0.dims(), depth)?),
            None => None,
        };
        let on = On { state, condition: self.beside.clone(), history };
        self.denoise = Some(Denoise::on(ctx, &self.unet, FreshNoise::Host, on)?);
        Ok(())
    }

    fn enter(&mut self, stage: Stage) -> Result<()> {
        self.stage = stage;
        self.begun = false;
        match stage {
            Stage::Control(i) if i == self.options.controls.len() => self.enter(Stage::Encode(0)),
            Stage::Control(i) => self.begin_control(i),
            Stage::Encode(i) if i == self.pictures.len() => self.enter(Stage::Denoise(0)),
            Stage::Encode(0) => {
                self.encode = Some(self.coder(Way::Encode)?);
                Ok(())
            }
            Stage::Denoise(0) => self.begin_denoise(),
            Stage::Decode(0) => {
                self.denoise = None;
                if let Some((x, _)) = self.state.take() {
                    self.latents = self.unet.model.ctx.read(&x)?;
                }
                self.decode = Some(self.coder(Way::Decode)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn prepare_step(&mut self, i: usize) -> Result<()> {
        self.record_step(i)?;
        let step = self.plan.steps[i];
        let fresh = if step.step.next_noise == 0.0 { Vec::new() } else { self.draw(Purpose::Step, i as u32) };
        match &mut self.denoise {
            Some(denoise) => denoise.prepare_after(&step, &Fresh { values: &fresh, ..Fresh::default() }),
            None => Ok(()),
        }
    }

    /// A picture has passed the decoder.
    fn decoded(&mut self, i: usize) -> Result<()> {
        let Some(decode) = &mut self.decode else { return Ok(()) };
        decode.done()?;
        if decode.next(&[], false)?.is_some() {
            return Ok(());
        }
        if let Some(mut rgb) = decode.take() {
            beside::keep(&self.options, &mut rgb);
            self.images.push(rgb);
        }
        self.enter(if i + 1 == self.options.batch { Stage::Done } else { Stage::Decode(i + 1) })
    }

    /// A tile has passed the encoder.
    fn encoded(&mut self, i: usize) -> Result<()> {
        let Some(encode) = &mut self.encode else { return Ok(()) };
        encode.done()?;
        if encode.next(&[], false)?.is_some() {
            return Ok(());
        }
        self.encoded.extend(encode.take());
        self.enter(Stage::Encode(i + 1))
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
            Stage::Text => Ok(Some(self.text.next())),
            Stage::Control(i) => Ok(self.unet.controls.get_mut(i).map(ControlRows::recording)),
            Stage::Encode(i) => self.encode.as_mut().map_or(Ok(None), |encode| encode.next(&self.pictures[i], begin)),
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
            Stage::Text => match self.text.done()? {
                None => Ok(()),
                conditioning => {
                    self.unet.conditioning = conditioning;
                    self.enter(Stage::Control(0))
                }
            },
            Stage::Control(i) => self.enter(Stage::Control(i + 1)),
            Stage::Encode(i) => self.encoded(i),
            Stage::Denoise(i) => {
                if let Some(denoise) = &mut self.denoise {
                    denoise.check(&format!("step {} of {}", i + 1, self.plan.steps.len()))?;
                }
                let last = i + 1 == self.plan.steps.len();
                self.enter(if last { Stage::Decode(0) } else { Stage::Denoise(i + 1) })
            }
            Stage::Decode(i) => self.decoded(i),
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
            Stage::Control(i) => ("control", i, self.options.controls.len(), 0.0),
            Stage::Encode(i) => ("encode", i, self.pictures.len(), 0.0),
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
        Ok(Images {
            size: self.unet.pixels(),
            rgb: std::mem::take(&mut self.images),
            latents: std::mem::take(&mut self.latents),
        })
    }
}
