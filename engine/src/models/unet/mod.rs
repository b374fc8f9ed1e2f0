//! The conditional UNet of latent diffusion (Rombach et al. 2022), as diffusers' `UNet2DConditionModel`.
//!
//! Skip connections are never joined in memory: the first norm and the shortcut of a block on the way up read both inputs
//! in place. Keys and values of the text are recorded apart ([`UNet2DConditionModel::record_context`]), because they stay
//! the same for all steps of a run.

pub(super) mod blocks;
pub(super) mod embeddings;
mod transformer;

use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::ops::conv2d::Wrap;
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::Scope;
use syncline_loader::config::UNet2DConditionConfig;

use super::controlnet::Control;
use super::resnet::plain;
use crate::error::Result;
use crate::nn::{Conv2d, ConvGeometry, GroupNorm, Source, cast};
use blocks::{DownBlock2D, MidBlock2D, Pass, UpBlock2D};
use embeddings::TimeEmbedding;

/// Keys and values of a context in every cross attention, in the order of the network.
#[derive(Clone, Debug)]
pub struct ContextKeysValues {
    pub(super) pairs: Vec<(Tensor, Tensor)>,
}

impl ContextKeysValues {
    /// All tensors, so that a recording can keep them for others.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        self.pairs.iter_mut().flat_map(|(k, v)| [k, v])
    }
}

/// SDXL's added conditions.
#[derive(Clone, Copy, Debug)]
pub struct AddedConditions<'a> {
    /// Pooled text `[B, P]`.
    pub text_embeds: &'a Tensor,
    /// Original size, crop and target size in pixels, f32 `[B * 6]`.
    pub time_ids: &'a Tensor,
}

/// What a UNet is recorded on.
#[derive(Clone, Copy, Debug)]
pub struct UNetInputs<'a> {
    /// `[B, h, w, in_channels]`, scaled as the sampler wants it. Other heights and widths than multiples of
    /// [`UNet2DConditionModel::size_multiple`] are rounded up on the way down and restored on the way up.
    pub sample: &'a Tensor,
    /// Training timesteps, f32 `[B]`.
    pub timesteps: &'a Tensor,
    /// The context's keys and values, from [`UNet2DConditionModel::record_context`] in this recording or kept by another.
    pub context: &'a ContextKeysValues,
    /// Needed exactly where the configuration's `addition_embed_type` is `text_time`.
    pub added: Option<AddedConditions<'a>>,
    /// Edges that continue on the opposite side.
    pub wrap: Wrap,
}

/// A UNet on the device.
#[derive(Debug)]
pub struct UNet2DConditionModel {
    config: UNet2DConditionConfig,
    elem: Elem,
    time_embedding: TimeEmbedding,
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock2D>,
    mid_block: MidBlock2D,
    up_blocks: Vec<UpBlock2D>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl UNet2DConditionModel {
    /// Loads the model from the root of a UNet's weights.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit `elem` or the device.
    pub fn load(ctx: &Context, scope: &Scope, config: &UNet2DConditionConfig, elem: Elem) -> Result<Self> {
        let source = Source::new(ctx, scope, elem);
        let levels = config.levels();
        let first = config.block_out_channels[0];
        Ok(Self {
            time_embedding: TimeEmbedding::load(&source, config)?,
            conv_in: Conv2d::load(&source.at("conv_in"), config.in_channels, first, ConvGeometry::THREE)?,
            down_blocks: (0..levels).map(|i| DownBlock2D::load(&source, config, i)).collect::<Result<_>>()?,
            mid_block: MidBlock2D::load(&source.at("mid_block"), config)?,
            up_blocks: (0..levels).map(|i| UpBlock2D::load(&source, config, i)).collect::<Result<_>>()?,
            conv_norm_out: GroupNorm::load(
                &source.at("conv_norm_out"),
                first,
                config.norm_num_groups,
                config.norm_eps,
            )?,
            conv_out: Conv2d::load(&source.at("conv_out"), first, config.out_channels, ConvGeometry::THREE)?,
            config: config.clone(),
            elem,
        })
    }

    /// The configuration the model was loaded with.
    #[must_use]
    pub fn config(&self) -> &UNet2DConditionConfig {
        &self.config
    }

    /// The type of weights and activations.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Heights and widths in multiples of this pass all levels without rounding, as in training.
    #[must_use]
    pub fn size_multiple(&self) -> usize {
        1 << (self.config.levels() - 1)
    }

    /// Keys and values of `context [B, L, cross_attention_dim]` for every cross attention.
    pub fn record_context(&self, rec: &mut Recorder, context: &Tensor) -> ContextKeysValues {
        let context = cast(rec, context, self.elem);
        let mut pairs = Vec::new();
        self.down_blocks.iter().for_each(|block| block.record_context(rec, &context, &mut pairs));
        self.mid_block.record_context(rec, &context, &mut pairs);
        self.up_blocks.iter().for_each(|block| block.record_context(rec, &context, &mut pairs));
        ContextKeysValues { pairs }
    }

    /// The model's output (noise or v, as it was trained), f32 `[B, h, w, out_channels]`.
    ///
    /// # Panics
    /// When added conditions are missing or too many: an error of the job that records.
    pub fn record(&self, rec: &mut Recorder, inputs: &UNetInputs<'_>) -> Tensor {
        self.record_controlled(rec, inputs, &[])
    }

    /// As [`UNet2DConditionModel::record`], with the residuals of ControlNets on every skip connection and on the middle.
    ///
    /// # Panics
    /// As [`UNet2DConditionModel::record`], and when a ControlNet's levels are not the UNet's.
    pub fn record_controlled(&self, rec: &mut Recorder, inputs: &UNetInputs<'_>, controls: &[Control<'_>]) -> Tensor {
        let time = self.time_embedding.record(rec, inputs.timesteps, inputs.added);
        let mut pass = Pass { time: &time, context: inputs.context.pairs.iter(), wrap: inputs.wrap };
        let sample = cast(rec, inputs.sample, self.elem);
        let mut x = self.conv_in.record(rec, &sample, plain(inputs.wrap));
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.record(rec, x, &mut skips, &mut pass);
        }
        x = self.mid_block.record(rec, &x, &mut pass);
        for Control { model, states } in controls {
            (skips, x) = model.record_added(rec, states, &skips, &x);
        }
        for block in &self.up_blocks {
            x = block.record(rec, x, &mut skips, &mut pass);
        }
        let x = self.conv_norm_out.record(rec, &x, None, true);
        let out = self.conv_out.record(rec, &x, plain(inputs.wrap));
        cast(rec, &out, Elem::F32)
    }
}
