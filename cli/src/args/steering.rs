//! Flags of pictures that steer a run.

use std::path::PathBuf;

use clap::Args;

/// ControlNets; lists are in the order of the models.
#[derive(Debug, Args)]
#[command(next_help_heading = "ControlNet")]
pub struct ControlArgs {
    /// ControlNet for the model: a directory or a .safetensors file; may be repeated, each with its picture
    #[arg(long, value_name = "PATH", alias = "controlnet")]
    pub control_net: Vec<PathBuf>,
    /// What it is shown: depth, edges, a pose …; brought to the size of the result
    #[arg(long, value_name = "PICTURE")]
    pub control_image: Vec<PathBuf>,
    /// How much it adds: 1 as trained, 0 is without it [default: 0.9]
    #[arg(long, value_name = "WEIGHT", alias = "controlnet-conditioning-scale", allow_hyphen_values = true)]
    pub control_strength: Vec<f64>,
    /// Share of the steps before which it is off [default: 0]
    #[arg(long, value_name = "SHARE", alias = "control-guidance-start")]
    pub control_start: Vec<f64>,
    /// Share of the steps after which it is off [default: 1]
    #[arg(long, value_name = "SHARE", alias = "control-guidance-end")]
    pub control_end: Vec<f64>,
}

/// Depth models.
#[derive(Debug, Args)]
#[command(next_help_heading = "Depth")]
pub struct DepthArgs {
    /// Depth map for depth models, light is near; brought to the size of the result
    #[arg(long, value_name = "PICTURE")]
    pub depth: Option<PathBuf>,
}
