//! What is loaded beside a model: components from other files, LoRAs, embeddings, ControlNets.

use std::collections::BTreeMap;
use std::path::Path;

use super::{ModelSource, Root};
use crate::additions::Additions;
use crate::checkpoint::Family;
use crate::config::ControlNetConfig;
use crate::embedding::Embedding;
use crate::error::{Detail, LoadError, Result};
use crate::lora::Lora;
use crate::replacement::{self, Replacement};
use crate::weights::Weights;
use crate::{hub, layout};

/// The additions to a model.
#[derive(Clone, Debug, Default)]
pub(super) struct Extras {
    /// Components from other files, by name.
    pub replaced: BTreeMap<String, Replacement>,
    loras: Vec<(Lora, f64)>,
    embeddings: Vec<Embedding>,
    /// Layers of the text encoder that are left out at its end.
    pub skipped_layers: usize,
}

impl ModelSource {
    /// The family of the UNet, if it is one of the published ones.
    pub fn family(&self) -> Option<Family> {
        match &self.root {
            Root::Checkpoint(checkpoint) => Some(checkpoint.family),
            _ => self.unet_config().ok().and_then(|config| Family::of_context(config.context_width())),
        }
    }

    /// Takes a component (`unet`, `vae`, `text_encoder`, `text_encoder_2`) from another file or directory: a single component
    /// in the original or in diffusers' names, a component directory, or a whole model that has it.
    ///
    /// # Errors
    /// When the file is bad, holds another component, or belongs to another family than this model; both are named.
    pub fn with_component(mut self, component: &str, path: &Path) -> Result<Self> {
        let present = self.config_text(component, "config.json").ok();
        let (replacement, class) = Replacement::open(component, path, self.family(), present)?;
        if let Some(class) = class.filter(|_| !self.index._class_name.contains("ControlNet")) {
            self.index._class_name = class;
        }
        self.extras.replaced.insert(component.to_owned(), replacement);
        Ok(self)
    }

    /// Adds `weight` times a LoRA to the weights: W + weight · α/r · B A. Several add up, in whatever order to the same bits.
    ///
    /// # Errors
    /// When it was made for another family (both are named), or changes a component that this model does not have.
    pub fn with_lora(mut self, lora: &Lora, weight: f64) -> Result<Self> {
        lora.check_family(self.family())?;
        if !weight.is_finite() {
            let detail = Detail::new(lora.label(), "a LoRA's weight is no finite number").found(weight.to_string());
            let detail = detail.expected("such as 0.8").next(format!("--lora {}:0.8", lora.label()));
            return Err(LoadError::UnsupportedConfig(Box::new(detail)));
        }
        if let Some(absent) = lora.components().into_iter().find(|component| !self.has(component)) {
            let detail = Detail::new(lora.label(), "the LoRA changes a component that the model does not have");
            let detail = detail.item(absent).found(self.components().join(", ")).expected(absent);
            let next = format!("syncline inspect {}", self.label());
            return Err(LoadError::UnsupportedConfig(Box::new(detail.next(next))));
        }
        self.extras.loras.push((lora.clone(), weight));
        Ok(self)
    }

    /// Adds a learned word to the vocabulary and its vectors to the text encoders.
    ///
    /// # Errors
    /// When it was learned with text encoders of other widths, or its word is taken.
    pub fn with_embedding(mut self, embedding: &Embedding) -> Result<Self> {
        for encoder in ["text_encoder", "text_encoder_2"].into_iter().filter(|encoder| self.has(encoder)) {
            embedding.vectors(self.plain_text_config(encoder)?.hidden_size)?;
        }
        let taken = |other: &&Embedding| other.word().eq_ignore_ascii_case(embedding.word());
        if let Some(other) = self.extras.embeddings.iter().find(taken) {
            let detail = Detail::new(embedding.label(), "two embeddings have the same word").item(embedding.word());
            let detail = detail.found(other.label()).expected("a word for each");
            return Err(LoadError::UnsupportedConfig(Box::new(detail.next("rename one of the files"))));
        }
        self.extras.embeddings.push(embedding.clone());
        Ok(self)
    }

    /// Takes the text states from an earlier layer of the text encoder, as A1111 counts: 1 is the last layer that the model
    /// was trained with, 2 the one before it, and so on. The final norm stays. (SD-2.x was trained with the last but one of
    /// its original layers, which is 1 here.)
    ///
    /// # Errors
    /// When there are not so many layers, or for SDXL, which needs all of them for its pooled text.
    pub fn with_clip_skip(mut self, clip_skip: usize) -> Result<Self> {
        let layers = self.plain_text_config("text_encoder")?.num_hidden_layers;
        let two = self.has("text_encoder_2");
        if clip_skip == 0 || clip_skip > layers || (two && clip_skip > 1) {
            let detail =
                Detail::new(self.label(), "the text encoder cannot leave out so many layers").item("clip skip");
            let found = if two { format!("{clip_skip} for SDXL") } else { clip_skip.to_string() };
            let most = if two { 1 } else { layers };
            let detail = detail.found(found).expected(format!("1 to {most}")).next("--clip-skip 1");
            return Err(LoadError::UnsupportedConfig(Box::new(detail)));
        }
        self.extras.skipped_layers = clip_skip - 1;
        Ok(self)
    }

    /// The first layer of a component that is left out, if any is.
    pub(super) fn first_skipped(&self, component: &str) -> Result<Option<usize>> {
        if self.extras.skipped_layers == 0 || component != "text_encoder" {
            return Ok(None);
        }
        let layers = self.plain_text_config(component)?.num_hidden_layers;
        Ok(Some(layers.saturating_sub(self.extras.skipped_layers)))
    }

    /// Opens a ControlNet for this model: a path, a preset or `owner/name` as in [`ModelSource::named`].
    ///
    /// # Errors
    /// When the file is bad or the ControlNet was made for another family; both are named.
    pub fn controlnet(&self, name: &Path) -> Result<(ControlNetConfig, Weights)> {
        let (config, weights) = replacement::open_controlnet(&hub::resolve(name)?)?;
        let width = self.unet_config()?.context_width();
        replacement::check_controlnet(weights.label(), config.cross_attention_dim, width)?;
        Ok((config, weights.allow_nonfinite(self.allow_nonfinite)))
    }

    pub(super) fn no_component(&self, component: &str, part: &str) -> LoadError {
        match &self.root {
            Root::Checkpoint(checkpoint) => layout::not_in_file(&checkpoint.label, component, &self.components()),
            _ => layout::no_component(&self.label(), part, &self.components()),
        }
    }

    /// Tokens that embeddings add to the vocabulary.
    pub(super) fn added_tokens(&self) -> usize {
        self.extras.embeddings.iter().map(Embedding::count).sum()
    }

    /// The words of embeddings and their ids, the first of which is `first`.
    pub(super) fn words(&self, first: usize) -> Vec<(String, Vec<u32>)> {
        let mut next = first as u32;
        let word = |embedding: &Embedding| {
            let ids = (next..).take(embedding.count()).collect();
            next += embedding.count() as u32;
            (embedding.word().to_owned(), ids)
        };
        self.extras.embeddings.iter().map(word).collect()
    }

    /// What LoRAs and embeddings add to a component.
    pub(super) fn additions(&self, component: &str) -> Result<Additions> {
        let mut additions = Additions { first_skipped: self.first_skipped(component)?, ..Additions::default() };
        for (lora, weight) in &self.extras.loras {
            for (module, delta) in lora.deltas(component, *weight) {
                if additions.skips(&module) {
                    continue;
                }
                additions.deltas.entry(module).or_default().push(delta);
            }
        }
        if component.starts_with("text_encoder") && !self.extras.embeddings.is_empty() {
            let width = self.plain_text_config(component)?.hidden_size;
            let vectors = self.extras.embeddings.iter().map(|embedding| embedding.vectors(width));
            additions.rows = Some((vectors.collect::<Result<Vec<_>>>()?.concat(), width));
        }
        Ok(additions)
    }
}
