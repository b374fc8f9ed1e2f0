//! Flags of the commands that draw nothing.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;

use super::prompt::seed;
use super::{Backend, DeviceArgs, Seed};
use crate::examples;

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

#[derive(Debug, Args)]
#[command(after_help = examples::RERUN)]
pub struct RerunArgs {
    /// Picture with its generation parameters in it: ours, or another tool's in AUTOMATIC1111's form
    pub picture: PathBuf,
    /// Picture that it was started from, if it was
    #[arg(short = 'i', long, alias = "image", value_name = "PICTURE")]
    pub init_img: Option<PathBuf>,
    /// Other seed; -1 or "random" draws one [default: the picture's]
    #[arg(short, long, value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<Seed>,
    /// Output file; an existing one is not overwritten: the next gets a number
    #[arg(short, long, default_value = "output.png", alias = "out")]
    pub output: PathBuf,
    /// Overwrite the output file
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = examples::COMPLETIONS)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}
