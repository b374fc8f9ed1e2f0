//! What to draw.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::guidance::Guidance;
use crate::jobs::text::Prompts;
use crate::models::Wrap;
use crate::pipeline::{ControlNet, MicroConditions, StableDiffusion, Takes};
use crate::rng::NoiseMode;
use crate::schedulers::{PlanOptions, SamplingMethod, Start};

/// What to draw. `Default` is 20 steps of DPM++ 2M at guidance 7, one image of the model's native size.
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
    /// Image to start from, to fill in or to edit.
    pub init: Option<InitImage>,
    /// Latent cells of a decoder tile; `None`: as large as the adapter can.
    pub vae_tile: Option<usize>,
    /// What models that take more than latents are shown beside them.
    pub beside: Option<Beside>,
    /// ControlNets that steer the run, each with its picture.
    pub controls: Vec<ControlPicture>,
    /// What SDXL is told about sizes; `None`: that the image is whole.
    pub micro: Option<MicroConditions>,
}

impl Default for TextToImageOptions {
    fn default() -> Self {
        Self {
            prompts: Prompts::new("", ""),
            size: None,
            batch: 1,
            seed: 0,
            rng: NoiseMode::Cuda,
            method: SamplingMethod::Dpmpp2m,
            plan: PlanOptions::default(),
            cfg_scale: 7.0,
            wrap: Wrap::default(),
            init: None,
            vae_tile: None,
            beside: None,
            controls: Vec::new(),
            micro: None,
        }
    }
}

/// A picture: to start from ([`PlanOptions::start`] says how much of it is kept), to edit, or for a ControlNet.
#[derive(Clone, Debug, PartialEq)]
pub struct InitImage {
    /// `[height, width]` in pixels.
    pub size: [usize; 2],
    /// RGB in 0..=1, row by row.
    pub rgb: Vec<f32>,
}

/// What a model sees beside the latents of the image it draws.
#[derive(Clone, Debug, PartialEq)]
pub enum Beside {
    /// Depth models: how near things are, in any unit; larger is nearer.
    Depth {
        /// `[height, width]`, the image's or its latents'.
        size: [usize; 2],
        /// Row by row.
        values: Vec<f32>,
    },
    /// Inpainting models: where the initial image is drawn anew, 1 for yes, of its size. The rest is kept to the byte.
    Mask(Vec<f32>),
    /// `InstructPix2Pix`: the initial image is what the prompt says how to change.
    Edit {
        /// Guidance along the image; 1.5 is usual.
        image_scale: f64,
    },
}

impl Beside {
    fn for_models_that_take(&self) -> Takes {
        match self {
            Self::Depth { .. } => Takes::Depth,
            Self::Mask(_) => Takes::MaskAndImageLatents,
            Self::Edit { .. } => Takes::ImageLatents,
        }
    }
}

/// A ControlNet in a run.
#[derive(Clone, Debug)]
pub struct ControlPicture {
    /// The model with its weight.
    pub net: Arc<ControlNet>,
    /// What it is shown (depth, edges, a pose …), of the image's size.
    pub picture: InitImage,
    /// Share of the run before which it is off, 0 for none.
    pub start: f64,
    /// Share of the run behind which it is off, 1 for none.
    pub end: f64,
}

impl ControlPicture {
    /// Whether it steers step `i` of `steps`; diffusers' rule for `control_guidance_start` and `control_guidance_end`.
    pub(super) fn steers(&self, i: usize, steps: usize) -> bool {
        let share = |step: usize| step as f64 / steps as f64;
        share(i) >= self.start && share(i + 1) <= self.end
    }
}

fn refuse<T>(what: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Result<T> {
    Err(Error::Input { what, found: found.into(), expected: expected.into() })
}

fn told([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
}

impl TextToImageOptions {
    /// `[height, width]` in pixels.
    pub(super) fn pixels(&self, model: &StableDiffusion) -> [usize; 2] {
        let own = [model.native_size(); 2];
        self.init.as_ref().map_or(self.size, |init| Some(init.size)).unwrap_or(own)
    }

    /// Rows of the model's batch and how they are combined.
    pub(super) fn guidance(&self) -> Guidance {
        match self.beside {
            Some(Beside::Edit { image_scale }) => {
                Guidance::InstructPix2Pix { text: self.cfg_scale, image: image_scale }
            }
            _ => Guidance::ClassifierFree { scale: self.cfg_scale }.reduced(),
        }
    }

    /// Whether the run starts from the initial image instead of noise alone.
    pub(super) fn starts_from_image(&self) -> bool {
        matches!(self.plan.start, Start::Strength(_))
    }

    /// Fails on the first option that contradicts the model or another.
    pub(super) fn check(&self, model: &StableDiffusion) -> Result<()> {
        let prompts = self.prompts.positive.len();
        if self.batch == 0 || (prompts != 1 && prompts != self.batch) {
            let found = format!("{} images for {prompts} prompts", self.batch);
            return refuse("batch", found, "at least one image, and one prompt or as many as images");
        }
        if !self.cfg_scale.is_finite() {
            return refuse("cfg-scale", self.cfg_scale.to_string(), "a finite number");
        }
        if self.init.is_none() && self.starts_from_image() {
            return refuse("strength", "no image", "an image to start from");
        }
        if let Some(init) = &self.init
            && init.rgb.len() != 3 * init.size[0] * init.size[1]
        {
            return refuse("image", format!("{} values", init.rgb.len()), format!("3 for each of {}", told(init.size)));
        }
        self.check_beside(model)?;
        self.controls.iter().try_for_each(|control| self.check_control(model, control))
    }

    fn check_beside(&self, model: &StableDiffusion) -> Result<()> {
        let wanted = self.beside.as_ref().map_or(Takes::Latents, Beside::for_models_that_take);
        let takes = model.takes()?;
        if takes != wanted {
            let missing = match takes {
                Takes::Latents => return model.require(wanted),
                Takes::Depth => "no depth map: a depth model cannot draw without (--depth)",
                Takes::ImageLatents => {
                    "no instruction and picture: an InstructPix2Pix model edits (img2img --instruction)"
                }
                Takes::MaskAndImageLatents => "no picture and mask: an inpainting model fills in (img2img --mask)",
            };
            return if self.beside.is_none() {
                refuse("model", missing, "what it takes")
            } else {
                model.require(wanted)
            };
        }
        let [height, width] = self.pixels(model);
        match &self.beside {
            None => Ok(()),
            Some(Beside::Edit { image_scale }) if !image_scale.is_finite() => {
                refuse("image guidance scale", image_scale.to_string(), "a finite number")
            }
            Some(Beside::Edit { .. } | Beside::Mask(_)) if self.init.is_none() => {
                refuse("image", "none", "a picture to change")
            }
            Some(Beside::Mask(mask)) if mask.len() != height * width => {
                refuse("mask", format!("{} values", mask.len()), format!("one for each of {}", told([height, width])))
            }
            Some(Beside::Depth { size: [h, w], values }) => {
                let latent = model.latent_size(height, width)?;
                if values.len() != h * w || ([*h, *w] != [height, width] && [*h, *w] != latent) {
                    return refuse("depth map", told([*h, *w]), told([height, width]));
                }
                if values.iter().any(|v| !v.is_finite()) {
                    return refuse("depth map", "NaN or infinity", "finite numbers");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check_control(&self, model: &StableDiffusion, control: &ControlPicture) -> Result<()> {
        control.net.require_fits(model)?;
        let (size, picture) = (self.pixels(model), &control.picture);
        if picture.size != size || picture.rgb.len() != 3 * size[0] * size[1] {
            return refuse("control image", told(picture.size), format!("{} as the image", told(size)));
        }
        let (start, end) = (control.start, control.end);
        if !(0.0..=1.0).contains(&start) || !(start..=1.0).contains(&end) {
            return refuse("control start and end", format!("{start} and {end}"), "0 <= start <= end <= 1");
        }
        Ok(())
    }
}
