//! Edits of pictures each by itself, a few in one batch. What a picture becomes does not depend on the batch.

use std::sync::Arc;

use super::canvas::{Branched, CanvasOptions, CanvasProgram, PromptedUNet};
use super::picture_edit::edit_models;
use super::set_edit::EditTexts;
use crate::error::Result;
use crate::methods::Plan;
use crate::pipeline::StableDiffusion;
use crate::spaces::{Branches, Frames};

/// What is done to every picture.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameEdit {
    /// One of [`crate::methods::EditSettings::plan`], or [`crate::methods::Instructed`].
    pub plan: Plan,
    /// What to change; one target or instruction.
    pub texts: EditTexts,
    /// The same noise at the same place of all pictures, so that alike pictures change alike. Otherwise each picture has its own.
    pub one_noise: bool,
    /// Seed of the noise.
    pub seed: u64,
}

impl FrameEdit {
    /// The job for picture `first` and the ones after it. `latents`: one below the other, of `size` = `[height, width]` pixels
    /// each, as [`super::PictureCodec::encode`] gives them. [`super::CanvasResult::canvas`] holds the edited ones, likewise.
    ///
    /// # Errors
    /// When model, plan and texts do not go together, or the device has no room.
    pub fn program(
        &self,
        model: &Arc<StableDiffusion>,
        first: usize,
        size: [usize; 2],
        latents: Vec<f32>,
    ) -> Result<CanvasProgram<Branched<PromptedUNet>>> {
        let [h, w] = model.latent_size(size[0], size[1])?;
        let frames = Frames::new(latents.len() / (h * w * model.latent_channels()), size)?;
        let frames = if self.one_noise { frames.with_one_noise() } else { frames.starting_at(first as u32) };
        let plan = self.plan.clone();
        let space = Branches::new(Box::new(frames), plan.branches)?;
        let models = edit_models(model, &plan, &self.texts, &space)?;
        let options =
            CanvasOptions { start_latents: Some(latents), ..CanvasOptions::new(plan, Arc::new(space), self.seed) };
        CanvasProgram::new(Branched::new(models)?, options)
    }
}
