//! Flags of `panorama`.

use std::path::PathBuf;

use clap::Args;
use syncline::methods::Preset;

use super::{DeviceArgs, EnvironmentArgs, PromptArgs};
use crate::examples;

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

/// `[height, width]` of `WIDTHxHEIGHT`.
fn pano_size(text: &str) -> Result<[usize; 2], String> {
    let parsed = text.split_once(['x', 'X']).and_then(|(w, h)| Some([h.parse().ok()?, w.parse().ok()?]));
    match parsed {
        Some([height, width]) if width == 2 * height => Ok([height, width]),
        _ => Err("WIDTHxHEIGHT with a width of twice the height, for example 2048x1024".to_owned()),
    }
}
