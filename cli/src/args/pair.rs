//! Flags of pictures that are drawn together.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DeviceArgs, Seed, prompt};
use crate::examples;

/// How pictures know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PairMethod {
    /// Each follows its own prompt and is pushed toward the others' clean estimates (Coupled Diffusion Sampling)
    Coupled,
    /// Not at all
    Independent,
    /// One picture with the mean of all noise estimates (Liu et al. 2022)
    Composed,
    /// The same with Langevin steps at each level (Du et al. 2023)
    Mcmc,
}

/// Which noise pictures have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SharedNoise {
    /// None: each its own
    None,
    /// What they begin with
    Init,
    /// What is added in each step
    Steps,
    /// Both
    Both,
}

#[derive(Debug, Args)]
#[command(after_help = examples::PAIR)]
pub struct PairArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    /// What a picture shows; once for each of two to sixteen pictures; @FILE reads a file
    #[arg(short, long = "prompt", value_name = "PROMPT", required = true, allow_hyphen_values = true)]
    pub prompts: Vec<String>,
    /// What none of them shows; @FILE reads a file
    #[arg(short, long, default_value = "", alias = "uncond-prompt", allow_hyphen_values = true)]
    pub negative_prompt: String,
    /// A second model: it draws all pictures but the first. It must have the same latent space; its noise levels may differ
    #[arg(long, value_name = "PATH")]
    pub model_b: Option<PathBuf>,
    /// How strongly pictures are pushed toward each other, told for 50 steps; 0: not at all
    #[arg(long, default_value_t = 0.02, value_parser = super::non_negative, allow_hyphen_values = true)]
    pub lambda: f64,
    /// How pictures know of each other
    #[arg(long, value_enum, default_value = "coupled")]
    pub method: PairMethod,
    /// First step that is coupled, counted from 0
    #[arg(long, default_value_t = 0, value_name = "STEP")]
    pub couple_from: usize,
    /// First step that is not coupled any more [default: to the end]
    #[arg(long, value_name = "STEP")]
    pub couple_to: Option<usize>,
    /// Noise that pictures have in common; without a value: both
    #[arg(long, value_enum, value_name = "WHICH", default_value = "none", num_args = 0..=1, require_equals = true,
          default_missing_value = "both")]
    pub shared_noise: SharedNoise,
    /// Denoising steps
    #[arg(long, default_value_t = 50, aliases = ["num-inference-steps", "n-steps"])]
    pub steps: usize,
    /// Classifier-free guidance; 1 switches it off [default: 7, 5 for the built-in model]
    #[arg(long, aliases = ["guidance-scale", "guidance"], allow_hyphen_values = true)]
    pub cfg_scale: Option<f64>,
    /// Guidance of the second model [default: as the first]
    #[arg(long, requires = "model_b", allow_hyphen_values = true)]
    pub cfg_scale_b: Option<f64>,
    /// Seed; -1 or "random" draws one
    #[arg(short, long, default_value = "42", value_parser = prompt::seed, allow_hyphen_values = true)]
    pub seed: Seed,
    /// Width in pixels [default: the model's own]
    #[arg(short = 'W', long)]
    pub width: Option<usize>,
    /// Height in pixels [default: the model's own]
    #[arg(short = 'H', long)]
    pub height: Option<usize>,
    /// Output files, %d (or %03d) is the number of the picture; existing ones are not overwritten
    #[arg(short, long, default_value = "pair_%d.png", alias = "out")]
    pub output: PathBuf,
    /// Overwrite the output files
    #[arg(long)]
    pub force: bool,
    /// Write no prompts and settings into the pictures
    #[arg(long, alias = "disable-image-metadata")]
    pub no_metadata: bool,
    /// Alignment of the pictures beside independent ones and one composed picture, which are drawn, too: .json, .html or a folder
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}
