//! Components that come from elsewhere than the rest of the model.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::checkpoint::{self, Family, Part, configs};
use crate::config::ControlNetConfig;
use crate::error::{Detail, LoadError, Result};
use crate::table::Table;
use crate::weights::{TensorInfo, Weights};
use crate::{family, layout, strict_json};

/// One component from another file.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    label: String,
    tensors: Tensors,
    /// File name for messages, and text.
    config: Option<(String, String)>,
}

#[derive(Clone, Debug)]
enum Tensors {
    Directory(PathBuf),
    Table(Table),
}

impl Replacement {
    /// Opens `path` as `component` of a model of family `base`, whose own configuration of it is `present`.
    ///
    /// The second result is the class of the pipeline, when the component changes it: a UNet with other input channels.
    pub fn open(
        component: &str,
        path: &Path,
        base: Option<Family>,
        present: Option<(String, String)>,
    ) -> Result<(Self, Option<String>)> {
        if path.is_dir() {
            return Ok((Self::directory(component, path)?, None));
        }
        let label = path.display().to_string();
        let table = Table::open(path)?;
        let part = checkpoint::part(&label, &table, component)?.ok_or_else(|| other(&label, &table, component))?;
        check_family(&label, component, &part, base)?;
        let inputs = part.table.entry("conv_in.weight").and_then(|e| e.shape.get(1)).copied();
        let family = part.family.or(base);
        let published = || {
            let files = configs::files(family?, 4);
            files.get(&format!("{component}/config.json")).map(|text| (label.clone(), text.clone()))
        };
        let config = present.or_else(published);
        let (config, class) = match (component, inputs, config) {
            ("unet", Some(inputs), Some((file, text))) => {
                (Some((file, with_inputs(&text, inputs))), family.map(|family| configs::class(family, inputs)))
            }
            (_, _, config) => (config, None),
        };
        Ok((Replacement { label, tensors: Tensors::Table(part.table), config }, class))
    }

    fn directory(component: &str, path: &Path) -> Result<Self> {
        let inner = path.join(component);
        let dir = if inner.join("config.json").is_file() { inner } else { path.to_path_buf() };
        let file = dir.join("config.json");
        if !file.is_file() {
            return Err(layout::no_component(&path.display().to_string(), "config.json", &[]));
        }
        let config = Some((file.display().to_string(), strict_json::read_text(&file)?));
        Ok(Replacement { label: dir.display().to_string(), tensors: Tensors::Directory(dir), config })
    }

    /// Its configuration: file name for messages, and text.
    pub fn config(&self) -> Option<(String, String)> {
        self.config.clone()
    }

    /// Its tensors under diffusers' names, not yet accounted for.
    pub fn weights(&self, variant: Option<&str>) -> Result<Weights> {
        match &self.tensors {
            Tensors::Table(table) => Ok(Weights::from_table(self.label.clone(), table.clone())),
            Tensors::Directory(dir) => {
                let variant = variant.filter(|v| crate::locate::has_variant(dir, v));
                Weights::open_variant(dir, variant)
            }
        }
    }
}

/// The same configuration for a UNet with another number of input channels.
fn with_inputs(text: &str, inputs: usize) -> String {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(mut config) => {
            config.insert("in_channels".to_owned(), json!(inputs));
            Value::Object(config).to_string()
        }
        // Whoever reads the configuration says what is wrong with it.
        Err(_) => text.to_owned(),
    }
}

/// A component that exists in one family only must belong to the model's; a first text encoder is known by its width.
fn check_family(label: &str, component: &str, part: &Part, base: Option<Family>) -> Result<()> {
    let clip_l = part.family.is_none() && component == "text_encoder";
    // SD-1.x and SD-2.x have the same latents.
    let same_latents = component == "vae" && part.family != Some(Family::Sdxl) && base != Some(Family::Sdxl);
    let found = match (part.family, base) {
        (Some(found), Some(base)) if found != base && !same_latents => found.to_string(),
        (None, Some(Family::Sd2)) if clip_l => "SD-1.x or SDXL".to_owned(),
        _ => return Ok(()),
    };
    let base = base.map_or("another family".to_owned(), |base| base.to_string());
    let detail = Detail::new(label, format!("the {component} belongs to another family than the model"));
    let detail = detail.found(format!("a {component} of {found}")).expected(format!("one of {base}"));
    Err(LoadError::UnsupportedConfig(Box::new(detail.next(format!("pass the {component} of an {base} model")))))
}

fn other(label: &str, table: &Table, component: &str) -> LoadError {
    let infos = table.entries().map(|(name, e)| TensorInfo { name, shape: &e.shape, dtype: e.dtype });
    let detail = Detail::new(label, format!("the file holds no {component}"));
    let detail = detail.found(format!("{} tensors; it looks like {}", table.len(), family::guess(infos)));
    let detail = detail.expected(format!("a {component} in diffusers' or the original names"));
    LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {label}"))))
}

/// Fails unless a ControlNet was made for models of the context width that `model` has; both families are named.
pub(crate) fn check_controlnet(label: &str, controlnet: usize, model: usize) -> Result<()> {
    if controlnet == model {
        return Ok(());
    }
    let named = |width: usize| match Family::of_context(width) {
        Some(family) => format!("{family} models (context width {width})"),
        None => format!("models of context width {width}"),
    };
    let detail = Detail::new(label, "the ControlNet was made for another family than the model");
    let detail =
        detail.found(format!("a ControlNet for {}", named(controlnet))).expected(format!("one for {}", named(model)));
    let next = match Family::of_context(model) {
        Some(Family::Sd2) => "hf download thibaud/controlnet-sd21-depth-diffusers",
        Some(Family::Sdxl) => "hf download diffusers/controlnet-depth-sdxl-1.0",
        _ => "pass a ControlNet of this model's family",
    };
    Err(LoadError::UnsupportedConfig(Box::new(detail.next(next))))
}

/// Opens a ControlNet on its own: a directory with `config.json` and weights, or a single file in the original or in
/// diffusers' names.
pub fn open_controlnet(path: &Path) -> Result<(ControlNetConfig, Weights)> {
    if path.is_file() {
        return checkpoint::open_controlnet(path);
    }
    let inner = path.join("controlnet");
    let dir = if inner.join("config.json").is_file() { inner.as_path() } else { path };
    let file = dir.join("config.json");
    if !file.is_file() {
        return Err(layout::no_component(&path.display().to_string(), "config.json", &[]));
    }
    let config = ControlNetConfig::from_json(&file.display().to_string(), &strict_json::read_text(&file)?)?;
    Ok((config, Weights::open(dir)?))
}
