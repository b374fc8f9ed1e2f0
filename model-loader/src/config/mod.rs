//! `config.json` files of diffusers and transformers, field by field under their own names.
//!
//! Absent fields take the library's defaults. Values that change what the network computes, but that this engine does not
//! implement, are errors that name the file, the key, what was found and what is supported; they are never passed over.

mod autoencoder;
mod clip_text;
mod controlnet;
mod golden;
mod levels;
mod model_index;
mod scheduler;
mod unet;

pub use autoencoder::AutoencoderKlConfig;
pub use clip_text::ClipTextConfig;
pub use controlnet::ControlNetConfig;
pub use golden::{GoldenMeta, GoldenTensor};
pub use model_index::ModelIndex;
pub use scheduler::SchedulerConfig;
pub use unet::UNet2DConditionConfig;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Detail, LoadError, Result};
use crate::strict_json::{self, StrictMap};

/// Extents, counts and widths in configurations stay below this; products of four of them then fit 64 bits.
const MAX_COUNT: usize = 1 << 15;

/// A value for all levels, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel<T> {
    /// The same for all levels.
    All(T),
    /// One for each level, outermost first.
    Each(Vec<T>),
}

impl<T: Clone> PerLevel<T> {
    /// The value of level `i`; the last one where the list is too short, which checked configurations exclude.
    pub fn at(&self, i: usize) -> Option<T> {
        match self {
            PerLevel::All(value) => Some(value.clone()),
            PerLevel::Each(values) => values.get(i).or(values.last()).cloned(),
        }
    }

    /// One value for each of `levels` levels, or `None` when a list has another length.
    pub fn levels(&self, levels: usize) -> Option<Vec<T>> {
        match self {
            PerLevel::All(value) => Some(vec![value.clone(); levels]),
            PerLevel::Each(values) => (values.len() == levels).then(|| values.clone()),
        }
    }
}

/// A configuration that can be read from JSON and checks itself.
pub(crate) trait Config: DeserializeOwned {
    /// Fails with the first key whose value is not supported.
    fn check(&self, checker: &Checker<'_>) -> Result<()>;

    /// Parses and checks. `file` names the file in messages.
    fn parse_checked(file: &str, text: &str) -> Result<Self> {
        // First as a plain object: serde's structs would let a repeated unknown key pass.
        let pairs = strict_json::parse::<StrictMap<serde_json::Value>>(file, text)?.0;
        let config: Self = strict_json::parse(file, text).map_err(|e| blame::<Self>(file, &pairs).unwrap_or(e))?;
        config.check(&Checker::new(file))?;
        Ok(config)
    }
}

/// Finds the key whose value has the wrong type: serde's own message gives only a line.
fn blame<T: DeserializeOwned>(file: &str, pairs: &BTreeMap<String, serde_json::Value>) -> Option<LoadError> {
    let without = |key: &str| pairs.iter().filter(|(k, _)| *k != key).map(|(k, v)| (k.clone(), v.clone())).collect();
    let culprit = pairs.iter().find(|(key, _)| T::deserialize(serde_json::Value::Object(without(key))).is_ok());
    let (key, value) = culprit?;
    let only = serde_json::Value::Object([(key.clone(), value.clone())].into_iter().collect());
    let expected = T::deserialize(only).err().map_or("another type".to_owned(), |e| e.to_string());
    Some(Checker::new(file).error(key, value.to_string(), expected))
}

/// Builds the errors of one file.
pub(crate) struct Checker<'a> {
    file: &'a str,
}

impl<'a> Checker<'a> {
    pub fn new(file: &'a str) -> Self {
        Checker { file }
    }

    /// The error for one key.
    pub fn error(&self, key: &str, found: impl Into<String>, expected: impl Into<String>) -> LoadError {
        let detail = Detail::new(self.file, "the configuration asks for something that is not supported");
        let detail = detail.item(key).found(found).expected(expected);
        LoadError::UnsupportedConfig(Box::new(
            detail.next("pick an SD-2.1, SDXL or SD-1.5 class model; run syncline inspect on this one"),
        ))
    }

    /// Fails unless `holds`.
    pub fn require(&self, holds: bool, key: &str, found: impl std::fmt::Debug, expected: &str) -> Result<()> {
        if holds { Ok(()) } else { Err(self.error(key, format!("{found:?}"), expected)) }
    }

    /// Fails unless the value is the only one that is implemented.
    pub fn equals<T: PartialEq + std::fmt::Debug>(&self, key: &str, found: T, only: T) -> Result<()> {
        self.require(found == only, key, &found, &format!("{only:?}"))
    }

    /// Fails unless the value is absent or null.
    pub fn absent<T: std::fmt::Debug>(&self, key: &str, found: &Option<T>) -> Result<()> {
        self.require(found.is_none(), key, found, "null")
    }

    /// Fails unless a list has one value for each of `levels` levels.
    pub fn per_level<T: std::fmt::Debug>(&self, key: &str, list: &[T], levels: usize) -> Result<()> {
        self.require(list.len() == levels, key, list, "as many as block_out_channels")
    }

    /// Fails unless the value of `key` divides `whole`.
    pub fn divides(&self, key: &str, value: usize, whole: usize) -> Result<()> {
        let fits = value > 0 && whole.is_multiple_of(value);
        self.require(fits, key, value, &format!("a divisor of {whole}"))
    }

    /// Fails unless the text is one of `known`.
    pub fn one_of(&self, key: &str, found: &str, known: &[&str]) -> Result<()> {
        if known.contains(&found) {
            return Ok(());
        }
        Err(self.error(key, format!("\"{found}\""), known.join(" or ")))
    }

    /// Fails unless an optional text is absent or one of `known`.
    pub fn none_or(&self, key: &str, found: Option<&str>, known: &[&str]) -> Result<()> {
        match found {
            None => Ok(()),
            Some(found) if known.contains(&found) => Ok(()),
            Some(found) if known.is_empty() => Err(self.error(key, format!("\"{found}\""), "null")),
            Some(found) => Err(self.error(key, format!("\"{found}\""), format!("null or {}", known.join(" or ")))),
        }
    }

    /// Fails unless `1 <= value <= 32768`, the range in which all later arithmetic is safe.
    pub fn count(&self, key: &str, value: usize) -> Result<()> {
        self.require((1..=MAX_COUNT).contains(&value), key, value, "1 to 32768")
    }

    /// [`Checker::count`] for each value.
    pub fn counts(&self, key: &str, values: &[usize]) -> Result<()> {
        self.require((1..=16).contains(&values.len()), key, values, "a list of 1 to 16 values")?;
        values.iter().try_for_each(|value| self.count(key, *value))
    }

    /// Fails unless `0 < value < 1e6` and finite.
    pub fn positive(&self, key: &str, value: f64) -> Result<()> {
        self.require(value.is_finite() && value > 0.0 && value < 1e6, key, value, "a positive number")
    }
}
