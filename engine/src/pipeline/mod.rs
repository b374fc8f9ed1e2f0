//! A whole text-to-image model on the device: text encoders, UNet, VAE, tokenizers and noise schedule of one directory.

mod conditioning;
mod control;
mod guided_unet;
mod load;
mod text;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::Elem;
use syncline_loader::Tokenizer;

pub use conditioning::{Conditioning, MicroConditions};
pub use control::{ControlNet, ControlRows};
pub use guided_unet::GuidedUNet;
pub use text::{EncodeText, EncodedText};

pub(crate) use load::vae_elem;

use crate::error::{Error, Result};
use crate::models::{AutoencoderKl, ClipTextModel, UNet2DConditionModel};
use crate::schedulers::NoiseSchedule;

/// diffusers' `StableDiffusionPipeline` and `StableDiffusionXLPipeline`: SD 1, SD 2, SDXL and models of their shape.
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
    /// SDXL's other text encoder, whose states follow the first one's and whose text embedding is the pooled vector.
    pub second_encoder: Option<SecondEncoder>,
    /// Whether an empty negative prompt is all zeros to the UNet instead of the encoding of nothing.
    pub zero_empty_prompt: bool,
    /// Noisy latents to model outputs.
    pub unet: UNet2DConditionModel,
    /// Images to latents and back.
    pub vae: AutoencoderKl,
    /// Levels the UNet was trained on.
    pub noise_schedule: NoiseSchedule,
}

/// `text_encoder_2` and `tokenizer_2` of SDXL.
#[derive(Debug)]
pub struct SecondEncoder {
    /// Prompt to token ids; pads otherwise than the first one.
    pub tokenizer: Tokenizer,
    /// Token ids to text states and embedding.
    pub text_encoder: ClipTextModel,
}

/// What a UNet takes beside noisy latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Latents,
    /// A depth map (SD-2-depth): one channel.
    Depth,
    /// Latents of the picture to edit (`InstructPix2Pix`).
    ImageLatents,
    /// A mask and latents of the picture without what it covers (inpainting models).
    MaskAndImageLatents,
}

impl Takes {
    /// What such a model is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latents => "a plain text-to-image model",
            Self::Depth => "a depth model",
            Self::ImageLatents => "an InstructPix2Pix model",
            Self::MaskAndImageLatents => "an inpainting model",
        }
    }

    /// Channels beside those of latents of `latent` channels.
    const fn channels(self, latent: usize) -> usize {
        match self {
            Self::Latents => 0,
            Self::Depth => 1,
            Self::ImageLatents => latent,
            Self::MaskAndImageLatents => latent + 1,
        }
    }
}

impl StableDiffusion {
    /// What the UNet takes beside latents.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] when its channels are those of no known kind.
    pub fn takes(&self) -> Result<Takes> {
        let (unet, latent) = (self.unet.config(), self.latent_channels());
        let unsupported = |key, found: usize, expected| {
            let (component, found) = ("UNet2DConditionModel", found.to_string());
            Err(Error::UnsupportedModel { component, key, found, expected })
        };
        if unet.out_channels != latent {
            let expected = format!("{latent} as the VAE's latent_channels");
            return unsupported("out_channels", unet.out_channels, expected);
        }
        let all = [Takes::Latents, Takes::Depth, Takes::ImageLatents, Takes::MaskAndImageLatents];
        match all.into_iter().find(|kind| latent + kind.channels(latent) == unet.in_channels) {
            Some(kind) => Ok(kind),
            None => {
                let known = all.map(|kind| format!("{} ({})", latent + kind.channels(latent), kind.name())).join(", ");
                unsupported("in_channels", unet.in_channels, known)
            }
        }
    }

    /// Fails unless the UNet takes exactly this beside latents.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] when it does not.
    pub fn require(&self, wanted: Takes) -> Result<()> {
        let found = self.takes()?;
        if found == wanted {
            return Ok(());
        }
        let latent = self.latent_channels();
        Err(Error::UnsupportedModel {
            component: "UNet2DConditionModel",
            key: "in_channels",
            found: format!("{} ({})", self.unet.config().in_channels, found.name()),
            expected: format!("{} ({})", latent + wanted.channels(latent), wanted.name()),
        })
    }

    /// Whether the UNet takes and gives latents and nothing else. Inpainting, depth and editing models take more.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] when it does not.
    pub fn require_plain_latents(&self) -> Result<()> {
        self.require(Takes::Latents)
    }

    /// Whether the UNet takes image latents behind its own and gives latents (`InstructPix2Pix`).
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] when it does not.
    pub fn require_image_latents(&self) -> Result<()> {
        self.require(Takes::ImageLatents)
    }

    /// Channels that the UNet takes behind those of the latents.
    #[must_use]
    pub fn extra_channels(&self) -> usize {
        self.unet.config().in_channels.saturating_sub(self.latent_channels())
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
