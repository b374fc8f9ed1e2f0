//! Files that hold one component, as ComfyUI's model folders have them, in the original or in diffusers' names.

use super::family::{Family, context_of};
use super::{take_apart, unnamed};
use crate::error::Result;
use crate::header::Entry;
use crate::table::Table;

/// A component under diffusers' names.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name in a model directory.
    pub component: &'static str,
    /// The family it belongs to, if only one family has such a component.
    pub family: Option<Family>,
    /// Its tensors.
    pub table: Table,
}

/// Prefixes under which tools store a UNet.
const UNET: [&str; 4] = ["", "unet.", "diffusion_model.", "model.diffusion_model."];
/// Prefixes under which tools store a VAE.
const VAE: [&str; 3] = ["", "vae.", "first_stage_model."];
/// Prefixes under which tools store a text encoder.
const TEXT: [&str; 7] = [
    "",
    "transformer.",
    "model.",
    "cond_stage_model.transformer.",
    "cond_stage_model.model.",
    "conditioner.embedders.0.transformer.",
    "conditioner.embedders.1.model.",
];

/// The component that a file holds, or `None` when it holds none or several.
///
/// # Errors
/// When it is one, but some tensors have no place in it.
pub(crate) fn recognise(label: &str, table: &Table) -> Result<Option<Part>> {
    let found = UNET.iter().find_map(|prefix| unet(table, prefix));
    let found = found.or_else(|| VAE.iter().find_map(|prefix| vae(table, prefix)));
    let Some(found) = found.or_else(|| TEXT.iter().find_map(|prefix| text(table, prefix))) else {
        return Ok(None);
    };
    let renamed = renamed(table, found.old_prefix, found.new_prefix);
    let part = |table| Part { component: found.component, family: found.family, table };
    if found.new_prefix.is_empty() {
        return Ok(Some(part(renamed)));
    }
    let mut parts = take_apart(label, &renamed).map_err(|e| unnamed(e, found.new_prefix))?;
    Ok(parts.remove(found.component).map(part))
}

/// What was recognised: where its names begin, and the beginning under which the whole checkpoint would have them. An empty
/// new prefix says that the names are diffusers' already.
struct Found {
    component: &'static str,
    family: Option<Family>,
    old_prefix: &'static str,
    new_prefix: &'static str,
}

fn unet(table: &Table, prefix: &'static str) -> Option<Found> {
    let has = |name: &str| table.entry(&format!("{prefix}{name}")).is_some();
    let original = has("input_blocks.0.0.weight") && has("out.2.weight");
    let diffusers = has("conv_in.weight") && has("conv_out.weight") && has("time_embedding.linear_1.weight");
    let family = context_of(table, prefix).and_then(Family::of_context);
    let new_prefix = if original { "model.diffusion_model." } else { "" };
    (original || diffusers).then_some(Found { component: "unet", family, old_prefix: prefix, new_prefix })
}

fn vae(table: &Table, prefix: &'static str) -> Option<Found> {
    let has = |name: &str| table.entry(&format!("{prefix}{name}")).is_some();
    let original = has("decoder.mid.block_1.conv1.weight");
    let diffusers = has("decoder.mid_block.resnets.0.conv1.weight");
    let new_prefix = if original { "first_stage_model." } else { "" };
    (original || diffusers).then_some(Found { component: "vae", family: None, old_prefix: prefix, new_prefix })
}

fn text(table: &Table, prefix: &'static str) -> Option<Found> {
    let width = |name: &str| table.entry(&format!("{prefix}{name}")).and_then(|e| e.shape.get(1)).copied();
    let hugging_face =
        width("text_model.embeddings.token_embedding.weight").or_else(|| width("embeddings.token_embedding.weight"));
    let open_clip = width("token_embedding.weight");
    let (component, family) = match hugging_face.or(open_clip)? {
        // CLIP-L is SD-1.x's encoder and SDXL's first.
        768 => ("text_encoder", None),
        1280 => ("text_encoder_2", Some(Family::Sdxl)),
        1024 => ("text_encoder", Some(Family::Sd2)),
        _ => ("text_encoder", None),
    };
    let new_prefix = match (hugging_face, component) {
        (Some(_), _) => "",
        (None, "text_encoder_2") => "conditioner.embedders.1.model.",
        (None, _) => "cond_stage_model.model.",
    };
    Some(Found { component, family, old_prefix: prefix, new_prefix })
}

/// The same tensors with another beginning of their names; those that do not begin so keep theirs and will be strangers.
fn renamed(table: &Table, old: &str, new: &str) -> Table {
    let mut out = Table::default();
    for (name, entry) in table.entries() {
        let to = name.strip_prefix(old).map_or_else(|| name.to_owned(), |rest| format!("{new}{rest}"));
        let entry: Entry = entry.clone();
        out.add_view(table, name, to, entry);
    }
    out
}
