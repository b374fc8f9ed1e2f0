//! UNet and VAE of a published family, without its files.

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::{Family, ModelSource};

use crate::error::Result;
use crate::models::unet::AddedConditions;
use crate::models::{AutoencoderKl, UNet2DConditionModel, UNetInputs, Wrap};

/// Numbers in SDXL's time ids, and the width of its pooled text.
const ADDED: [usize; 2] = [6, 1280];
/// Tokens of a text.
const TOKENS: usize = 77;

/// Loads and records the networks of one family.
#[derive(Clone, Debug)]
pub struct Networks {
    ctx: Context,
    source: ModelSource,
    elem: Elem,
}

/// Smooth values of about unit variance.
fn wave(ctx: &Context, dims: &[usize], elem: Elem) -> Result<Tensor> {
    let values: Vec<f32> = (0..dims.iter().product()).map(|i: usize| 1.4 * (i as f32 * 0.7 + 0.3).sin()).collect();
    Ok(ctx.upload(&values, dims, elem)?)
}

impl Networks {
    /// Networks of `family` with weights and activations in `elem`.
    ///
    /// # Errors
    /// When the published configurations cannot be read: an error of ours.
    pub fn new(ctx: &Context, family: Family, elem: Elem) -> Result<Self> {
        Ok(Self { ctx: ctx.clone(), source: ModelSource::generated(family)?, elem })
    }

    /// The UNet, ready to be recorded.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn unet(&self) -> Result<UNet2DConditionModel> {
        let weights = self.source.weights("unet")?;
        UNet2DConditionModel::load(&self.ctx, &weights.scope(), &self.source.unet_config()?, self.elem)
    }

    /// The VAE, ready to be recorded.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn vae(&self) -> Result<AutoencoderKl> {
        let weights = self.source.weights("vae")?;
        AutoencoderKl::load(&self.ctx, &weights.scope(), &self.source.vae_config()?, self.elem)
    }

    /// One evaluation of `unet` on `batch` latents of `size`; the text's keys and values are computed beforehand, as in a
    /// sampler's loop.
    ///
    /// # Errors
    /// When memory or the device fails.
    pub fn record_unet(
        &self,
        unet: &UNet2DConditionModel,
        batch: usize,
        size: [usize; 2],
    ) -> Result<(Recording, Tensor)> {
        let (ctx, config) = (&self.ctx, unet.config());
        let sample = wave(ctx, &[batch, size[0], size[1], config.in_channels], Elem::F32)?;
        let timesteps = ctx.upload(&vec![601.0; batch], &[batch], Elem::F32)?;
        let text = wave(ctx, &[batch, TOKENS, config.context_width()], self.elem)?;
        let mut rec = Recorder::new(ctx);
        let mut context = unet.record_context(&mut rec, &text);
        for tensor in context.tensors_mut() {
            *tensor = rec.keep(tensor)?;
        }
        rec.finish()?.run()?;
        let [ids, pooled] = ADDED;
        let added = if config.addition_embed_type.is_some() {
            let side = 1024.0;
            let times = [side, side, 0.0, 0.0, side, side].repeat(batch);
            Some((wave(ctx, &[batch, pooled], self.elem)?, ctx.upload(&times, &[batch * ids], Elem::F32)?))
        } else {
            None
        };
        let added = added.as_ref().map(|(text_embeds, time_ids)| AddedConditions { text_embeds, time_ids });
        let mut rec = Recorder::new(ctx);
        let (sample, timesteps, context) = (&sample, &timesteps, &context);
        let out = unet.record(&mut rec, &UNetInputs { sample, timesteps, context, added, wrap: Wrap::default() });
        let out = rec.keep(&out)?;
        Ok((rec.finish()?, out))
    }

    /// Decoding `batch` latents of `size`.
    ///
    /// # Errors
    /// When memory or the device fails.
    pub fn record_decode(&self, vae: &AutoencoderKl, batch: usize, size: [usize; 2]) -> Result<(Recording, Tensor)> {
        let latents = wave(&self.ctx, &[batch, size[0], size[1], vae.config().latent_channels], Elem::F32)?;
        let mut rec = Recorder::new(&self.ctx);
        let image = vae.record_decode(&mut rec, &latents, Wrap::default());
        let image = rec.keep(&image)?;
        Ok((rec.finish()?, image))
    }
}
