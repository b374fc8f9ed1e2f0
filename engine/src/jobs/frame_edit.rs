//! Edits of pictures each by itself, a few in one batch: sync-SDE. What a picture becomes does not depend on the batch.

use std::sync::Arc;

use super::canvas::{Branched, CanvasOptions, CanvasProgram, PromptedUNet, ViewPrompts};
use crate::error::Result;
use crate::methods::{EditGrid, SyncSde};
use crate::pipeline::StableDiffusion;
use crate::spaces::{Branches, Frames, Space};

/// What is done to every picture.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameEdit {
    /// Its switches.
    pub method: SyncSde,
    /// Levels of its grid.
    pub steps: usize,
    /// What the pictures show.
    pub source: String,
    /// What they are to show.
    pub target: String,
    /// What neither shows.
    pub negative: String,
    /// One Brownian path for all pictures: the same noise at the same place, so that alike pictures change alike. Otherwise each
    /// picture has its own.
    pub one_noise: bool,
    /// Seed of the paths.
    pub seed: u64,
}

impl FrameEdit {
    /// Refuses numbers before anything is loaded or read.
    ///
    /// # Errors
    /// When the method does.
    pub fn check(&self, model: &StableDiffusion) -> Result<()> {
        self.method.check(&EditGrid::diffusion(&model.noise_schedule, self.steps)?)
    }

    /// The job for pictures `first` and the ones after it. `latents`: one below the other, of `size` = `[height, width]` pixels
    /// each, as [`super::PictureCodec::encode`] gives them. [`super::CanvasResult::canvas`] holds the edited ones, likewise.
    ///
    /// # Errors
    /// When an option is refused or the device has no room.
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
        let space: Arc<dyn Space> = Arc::new(Branches::new(Box::new(frames), 2)?);
        let plan = self.method.plan(&EditGrid::diffusion(&model.noise_schedule, self.steps)?)?;
        let unet = |text: &str, branch| {
            let prompts = ViewPrompts::new(text, &self.negative);
            PromptedUNet::for_branch(model, prompts, &plan, space.as_ref(), branch)
        };
        let models = vec![unet(&self.source, 0)?, unet(&self.target, 1)?];
        let options = CanvasOptions { start_latents: Some(latents), ..CanvasOptions::new(plan, space, self.seed) };
        CanvasProgram::new(Branched::new(models)?, options)
    }
}
