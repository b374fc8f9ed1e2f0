//! The small trained models that travel inside the program: the files of `model-loader/mini/model`, of the editor beside it,
//! and the classifier of their world.

use crate::error::Result;
use crate::weights::Weights;

macro_rules! embed {
    ($($folder:literal: $($path:literal),*;)*) => {
        &[$($(($path, include_bytes!(concat!("../../mini/", $folder, "/", $path)))),*),*]
    };
}

/// Path within the model directory, with `/`, and contents.
pub(crate) static FILES: &[(&str, &[u8])] = embed![
    "model": "model_index.json", "text_encoder/config.json", "text_encoder/model.safetensors", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json", "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json", "tokenizer/vocab.json", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors";
];

/// The same of the InstructPix2Pix model, which shares all but its UNet and text encoder with the first.
pub(crate) static EDITOR_FILES: &[(&str, &[u8])] = embed![
    "editor": "model_index.json", "text_encoder/config.json", "text_encoder/model.safetensors", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors";
    "model": "scheduler/scheduler_config.json", "tokenizer/merges.txt", "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json", "tokenizer/vocab.json", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors";
];

/// Weights of the classifier, `model-loader/mini/train/classifier.py`.
static CLASSIFIER: &[u8] = include_bytes!("../../mini/classifier/classifier.safetensors");

/// Features of true views, `model-loader/mini/train/true_features.py`.
static TRUE_FEATURES: &[u8] = include_bytes!("../../mini/classifier/true_features.safetensors");

/// The same of whole true panoramas.
static TRUE_WORLDS: &[u8] = include_bytes!("../../mini/classifier/true_worlds.safetensors");

impl Weights {
    /// Weights of the classifier that knows the built-in model's world: what a 64 × 64 picture shows.
    pub fn mini_classifier() -> Result<Weights> {
        Self::from_bytes("mini (built in)/classifier.safetensors", CLASSIFIER)
    }

    /// That classifier's features of true views of the world, to compare those of generated views with.
    pub fn mini_true_features() -> Result<Weights> {
        Self::from_bytes("mini (built in)/true_features.safetensors", TRUE_FEATURES)
    }

    /// Features of views all around in several true worlds, in the coordinates of [`Weights::mini_true_features`].
    pub fn mini_true_worlds() -> Result<Weights> {
        Self::from_bytes("mini (built in)/true_worlds.safetensors", TRUE_WORLDS)
    }
}
