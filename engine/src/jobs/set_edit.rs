//! Edits of many views together: frames, photos, windows of a picture, by collaborative score distillation.

use std::sync::Arc;

use super::canvas::{Branched, CanvasOptions, CanvasProgram, PromptedUNet, Regions, ViewPrompts};
use crate::error::{Error, Result};
use crate::methods::{Baseline, CanvasReg, Csd};
use crate::pipeline::StableDiffusion;
use crate::spaces::{Branches, MiniBatch, Space};

/// What to change.
#[derive(Clone, Debug, PartialEq)]
pub enum EditTexts {
    /// What the source shows and what it is to show, for plain text-to-image models.
    Prompts {
        /// The source.
        source: String,
        /// The target, or one for each region.
        targets: Vec<String>,
        /// What neither shows.
        negative: String,
    },
    /// What to do, for `InstructPix2Pix` models.
    Instructions {
        /// The instruction, or one for each region.
        instructions: Vec<String>,
        /// What not to show.
        negative: String,
        /// Guidance along the instruction and along the source.
        guidance: [f64; 2],
    },
}

/// An edit of the views of a latent canvas. The result is [`super::CanvasResult::canvas`].
#[derive(Debug)]
pub struct SetEdit {
    /// The method, with as many prompts as there are texts. An instructed model's image latents are unscaled unless
    /// [`Csd::condition`] says otherwise.
    pub method: Csd,
    /// The canvas and all of its views; [`crate::spaces::Frames`] for pictures that are no larger than the model's.
    pub space: Box<dyn Space>,
    /// Scaled latents `[H, W, C]` of the canvas.
    pub source: Vec<f32>,
    /// What to change.
    pub texts: EditTexts,
    /// Regions of several texts.
    pub regions: Option<Regions>,
    /// `[height, width]` of the latent canvas, where it is not the RGB canvas's over a cell's pixels.
    pub latent_canvas: Option<[usize; 2]>,
    /// Seed of noise and choice of views.
    pub seed: u64,
}

impl EditTexts {
    fn targets(&self) -> &[String] {
        let (Self::Prompts { targets, .. } | Self::Instructions { instructions: targets, .. }) = self;
        targets
    }

    /// Prompts of all branches, target by target and the source's in the end.
    fn prompts(&self) -> ViewPrompts {
        let (source, negative) = match self {
            Self::Prompts { source, negative, .. } => (source, negative),
            // The source is what it is without an instruction.
            Self::Instructions { negative, .. } => (negative, negative),
        };
        let branches = self.targets().iter().chain([source]).cloned().collect();
        ViewPrompts { branches, ..ViewPrompts::new(source, negative) }
    }
}

impl SetEdit {
    /// The job on a model.
    ///
    /// # Errors
    /// When model, method and texts do not go together, an option is refused, or the device has no room.
    pub fn program(self, model: &Arc<StableDiffusion>) -> Result<CanvasProgram<Branched<PromptedUNet>>> {
        let mut method = self.method;
        let prompts = self.texts.prompts();
        let count = self.texts.targets().len();
        if count != method.prompts {
            let expected = format!("{}, as the method's prompts", method.prompts);
            return Err(Error::Input { what: "texts", found: count.to_string(), expected });
        }
        if matches!(self.texts, EditTexts::Instructions { .. }) && method.condition.is_none() {
            method.condition = Some(1.0 / model.vae.config().scaling_factor);
        }
        let batch = method.batch.unwrap_or(usize::MAX).min(self.space.view_count());
        let few = MiniBatch::new(self.space, batch, self.seed)?.with_one_noise(method.one_noise);
        let space = Branches::new(Box::new(few), method.branches())?;
        let plan = method.plan(&model.noise_schedule, space.set_count())?;
        let unet = |number: usize, branches| match self.texts {
            EditTexts::Prompts { .. } => {
                PromptedUNet::for_branches(model, prompts.clone(), &plan, &space, (number, branches))
            }
            EditTexts::Instructions { guidance, .. } => {
                PromptedUNet::instructed(model, prompts.clone(), &plan, &space, (branches, guidance))
            }
        };
        let mut models = vec![unet(0, 0..count)?];
        if method.baseline == Baseline::Source {
            models.push(unet(1, count..count + 1)?);
        }
        let source_latents = plan.uses(CanvasReg::Source.into()).then(|| self.source.clone());
        let options = CanvasOptions {
            start_latents: Some(self.source),
            source_latents,
            regions: self.regions,
            latent_canvas: self.latent_canvas,
            ..CanvasOptions::new(plan, Arc::new(space), self.seed)
        };
        CanvasProgram::new(Branched::new(models)?, options)
    }
}
