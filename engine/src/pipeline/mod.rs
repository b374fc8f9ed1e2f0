//! A whole text-to-image model on the device: text encoder, UNet, VAE, tokenizer and noise schedule of one directory.

mod conditioning;
mod guided_unet;

use std::sync::Arc;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::Elem;
use syncline_loader::{ModelSource, Tokenizer};

pub use conditioning::{Conditioning, EncodeText};
pub use guided_unet::GuidedUNet;

use crate::error::{Error, Result};
use crate::models::{AutoencoderKl, ClipTextModel, UNet2DConditionModel};
use crate::schedulers::{NoiseSchedule, NoiseScheduleConfig};

/// diffusers' `StableDiffusionPipeline`: SD 1, SD 2 and models of their shape.
#[derive(Debug)]
pub struct StableDiffusion {
    /// The device all parts live on.
    pub ctx: Context,
    /// Where it was loaded from.
    pub label: String,
    /// Prompt to token ids.
    pub tokenizer: Tokenizer,
    /// Token ids to text states.
    pub text_encoder: ClipTextModel,
    /// Noisy latents to model outputs.
    pub unet: UNet2DConditionModel,
    /// Images to latents and back.
    pub vae: AutoencoderKl,
    /// Levels the UNet was trained on.
    pub noise_schedule: NoiseSchedule,
}

/// Keys that published files carry and no model reads.
const IGNORED: &[(&str, &str)] = &[("position_ids", "a constant 0..76 that old exports stored")];

impl StableDiffusion {
    /// Loads every part, with weights and activations in `elem`.
    ///
    /// # Errors
    /// When a file is bad, tensors do not fit the configuration, or the device has no room.
    pub fn load(ctx: &Context, source: &ModelSource, elem: Elem) -> Result<Arc<Self>> {
        let text_config = source.clip_text_config("text_encoder")?;
        let unet_config = source.unet_config()?;
        let vae_config = source.vae_config()?;
        if unet_config.context_width() != text_config.hidden_size {
            return Err(Error::UnsupportedModel {
                component: "UNet2DConditionModel",
                key: "cross_attention_dim",
                found: unet_config.context_width().to_string(),
                expected: format!("{}, the text encoder's hidden_size", text_config.hidden_size),
            });
        }
        let scheduler = source.scheduler_config()?;
        // Both configurations have diffusers' field names, so one is the other's form.
        let schedule: NoiseScheduleConfig =
            serde_json::to_value(&scheduler).and_then(serde_json::from_value).map_err(|e| Error::Input {
                what: "scheduler_config.json",
                found: e.to_string(),
                expected: "a noise schedule of the DDIM family".into(),
            })?;
        let noise_schedule = NoiseSchedule::from_config(&schedule)?;
        let load = |component: &str| source.weights(component);
        let weights = load("text_encoder")?;
        let text_encoder = ClipTextModel::load(ctx, &weights.scope(), &text_config, elem)?;
        weights.finish(IGNORED)?;
        let weights = load("unet")?;
        let unet = UNet2DConditionModel::load(ctx, &weights.scope(), &unet_config, elem)?;
        weights.finish(&[])?;
        let weights = load("vae")?;
        let vae = AutoencoderKl::load(ctx, &weights.scope(), &vae_config, elem)?;
        weights.finish(&[])?;
        let tokenizer = source.tokenizer("tokenizer")?;
        Ok(Arc::new(Self {
            ctx: ctx.clone(),
            label: source.label(),
            tokenizer,
            text_encoder,
            unet,
            vae,
            noise_schedule,
        }))
    }

    /// Whether the UNet takes and gives latents and nothing else. Inpainting, depth and editing models take more.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] when it does not.
    pub fn require_plain_latents(&self) -> Result<()> {
        let (unet, latent) = (self.unet.config(), self.latent_channels());
        for (key, channels) in [("in_channels", unet.in_channels), ("out_channels", unet.out_channels)] {
            if channels != latent {
                return Err(Error::UnsupportedModel {
                    component: "UNet2DConditionModel",
                    key,
                    found: channels.to_string(),
                    expected: format!("{latent} as the VAE's latent_channels"),
                });
            }
        }
        Ok(())
    }

    /// Whether the UNet takes image latents behind its own and gives latents (`InstructPix2Pix`).
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] when it does not.
    pub fn require_image_latents(&self) -> Result<()> {
        let (unet, latent) = (self.unet.config(), self.latent_channels());
        for (key, channels, wanted) in
            [("in_channels", unet.in_channels, 2 * latent), ("out_channels", unet.out_channels, latent)]
        {
            if channels != wanted {
                return Err(Error::UnsupportedModel {
                    component: "UNet2DConditionModel",
                    key,
                    found: channels.to_string(),
                    expected: format!("{wanted}: instructions need an InstructPix2Pix model"),
                });
            }
        }
        Ok(())
    }

    /// Storage type of weights and activations.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.unet.elem()
    }

    /// Pixels per latent cell.
    #[must_use]
    pub fn downscale(&self) -> usize {
        self.vae.downscale()
    }

    /// Side in pixels of the images it was trained on.
    #[must_use]
    pub fn native_size(&self) -> usize {
        self.unet.config().sample_hw().map_or(64, |(height, _)| height) * self.downscale()
    }

    /// Channels of a latent.
    #[must_use]
    pub fn latent_channels(&self) -> usize {
        self.vae.config().latent_channels
    }

    /// Latent `[h, w]` of an image of `height × width`.
    ///
    /// # Errors
    /// When a side is zero or no multiple of what autoencoder and UNet need.
    pub fn latent_size(&self, height: usize, width: usize) -> Result<[usize; 2]> {
        let multiple = self.downscale() * self.unet.size_multiple();
        for (what, side) in [("width", width), ("height", height)] {
            if side == 0 || side % multiple != 0 || side > 16384 {
                let below = (side / multiple * multiple).clamp(multiple, 16384);
                return Err(Error::Input {
                    what,
                    found: side.to_string(),
                    expected: format!("a multiple of {multiple} from {multiple} to 16384, for example {below}"),
                });
            }
        }
        Ok([height / self.downscale(), width / self.downscale()])
    }
}
