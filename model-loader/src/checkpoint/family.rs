//! The families that this engine runs, told apart by names and shapes.

use std::fmt;

use crate::table::Table;

/// A family of models: checkpoints of one family have the same tensors, and additions fit only their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Stable Diffusion 1.x: CLIP-L, context 768.
    Sd1,
    /// Stable Diffusion 2.x: OpenCLIP ViT-H, context 1024.
    Sd2,
    /// SDXL: CLIP-L and OpenCLIP bigG, context 2048.
    Sdxl,
}

impl Family {
    /// The family whose cross attentions read a context of this width.
    pub fn of_context(width: usize) -> Option<Family> {
        match width {
            768 => Some(Family::Sd1),
            1024 => Some(Family::Sd2),
            2048 => Some(Family::Sdxl),
            _ => None,
        }
    }

    /// Width of the context that its cross attentions read.
    pub fn context_width(self) -> usize {
        match self {
            Family::Sd1 => 768,
            Family::Sd2 => 1024,
            Family::Sdxl => 2048,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Sd1 => "SD-1.x",
            Family::Sd2 => "SD-2.x",
            Family::Sdxl => "SDXL",
        })
    }
}

/// Family of a checkpoint with the prefixes of the training code, if it is one.
pub(super) fn of_whole(table: &Table) -> Option<Family> {
    let has = |prefix: &str| table.below(prefix).next().is_some();
    if !has("model.diffusion_model.input_blocks.") || has("conditioner.embedders.0.model.") {
        return None;
    }
    if has("conditioner.embedders.1.model.") || has("model.diffusion_model.label_emb.") {
        Some(Family::Sdxl)
    } else if has("cond_stage_model.model.") {
        Some(Family::Sd2)
    } else if has("cond_stage_model.transformer.") {
        Some(Family::Sd1)
    } else {
        context_of(table, "model.diffusion_model.").and_then(Family::of_context)
    }
}

/// Width of the context that the first cross attention below `prefix` reads.
pub(super) fn context_of(table: &Table, prefix: &str) -> Option<usize> {
    let to_k = table.below(prefix).find(|name| name.ends_with(".attn2.to_k.weight"))?;
    table.entry(to_k)?.shape.last().copied()
}
