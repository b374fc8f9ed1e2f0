//! What UNets and ControlNets have in common.

use super::{Checker, PerLevel};
use crate::error::Result;

/// Default blocks of both.
pub(super) const CROSS_ATTENTION: [&str; 4] =
    ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"];

pub(super) fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// `only_cross_attention` is false at all levels, or it is an error.
pub(super) fn never(c: &Checker<'_>, only: &PerLevel<bool>, levels: usize) -> Result<()> {
    let off = only.levels(levels).is_some_and(|values| values.iter().all(|value| !value));
    c.require(off, "only_cross_attention", only, "false")
}

/// SDXL's added conditions: six time ids and the pooled text vector, embedded together.
pub(super) fn check_additions(
    c: &Checker<'_>,
    kind: Option<&str>,
    time_dim: Option<usize>,
    input_dim: Option<usize>,
) -> Result<()> {
    c.none_or("addition_embed_type", kind, &["text_time"])?;
    if kind.is_none() {
        return Ok(());
    }
    let (Some(time_dim), Some(input_dim)) = (time_dim, input_dim) else {
        return Err(c.error("addition_time_embed_dim", "text_time without its sizes", "two numbers"));
    };
    c.count("addition_time_embed_dim", time_dim)?;
    c.count("projection_class_embeddings_input_dim", input_dim)?;
    c.require(time_dim % 2 == 0, "addition_time_embed_dim", time_dim, "an even number")?;
    let expected = "more than six times addition_time_embed_dim";
    c.require(input_dim > 6 * time_dim, "projection_class_embeddings_input_dim", input_dim, expected)
}

/// The resolution levels.
pub(super) struct Levels<'a> {
    pub down_block_types: &'a [String],
    pub block_out_channels: &'a [usize],
    pub layers_per_block: &'a PerLevel<usize>,
    pub heads: &'a PerLevel<usize>,
    pub transformer_layers_per_block: &'a PerLevel<usize>,
    pub norm_num_groups: usize,
}

impl Levels<'_> {
    pub fn check(&self, c: &Checker<'_>) -> Result<()> {
        let levels = self.block_out_channels.len();
        c.counts("block_out_channels", self.block_out_channels)?;
        let blocks = self.down_block_types;
        c.per_level("down_block_types", blocks, levels)?;
        for block in blocks {
            c.one_of("down_block_types", block, &["DownBlock2D", "CrossAttnDownBlock2D"])?;
        }
        let lists = [
            ("layers_per_block", self.layers_per_block),
            ("attention_head_dim", self.heads),
            ("transformer_layers_per_block", self.transformer_layers_per_block),
        ];
        for (key, list) in lists {
            let Some(values) = list.levels(levels) else {
                return Err(c.error(key, format!("{list:?}"), format!("one number or {levels}")));
            };
            let small = values.iter().all(|v| (1..=256).contains(v));
            c.require(small, key, &values, "numbers from 1 to 256")?;
        }
        c.count("norm_num_groups", self.norm_num_groups)?;
        for (i, channels) in self.block_out_channels.iter().enumerate() {
            c.divides("norm_num_groups", self.norm_num_groups, *channels)?;
            // The mid block attends with the heads of the last level.
            let attends = i + 1 == levels || blocks.get(i).is_some_and(|b| b.starts_with("CrossAttn"));
            if attends {
                c.divides("attention_head_dim", self.heads.at(i).unwrap_or(1), *channels)?;
            }
        }
        Ok(())
    }
}
