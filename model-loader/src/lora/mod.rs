//! LoRA: low-rank additions to a model's weights, merged while the model is loaded.

mod merge;
mod names;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::Family;
use crate::error::{Detail, LoadError, Result};
use crate::table::Table;
use crate::tensor::HostTensor;
use merge::Layer;
pub(crate) use merge::{Delta, merged};
use names::Half;
pub(crate) use names::folded;
use settings::Settings;

/// A LoRA file: for each module of a UNet or text encoder that it changes, a product of two small matrices.
///
/// kohya's, diffusers' and PEFT's names are known, linear layers, convolutions, and convolutions with a kernel between the
/// two (LoCon).
#[derive(Clone, Debug)]
pub struct Lora {
    label: String,
    family: Option<Family>,
    layers: BTreeMap<(&'static str, String), Arc<Layer>>,
}

/// Parts of one layer, as they are found.
#[derive(Default)]
struct Parts {
    name: String,
    down: Option<HostTensor>,
    up: Option<HostTensor>,
    mid: Option<HostTensor>,
    alpha: Option<HostTensor>,
}

impl Lora {
    /// Opens a `.safetensors` file.
    ///
    /// # Errors
    /// When the file is bad, holds something else than a plain LoRA (DoRA, LoHa, LoKr and so on, which are named), lacks half
    /// of a product, or holds values that are not finite.
    pub fn open(path: &Path) -> Result<Lora> {
        let label = path.display().to_string();
        let table = Table::open(path)?;
        let settings = Settings::of(path, &table)?;
        let mut parts: BTreeMap<(&'static str, String), Parts> = BTreeMap::new();
        for name in table.names() {
            if let Some(kind) = names::other_kind(name) {
                return Err(unsupported(&label, name, kind));
            }
            let Some(parsed) = names::parse(name) else { return Err(stranger(&label, &table, name)) };
            let Some(tensor) = table.get(name)? else { continue };
            check_values(&label, name, &tensor)?;
            let part = parts.entry((parsed.component, parsed.module)).or_default();
            let slot = match parsed.half {
                Half::Down => &mut part.down,
                Half::Up => &mut part.up,
                Half::Mid => &mut part.mid,
                Half::Alpha => &mut part.alpha,
            };
            if slot.replace(tensor).is_some() {
                return Err(broken(&label, name, "two tensors of the LoRA are the same part of one layer", "one"));
            }
            if parsed.half != Half::Alpha || part.name.is_empty() {
                part.name = name.to_owned();
            }
        }
        let layer = |(key, part): ((&'static str, String), Parts)| {
            let alpha = settings.alpha(key.0);
            Ok((key, Arc::new(part.into_layer(&label, alpha)?)))
        };
        let layers = parts.into_iter().map(layer).collect::<Result<BTreeMap<_, _>>>()?;
        if layers.is_empty() {
            return Err(broken(&label, "the file", "the LoRA changes nothing", "at least one layer"));
        }
        Ok(Lora { family: family(&layers), label, layers })
    }

    /// The file, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The family of models that it was made for, as far as its shapes say.
    pub fn family(&self) -> Option<Family> {
        self.family
    }

    /// Number of layers that it changes.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Never: a file without layers is refused.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Components that it changes.
    pub fn components(&self) -> Vec<&'static str> {
        let mut found: Vec<&'static str> = self.layers.keys().map(|(component, _)| *component).collect();
        found.dedup();
        found
    }

    /// What it adds to `component`, by folded module name.
    pub(crate) fn deltas(&self, component: &str, weight: f64) -> impl Iterator<Item = (String, Delta)> {
        let of_component = self.layers.iter().filter(move |((part, _), _)| *part == component);
        let delta = move |layer: &Arc<Layer>| Delta { label: self.label.clone(), layer: layer.clone(), weight };
        of_component.map(move |((_, module), layer)| (module.clone(), delta(layer)))
    }

    /// Fails when the LoRA was made for another family than `model`, naming both.
    pub(crate) fn check_family(&self, model: Option<Family>) -> Result<()> {
        let (Some(own), Some(model)) = (self.family, model) else { return Ok(()) };
        if own == model {
            return Ok(());
        }
        let detail = Detail::new(&self.label, "the LoRA was made for another family than the model");
        let detail = detail.found(format!("a LoRA for {own} ({} layers)", self.len()));
        let detail = detail.expected(format!("one for {model}"));
        Err(LoadError::UnsupportedConfig(Box::new(
            detail.next(format!("use it with an {own} model: -m {}", preset(own))),
        )))
    }
}

/// A preset of the family.
fn preset(family: Family) -> &'static str {
    crate::hub::PRESETS.iter().find(|preset| preset.family == family).map_or("sdxl", |preset| preset.name)
}

impl Parts {
    /// `told` is α where the file's settings say it instead of a tensor.
    fn into_layer(self, label: &str, told: Option<f64>) -> Result<Layer> {
        let (Some(down), Some(up)) = (self.down, self.up) else {
            return Err(broken(label, &self.name, "half of a layer of the LoRA is missing", "both matrices"));
        };
        let rank = down.shape.first().copied().unwrap_or(0);
        let fits = |tensor: &HostTensor| tensor.shape.len() >= 2 && tensor.shape.get(1) == Some(&rank);
        let mid_fits = self.mid.as_ref().is_none_or(|mid| mid.shape.first() == Some(&rank) && fits(mid));
        if !fits(&up) || down.shape.len() < 2 || !mid_fits || up.len() != up.shape.first().map_or(0, |n| n * rank) {
            let found = format!("{:?} and {:?}", up.shape, down.shape);
            let detail = Detail::new(label, "the two matrices of a layer have different ranks").item(&self.name);
            let detail = detail.found(found).expected("[out, r] and [r, in]");
            return Err(LoadError::WrongShape(Box::new(detail.next("download the LoRA again"))));
        }
        let alpha = self.alpha.and_then(|alpha| alpha.to_f32().first().copied()).map(f64::from);
        // Without α the product is taken as it is.
        let scale = alpha.or(told).map_or(1.0, |alpha| alpha / rank as f64);
        let digest =
            [Some(&down), Some(&up), self.mid.as_ref()].into_iter().flatten().fold(0, |d, t| digest(d, t.bytes()));
        Ok(Layer { name: self.name, down, up, mid: self.mid, scale, digest })
    }
}

/// FNV-1a over words of eight bytes.
fn digest(seed: u64, bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| chunk.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    bytes.chunks(8).fold(start, |hash, chunk| (hash ^ word(chunk)).wrapping_mul(0x100_0000_01b3))
}

/// The family whose cross attentions or text encoders have the shapes of these layers.
fn family(layers: &BTreeMap<(&'static str, String), Arc<Layer>>) -> Option<Family> {
    let width = |layer: &Arc<Layer>| layer.down.shape.get(1).copied();
    let unet = layers.iter().find(|((part, module), _)| {
        *part == "unet" && (module.ends_with("_attn2_to_k") || module.ends_with("_attn2_to_v"))
    });
    if let Some(family) = unet.and_then(|(_, layer)| width(layer)).and_then(Family::of_context) {
        return Some(family);
    }
    if layers.keys().any(|(part, _)| *part == "text_encoder_2") {
        return Some(Family::Sdxl);
    }
    let text = layers.iter().find(|((part, module), _)| *part == "text_encoder" && module.ends_with("_q_proj"));
    // CLIP-L is in two families.
    text.and_then(|(_, layer)| width(layer)).filter(|width| *width == 1024).and_then(Family::of_context)
}

fn check_values(label: &str, name: &str, tensor: &HostTensor) -> Result<()> {
    if !tensor.dtype.is_weight() {
        let detail = Detail::new(label, "a tensor of the LoRA has an element type that is not supported").item(name);
        let detail = detail.found(tensor.dtype.name()).expected("F16, BF16 or F32");
        return Err(LoadError::WrongDtype(Box::new(detail.next("get the f16 version of this LoRA"))));
    }
    let (count, Some(first)) = tensor.nonfinite() else { return Ok(()) };
    let detail = Detail::new(label, "the LoRA holds values that are not finite numbers").item(name);
    let detail = detail.found(format!("{count} NaN or infinite of {}, the first at index {first}", tensor.len()));
    Err(LoadError::NonFinite(Box::new(detail.expected("finite values only").next("download the LoRA again"))))
}

fn unsupported(label: &str, name: &str, kind: &str) -> LoadError {
    let detail = Detail::new(label, format!("this is an addition of the kind {kind}, which is not supported"));
    let detail = detail.item(name).found(kind).expected("a plain LoRA: two matrices for each layer, and alpha");
    LoadError::UnsupportedConfig(Box::new(detail.next("get or train the plain LoRA of it")))
}

fn stranger(label: &str, table: &Table, name: &str) -> LoadError {
    let infos = table.entries();
    let infos = infos.map(|(name, e)| crate::TensorInfo { name, shape: &e.shape, dtype: e.dtype });
    let family = crate::family::guess(infos);
    let detail = Detail::new(label, "the file is not a LoRA that is known here").item(name);
    let detail = detail.found(format!("{} tensors; it looks like {family}", table.len()));
    let detail =
        detail.expected("lora_down, lora_up and alpha tensors (kohya), or lora_A and lora_B (diffusers, PEFT)");
    LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {label}"))))
}

fn broken(label: &str, name: &str, problem: &str, expected: &str) -> LoadError {
    let detail = Detail::new(label, problem).item(name).expected(expected);
    LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {label}"))))
}
