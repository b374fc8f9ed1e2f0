//! Down, mid and up blocks, with and without attention.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::conv2d::{Padding, Wrap};
use syncline_kernels::tensor::Tensor;
use syncline_loader::config::UNet2DConditionConfig;

use super::transformer::{Transformer2DModel, TransformerShape};
use crate::error::Result;
use crate::models::resnet::{ResnetBlock2D, ResnetInputs, ResnetShape, load_downsampler, load_upsampler, plain};
use crate::nn::{Conv2d, ConvEpilogue, Source};

/// What all blocks of one pass share.
pub(in crate::models) struct Pass<'a> {
    /// Time embedding behind its SiLU.
    pub time: &'a Tensor,
    /// Keys and values of the cross attentions still to come.
    pub context: std::slice::Iter<'a, (Tensor, Tensor)>,
    /// Edges.
    pub wrap: Wrap,
}

impl<'a> Pass<'a> {
    fn resnet<'b>(&self, x: &'b Tensor, skip: Option<&'b Tensor>) -> ResnetInputs<'b>
    where
        'a: 'b,
    {
        ResnetInputs { x, skip, time: Some(self.time), wrap: self.wrap }
    }
}

/// Keys and values of one cross attention after the other.
type Pairs = Vec<(Tensor, Tensor)>;

fn resnet_shape(config: &UNet2DConditionConfig, channels: usize, skip: usize, outputs: usize) -> ResnetShape {
    let time = Some(super::embeddings::time_width(config));
    ResnetShape { channels, skip, outputs, time, groups: config.norm_num_groups, eps: config.norm_eps }
}

/// The attention of level `i`, if its block type has any.
fn load_attention(
    source: &Source<'_>,
    config: &UNet2DConditionConfig,
    level: usize,
    block_type: &str,
) -> Result<Option<Transformer2DModel>> {
    if !block_type.starts_with("CrossAttn") {
        return Ok(None);
    }
    Transformer2DModel::load(source, config, TransformerShape::of_level(config, level)).map(Some)
}

/// `DownBlock2D` and `CrossAttnDownBlock2D`.
#[derive(Debug)]
pub(in crate::models) struct DownBlock2D {
    resnets: Vec<ResnetBlock2D>,
    attentions: Vec<Transformer2DModel>,
    downsamplers: Option<Conv2d>,
}

impl DownBlock2D {
    /// The block of level `i`, counted from the outermost.
    pub fn load(model: &Source<'_>, config: &UNet2DConditionConfig, i: usize) -> Result<Self> {
        let source = model.at("down_blocks").at(i);
        let widths = &config.block_out_channels;
        let (outputs, mut inputs) = (widths[i], widths[i.saturating_sub(1)]);
        let (mut resnets, mut attentions) = (Vec::new(), Vec::new());
        for j in 0..config.layers(i) {
            let shape = resnet_shape(config, inputs, 0, outputs);
            resnets.push(ResnetBlock2D::load(&source.at("resnets").at(j), shape)?);
            let attention = source.at("attentions").at(j);
            attentions.extend(load_attention(&attention, config, i, &config.down_block_types[i])?);
            inputs = outputs;
        }
        let last = i + 1 == widths.len();
        let downsampler = || load_downsampler(&source, outputs, Padding::Same);
        Ok(Self { resnets, attentions, downsamplers: (!last).then(downsampler).transpose()? })
    }

    pub fn record_context(&self, rec: &mut Recorder, context: &Tensor, pairs: &mut Pairs) {
        self.attentions.iter().for_each(|a| a.record_context(rec, context, pairs));
    }

    pub fn record(&self, rec: &mut Recorder, x: Tensor, skips: &mut Vec<Tensor>, pass: &mut Pass<'_>) -> Tensor {
        let mut x = x;
        for (j, resnet) in self.resnets.iter().enumerate() {
            x = resnet.record(rec, pass.resnet(&x, None));
            if let Some(attention) = self.attentions.get(j) {
                x = attention.record(rec, &x, pass);
            }
            skips.push(x.clone());
        }
        if let Some(downsampler) = &self.downsamplers {
            x = downsampler.record(rec, &x, plain(pass.wrap));
            skips.push(x.clone());
        }
        x
    }
}

/// `UNetMidBlock2DCrossAttn`: resnet, attention, resnet.
#[derive(Debug)]
pub(in crate::models) struct MidBlock2D {
    resnets: [ResnetBlock2D; 2],
    attentions: Transformer2DModel,
}

impl MidBlock2D {
    pub fn load(source: &Source<'_>, config: &UNet2DConditionConfig) -> Result<Self> {
        let level = config.levels() - 1;
        let width = config.block_out_channels[level];
        let resnet = |j| ResnetBlock2D::load(&source.at("resnets").at(j), resnet_shape(config, width, 0, width));
        let shape = TransformerShape::of_level(config, level);
        Ok(Self {
            resnets: [resnet(0)?, resnet(1)?],
            attentions: Transformer2DModel::load(&source.at("attentions").at(0), config, shape)?,
        })
    }

    pub fn record_context(&self, rec: &mut Recorder, context: &Tensor, pairs: &mut Pairs) {
        self.attentions.record_context(rec, context, pairs);
    }

    pub fn record(&self, rec: &mut Recorder, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let x = self.resnets[0].record(rec, pass.resnet(x, None));
        let x = self.attentions.record(rec, &x, pass);
        self.resnets[1].record(rec, pass.resnet(&x, None))
    }
}

/// `UpBlock2D` and `CrossAttnUpBlock2D`.
#[derive(Debug)]
pub(in crate::models) struct UpBlock2D {
    resnets: Vec<ResnetBlock2D>,
    attentions: Vec<Transformer2DModel>,
    upsamplers: Option<Conv2d>,
}

impl UpBlock2D {
    /// The `i`th block of the way up: the level `levels - 1 - i`.
    pub fn load(model: &Source<'_>, config: &UNet2DConditionConfig, i: usize) -> Result<Self> {
        let source = model.at("up_blocks").at(i);
        let widths = &config.block_out_channels;
        let level = widths.len() - 1 - i;
        let outputs = widths[level];
        // What the block below hands up, and the width of the oldest skip, which the next level outwards made.
        let below = widths[(level + 1).min(widths.len() - 1)];
        let outermost_skip = widths[level.saturating_sub(1)];
        let layers = config.layers(level) + 1;
        let (mut resnets, mut attentions) = (Vec::new(), Vec::new());
        for j in 0..layers {
            let channels = if j == 0 { below } else { outputs };
            let skip = if j + 1 == layers { outermost_skip } else { outputs };
            let shape = resnet_shape(config, channels, skip, outputs);
            resnets.push(ResnetBlock2D::load(&source.at("resnets").at(j), shape)?);
            let attention = source.at("attentions").at(j);
            attentions.extend(load_attention(&attention, config, level, &config.up_block_types[i])?);
        }
        let upsampler = || load_upsampler(&source, outputs);
        Ok(Self { resnets, attentions, upsamplers: (level > 0).then(upsampler).transpose()? })
    }

    pub fn record_context(&self, rec: &mut Recorder, context: &Tensor, pairs: &mut Pairs) {
        self.attentions.iter().for_each(|a| a.record_context(rec, context, pairs));
    }

    pub fn record(&self, rec: &mut Recorder, x: Tensor, skips: &mut Vec<Tensor>, pass: &mut Pass<'_>) -> Tensor {
        let mut x = x;
        for (j, resnet) in self.resnets.iter().enumerate() {
            // The way down pushed exactly one skip for each resnet here.
            let skip = skips.pop();
            x = resnet.record(rec, pass.resnet(&x, skip.as_ref()));
            if let Some(attention) = self.attentions.get(j) {
                x = attention.record(rec, &x, pass);
            }
        }
        match &self.upsamplers {
            Some(upsampler) => {
                // A map of odd size came down rounded up; the next skip says what it was.
                let odd = |axis: usize| skips.last().is_some_and(|skip| skip.dims()[axis] < 2 * x.dims()[axis]);
                upsampler.record(rec, &x, ConvEpilogue { trim: [odd(1), odd(2)], ..plain(pass.wrap) })
            }
            None => x,
        }
    }
}
