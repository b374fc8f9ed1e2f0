//! Flags of the commands that draw nothing.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;

use super::{Backend, DeviceArgs};
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
#[command(after_help = examples::COMPLETIONS)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}
