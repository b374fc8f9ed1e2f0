//! The UNet with its prompts, as methods see it.

use std::sync::Arc;

use syncline_kernels::gpu::Recorder;
use syncline_kernels::tensor::{Elem, Tensor};

use super::{Conditioning, StableDiffusion};
use crate::denoiser::Denoiser;
use crate::guidance::Guidance;
use crate::models::{UNetInputs, Wrap};
use crate::schedulers::NoiseSchedule;

/// A UNet with the text of each row.
#[derive(Debug)]
pub struct GuidedUNet<'a> {
    /// The model.
    pub model: &'a Arc<StableDiffusion>,
    /// Text of each row.
    pub conditioning: &'a Conditioning,
    /// How rows are combined.
    pub guidance: Guidance,
    /// Latents at a time.
    pub batch: usize,
    /// `[h, w]` of a latent.
    pub size: [usize; 2],
    /// Edges that continue on the opposite side.
    pub wrap: Wrap,
}

impl Denoiser for GuidedUNet<'_> {
    fn noise_schedule(&self) -> &NoiseSchedule {
        &self.model.noise_schedule
    }

    fn guidance(&self) -> &Guidance {
        &self.guidance
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn latent_dims(&self) -> [usize; 3] {
        [self.size[0], self.size[1], self.model.latent_channels()]
    }

    fn elem(&self) -> Elem {
        self.model.elem()
    }

    fn record(&self, rec: &mut Recorder, sample: &Tensor, timesteps: &Tensor) -> Tensor {
        let context = &self.conditioning.keys_values;
        self.model.unet.record(rec, &UNetInputs { sample, timesteps, context, added: None, wrap: self.wrap })
    }
}
