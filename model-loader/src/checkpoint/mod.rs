//! Single-file checkpoints in their original layout, read as if they were diffusers directories.

mod component;
pub(crate) mod configs;
mod controlnet;
mod family;
pub(crate) mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Detail, LoadError, Result};
use crate::header::Entry;
use crate::table::Table;
use crate::weights::TensorInfo;
pub(crate) use component::Part;
pub(crate) use controlnet::open_controlnet;
use place::{Place, Shape};

pub use family::Family;

/// The text encoder of SDXL's refiner, which is left out.
const REFINER: &str = "conditioner.embedders.0.model.";

/// Configuration files of a family's text-to-image model by their path in a model directory.
pub(crate) fn configurations(family: Family) -> BTreeMap<String, String> {
    configs::files(family, 4)
}

/// A checkpoint taken apart.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// The file.
    pub label: String,
    /// What the names and shapes of its tensors say.
    pub family: Family,
    /// Configuration files by their path in a model directory.
    pub files: BTreeMap<String, String>,
    /// Tensors of each component under diffusers' names.
    pub parts: BTreeMap<&'static str, Table>,
    /// What the UNet predicts, if that can be known.
    pub prediction_type: Option<String>,
}

impl Checkpoint {
    /// Opens a `.safetensors` file: a whole checkpoint, or a UNet on its own, which needs other files for the rest.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let label = path.display().to_string();
        let table = Table::open(path)?;
        let (family, parts) = match family::of_whole(&table) {
            Some(family) => (family, take_apart(&label, &table)?),
            None if table.below(REFINER).next().is_some() => return Err(no_checkpoint(&label, &table)),
            None => match component::recognise(&label, &table)? {
                Some(Part { component: "unet", family: Some(family), table }) => (family, [("unet", table)].into()),
                _ => return Err(no_checkpoint(&label, &table)),
            },
        };
        let conv_in = parts.get("unet").and_then(|unet| unet.entry("conv_in.weight"));
        let inputs = conv_in.and_then(|entry| entry.shape.get(1)).copied().unwrap_or(4);
        let mut files = configs::files(family, inputs);
        files.retain(|name, _| {
            let component = name.split('/').next().unwrap_or("");
            component == name || component == "scheduler" || parts.contains_key(component)
        });
        let prediction_type = prediction_type(family, inputs, path, &table).map(str::to_owned);
        Ok(Checkpoint { label, family, files, parts, prediction_type })
    }

    /// The error when nobody said what the UNet predicts.
    pub fn unknown_prediction(&self) -> LoadError {
        let detail =
            Detail::new(&self.label, "an SD-2.x file does not say what its UNet predicts").item("prediction_type");
        let detail = detail.found("neither 512, base, 768 nor v-pred in the file's name");
        let detail = detail.expected("epsilon (512 base models) or v_prediction (768 models)");
        LoadError::UnsupportedConfig(Box::new(detail.next("say --prediction epsilon or --prediction v_prediction")))
    }
}

fn no_checkpoint(label: &str, table: &Table) -> LoadError {
    let infos = table.entries().map(|(name, e)| TensorInfo { name, shape: &e.shape, dtype: e.dtype });
    let family = crate::family::guess(infos);
    let detail = Detail::new(label, "the file is not a whole Stable Diffusion checkpoint");
    let detail = detail.found(format!("{} tensors; it looks like {family}", table.len()));
    let detail = detail.expected("an SD-1.x, SD-2.x or SDXL checkpoint, or a diffusers directory");
    LoadError::Unaccounted(Box::new(detail.next(crate::family::advice(&family, label))))
}

/// Only SD-2.x exists in both kinds with the same names and shapes; its models with more input channels (depth 5,
/// inpainting 9) descend from the 512 base. Newer files mark v-prediction with a tensor of that name.
fn prediction_type(family: Family, inputs: usize, path: &Path, table: &Table) -> Option<&'static str> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("").to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if table.entry("v_pred").is_some() {
        return Some("v_prediction");
    }
    match family {
        Family::Sd1 | Family::Sdxl => Some("epsilon"),
        Family::Sd2 if says(&["768", "v-pred", "vpred", "v_pred"]) => Some("v_prediction"),
        Family::Sd2 if inputs != 4 || says(&["512", "base"]) => Some("epsilon"),
        Family::Sd2 => None,
    }
}

/// The same error for a file whose names lack the beginning that was put before them.
fn unnamed(error: LoadError, prefix: &str) -> LoadError {
    match error {
        LoadError::Unaccounted(mut detail) => {
            detail.found = detail.found.map(|found| found.replace(prefix, ""));
            LoadError::Unaccounted(detail)
        }
        other => other,
    }
}

/// One component of a file: of a whole checkpoint, or the only one it holds. `None` when it holds something else.
pub(crate) fn part(label: &str, table: &Table, component: &str) -> Result<Option<Part>> {
    if let Some(family) = family::of_whole(table) {
        let found = take_apart(label, table)?.into_iter().find(|(name, _)| *name == component);
        return Ok(found.map(|(component, table)| Part { component, family: Some(family), table }));
    }
    Ok(component::recognise(label, table)?.filter(|part| part.component == component))
}

/// Gives every tensor its place; a tensor without one is an error.
fn take_apart(label: &str, table: &Table) -> Result<BTreeMap<&'static str, Table>> {
    let shape = Shape::of(table.names());
    let mut parts: BTreeMap<&'static str, Table> = BTreeMap::new();
    let mut strangers = Vec::new();
    for (name, entry) in table.entries() {
        let fits = match shape.place(name) {
            Place::To(part, to) => parts.entry(part).or_default().add_view(table, name, to, entry.clone()),
            Place::Thirds(part, to) => add_thirds(parts.entry(part).or_default(), table, (name, entry), to),
            Place::Transposed(part, to) => add_transposed(parts.entry(part).or_default(), table, (name, entry), to)?,
            Place::Unused => true,
            Place::Unknown => false,
        };
        if !fits {
            strangers.push(name);
        }
    }
    if strangers.is_empty() {
        return Ok(parts);
    }
    let listed = strangers.iter().take(10).copied().collect::<Vec<_>>().join(", ");
    let more = strangers.len().saturating_sub(10);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let detail = Detail::new(label, "the checkpoint holds tensors that have no place in its model");
    let detail = detail.found(format!("{}: {listed}{more}", strangers.len())).expected("each tensor once");
    Err(LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {label}")))))
}

/// Rows of query, key and value lie one after the other, so each part is a range of the bytes.
fn add_thirds(part: &mut Table, from: &Table, (name, entry): (&str, &Entry), to: [String; 3]) -> bool {
    let Some((rows, rest)) = entry.shape.split_first().filter(|(rows, _)| rows.is_multiple_of(3)) else {
        return false;
    };
    let bytes = entry.range.len() / 3;
    let shape: Vec<usize> = [rows / 3].iter().chain(rest).copied().collect();
    let mut fits = true;
    for (i, to) in to.into_iter().enumerate() {
        let start = entry.range.start + i * bytes;
        let third = Entry { dtype: entry.dtype, shape: shape.clone(), range: start..start + bytes };
        fits &= part.add_view(from, name, to, third);
    }
    fits
}

/// OpenCLIP multiplies with its projection from the other side.
fn add_transposed(part: &mut Table, from: &Table, (name, entry): (&str, &Entry), to: String) -> Result<bool> {
    let (Some(tensor), [rows, columns]) = (from.get(name)?, entry.shape.as_slice()) else { return Ok(false) };
    let (size, bytes) = (entry.dtype.size(), tensor.bytes());
    let mut turned = Vec::with_capacity(bytes.len());
    for column in 0..*columns {
        for row in 0..*rows {
            let at = (row * columns + column) * size;
            turned.extend_from_slice(bytes.get(at..at + size).unwrap_or(&[]));
        }
    }
    let entry = Entry { dtype: entry.dtype, shape: vec![*columns, *rows], range: 0..turned.len() };
    Ok(part.add_owned(turned.into(), to, entry))
}
