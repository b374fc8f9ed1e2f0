//! Flags of sets of pictures that are edited together.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use super::{DeviceArgs, Seed};
use crate::examples;
use crate::input::Matrix;

/// How the pictures of a set see each other while they are edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SetMethodName {
    /// Collaborative score distillation: all follow one another's gradients, a batch at a time
    Csd,
    /// As independent, with the same noise at the same place of all pictures: alike places change alike
    Coupled,
    /// Each picture by itself: sync-SDE, or with --instruction ordinary sampling
    Independent,
}

impl SetMethodName {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csd => "csd",
            Self::Coupled => "coupled",
            Self::Independent => "independent",
        }
    }
}

/// How an edit comes back into pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Paste {
    /// What the edit has changed is added to the picture: what it leaves alone stays to the bit, at any size
    Difference,
    /// The decoded edit, resized where the picture is larger
    Decoded,
}

/// How pictures larger than the model's are edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Large {
    /// As a whole, smaller: the model sees all of it at once
    Whole,
    /// At their own size, in windows that agree after every step: the model sees their details, and all windows of a picture are
    /// in the network at once
    Windows,
}

#[derive(Debug, Args)]
#[command(after_help = examples::EDIT_SET)]
pub struct EditSetArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub files: SetFilesArgs,
    #[command(flatten)]
    pub edit: SetMethodArgs,
}

/// Where pictures come from and go to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub struct SetFilesArgs {
    /// Folder of frames, or of photos with cameras (transforms.json, COLMAP); animated GIF; .y4m or raw rgb24 file, or - for one
    /// of the two on standard input; a panorama
    #[arg(short, long, value_name = "SET")]
    pub input: PathBuf,
    /// Folder (names, cameras and formats as in the input), .gif, .y4m or .rgb file, or - for a video on standard output; a
    /// picture for a panorama. It appears whole or not at all
    #[arg(short, long, alias = "out", value_name = "SET")]
    pub output: PathBuf,
    /// Replace the output; a folder only if it holds nothing else
    #[arg(long)]
    pub force: bool,
    /// Size of raw rgb24 frames
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = super::frame_size)]
    pub size: Option<[usize; 2]>,
    /// Matrix of Y4M colours [default: bt709 from 720 rows, else bt601]
    #[arg(long, value_enum)]
    pub matrix: Option<Matrix>,
    /// Numbers of frames may leave some out
    #[arg(long)]
    pub gaps: bool,
    /// Frames a second of a GIF made from pictures that say none
    #[arg(long, default_value_t = 10.0, value_name = "N", value_parser = fps)]
    pub fps: f64,
    /// The panorama's left and right edge continue into each other [default: when it is twice as wide as high]
    #[arg(long, value_name = "BOOL")]
    pub wrap: Option<bool>,
    /// Pixels between two windows of a panorama [default: a quarter of a window]
    #[arg(long, value_name = "PIXELS")]
    pub stride: Option<usize>,
    /// Shorter side in pixels at which pictures are edited [default: their own, at most the model's]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(8..).map(usize::from))]
    pub edit_side: Option<usize>,
    /// How pictures larger than the model's are edited; windows are for coupled and independent
    #[arg(long, value_enum, default_value = "whole")]
    pub large: Large,
    /// How edits come back into the pictures
    #[arg(long, value_enum, default_value = "difference")]
    pub paste: Paste,
    /// Encode and decode in windows of this many latent cells [default: as large as fits]
    #[arg(long, value_name = "CELLS", value_parser = clap::value_parser!(u16).range(16..=2048).map(usize::from))]
    pub vae_tile_size: Option<usize>,
    /// Measure the result, its independent baseline and the source; JSON goes here, or a page with pictures (.html)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write no prompts and settings into the pictures
    #[arg(long, alias = "disable-image-metadata")]
    pub no_metadata: bool,
}

/// What is changed, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Edit")]
pub struct SetMethodArgs {
    /// What the pictures show; @FILE reads a file
    #[arg(long, value_name = "PROMPT", default_value = "", allow_hyphen_values = true)]
    pub source_prompt: String,
    /// What they are to show; @FILE reads a file
    #[arg(short, long, default_value = "", allow_hyphen_values = true)]
    pub prompt: String,
    /// What they are not to show; @FILE reads a file
    #[arg(short, long, default_value = "", alias = "uncond-prompt", allow_hyphen_values = true)]
    pub negative_prompt: String,
    /// What to do, for InstructPix2Pix models; @FILE reads a file
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["source_prompt", "prompt"], allow_hyphen_values = true)]
    pub instruction: Option<String>,
    /// How the pictures see each other
    #[arg(long, value_enum, default_value = "csd")]
    pub method: SetMethodName,
    /// Pictures (or windows) in the network at once: memory grows with it, not with the set
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256).map(usize::from))]
    pub batch: usize,
    /// Steps [default: 100 of csd, 200 for panoramas, 40 with the built-in models; else 28]
    #[arg(long, aliases = ["n-steps", "num-inference-steps"], value_parser = clap::value_parser!(u16).range(1..).map(usize::from))]
    pub steps: Option<usize>,
    /// coupled, independent: index of the first level that runs, from 1: small changes more [default: a seventh of the steps]
    #[arg(long, value_name = "INDEX")]
    pub start: Option<usize>,
    /// Guidance towards the prompt or instruction [default: 7.5 of csd, else 7; 5 for the built-in model]
    #[arg(long, visible_alias = "cfg-scale", alias = "guidance-scale", allow_hyphen_values = true)]
    pub guidance: Option<f64>,
    /// Guidance of the source prompt [default: as the prompt's of csd, else 1]
    #[arg(long, allow_hyphen_values = true, conflicts_with = "instruction")]
    pub source_guidance: Option<f64>,
    /// Guidance of --instruction along the picture [default: 1.5, 1.2 for the built-in model]
    #[arg(long, allow_hyphen_values = true, requires = "instruction")]
    pub image_guidance: Option<f64>,
    /// Learning rate of csd [default: 0.5, 2 for panoramas; for the built-in models by the batch]
    #[arg(long, value_parser = super::positive)]
    pub rate: Option<f64>,
    /// Seed; -1 or "random" draws one
    #[arg(short, long, default_value = "42", value_parser = super::seed, allow_hyphen_values = true)]
    pub seed: Seed,
}

fn fps(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v: &f64| (0.01..=100.0).contains(v))
        .ok_or_else(|| "frames a second, 0.01 to 100".to_owned())
}
