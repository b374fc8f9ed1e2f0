//! Encoder and decoder: resnets at falling or rising resolution, with one attention in the middle.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::conv2d::{Padding, Wrap};
use syncline_kernels::tensor::Tensor;
use syncline_loader::config::AutoencoderKlConfig;

use crate::error::Result;
use crate::models::resnet::{ResnetBlock2D, ResnetInputs, ResnetShape, load_downsampler, load_upsampler, plain};
use crate::nn::{Attention, AttentionNames, Conv2d, ConvGeometry, GroupNorm, Source};

/// Epsilon of every norm, attention included.
const EPS: f64 = 1e-6;

fn load_resnets(
    source: &Source<'_>,
    config: &AutoencoderKlConfig,
    [inputs, outputs]: [usize; 2],
    count: usize,
) -> Result<Vec<ResnetBlock2D>> {
    let resnet = |j: usize| {
        let channels = if j == 0 { inputs } else { outputs };
        let shape = ResnetShape { channels, skip: 0, outputs, time: None, groups: config.norm_num_groups, eps: EPS };
        ResnetBlock2D::load(&source.at("resnets").at(j), shape)
    };
    (0..count).map(resnet).collect()
}

fn record_resnet(rec: &mut Recorder, resnet: &ResnetBlock2D, x: &Tensor, wrap: Wrap) -> Tensor {
    resnet.record(rec, ResnetInputs { x, skip: None, time: None, wrap })
}

/// Resnets of one resolution and the convolution that changes it.
#[derive(Debug)]
struct CoderBlock {
    resnets: Vec<ResnetBlock2D>,
    resample: Option<Conv2d>,
}

impl CoderBlock {
    fn record(&self, rec: &mut Recorder, x: Tensor, wrap: Wrap) -> Tensor {
        let mut x = x;
        for resnet in &self.resnets {
            x = record_resnet(rec, resnet, &x, wrap);
        }
        match &self.resample {
            Some(conv) => conv.record(rec, &x, plain(wrap)),
            None => x,
        }
    }
}

/// `UNetMidBlock2D`: resnet, attention with one head over all positions, resnet.
#[derive(Debug)]
struct MidBlock {
    resnets: Vec<ResnetBlock2D>,
    group_norm: GroupNorm,
    attentions: Attention,
}

impl MidBlock {
    fn load(source: &Source<'_>, config: &AutoencoderKlConfig, channels: usize) -> Result<Self> {
        let attention = source.at("attentions").at(0);
        Ok(Self {
            resnets: load_resnets(source, config, [channels; 2], 2)?,
            group_norm: GroupNorm::load(&attention.at("group_norm"), channels, config.norm_num_groups, EPS)?,
            attentions: Attention::load(&attention, AttentionNames::VAE, channels, channels, 1)?,
        })
    }

    fn record(&self, rec: &mut Recorder, x: &Tensor, wrap: Wrap) -> Tensor {
        let x = record_resnet(rec, &self.resnets[0], x, wrap);
        let map = x.dims().to_vec();
        let tokens = [map[0], map[1] * map[2], map[3]];
        let normed = self.group_norm.record(rec, &x, None, false).reshape(&tokens);
        let mixed = self.attentions.record_self(rec, &normed, &x.reshape(&tokens), false);
        record_resnet(rec, &self.resnets[1], &mixed.reshape(&map), wrap)
    }
}

/// Pixels to twice the latent channels.
#[derive(Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<CoderBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub fn load(source: &Source<'_>, config: &AutoencoderKlConfig) -> Result<Self> {
        let widths = &config.block_out_channels;
        let last = widths.len() - 1;
        let block = |i: usize| -> Result<CoderBlock> {
            let source = source.at("down_blocks").at(i);
            let shape = [widths[i.saturating_sub(1)], widths[i]];
            // Zeros only right and below, before a convolution without padding.
            let downsampler = || load_downsampler(&source, widths[i], Padding::AsymmetricEnd);
            Ok(CoderBlock {
                resnets: load_resnets(&source, config, shape, config.layers_per_block)?,
                resample: (i < last).then(downsampler).transpose()?,
            })
        };
        let (three, moments) = (ConvGeometry::THREE, 2 * config.latent_channels);
        Ok(Self {
            conv_in: Conv2d::load(&source.at("conv_in"), config.in_channels, widths[0], three)?,
            down_blocks: (0..=last).map(block).collect::<Result<_>>()?,
            mid_block: MidBlock::load(&source.at("mid_block"), config, widths[last])?,
            conv_norm_out: GroupNorm::load(&source.at("conv_norm_out"), widths[last], config.norm_num_groups, EPS)?,
            conv_out: Conv2d::load(&source.at("conv_out"), widths[last], moments, three)?,
        })
    }

    pub fn record(&self, rec: &mut Recorder, image: &Tensor, wrap: Wrap) -> Tensor {
        let mut x = self.conv_in.record(rec, image, plain(wrap));
        for block in &self.down_blocks {
            x = block.record(rec, x, wrap);
        }
        let x = self.mid_block.record(rec, &x, wrap);
        let x = self.conv_norm_out.record(rec, &x, None, true);
        self.conv_out.record(rec, &x, plain(wrap))
    }
}

/// Latents to pixels.
#[derive(Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<CoderBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub fn load(source: &Source<'_>, config: &AutoencoderKlConfig) -> Result<Self> {
        let widths = &config.block_out_channels;
        let last = widths.len() - 1;
        // Up block i works at the width of level last - i.
        let block = |i: usize| -> Result<CoderBlock> {
            let source = source.at("up_blocks").at(i);
            let level = last - i;
            let shape = [widths[(level + 1).min(last)], widths[level]];
            let upsampler = || load_upsampler(&source, widths[level]);
            Ok(CoderBlock {
                resnets: load_resnets(&source, config, shape, config.layers_per_block + 1)?,
                resample: (level > 0).then(upsampler).transpose()?,
            })
        };
        let three = ConvGeometry::THREE;
        Ok(Self {
            conv_in: Conv2d::load(&source.at("conv_in"), config.latent_channels, widths[last], three)?,
            mid_block: MidBlock::load(&source.at("mid_block"), config, widths[last])?,
            up_blocks: (0..=last).map(block).collect::<Result<_>>()?,
            conv_norm_out: GroupNorm::load(&source.at("conv_norm_out"), widths[0], config.norm_num_groups, EPS)?,
            conv_out: Conv2d::load(&source.at("conv_out"), widths[0], config.out_channels, three)?,
        })
    }

    pub fn record(&self, rec: &mut Recorder, latents: &Tensor, wrap: Wrap) -> Tensor {
        let x = self.conv_in.record(rec, latents, plain(wrap));
        let mut x = self.mid_block.record(rec, &x, wrap);
        for block in &self.up_blocks {
            x = block.record(rec, x, wrap);
        }
        let x = self.conv_norm_out.record(rec, &x, None, true);
        self.conv_out.record(rec, &x, plain(wrap))
    }
}
