//! ControlNets in one file, in the original or in diffusers' names.

use std::path::Path;

use super::configs;
use super::family::{Family, context_of};
use super::place::{Place, Shape};
use crate::config::ControlNetConfig;
use crate::error::{Detail, LoadError, Result};
use crate::strict_json;
use crate::table::Table;
use crate::weights::{TensorInfo, Weights};

/// Opens a ControlNet's file. In diffusers' names the `config.json` beside it counts, if there is one.
pub(crate) fn open_controlnet(path: &Path) -> Result<(ControlNetConfig, Weights)> {
    let label = path.display().to_string();
    let table = Table::open(path)?;
    if table.entry("controlnet_cond_embedding.conv_in.weight").is_some() {
        let beside = path.with_file_name("config.json");
        let (file, text) = if beside.is_file() {
            (beside.display().to_string(), strict_json::read_text(&beside)?)
        } else {
            (label.clone(), configs::controlnet(family(&label, &table)?))
        };
        return Ok((ControlNetConfig::from_json(&file, &text)?, Weights::from_table(label, table)));
    }
    let prefix = if table.below("control_model.").next().is_some() { "" } else { "control_model." };
    let shape = Shape { vae_levels: 0, text_layers: 0 };
    let mut part = Table::default();
    for (name, entry) in table.entries() {
        match shape.place(&format!("{prefix}{name}")) {
            Place::To("controlnet", to) => part.add_view(&table, name, to, entry.clone()),
            Place::Unused => true,
            _ => return Err(no_controlnet(&label, &table, name)),
        };
    }
    let config = configs::controlnet(family(&label, &part)?);
    Ok((ControlNetConfig::from_json(&label, &config)?, Weights::from_table(label, part)))
}

fn family(label: &str, table: &Table) -> Result<Family> {
    let width = context_of(table, "");
    width.and_then(Family::of_context).ok_or_else(|| {
        let detail = Detail::new(label, "the ControlNet belongs to no family known here");
        let detail = detail.found(width.map_or("no cross attention".to_owned(), |w| format!("context width {w}")));
        let detail = detail.expected("768 (SD-1.x), 1024 (SD-2.x) or 2048 (SDXL)");
        LoadError::UnsupportedConfig(Box::new(detail.next(format!("put its config.json beside {label}"))))
    })
}

fn no_controlnet(label: &str, table: &Table, name: &str) -> LoadError {
    let infos = table.entries().map(|(name, e)| TensorInfo { name, shape: &e.shape, dtype: e.dtype });
    let detail = Detail::new(label, "the file is not a ControlNet").item(name);
    let detail = detail.found(format!("it looks like {}", crate::family::guess(infos)));
    let detail = detail.expected("control_model.* tensors, or those of diffusers' ControlNetModel");
    LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {label}"))))
}
