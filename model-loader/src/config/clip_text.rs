//! `CLIPTextModel` and `CLIPTextModelWithProjection`.

use serde::{Deserialize, Serialize};

use super::{Checker, Config};
use crate::error::Result;

/// Configuration of a CLIP text encoder, as in `text_encoder/config.json`. Defaults are those of transformers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are transformers' own and are documented there")]
pub struct ClipTextConfig {
    pub architectures: Vec<String>,
    pub model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub projection_dim: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    /// `gelu` is the exact one with erf; `quick_gelu` is x·sigmoid(1.702 x).
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    /// Old files say 1, 0 and 2 here, whatever their tokenizers use; see [`ClipTextConfig::eos_is_largest_id`].
    pub pad_token_id: Option<u32>,
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
    /// Tokens of `vocab_size` that textual inversion has added behind the model's own.
    #[serde(skip)]
    pub added_tokens: usize,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        ClipTextConfig {
            architectures: vec!["CLIPTextModel".to_owned()],
            model_type: "clip_text_model".to_owned(),
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
            pad_token_id: Some(1),
            bos_token_id: Some(49406),
            eos_token_id: Some(49407),
            added_tokens: 0,
        }
    }
}

impl ClipTextConfig {
    /// Reads and checks the text of a `config.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Self::parse_checked(file, text)
    }

    /// Whether the model ends in a text projection.
    pub fn with_projection(&self) -> bool {
        self.architectures.iter().any(|a| a == "CLIPTextModelWithProjection")
    }

    /// The pooled vector is read where the end-of-text token stands. Files from before transformers 4.30 say
    /// `eos_token_id: 2`, which means the position of the largest id; others mean the first position of that id.
    pub fn eos_is_largest_id(&self) -> bool {
        self.eos_token_id == Some(2)
    }

    /// Position at which the pooled vector is read.
    pub fn pooled_position(&self, ids: &[u32]) -> usize {
        // Tokens behind the vocabulary were added to it and end nothing.
        let known = |id: &u32| (*id as usize) < self.vocab_size - self.added_tokens.min(self.vocab_size);
        let largest = || ids.iter().copied().filter(known).max();
        let wanted = if self.eos_is_largest_id() { largest() } else { self.eos_token_id };
        ids.iter().position(|id| Some(*id) == wanted).unwrap_or(0)
    }
}

impl Config for ClipTextConfig {
    fn check(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("model_type", &self.model_type, &["clip_text_model", "clip"])?;
        for class in &self.architectures {
            c.one_of("architectures", class, &["CLIPTextModel", "CLIPTextModelWithProjection"])?;
        }
        c.require(self.architectures.len() == 1, "architectures", &self.architectures, "one class")?;
        c.require((2..=1 << 20).contains(&self.vocab_size), "vocab_size", self.vocab_size, "2 to 1048576")?;
        c.count("hidden_size", self.hidden_size)?;
        c.count("intermediate_size", self.intermediate_size)?;
        c.count("projection_dim", self.projection_dim)?;
        c.require(
            (1..=256).contains(&self.num_hidden_layers),
            "num_hidden_layers",
            self.num_hidden_layers,
            "1 to 256",
        )?;
        c.count("num_attention_heads", self.num_attention_heads)?;
        c.divides("num_attention_heads", self.num_attention_heads, self.hidden_size)?;
        let positions = self.max_position_embeddings;
        c.require((2..=4096).contains(&positions), "max_position_embeddings", positions, "2 to 4096")?;
        c.one_of("hidden_act", &self.hidden_act, &["gelu", "quick_gelu"])?;
        c.positive("layer_norm_eps", self.layer_norm_eps)
    }
}
