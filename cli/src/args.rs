//! Flags. Names follow stable-diffusion.cpp; diffusers' names are accepted as aliases.

mod adapter;
mod environment;

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use syncline::methods::Preset;
use syncline::rng::NoiseMode;
use syncline::schedulers::{PredictionType, SamplerChoice, ScheduleChoice};

use crate::examples;

pub use adapter::{AdapterArgs, Backend};
pub use environment::{EnvironmentArgs, ReprojectArgs, Size};

/// Stable Diffusion class models on any GPU, and many views sampled together.
#[derive(Debug, Parser)]
#[command(name = "syncline", version, max_term_width = 100, after_help = examples::ALL)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// One JSON event per line on stdout instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// More detail on stderr (repeat for more)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Only errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// A picture from a prompt
    #[command(alias = "generate")]
    Txt2img(Txt2imgArgs),
    /// A picture from a picture and a prompt
    Img2img(Img2imgArgs),
    /// A 360° panorama: views sampled together on a sphere
    Panorama(Box<PanoramaArgs>),
    /// A 360° picture as cubemap, panorama or perspective view, for engines and viewers
    Reproject(Box<ReprojectArgs>),
    /// Pictures of one size in a grid
    ContactSheet(ContactSheetArgs),
    /// Compares a model with numbers made by the PyTorch reference
    Verify(VerifyArgs),
    /// The adapters of this machine and what they can do
    Devices(DevicesArgs),
    /// What a weight file, model directory or generated picture holds
    Inspect(InspectArgs),
    /// A completion script for a shell, on stdout
    Completions(CompletionsArgs),
}

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
    /// Model directory in diffusers layout or a single .safetensors checkpoint; without it the built-in mini model
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
    pub adapter: AdapterArgs,
}

/// Prompts, seed and output.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// What to show; @FILE reads a file
    #[arg(short, long, default_value = "", allow_hyphen_values = true)]
    pub prompt: String,
    /// What not to show; @FILE reads a file
    #[arg(short, long, default_value = "", alias = "uncond-prompt", allow_hyphen_values = true)]
    pub negative_prompt: String,
    /// Seed; -1 or "random" draws one
    #[arg(short, long, default_value = "42", value_parser = seed, allow_hyphen_values = true)]
    pub seed: Seed,
    /// Output file (PNG; panoramas and cubemaps also .jpg, .exr, .hdr, .ktx2); an existing one is not overwritten: the
    /// next gets a number
    #[arg(short, long, default_value = "output.png", alias = "out")]
    pub output: PathBuf,
    /// Overwrite the output file
    #[arg(long)]
    pub force: bool,
    /// Write no prompts and settings into the picture
    #[arg(long, alias = "disable-image-metadata")]
    pub no_metadata: bool,
}

/// Sampler flags.
#[derive(Debug, Args)]
pub struct SamplerArgs {
    /// Denoising steps
    #[arg(long, default_value_t = 20, aliases = ["num-inference-steps", "n-steps"])]
    pub steps: usize,
    /// Classifier-free guidance; 1 switches it off [default: 7, 5 for the built-in model]
    #[arg(long, alias = "guidance-scale", allow_hyphen_values = true)]
    pub cfg_scale: Option<f64>,
    /// ddim, euler, euler_a, dpm++2m, ddpm (names of other tools are accepted)
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
    /// How much to change: 1 keeps nothing
    #[arg(long, default_value_t = 0.75, aliases = ["denoise", "denoising-strength"])]
    pub strength: f64,
}

#[derive(Debug, Args)]
#[command(after_help = examples::PANORAMA)]
pub struct PanoramaArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// paper, official, small or draft [default: official; small for models with latents below 32x32]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Outer steps
    #[arg(long, alias = "n-steps")]
    pub steps: Option<usize>,
    /// Classifier-free guidance
    #[arg(long, alias = "guidance-scale", allow_hyphen_values = true)]
    pub cfg_scale: Option<f64>,
    /// Timestep the refining steps begin with
    #[arg(long, allow_hyphen_values = true)]
    pub t_max: Option<f64>,
    /// Timestep they run towards
    #[arg(long, allow_hyphen_values = true)]
    pub t_min: Option<f64>,
    /// Exponent of the way between the two: more than 1 spends more steps at low levels
    #[arg(long)]
    pub t_power: Option<f64>,
    /// First steps from pure noise
    #[arg(long)]
    pub warmup_steps: Option<usize>,
    /// Last steps that blend into the old canvas at view borders; 0 switches it off
    #[arg(long)]
    pub seam_removal_steps: Option<usize>,
    /// Nodes of the multi-step prediction
    #[arg(long)]
    pub ode_steps: Option<usize>,
    /// Fewest steps of the prediction at low levels
    #[arg(long)]
    pub min_ode_steps: Option<usize>,
    /// Field in degrees in which views are generated
    #[arg(long)]
    pub fov: Option<f64>,
    /// Field in degrees that is used of it; equal to --fov: views are not wider than used
    #[arg(long)]
    pub used_fov: Option<f64>,
    /// Blend the last two sets of views by the distance to their borders: true or false
    #[arg(long)]
    pub feather: Option<bool>,
    /// Give back what the autoencoder loses in each pass: true or false
    #[arg(long)]
    pub correct_encoding: Option<bool>,
    /// Views of a ring
    #[arg(long, default_value_t = 5)]
    pub views: usize,
    /// Pixels of a square view [default: the model's own size]
    #[arg(long)]
    pub view_size: Option<usize>,
    /// Canvas, twice as wide as high, for example 2048x1024 [default: fits the views]
    #[arg(long, value_parser = pano_size)]
    pub pano_size: Option<[usize; 2]>,
    /// The last views side by side, as one more picture
    #[arg(long, value_name = "FILE")]
    pub views_sheet: Option<PathBuf>,
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Pixels of a side of a cube face [default: fits the canvas]
    #[arg(long, value_name = "PIXELS")]
    pub face_size: Option<usize>,
    /// Measure the result and its uncoupled baseline; JSON goes here, or a page with pictures (.html), a table to stderr,
    /// the baseline beside the output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::CONTACT_SHEET)]
pub struct ContactSheetArgs {
    /// Pictures, row by row
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// Pictures in a row
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=100).map(usize::from))]
    pub columns: usize,
    /// Pixels between pictures
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=1000).map(usize::from))]
    pub gap: usize,
    /// Output file (PNG)
    #[arg(short, long, default_value = "sheet.png")]
    pub output: PathBuf,
    /// Overwrite the output file
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::VERIFY)]
pub struct VerifyArgs {
    /// Directory with a model and golden/{inputs,expected}.safetensors
    pub dir: PathBuf,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Succeed although the directory names tensors that cannot be computed
    #[arg(long)]
    pub allow_skipped: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::DEVICES)]
pub struct DevicesArgs {
    /// Graphics API
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: Backend,
}

#[derive(Debug, Args)]
#[command(after_help = examples::INSPECT)]
pub struct InspectArgs {
    /// Weight file, model directory or picture
    pub path: PathBuf,
}

/// Most pictures at a time.
const MAX_BATCH: usize = 256;

#[derive(Debug, Args)]
#[command(after_help = examples::COMPLETIONS)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

/// A seed, or the wish for a random one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    Given(u64),
    Random,
}

fn seed(text: &str) -> Result<Seed, String> {
    if text == "-1" || text.eq_ignore_ascii_case("random") {
        return Ok(Seed::Random);
    }
    text.parse().map(Seed::Given).map_err(|_| format!("a seed is 0 to {}, or -1 for a random one", u64::MAX))
}

fn prediction(text: &str) -> Result<PredictionType, String> {
    match text {
        "eps" | "epsilon" => Ok(PredictionType::Epsilon),
        "v" | "v_prediction" | "v-prediction" => Ok(PredictionType::VPrediction),
        _ => Err("expected epsilon (eps) or v_prediction (v)".to_owned()),
    }
}

/// Every picture's file is checked beforehand, so a slip of the finger must not ask for millions.
fn batch(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=MAX_BATCH).contains(n)).ok_or_else(|| format!("expected 1 to {MAX_BATCH}"))
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| *v > 0.0 && v.is_finite()).ok_or_else(|| "a number above 0".to_owned())
}

/// `[height, width]` of `WIDTHxHEIGHT`.
fn pano_size(text: &str) -> Result<[usize; 2], String> {
    let parsed = text.split_once(['x', 'X']).and_then(|(w, h)| Some([h.parse().ok()?, w.parse().ok()?]));
    match parsed {
        Some([height, width]) if width == 2 * height => Ok([height, width]),
        _ => Err("WIDTHxHEIGHT with a width of twice the height, for example 2048x1024".to_owned()),
    }
}
