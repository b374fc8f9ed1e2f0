//! Flags of measures.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::examples;

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
