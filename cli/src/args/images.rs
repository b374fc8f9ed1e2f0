//! Flags of single pictures.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;
use syncline::rng::NoiseMode;
use syncline::schedulers::{SamplerChoice, ScheduleChoice};

use super::{ControlArgs, DepthArgs, DeviceArgs, PromptArgs};
use crate::examples;

/// Most pictures at a time.
const MAX_BATCH: usize = 256;

/// Sampler flags.
#[derive(Debug, Args)]
pub struct SamplerArgs {
    /// Denoising steps
    #[arg(long, default_value_t = 20, aliases = ["num-inference-steps", "n-steps"])]
    pub steps: usize,
    /// Classifier-free guidance; 1 switches it off [default: 7, 5 for the built-in model]
    #[arg(long, alias = "guidance-scale", allow_hyphen_values = true)]
    pub cfg_scale: Option<f64>,
    /// ddim, euler, euler_a, heun, dpm++2m, ddpm, unipc, pndm, lcm (names of other tools are accepted)
    #[arg(long, default_value = "dpm++2m", alias = "sampler")]
    pub sampling_method: SamplerChoice,
    /// discrete, karras, exponential, sgm_uniform …
    #[arg(long)]
    pub scheduler: Option<ScheduleChoice>,
    /// Source of noise: cuda and cpu give the pictures torch's generators would, portable is our own
    #[arg(long, default_value = "cuda")]
    pub rng: NoiseMode,
    /// Pictures at a time; picture i has seed + i
    #[arg(short, long, default_value = "1", value_parser = batch, alias = "num-images-per-prompt")]
    pub batch_size: usize,
    /// Edges that continue on the opposite side, in both directions
    #[arg(long, alias = "tiling")]
    pub circular: bool,
    /// Left and right edge continue into each other
    #[arg(long)]
    pub circularx: bool,
    /// Upper and lower edge continue into each other
    #[arg(long)]
    pub circulary: bool,
    /// Decode in tiles of this many latent cells [default: as large as the adapter can]
    #[arg(long, value_name = "CELLS", value_parser = clap::value_parser!(u16).range(16..=2048).map(usize::from))]
    pub vae_tile_size: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::TXT2IMG)]
pub struct Txt2imgArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub sampler: SamplerArgs,
    /// Width in pixels [default: the model's own]
    #[arg(short = 'W', long)]
    pub width: Option<usize>,
    /// Height in pixels [default: the model's own]
    #[arg(short = 'H', long)]
    pub height: Option<usize>,
    #[command(flatten)]
    pub depth: DepthArgs,
    #[command(flatten)]
    pub control: ControlArgs,
}

#[derive(Debug, Args)]
#[command(after_help = examples::IMG2IMG)]
pub struct Img2imgArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub sampler: SamplerArgs,
    /// Picture to start from (PNG, JPEG or WebP); its sides must suit the model
    #[arg(short = 'i', long, alias = "image")]
    pub init_img: PathBuf,
    /// How much to change: 1 keeps nothing [default: 0.75, with --mask 1]
    #[arg(long, aliases = ["denoise", "denoising-strength"])]
    pub strength: Option<f64>,
    /// For inpainting models, picture of the same size: what is white is drawn anew, what is black is kept to the byte
    #[arg(long, value_name = "PICTURE", conflicts_with = "depth")]
    pub mask: Option<PathBuf>,
    #[command(flatten)]
    pub depth: DepthArgs,
    #[command(flatten)]
    pub control: ControlArgs,
}

/// Every picture's file is checked beforehand, so a slip of the finger must not ask for millions.
fn batch(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=MAX_BATCH).contains(n)).ok_or_else(|| format!("expected 1 to {MAX_BATCH}"))
}
