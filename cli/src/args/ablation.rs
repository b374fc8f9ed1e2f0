//! Flags of the ablation.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DeviceArgs;
use crate::examples;

/// A study with a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StudyName {
    /// Coupled pairs of prompts over the strength of the coupling, beside shared noise and compositions; needs no --data
    Coupled,
    /// CSD-Edit with and without its kernel and its source estimate, on panoramas and frames.
    Csd,
    /// sync-SDE, FlowEdit, DDS, SDEdit and inversions at three strengths, on single pictures.
    Edit,
}

#[derive(Debug, Args)]
#[command(after_help = examples::ABLATION)]
pub struct AblationArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Folder of the runs and tables; runs that are in it already are not made again
    #[arg(short, long, default_value = "ablation", value_name = "DIR", alias = "out")]
    pub output: PathBuf,
    /// Rows to run, such as 1,6,sds [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub rows: Vec<String>,
    /// File with a prompt on each line [default: six prompts of the built-in model's world]
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Seeds; every prompt runs with each
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    pub seeds: Vec<u64>,
    /// Iterations of SDS, SDI and ISM [default: 80,20,24 for models with small latents, 10000,10000,2000 otherwise]
    #[arg(long, value_delimiter = ',', value_name = "SDS,SDI,ISM")]
    pub iterations: Vec<usize>,
    /// Another study instead, on edits whose truth is known
    #[arg(long, value_enum, value_name = "NAME")]
    pub study: Option<StudyName>,
    /// Folder of a study's pictures (edit/NN, pano/NN, frames/NN with meta.json), as model-loader/mini/train/study.py makes them
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Only the first N items of a study, of each kind
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// Only measure what is there
    #[arg(long)]
    pub measure_only: bool,
}
