//! Flags. Names follow stable-diffusion.cpp; diffusers' names are accepted as aliases.

mod ablation;
mod adapter;
mod bench;
mod canvas;
mod device;
mod edit;
mod edit_set;
mod environment;
mod extras;
mod flat;
mod images;
mod metrics;
mod pair;
mod panorama;
mod prompt;
mod region;
mod steering;
mod tools;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::examples;

pub use ablation::{AblationArgs, StudyName};
pub use adapter::{AdapterArgs, Backend};
pub use bench::{BenchArgs, BenchCommand, BenchModelArgs, BenchRunArgs, FamilyName};
pub use canvas::{CanvasArgs, MethodArgs, MethodName, PreviewArg, RunArgs};
pub use device::{DeviceArgs, Precision};
pub use edit::{EditArgs, EditMethodName, MetricsEditArgs};
pub use edit_set::{EditSetArgs, Large, Paste, SetFilesArgs, SetMethodArgs, SetMethodName};
pub use environment::{EnvironmentArgs, ReprojectArgs, Size};
pub use extras::ExtraArgs;
pub use flat::{InpaintArgs, TileArgs, TorusArgs, WrapName};
pub use images::{Img2imgArgs, SamplerArgs, Txt2imgArgs};
pub use metrics::{MetricsArgs, MetricsCommand, MetricsPanoArgs, MetricsSetArgs};
pub use pair::{PairArgs, PairMethod, SharedNoise};
pub use panorama::{PanoramaArgs, SphereArgs, SphereOutputArgs, SteepArgs, ViewSetName};
use prompt::seed;
pub use prompt::{PromptArgs, Seed};
pub use region::RegionArg;
pub use steering::{ControlArgs, DepthArgs};
pub use tools::{CompletionsArgs, ContactSheetArgs, DevicesArgs, InspectArgs, RerunArgs, VerifyArgs};

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
    Txt2img(Box<Txt2imgArgs>),
    /// A picture from a picture and a prompt
    Img2img(Box<Img2imgArgs>),
    /// A picture again, from what it says about how it was made
    Rerun(Box<RerunArgs>),
    /// A 360° panorama: views sampled together on a sphere
    Panorama(Box<PanoramaArgs>),
    /// A whole sphere: six faces that turn in every step
    Sphere(Box<SphereArgs>),
    /// A texture that continues itself, or a picture larger than the model draws
    Tile(Box<TileArgs>),
    /// The texture of a torus
    Torus(Box<TorusArgs>),
    /// A part of a picture drawn anew
    Inpaint(Box<InpaintArgs>),
    /// A picture changed as two prompts differ, or by an instruction
    Edit(Box<EditArgs>),
    /// Frames of a video, photos with cameras or a panorama, edited together
    EditSet(Box<EditSetArgs>),
    /// A 360° picture as cubemap, panorama or perspective view, for engines and viewers
    Reproject(Box<ReprojectArgs>),
    /// Pictures of several prompts with one layout
    Pair(Box<PairArgs>),
    /// StochSync's switches and its rivals with the same prompts and seeds: a table
    Ablation(Box<AblationArgs>),
    /// Pictures of one size in a grid
    ContactSheet(ContactSheetArgs),
    /// Numbers for seams, poles, sharpness and diversity of finished pictures, and for the built-in model's world more
    Metrics(MetricsArgs),
    /// Compares a model with numbers made by the PyTorch reference
    Verify(VerifyArgs),
    /// How fast this adapter runs the networks, and how near that is to what it can do
    Bench(BenchArgs),
    /// The adapters of this machine and what they can do
    Devices(DevicesArgs),
    /// What a weight file, model directory or generated picture holds
    Inspect(InspectArgs),
    /// A completion script for a shell, on stdout
    Completions(CompletionsArgs),
}

fn non_negative(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| *v >= 0.0 && v.is_finite()).ok_or_else(|| "0 or a number above".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| *v > 0.0 && v.is_finite()).ok_or_else(|| "a number above 0".to_owned())
}

/// `WIDTHxHEIGHT` of frames, as `[height, width]`.
fn frame_size(text: &str) -> Result<[usize; 2], String> {
    let number = |t: &str| t.parse::<usize>().ok().filter(|n| (1..=16384).contains(n));
    let parsed = text.split_once(['x', 'X']).and_then(|(width, height)| number(width).zip(number(height)));
    parsed.map(|(width, height)| [height, width]).ok_or_else(|| "expected WIDTHxHEIGHT of 1 to 16384 pixels".to_owned())
}
