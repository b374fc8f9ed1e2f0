//! `AutoencoderKL`.

use super::{Names, Table};
use crate::config::AutoencoderKlConfig;

/// A VAE in diffusers' present names.
pub(crate) fn vae(config: &AutoencoderKlConfig) -> Table {
    let (channels, latent) = (&config.block_out_channels, config.latent_channels);
    let (first, last) = (channels.first().copied().unwrap_or(0), channels.last().copied().unwrap_or(0));
    let mut names = Names::default();
    names.conv3("encoder.conv_in", first, config.in_channels);
    levels(&mut names, "encoder.down_blocks", "downsamplers", channels.iter().copied(), config.layers_per_block);
    middle(&mut names, "encoder", last);
    names.norm("encoder.conv_norm_out", last);
    names.conv3("encoder.conv_out", 2 * latent, last);
    names.conv1("quant_conv", 2 * latent, 2 * latent);
    names.conv1("post_quant_conv", latent, latent);
    names.conv3("decoder.conv_in", last, latent);
    middle(&mut names, "decoder", last);
    let rising = channels.iter().rev().copied();
    levels(&mut names, "decoder.up_blocks", "upsamplers", rising, config.layers_per_block + 1);
    names.norm("decoder.conv_norm_out", first);
    names.conv3("decoder.conv_out", config.out_channels, first);
    names.rows
}

/// The levels of one half; each but the last ends in a change of size.
fn levels(
    names: &mut Names,
    blocks: &str,
    sizes: &str,
    channels: impl ExactSizeIterator<Item = usize> + Clone,
    layers: usize,
) {
    let count = channels.len();
    let mut inputs = channels.clone().next().unwrap_or(0);
    for (i, out) in channels.enumerate() {
        for j in 0..layers {
            names.resnet(&format!("{blocks}.{i}.resnets.{j}"), (inputs, out), None);
            inputs = out;
        }
        if i + 1 < count {
            names.conv3(&format!("{blocks}.{i}.{sizes}.0.conv"), out, out);
        }
    }
}

fn middle(names: &mut Names, half: &str, channels: usize) {
    let block = format!("{half}.mid_block");
    for i in 0..2 {
        names.resnet(&format!("{block}.resnets.{i}"), (channels, channels), None);
    }
    names.norm(&format!("{block}.attentions.0.group_norm"), channels);
    for part in ["to_q", "to_k", "to_v", "to_out.0"] {
        names.linear(&format!("{block}.attentions.0.{part}"), channels, channels);
    }
}
