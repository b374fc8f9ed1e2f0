//! Edits of one picture by two prompts, or by an instruction.

use std::sync::Arc;

use super::canvas::{Branched, CanvasOptions, CanvasProgram, PromptedUNet, ViewPrompts};
use super::set_edit::EditTexts;
use crate::error::{Error, Result};
use crate::methods::{Op, Plan};
use crate::pipeline::StableDiffusion;
use crate::spaces::frames::Frames;
use crate::spaces::windows::{Windows, WindowsOptions};
use crate::spaces::{Branches, Interpolation, Space};

/// An edit of a picture's latents. The result is [`super::CanvasResult::canvas`].
#[derive(Debug)]
pub struct PictureEdit {
    /// What is done: one of [`crate::methods::EditSettings::plan`], or [`crate::methods::Instructed`].
    pub plan: Plan,
    /// `[h, w]` of the latents.
    pub size: [usize; 2],
    /// Scaled latents `[h, w, C]` of the picture.
    pub source: Vec<f32>,
    /// What to change; one target or instruction.
    pub texts: EditTexts,
    /// Where the latents may change, `[h, w]`: 1 there, 0 where they stay. For plans that couple source and target.
    pub mask: Option<Vec<f32>>,
    /// Seed of the noise.
    pub seed: u64,
}

/// Where a model looks at a picture of `[h, w]` latent cells: at all of it, or through windows of its own size that overlap by
/// half where a side is longer.
///
/// # Errors
/// When a side is none that the model takes.
pub fn edit_views(model: &StableDiffusion, [h, w]: [usize; 2]) -> Result<Box<dyn Space>> {
    let (cell, side) = (model.downscale(), model.native_size());
    let canvas = [h * cell, w * cell];
    let window = canvas.map(|n| n.min(side));
    if window == canvas {
        return Ok(Box::new(Frames::new(1, canvas)?));
    }
    let stride = [0, 1].map(|i| if canvas[i] > window[i] { window[i] / 2 } else { window[i] });
    let interpolation = Interpolation::Nearest;
    let options = WindowsOptions { canvas, window, stride, align: cell, interpolation, ..WindowsOptions::default() };
    Ok(Box::new(Windows::new(&options)?))
}

impl PictureEdit {
    /// The job on a model.
    ///
    /// # Errors
    /// When model, plan and texts do not go together, an option is refused, or the device has no room.
    pub fn program(self, model: &Arc<StableDiffusion>) -> Result<CanvasProgram<Branched<PromptedUNet>>> {
        let space = Branches::new(edit_views(model, self.size)?, self.plan.branches)?;
        let models = edit_models(model, &self.plan, &self.texts, &space)?;
        let couples = self.plan.ops.iter().any(|op| matches!(op, Op::EditStep(_)));
        let options = CanvasOptions {
            start_latents: Some(self.source),
            edit_mask: self.mask.filter(|_| couples),
            latent_interpolation: Some(Interpolation::Nearest),
            ..CanvasOptions::new(self.plan, Arc::new(space), self.seed)
        };
        CanvasProgram::new(Branched::new(models)?, options)
    }
}

/// A model for each branch of an edit's plan, with its prompts.
pub(super) fn edit_models(
    model: &Arc<StableDiffusion>,
    plan: &Plan,
    texts: &EditTexts,
    space: &Branches,
) -> Result<Vec<PromptedUNet>> {
    let one = |texts: &[String]| match texts {
        [text] => Ok(text.clone()),
        _ => {
            let (found, expected) = (texts.len().to_string(), "1: this is an edit of one picture".to_owned());
            Err(Error::Input { what: "target prompts", found, expected })
        }
    };
    let unet = |branch: usize, text: &str, negative: &str| {
        PromptedUNet::for_branch(model, ViewPrompts::new(text, negative), plan, space, branch)
    };
    match texts {
        EditTexts::Prompts { source, targets, negative } if plan.branches == 2 => {
            // What the target is to avoid says nothing about the source.
            Ok(vec![unet(0, source, "")?, unet(1, &one(targets)?, negative)?])
        }
        EditTexts::Prompts { targets, negative, .. } => Ok(vec![unet(0, &one(targets)?, negative)?]),
        EditTexts::Instructions { instructions, negative, guidance } => {
            let prompts = ViewPrompts::new(&one(instructions)?, negative);
            Ok(vec![PromptedUNet::instructed(model, prompts, plan, space, (0..1, *guidance))?])
        }
    }
}
