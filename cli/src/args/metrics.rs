//! Flags of measures.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::examples;
use crate::input::Matrix;

#[derive(Debug, Args)]
#[command(after_help = examples::METRICS)]
pub struct MetricsArgs {
    #[command(subcommand)]
    pub command: MetricsCommand,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// An edited picture against its source: differences inside and outside of the mask, sharpness
    Edit(super::MetricsEditArgs),
    /// Finished 2:1 panoramas: seams, poles, sharpness, and with several how different they are
    Pano(MetricsPanoArgs),
    /// A set of pictures (frames, photos, GIF, video): fidelity to its source, flicker, spread of colours, sharpness
    Set(MetricsSetArgs),
}

#[derive(Debug, Args)]
#[command(after_help = examples::METRICS)]
pub struct MetricsSetArgs {
    /// Folder of frames or photos, animated GIF, .y4m or raw rgb24 file, or - for one of the latter two on standard input
    #[arg(value_name = "SET")]
    pub set: PathBuf,
    /// What it was made from: as many pictures of the same size, in the same order
    #[arg(long, value_name = "SET")]
    pub source: Option<PathBuf>,
    /// Size of raw rgb24 frames
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = super::frame_size)]
    pub size: Option<[usize; 2]>,
    /// Matrix of Y4M colours [default: bt709 from 720 rows, else bt601]
    #[arg(long, value_enum)]
    pub matrix: Option<Matrix>,
    /// Numbers of frames may leave some out
    #[arg(long)]
    pub gaps: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::METRICS)]
pub struct MetricsPanoArgs {
    /// Panoramas, twice as wide as high (PNG, JPEG, WebP, EXR or HDR)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Azimuths in degrees of lines where a seam might be, such as -144,-108,36; the wrap is always measured
    #[arg(long, value_delimiter = ',', value_name = "DEGREES", allow_hyphen_values = true)]
    pub borders: Vec<f64>,
    /// Seams are measured on rows within this many degrees of the horizon
    #[arg(long, default_value_t = 60.0, value_name = "DEGREES", allow_hyphen_values = true)]
    pub latitude: f64,
    /// Level views around the horizon for all that is measured in views
    #[arg(long, default_value_t = 10)]
    pub views: usize,
    /// Their field in degrees
    #[arg(long, default_value_t = 72.0, allow_hyphen_values = true)]
    pub fov: f64,
    /// Pixels of their side for the measures of sharpness [default: about a texel per pixel, 64 to 512]
    #[arg(long, value_name = "PIXELS")]
    pub view_size: Option<usize>,
    /// The pictures are of the built-in model's world: how well they follow this prompt, and how near they are to true
    /// views; "auto" takes each picture's own prompt, @FILE reads a file
    #[arg(long, value_name = "PROMPT")]
    pub mini: Option<String>,
}
