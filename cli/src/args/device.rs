//! Model and adapter.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use syncline::schedulers::PredictionType;

use super::{AdapterArgs, ExtraArgs};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Precision {
    /// f16 on GPUs, f32 on software adapters
    Auto,
    F32,
    F16,
}

/// Model and adapter.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// Model directory in diffusers layout, a single .safetensors checkpoint, or owner/name or a preset (sd21, sd21-base,
    /// sd2-depth, sdxl) in the Hugging Face cache; without it the built-in mini model
    #[arg(short, long, value_name = "PATH", alias = "model-path")]
    pub model: Option<PathBuf>,
    /// What the UNet predicts, where the model's files do not say it or are wrong: epsilon (eps) or v_prediction (v)
    #[arg(long, value_parser = prediction)]
    pub prediction: Option<PredictionType>,
    /// Variant of the weight files to prefer, such as fp16 for model.fp16.safetensors
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Load weights with NaN or infinite values as they are
    #[arg(long)]
    pub allow_nonfinite: bool,
    /// Storage of weights and activations; sums are always f32
    #[arg(long, value_enum, default_value = "auto", aliases = ["type", "dtype"])]
    pub precision: Precision,
    #[command(flatten)]
    pub extras: ExtraArgs,
    #[command(flatten)]
    pub adapter: AdapterArgs,
}

fn prediction(text: &str) -> Result<PredictionType, String> {
    match text {
        "eps" | "epsilon" => Ok(PredictionType::Epsilon),
        "v" | "v_prediction" | "v-prediction" => Ok(PredictionType::VPrediction),
        _ => Err("expected epsilon (eps) or v_prediction (v)".to_owned()),
    }
}
