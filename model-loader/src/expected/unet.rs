//! UNets, and ControlNets, which are halves of them.

use super::{Names, Table};
use crate::config::{ControlNetConfig, UNet2DConditionConfig};

/// What the levels of both have in common.
struct Shape<'a> {
    channels: &'a [usize],
    /// Whether each level attends, on the way down.
    attends: Vec<bool>,
    /// Resnets of each level, on the way down.
    layers: Vec<usize>,
    /// Transformer blocks in each attention of each level.
    depths: Vec<usize>,
    context: usize,
    linear: bool,
    inputs: usize,
    /// Input width of SDXL's added conditions.
    added: Option<usize>,
}

impl Shape<'_> {
    fn time(&self) -> usize {
        self.first() * 4
    }

    fn first(&self) -> usize {
        self.channels.first().copied().unwrap_or(0)
    }

    fn last(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }

    fn head(&self, names: &mut Names) {
        names.conv3("conv_in", self.first(), self.inputs);
        names.linear("time_embedding.linear_1", self.time(), self.first());
        names.linear("time_embedding.linear_2", self.time(), self.time());
        if let Some(width) = self.added {
            names.linear("add_embedding.linear_1", self.time(), width);
            names.linear("add_embedding.linear_2", self.time(), self.time());
        }
    }

    fn down(&self, names: &mut Names) {
        let mut inputs = self.first();
        let levels = self.channels.len();
        for (i, out) in self.channels.iter().copied().enumerate() {
            let block = format!("down_blocks.{i}");
            for j in 0..self.layers.get(i).copied().unwrap_or(1) {
                names.resnet(&format!("{block}.resnets.{j}"), (inputs, out), Some(self.time()));
                if self.attends.get(i) == Some(&true) {
                    self.attention(names, &format!("{block}.attentions.{j}"), out, i);
                }
                inputs = out;
            }
            if i + 1 < levels {
                names.conv3(&format!("{block}.downsamplers.0.conv"), out, out);
            }
        }
    }

    fn middle(&self, names: &mut Names) {
        let (channels, time) = (self.last(), Some(self.time()));
        names.resnet("mid_block.resnets.0", (channels, channels), time);
        self.attention(names, "mid_block.attentions.0", channels, self.channels.len().saturating_sub(1));
        names.resnet("mid_block.resnets.1", (channels, channels), time);
    }

    fn attention(&self, names: &mut Names, name: &str, width: usize, level: usize) {
        names.norm(&format!("{name}.norm"), width);
        for projection in ["proj_in", "proj_out"] {
            if self.linear {
                names.linear(&format!("{name}.{projection}"), width, width);
            } else {
                names.conv1(&format!("{name}.{projection}"), width, width);
            }
        }
        for depth in 0..self.depths.get(level).copied().unwrap_or(1) {
            let block = format!("{name}.transformer_blocks.{depth}");
            for (attention, source) in [("attn1", width), ("attn2", self.context)] {
                names.weight(&format!("{block}.{attention}.to_q"), &[width, width]);
                names.weight(&format!("{block}.{attention}.to_k"), &[width, source]);
                names.weight(&format!("{block}.{attention}.to_v"), &[width, source]);
                names.linear(&format!("{block}.{attention}.to_out.0"), width, width);
            }
            names.linear(&format!("{block}.ff.net.0.proj"), 8 * width, width);
            names.linear(&format!("{block}.ff.net.2"), width, 4 * width);
            for norm in ["norm1", "norm2", "norm3"] {
                names.norm(&format!("{block}.{norm}"), width);
            }
        }
    }

    /// Each level takes one skip of every resnet and one of what entered the level on the way down.
    fn up(&self, names: &mut Names, attends: &[bool]) {
        let levels = self.channels.len();
        let mut inputs = self.last();
        for (i, out) in self.channels.iter().rev().copied().enumerate() {
            let level = levels - 1 - i;
            let below = level.checked_sub(1).and_then(|l| self.channels.get(l)).copied().unwrap_or(self.first());
            let layers = self.layers.get(level).copied().unwrap_or(1);
            for j in 0..=layers {
                let skip = if j == layers { below } else { out };
                let block = format!("up_blocks.{i}");
                names.resnet(&format!("{block}.resnets.{j}"), (inputs + skip, out), Some(self.time()));
                if attends.get(i) == Some(&true) {
                    self.attention(names, &format!("{block}.attentions.{j}"), out, level);
                }
                inputs = out;
            }
            if i + 1 < levels {
                names.conv3(&format!("up_blocks.{i}.upsamplers.0.conv"), out, out);
            }
        }
    }
}

fn attending(blocks: &[String]) -> Vec<bool> {
    blocks.iter().map(|block| block.starts_with("CrossAttn")).collect()
}

/// A conditional UNet.
pub(crate) fn unet(config: &UNet2DConditionConfig) -> Table {
    let levels = config.levels();
    let shape = Shape {
        channels: &config.block_out_channels,
        attends: attending(&config.down_block_types),
        layers: (0..levels).map(|i| config.layers_per_block.at(i).unwrap_or(1)).collect(),
        depths: (0..levels).map(|i| config.transformer_layers_per_block.at(i).unwrap_or(1)).collect(),
        context: config.context_width(),
        linear: config.use_linear_projection,
        inputs: config.in_channels,
        added: config.addition_embed_type.as_ref().and(config.projection_class_embeddings_input_dim),
    };
    let mut names = Names::default();
    shape.head(&mut names);
    shape.down(&mut names);
    shape.middle(&mut names);
    shape.up(&mut names, &attending(&config.up_block_types));
    names.norm("conv_norm_out", shape.first());
    names.conv3("conv_out", config.out_channels, shape.first());
    names.rows
}

/// A ControlNet.
pub(crate) fn controlnet(config: &ControlNetConfig) -> Table {
    let levels = config.block_out_channels.len();
    let shape = Shape {
        channels: &config.block_out_channels,
        attends: attending(&config.down_block_types),
        layers: (0..levels).map(|i| config.layers(i)).collect(),
        depths: (0..levels).map(|i| config.transformer_layers(i)).collect(),
        context: config.cross_attention_dim,
        linear: config.use_linear_projection,
        inputs: config.in_channels,
        added: config.addition_embed_type.as_ref().and(config.projection_class_embeddings_input_dim),
    };
    let mut names = Names::default();
    shape.head(&mut names);
    shape.down(&mut names);
    shape.middle(&mut names);
    hint(&mut names, config, shape.first());
    // One for what every resnet and downsampler leaves for the way up.
    let mut skips = vec![shape.first()];
    for (i, channels) in shape.channels.iter().enumerate() {
        let resnets = shape.layers.get(i).copied().unwrap_or(1);
        skips.extend(std::iter::repeat_n(*channels, resnets + usize::from(i + 1 < levels)));
    }
    for (i, channels) in skips.into_iter().enumerate() {
        names.conv1(&format!("controlnet_down_blocks.{i}"), channels, channels);
    }
    names.conv1("controlnet_mid_block", shape.last(), shape.last());
    names.rows
}

/// The small network that brings the control image to the size of latents.
fn hint(names: &mut Names, config: &ControlNetConfig, out: usize) {
    let widths = &config.conditioning_embedding_out_channels;
    let mut inputs = widths.first().copied().unwrap_or(0);
    names.conv3("controlnet_cond_embedding.conv_in", inputs, config.conditioning_channels);
    for (i, pair) in widths.windows(2).enumerate() {
        let wider = pair.last().copied().unwrap_or(inputs);
        names.conv3(&format!("controlnet_cond_embedding.blocks.{}", 2 * i), inputs, inputs);
        names.conv3(&format!("controlnet_cond_embedding.blocks.{}", 2 * i + 1), wider, inputs);
        inputs = wider;
    }
    names.conv3("controlnet_cond_embedding.conv_out", out, inputs);
}
