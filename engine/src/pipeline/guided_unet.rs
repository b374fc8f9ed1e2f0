//! The UNet with its prompts and ControlNets, as methods see it.

use std::sync::Arc;

use syncline_kernels::gpu::Recorder;
use syncline_kernels::tensor::{Elem, Tensor};

use super::{Conditioning, ControlRows, StableDiffusion};
use crate::denoiser::Denoiser;
use crate::guidance::{Guidance, Row};
use crate::models::{Control, UNetInputs, Wrap};
use crate::schedulers::NoiseSchedule;

/// A UNet with the text of each row.
#[derive(Debug)]
pub struct GuidedUNet {
    /// The model.
    pub model: Arc<StableDiffusion>,
    /// How rows are combined.
    pub guidance: Guidance,
    /// Latents at a time.
    pub batch: usize,
    /// `[h, w]` of a latent.
    pub size: [usize; 2],
    /// Edges that continue on the opposite side.
    pub wrap: Wrap,
    /// Text of each row; there when the network is recorded.
    pub conditioning: Option<Conditioning>,
    /// What else steers it.
    pub controls: Vec<ControlRows>,
}

impl GuidedUNet {
    /// Without texts as yet.
    #[must_use]
    pub fn new(model: &Arc<StableDiffusion>, guidance: Guidance, batch: usize, size: [usize; 2]) -> Self {
        let (conditioning, controls) = (None, Vec::new());
        Self { model: model.clone(), guidance, batch, size, wrap: Wrap::default(), conditioning, controls }
    }

    /// Pixels of a view.
    #[must_use]
    pub fn pixels(&self) -> [usize; 2] {
        self.size.map(|side| side * self.model.downscale())
    }
}

impl Denoiser for GuidedUNet {
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

    fn conditioned_rows(&self) -> usize {
        let rows = self.guidance.rows();
        match self.guidance {
            _ if self.model.extra_channels() == 0 => 0,
            // Depth and masks are no condition to guide along: every row has them.
            Guidance::None | Guidance::ClassifierFree { .. } => rows.len(),
            _ => rows.iter().filter(|row| matches!(row, Row::PromptAndImage | Row::Image)).count(),
        }
    }

    fn record(&self, rec: &mut Recorder, sample: &Tensor, timesteps: &Tensor) -> Tensor {
        let Some(conditioning) = &self.conditioning else { unreachable!("recorded before the text is encoded") };
        let (context, added, wrap) = (&conditioning.keys_values, conditioning.added(), self.wrap);
        let inputs = UNetInputs { sample, timesteps, context, added, wrap };
        let active = self.controls.iter().filter(|control| control.active);
        let states: Vec<_> = active.map(|control| control.record(rec, &inputs)).collect();
        let controls: Vec<Control<'_>> = states.iter().map(|(model, states)| Control { model, states }).collect();
        self.model.unet.record_controlled(rec, &inputs, &controls)
    }
}
