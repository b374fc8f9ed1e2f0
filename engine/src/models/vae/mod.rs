//! The autoencoder of latent diffusion (Rombach et al. 2022), as diffusers' `AutoencoderKL`.

mod coder;

use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::ops::conv2d::Wrap;
use syncline_kernels::ops::convert;
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::Scope;
use syncline_loader::config::AutoencoderKlConfig;

use super::resnet::plain;
use crate::error::Result;
use crate::nn::{Conv2d, ConvGeometry, Source, cast};
use coder::{Decoder, Encoder};

/// diffusers clamps the log variance to this range before it uses it.
pub const LOGVAR_RANGE: (f32, f32) = (-30.0, 20.0);

/// The posterior of an image, f32 `[B, H / f, W / f, latent_channels]` each, unscaled.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Its mean, which is also its mode.
    pub mean: Tensor,
    /// Its log variance as the network gives it, to be clamped to [`LOGVAR_RANGE`].
    pub logvar: Tensor,
}

/// Memory that a recording would take, found by recording it without running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of the largest single tensor, to be held against the adapter's binding limit.
    pub largest_tensor: u64,
    /// Bytes of all activations that are alive together, after slots are shared.
    pub activations: u64,
}

/// A VAE on the device.
#[derive(Debug)]
pub struct AutoencoderKl {
    config: AutoencoderKlConfig,
    elem: Elem,
    encoder: Encoder,
    /// Rows of `quant_conv` for the mean and for the log variance.
    quant_conv: [Conv2d; 2],
    post_quant_conv: Conv2d,
    decoder: Decoder,
}

impl AutoencoderKl {
    /// Loads both halves from the root of a VAE's weights, in either spelling of its attention keys.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit `elem` or the device.
    pub fn load(ctx: &Context, scope: &Scope, config: &AutoencoderKlConfig, elem: Elem) -> Result<Self> {
        let source = Source::new(ctx, scope, elem);
        let latent = config.latent_channels;
        let one = ConvGeometry::ONE;
        let part = |parts: &[usize]| Conv2d::load_split(&source.at("quant_conv"), 2 * latent, parts, one);
        let Ok(quant_conv) = <[Conv2d; 2]>::try_from(part(&[latent, latent])?) else {
            unreachable!("two parts were asked for")
        };
        Ok(Self {
            encoder: Encoder::load(&source.at("encoder"), config)?,
            quant_conv,
            post_quant_conv: Conv2d::load(&source.at("post_quant_conv"), latent, latent, one)?,
            decoder: Decoder::load(&source.at("decoder"), config)?,
            config: config.clone(),
            elem,
        })
    }

    /// The configuration the model was loaded with.
    #[must_use]
    pub fn config(&self) -> &AutoencoderKlConfig {
        &self.config
    }

    /// The type of weights and activations.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Pixels per latent cell and axis.
    #[must_use]
    pub fn downscale(&self) -> usize {
        self.config.downscale()
    }

    /// The posterior of `image [B, H, W, 3]` with values from -1 to 1. Height and width in multiples of
    /// [`AutoencoderKl::downscale`].
    pub fn record_encode(&self, rec: &mut Recorder, image: &Tensor, wrap: Wrap) -> Moments {
        let image = cast(rec, image, self.elem);
        let x = self.encoder.record(rec, &image, wrap);
        let [mean, logvar] = [0, 1].map(|part| {
            let moment = self.quant_conv[part].record(rec, &x, plain(wrap));
            cast(rec, &moment, Elem::F32)
        });
        Moments { mean, logvar }
    }

    /// The image of `latents [B, h, w, latent_channels]` divided by the scaling factor, as `AutoencoderKL.decode` takes
    /// them; f32 `[B, h * f, w * f, 3]`, about -1 to 1, not clamped.
    pub fn record_decode(&self, rec: &mut Recorder, latents: &Tensor, wrap: Wrap) -> Tensor {
        let latents = cast(rec, latents, self.elem);
        let x = self.post_quant_conv.record(rec, &latents, plain(wrap));
        let image = self.decoder.record(rec, &x, wrap);
        cast(rec, &image, Elem::F32)
    }

    /// The image of a sampler's `latents`, f32 `[B, h, w, latent_channels]`: divided by the scaling factor on their way.
    pub fn record_decode_scaled(&self, rec: &mut Recorder, latents: &Tensor, wrap: Wrap) -> Tensor {
        rec.set_layer("scaling_factor");
        let factor = (1.0 / self.config.scaling_factor) as f32;
        let latents = convert::convert_scaled(rec, latents, self.elem, factor);
        self.record_decode(rec, &latents, wrap)
    }

    /// What encoding `batch` images of `height × width` pixels takes.
    #[must_use]
    pub fn encode_footprint(&self, ctx: &Context, [batch, height, width]: [usize; 3]) -> Footprint {
        let mut rec = Recorder::new(ctx);
        let image = rec.temp(&[batch, height, width, self.config.in_channels], Elem::F32);
        self.record_encode(&mut rec, &image, Wrap::default());
        footprint(&rec)
    }

    /// What decoding `batch` latents of `height × width` cells takes.
    #[must_use]
    pub fn decode_footprint(&self, ctx: &Context, [batch, height, width]: [usize; 3]) -> Footprint {
        let mut rec = Recorder::new(ctx);
        let latents = rec.temp(&[batch, height, width, self.config.latent_channels], Elem::F32);
        self.record_decode_scaled(&mut rec, &latents, Wrap::default());
        footprint(&rec)
    }
}

fn footprint(rec: &Recorder) -> Footprint {
    Footprint { largest_tensor: rec.largest_value(), activations: rec.planned_bytes() }
}
