//! ControlNet (Zhang et al. 2023), as diffusers' `ControlNetModel`: a copy of a UNet's way down that also sees a picture
//! (depth, edges, a pose) and adds to the UNet's skip connections.
//!
//! Its last convolutions add to the skips they belong to in their own epilogue, so the residuals never exist apart, and
//! carry the conditioning scale in their weights.

use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::ops::conv2d::Padding;
use syncline_kernels::ops::gemm::Activation;
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::Scope;
use syncline_loader::config::{ControlNetConfig, PerLevel, UNet2DConditionConfig};

use super::unet::blocks::{DownBlock2D, MidBlock2D, Pass};
use super::unet::embeddings::TimeEmbedding;
use super::{ContextKeysValues, UNetInputs, Wrap};
use crate::error::Result;
use crate::nn::{Conv2d, ConvEpilogue, ConvGeometry, Source, cast};

/// What the way down left at each skip connection and in the middle, before the last convolutions.
#[derive(Clone, Debug)]
pub struct ControlStates {
    down: Vec<Tensor>,
    mid: Tensor,
}

/// A ControlNet and its states in the recording of the UNet it controls.
#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    /// The model.
    pub model: &'a ControlNetModel,
    /// From [`ControlNetModel::record`] in the same recording.
    pub states: &'a ControlStates,
}

/// What a ControlNet is recorded on.
#[derive(Clone, Copy, Debug)]
pub struct ControlInputs<'a> {
    /// What the UNet gets; the context is this model's own, from [`ControlNetModel::record_context`].
    pub unet: UNetInputs<'a>,
    /// The picture's features `[B, h, w, C]`, from [`ControlNetModel::record_condition`].
    pub condition: &'a Tensor,
}

/// A ControlNet on the device.
#[derive(Debug)]
pub struct ControlNetModel {
    elem: Elem,
    time_embedding: TimeEmbedding,
    controlnet_cond_embedding: Vec<Conv2d>,
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock2D>,
    mid_block: MidBlock2D,
    controlnet_down_blocks: Vec<Conv2d>,
    controlnet_mid_block: Conv2d,
}

/// The UNet whose way down the ControlNet copies.
fn unet_config(config: &ControlNetConfig) -> UNet2DConditionConfig {
    let c = config.clone();
    UNet2DConditionConfig {
        in_channels: c.in_channels,
        flip_sin_to_cos: c.flip_sin_to_cos,
        freq_shift: c.freq_shift,
        down_block_types: c.down_block_types,
        block_out_channels: c.block_out_channels,
        layers_per_block: c.layers_per_block,
        norm_num_groups: c.norm_num_groups,
        norm_eps: c.norm_eps,
        cross_attention_dim: PerLevel::All(c.cross_attention_dim),
        transformer_layers_per_block: c.transformer_layers_per_block,
        attention_head_dim: c.attention_head_dim,
        num_attention_heads: c.num_attention_heads,
        use_linear_projection: c.use_linear_projection,
        addition_embed_type: c.addition_embed_type,
        addition_time_embed_dim: c.addition_time_embed_dim,
        projection_class_embeddings_input_dim: c.projection_class_embeddings_input_dim,
        ..UNet2DConditionConfig::default()
    }
}

/// `controlnet_cond_embedding`: pixels to the first level's channels at latent size, three halvings on the way.
fn load_cond_embedding(source: &Source<'_>, config: &ControlNetConfig) -> Result<Vec<Conv2d>> {
    let three = ConvGeometry::THREE;
    let half = ConvGeometry { stride: 2, padding: Padding::Same, ..three };
    let widths = &config.conditioning_embedding_out_channels;
    let last = widths[widths.len() - 1];
    let mut convs = vec![Conv2d::load(&source.at("conv_in"), config.conditioning_channels, widths[0], three)?];
    let blocks = source.at("blocks");
    for (i, pair) in widths.windows(2).enumerate() {
        convs.push(Conv2d::load(&blocks.at(2 * i), pair[0], pair[0], three)?);
        convs.push(Conv2d::load(&blocks.at(2 * i + 1), pair[0], pair[1], half)?);
    }
    convs.push(Conv2d::load(&source.at("conv_out"), last, config.block_out_channels[0], three)?);
    Ok(convs)
}

/// Widths of the skip connections of a way down, in order.
fn skip_widths(config: &UNet2DConditionConfig) -> Vec<usize> {
    let widths = &config.block_out_channels;
    let mut skips = vec![widths[0]];
    for (i, &width) in widths.iter().enumerate() {
        let downsampler = usize::from(i + 1 < widths.len());
        skips.extend(std::iter::repeat_n(width, config.layers(i) + downsampler));
    }
    skips
}

impl ControlNetModel {
    /// Loads the model from the root of a ControlNet's weights, to add `scale` times what it was trained to add.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit `elem` or the device.
    pub fn load(ctx: &Context, scope: &Scope, config: &ControlNetConfig, elem: Elem, scale: f64) -> Result<Self> {
        let source = Source::new(ctx, scope, elem);
        let unet = unet_config(config);
        let (levels, first) = (unet.levels(), unet.block_out_channels[0]);
        let zero_conv = |source: Source<'_>, width| Conv2d::load_scaled(&source, [width; 2], ConvGeometry::ONE, scale);
        let zero_convs = source.at("controlnet_down_blocks");
        let skips = skip_widths(&unet);
        Ok(Self {
            elem,
            time_embedding: TimeEmbedding::load(&source, &unet)?,
            controlnet_cond_embedding: load_cond_embedding(&source.at("controlnet_cond_embedding"), config)?,
            conv_in: Conv2d::load(&source.at("conv_in"), unet.in_channels, first, ConvGeometry::THREE)?,
            down_blocks: (0..levels).map(|i| DownBlock2D::load(&source, &unet, i)).collect::<Result<_>>()?,
            mid_block: MidBlock2D::load(&source.at("mid_block"), &unet)?,
            controlnet_down_blocks: skips
                .iter()
                .enumerate()
                .map(|(i, &width)| zero_conv(zero_convs.at(i), width))
                .collect::<Result<_>>()?,
            controlnet_mid_block: zero_conv(source.at("controlnet_mid_block"), unet.block_out_channels[levels - 1])?,
        })
    }

    /// Keys and values of `context [B, L, cross_attention_dim]` for every cross attention.
    pub fn record_context(&self, rec: &mut Recorder, context: &Tensor) -> ContextKeysValues {
        let context = cast(rec, context, self.elem);
        let mut pairs = Vec::new();
        self.down_blocks.iter().for_each(|block| block.record_context(rec, &context, &mut pairs));
        self.mid_block.record_context(rec, &context, &mut pairs);
        ContextKeysValues { pairs }
    }

    /// Features of `picture [B, 8h, 8w, 3]` with values from 0 to 1: the same for all steps of a run.
    pub fn record_condition(&self, rec: &mut Recorder, picture: &Tensor, wrap: Wrap) -> Tensor {
        let mut x = cast(rec, picture, self.elem);
        let last = self.controlnet_cond_embedding.len() - 1;
        for (i, conv) in self.controlnet_cond_embedding.iter().enumerate() {
            let activation = if i < last { Activation::Silu } else { Activation::None };
            x = conv.record(rec, &x, ConvEpilogue { activation, wrap, ..ConvEpilogue::default() });
        }
        x
    }

    /// The way down.
    pub fn record(&self, rec: &mut Recorder, inputs: &ControlInputs<'_>) -> ControlStates {
        let UNetInputs { sample, timesteps, context, added, wrap } = inputs.unet;
        let time = self.time_embedding.record(rec, timesteps, added);
        let mut pass = Pass { time: &time, context: context.pairs.iter(), wrap };
        let sample = cast(rec, sample, self.elem);
        let with_picture = ConvEpilogue { residual: Some(inputs.condition), wrap, ..ConvEpilogue::default() };
        let mut x = self.conv_in.record(rec, &sample, with_picture);
        let mut down = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.record(rec, x, &mut down, &mut pass);
        }
        ControlStates { down, mid: self.mid_block.record(rec, &x, &mut pass) }
    }

    /// `skips` and `mid` of the UNet with the residuals added.
    ///
    /// # Panics
    /// When the UNet has other levels than this model.
    pub(super) fn record_added(
        &self,
        rec: &mut Recorder,
        states: &ControlStates,
        skips: &[Tensor],
        mid: &Tensor,
    ) -> (Vec<Tensor>, Tensor) {
        assert_eq!(skips.len(), states.down.len(), "ControlNetModel: skip connections of another UNet");
        let residual = |x| ConvEpilogue { residual: Some(x), ..ConvEpilogue::default() };
        let convs = self.controlnet_down_blocks.iter().zip(&states.down);
        let skips = convs.zip(skips).map(|((conv, state), skip)| conv.record(rec, state, residual(skip))).collect();
        (skips, self.controlnet_mid_block.record(rec, &states.mid, residual(mid)))
    }

    /// The residuals alone, those of the skip connections in order and that of the middle last.
    pub fn record_residuals(&self, rec: &mut Recorder, states: &ControlStates) -> Vec<Tensor> {
        let convs = self.controlnet_down_blocks.iter().zip(&states.down);
        let mut residuals: Vec<Tensor> =
            convs.map(|(conv, state)| conv.record(rec, state, ConvEpilogue::default())).collect();
        residuals.push(self.controlnet_mid_block.record(rec, &states.mid, ConvEpilogue::default()));
        residuals
    }
}
