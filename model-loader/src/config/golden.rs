//! `golden/meta.json` of reference directories: exact outputs of the PyTorch reference and how its weights were made.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Checker, Config};
use crate::error::Result;
use crate::tensor::Dtype;

/// What a reference directory says about itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields are named as in the file")]
pub struct GoldenMeta {
    pub config: String,
    pub seed: u64,
    /// Storage type of the weights: `f32`, `f16` or `bf16`.
    pub store: String,
    pub latent_hw: (usize, usize),
    pub steps: usize,
    #[serde(default)]
    pub parts: Vec<String>,
    pub guidance_scale: Option<f64>,
    pub image_guidance_scale: Option<f64>,
    pub controlnet_conditioning_scale: Option<f64>,
    pub scheduler_prediction_type: Option<String>,
    pub timestep_spacing: Option<String>,
    pub steps_offset: Option<usize>,
    /// Per expected tensor its size and how far f32 itself is from f64.
    #[serde(default)]
    pub tensors: BTreeMap<String, GoldenTensor>,
}

/// Statistics of one expected tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields are named as in the file")]
pub struct GoldenTensor {
    pub rms: Option<f64>,
    pub max: Option<f64>,
    pub max_abs_diff_f64: Option<f64>,
}

impl GoldenMeta {
    /// Reads and checks the text of a `golden/meta.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Self::parse_checked(file, text)
    }

    /// [`GoldenMeta::store`] as an element type.
    pub fn store_dtype(&self) -> Dtype {
        match self.store.as_str() {
            "f16" => Dtype::F16,
            "bf16" => Dtype::BF16,
            _ => Dtype::F32,
        }
    }
}

impl Config for GoldenMeta {
    fn check(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("store", &self.store, &["f32", "f16", "bf16"])?;
        c.count("latent_hw", self.latent_hw.0)?;
        c.count("latent_hw", self.latent_hw.1)?;
        c.count("steps", self.steps)
    }
}
