//! A whole model: a diffusers directory, a single-file checkpoint, or the model inside the program.

mod expected;
mod extras;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{self, Checkpoint, Family};
use crate::config::{
    AutoencoderKlConfig, ClipTextConfig, ControlNetConfig, GoldenMeta, ModelIndex, SchedulerConfig,
    UNet2DConditionConfig,
};
use crate::error::Result;
use crate::replacement::Replacement;
use crate::tensor::Dtype;
use crate::tokenizer::{Tokenizer, TokenizerFiles};
use crate::weights::Weights;
use crate::{layout, locate, mini, strict_json};
use extras::Extras;

/// A model in diffusers layout: `model_index.json` and a directory for each component.
///
/// A single-file checkpoint in the original layout (SD-1.x, SD-2.x, SDXL, instruct-pix2pix) is read as if it were one: its
/// tensors get diffusers' names and its configurations are the published ones of its family.
///
/// A component that has a `config.json` but no weights, in a directory with `golden/meta.json`, gets generated weights with
/// the seed and storage type that stand there.
#[derive(Clone, Debug)]
pub struct ModelSource {
    root: Root,
    index: ModelIndex,
    golden: Option<GoldenMeta>,
    variant: Option<String>,
    prediction_type: Option<String>,
    allow_nonfinite: bool,
    extras: Extras,
}

#[derive(Clone, Debug)]
enum Root {
    Directory(PathBuf),
    Checkpoint(Arc<Checkpoint>),
    Embedded { label: &'static str, files: &'static [(&'static str, &'static [u8])] },
    Generated { label: &'static str, files: Arc<BTreeMap<String, String>> },
}

impl ModelSource {
    /// Opens a model directory or a single-file checkpoint.
    pub fn open(path: &Path) -> Result<ModelSource> {
        if path.is_file() {
            return Self::at(Root::Checkpoint(Arc::new(Checkpoint::open(path)?)));
        }
        let path = layout::model_root(path)?;
        Self::at(Root::Directory(path))
    }

    /// Opens what a name stands for: a path, a preset such as `sd21`, or `owner/name` in the Hugging Face cache. See
    /// [`crate::hub::resolve`]; nothing is downloaded.
    pub fn named(name: &Path) -> Result<ModelSource> {
        Self::open(&crate::hub::resolve(name)?)
    }

    /// The small trained model inside the program.
    pub fn mini() -> Result<ModelSource> {
        Self::at(Root::Embedded { label: "mini (built in)", files: mini::FILES })
    }

    /// The small trained InstructPix2Pix model inside the program: 8 input channels, instructions about the same world.
    pub fn mini_editor() -> Result<ModelSource> {
        Self::at(Root::Embedded { label: "mini editor (built in)", files: mini::EDITOR_FILES })
    }

    /// The published configurations of a family with generated weights: its true shapes, to measure without its files.
    pub fn generated(family: Family) -> Result<ModelSource> {
        Self::at(Root::Generated { label: family_label(family), files: Arc::new(checkpoint::configurations(family)) })
    }

    fn at(root: Root) -> Result<ModelSource> {
        let index = match root.text("model_index.json")? {
            Some(text) => ModelIndex::from_json(&root.name("model_index.json"), &text)?,
            None => return Err(layout::no_index(&root.name(""))),
        };
        if index.is_refiner() {
            return Err(layout::refiner(&root.name("")));
        }
        let golden = match root.text("golden/meta.json")? {
            Some(text) => Some(GoldenMeta::from_json(&root.name("golden/meta.json"), &text)?),
            None => None,
        };
        Ok(ModelSource {
            root,
            index,
            golden,
            variant: None,
            prediction_type: None,
            allow_nonfinite: false,
            extras: Extras::default(),
        })
    }

    /// Takes a variant of the weights, such as `fp16`, where a component has one.
    pub fn with_variant(mut self, variant: Option<&str>) -> Self {
        self.variant = variant.map(str::to_owned);
        self
    }

    /// Says what the UNet predicts, `epsilon` or `v_prediction`, against the scheduler's configuration. Single files of the
    /// SD-2.x family do not say it themselves.
    pub fn with_prediction_type(mut self, prediction_type: Option<&str>) -> Self {
        self.prediction_type = prediction_type.map(str::to_owned);
        self
    }

    /// Lets weights with NaN or infinite values through.
    pub fn allow_nonfinite(mut self, allow: bool) -> Self {
        self.allow_nonfinite = allow;
        self
    }

    /// Where the model is, for messages.
    pub fn label(&self) -> String {
        match &self.root {
            Root::Directory(path) => path.display().to_string(),
            Root::Checkpoint(checkpoint) => checkpoint.label.clone(),
            Root::Embedded { label, .. } => (*label).to_owned(),
            Root::Generated { label, .. } => format!("{label} (generated weights)"),
        }
    }

    /// Contents of `model_index.json`.
    pub fn index(&self) -> &ModelIndex {
        &self.index
    }

    /// `golden/meta.json`, if this is a reference directory.
    pub fn golden(&self) -> Option<&GoldenMeta> {
        self.golden.as_ref()
    }

    /// One of a reference directory's data files: `inputs`, `expected` or `taps`.
    pub fn golden_data(&self, name: &str) -> Result<Option<Weights>> {
        let relative = format!("golden/{name}.safetensors");
        match &self.root {
            Root::Directory(dir) if dir.join(&relative).exists() => Weights::open(&dir.join(&relative)).map(Some),
            _ => Ok(None),
        }
    }

    /// Components that are there: those of `model_index.json` with a directory, and others with a `config.json`, such as a
    /// ControlNet beside the model.
    pub fn components(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        let names =
            ["text_encoder", "text_encoder_2", "unet", "vae", "controlnet", "scheduler", "tokenizer", "tokenizer_2"];
        for name in names {
            let files = ["config.json", "scheduler_config.json", "vocab.json", "tokenizer.json"];
            if self.extras.replaced.contains_key(name)
                || files.iter().any(|file| self.root.has(&format!("{name}/{file}")))
            {
                found.insert(name.to_owned());
            }
        }
        found.into_iter().collect()
    }

    /// Whether a component is there.
    pub fn has(&self, component: &str) -> bool {
        self.components().iter().any(|c| c == component)
    }

    /// `config.json` of the UNet.
    pub fn unet_config(&self) -> Result<UNet2DConditionConfig> {
        let (file, text) = self.config_text("unet", "config.json")?;
        let mut config = UNet2DConditionConfig::from_json(&file, &text)?;
        if matches!(self.root, Root::Checkpoint(_)) && self.prediction().is_some_and(|p| p == "v_prediction") {
            // The published v-prediction models ask for it; their scores overflow f16.
            config.upcast_attention = Some(true);
        }
        Ok(config)
    }

    /// What the UNet predicts, where that was told apart from the scheduler's file.
    fn prediction(&self) -> Option<&str> {
        let told = match &self.root {
            Root::Checkpoint(checkpoint) => checkpoint.prediction_type.as_deref(),
            _ => None,
        };
        self.prediction_type.as_deref().or(told)
    }

    /// `config.json` of the VAE.
    pub fn vae_config(&self) -> Result<AutoencoderKlConfig> {
        let (file, text) = self.config_text("vae", "config.json")?;
        AutoencoderKlConfig::from_json(&file, &text)
    }

    /// `config.json` of a text encoder: `text_encoder` or `text_encoder_2`.
    pub fn clip_text_config(&self, component: &str) -> Result<ClipTextConfig> {
        let mut config = self.plain_text_config(component)?;
        if let Some(first) = self.first_skipped(component)? {
            config.num_hidden_layers = first;
        }
        config.added_tokens = self.added_tokens();
        config.vocab_size += config.added_tokens;
        Ok(config)
    }

    /// The configuration without the tokens of embeddings.
    fn plain_text_config(&self, component: &str) -> Result<ClipTextConfig> {
        let (file, text) = self.config_text(component, "config.json")?;
        ClipTextConfig::from_json(&file, &text)
    }

    /// `config.json` of a ControlNet that lies beside the model.
    pub fn controlnet_config(&self) -> Result<ControlNetConfig> {
        let (file, text) = self.config_text("controlnet", "config.json")?;
        ControlNetConfig::from_json(&file, &text)
    }

    /// `scheduler_config.json`.
    pub fn scheduler_config(&self) -> Result<SchedulerConfig> {
        let (file, text) = self.config_text("scheduler", "scheduler_config.json")?;
        match (self.prediction(), &self.root) {
            (Some(prediction), _) => SchedulerConfig::with_prediction(&file, &text, prediction),
            (None, Root::Checkpoint(checkpoint)) => Err(checkpoint.unknown_prediction()),
            (None, _) => SchedulerConfig::from_json(&file, &text),
        }
    }

    fn config_text(&self, component: &str, file: &str) -> Result<(String, String)> {
        let relative = format!("{component}/{file}");
        if let Some(told) = self.extras.replaced.get(component).and_then(Replacement::config) {
            return Ok(told);
        }
        match self.root.text(&relative)? {
            Some(text) => Ok((self.root.name(&relative), text)),
            None => Err(self.no_component(component, &relative)),
        }
    }

    /// Weights of a component.
    ///
    /// LoRAs and embeddings are added to its tensors while they are taken.
    pub fn weights(&self, component: &str) -> Result<Weights> {
        let weights = self.plain_weights(component)?.allow_nonfinite(self.allow_nonfinite);
        Ok(weights.with_additions(self.additions(component)?))
    }

    fn plain_weights(&self, component: &str) -> Result<Weights> {
        if let Some(replacement) = self.extras.replaced.get(component) {
            return replacement.weights(self.variant.as_deref());
        }
        Ok(match &self.root {
            Root::Directory(dir) => self.directory_weights(&dir.join(component), component)?,
            Root::Checkpoint(checkpoint) => match checkpoint.parts.get(component) {
                Some(table) => Weights::from_table(format!("{} ({component})", checkpoint.label), table.clone()),
                None => return Err(self.no_component(component, component)),
            },
            Root::Embedded { label, files } => {
                let prefix = format!("{component}/");
                let weights = |(path, _): &&(&str, &[u8])| path.starts_with(&prefix) && path.ends_with(".safetensors");
                let Some((path, bytes)) = files.iter().find(weights) else {
                    return Err(layout::no_component(label, component, &self.components()));
                };
                Weights::from_bytes(&format!("{label}/{path}"), *bytes)?
            }
            Root::Generated { .. } => Weights::generated(0, component, Dtype::F16),
        })
    }

    fn directory_weights(&self, dir: &Path, component: &str) -> Result<Weights> {
        if !dir.is_dir() {
            return Err(layout::no_component(&self.label(), component, &self.components()));
        }
        if let (Some(golden), false) = (&self.golden, locate::has_weights(dir)) {
            return Ok(Weights::generated(golden.seed, component, golden.store_dtype()));
        }
        match &self.variant {
            Some(variant) if locate::has_variant(dir, variant) => Weights::open_variant(dir, Some(variant)),
            _ => Weights::open(dir),
        }
    }

    /// Tokenizer of a text encoder: `tokenizer`, or `tokenizer_2` for the second encoder.
    ///
    /// Without its directory an encoder with CLIP's vocabulary gets the standard one.
    pub fn tokenizer(&self, component: &str) -> Result<Tokenizer> {
        let encoder = if component.ends_with("_2") { "text_encoder_2" } else { "text_encoder" };
        let tokenizer = self.plain_tokenizer(component, encoder)?;
        if self.added_tokens() == 0 {
            return Ok(tokenizer);
        }
        let first = self.plain_text_config(encoder)?.vocab_size;
        Ok(tokenizer.with_words(self.words(first)))
    }

    fn plain_tokenizer(&self, component: &str, encoder: &str) -> Result<Tokenizer> {
        let mut files = TokenizerFiles { label: self.root.name(component), ..TokenizerFiles::default() };
        for name in TokenizerFiles::NAMES {
            if let Some(text) = self.root.text(&format!("{component}/{name}"))? {
                files.texts.insert(name, text);
            }
        }
        if !files.texts.is_empty() {
            return Tokenizer::from_files(&files);
        }
        let config = self.plain_text_config(encoder)?;
        if config.vocab_size != 49408 {
            return Err(layout::no_component(&self.label(), component, &self.components()));
        }
        // CLIP-L (768 wide) pads with its end token; the OpenCLIP encoders of SD-2.x and SDXL pad with "!".
        let pad = if config.hidden_size == 768 { "<|endoftext|>" } else { "!" };
        tracing::info!("{} has no {component}; the standard CLIP vocabulary is used", self.label());
        Tokenizer::clip_padded_with(pad)
    }
}

fn family_label(family: Family) -> &'static str {
    match family {
        Family::Sd1 => "SD-1.5",
        Family::Sd2 => "SD-2.1",
        Family::Sdxl => "SDXL",
    }
}

impl Root {
    fn name(&self, relative: &str) -> String {
        match self {
            Root::Directory(dir) if relative.is_empty() => dir.display().to_string(),
            Root::Directory(dir) => dir.join(relative).display().to_string(),
            Root::Checkpoint(checkpoint) => format!("{} (as {relative})", checkpoint.label),
            Root::Embedded { label, .. } | Root::Generated { label, .. } => format!("{label}/{relative}"),
        }
    }

    fn has(&self, relative: &str) -> bool {
        match self {
            Root::Directory(dir) => dir.join(relative).is_file(),
            Root::Checkpoint(checkpoint) => checkpoint.files.contains_key(relative),
            Root::Embedded { files, .. } => files.iter().any(|(path, _)| *path == relative),
            Root::Generated { files, .. } => files.contains_key(relative),
        }
    }

    fn text(&self, relative: &str) -> Result<Option<String>> {
        if !self.has(relative) {
            return Ok(None);
        }
        match self {
            Root::Directory(dir) => strict_json::read_text(&dir.join(relative)).map(Some),
            Root::Checkpoint(checkpoint) => Ok(checkpoint.files.get(relative).cloned()),
            Root::Generated { files, .. } => Ok(files.get(relative).cloned()),
            Root::Embedded { files, .. } => {
                let bytes = files.iter().find(|(path, _)| *path == relative).map_or(&[][..], |(_, bytes)| bytes);
                strict_json::text_of(&self.name(relative), bytes).map(Some)
            }
        }
    }
}
