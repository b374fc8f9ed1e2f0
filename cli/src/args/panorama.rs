//! Flags of canvases that surround the viewer.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::region::{RegionArg, region};
use super::{CanvasArgs, EnvironmentArgs};
use crate::examples;

/// Where the views of a panorama look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewSetName {
    /// Two level rings in turn, the second between the first (the StochSync paper and its code)
    #[value(alias = "official")]
    Paper,
    /// One level ring of eight (SyncTweedies)
    Synctweedies,
    /// The whole sphere, zenith and nadir included; views that look steeply up or down get prompts of their own
    Full,
    /// Four sets of fifteen narrow views (StochSync's upscaling)
    Upscaling,
}

/// How a sphere is written.
#[derive(Debug, Args)]
pub struct SphereOutputArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Pixels of a side of a cube face [default: fits the canvas]
    #[arg(long, value_name = "PIXELS")]
    pub face_size: Option<usize>,
}

const UP: &str = "looking up at the sky";
const DOWN: &str = "looking down at the ground";

/// What views show that look steeply up or down.
#[derive(Debug, Args)]
pub struct SteepArgs {
    /// Put before the prompt of views that look up; empty: nothing
    #[arg(long, value_name = "TEXT", default_value = UP)]
    pub up_prompt: String,
    /// Put before the prompt of views that look down; empty: nothing
    #[arg(long, value_name = "TEXT", default_value = DOWN)]
    pub down_prompt: String,
}

impl Default for SteepArgs {
    fn default() -> Self {
        Self { up_prompt: UP.to_owned(), down_prompt: DOWN.to_owned() }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Canvas", after_help = examples::PANORAMA)]
pub struct PanoramaArgs {
    /// Where views look [default: paper; synctweedies with that method, upscaling with --upscale]
    #[arg(long, value_enum)]
    pub view_set: Option<ViewSetName>,
    /// Views of a ring [default: 5 of each of two rings, 8 of one]
    #[arg(long)]
    pub views: Option<usize>,
    #[command(flatten)]
    pub steep: SteepArgs,
    /// Field in degrees in which views are generated
    #[arg(long)]
    pub fov: Option<f64>,
    /// Field in degrees that is used of it; equal to --fov: views are not wider than used
    #[arg(long)]
    pub used_fov: Option<f64>,
    /// Canvas, twice as wide as high, for example 2048x1024 [default: fits the views]
    #[arg(long, value_parser = pano_size)]
    pub pano_size: Option<[usize; 2]>,
    /// A finished panorama to refine at twice its size
    #[arg(long, value_name = "PANORAMA", conflicts_with = "pano_size")]
    pub upscale: Option<PathBuf>,
    /// A sector with a prompt of its own, such as "-45..45=a city skyline"; the prompt of -p takes what is left (repeat for
    /// more)
    #[arg(long, value_name = "AZ0..AZ1[,EL0..EL1]=PROMPT", value_parser = region, allow_hyphen_values = true)]
    pub region: Vec<RegionArg>,
    #[command(flatten)]
    pub output: SphereOutputArgs,
    #[command(flatten)]
    pub canvas: CanvasArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Canvas", after_help = examples::SPHERE)]
pub struct SphereArgs {
    #[command(flatten)]
    pub steep: SteepArgs,
    /// Field in degrees in which the six faces are generated, of which 90 are used [default: 90; 100 for the preset small]
    #[arg(long)]
    pub fov: Option<f64>,
    /// Canvas, twice as wide as high, for example 2048x1024 [default: fits the faces]
    #[arg(long, value_parser = pano_size)]
    pub pano_size: Option<[usize; 2]>,
    #[command(flatten)]
    pub output: SphereOutputArgs,
    #[command(flatten)]
    pub canvas: CanvasArgs,
}

/// `[height, width]` of `WIDTHxHEIGHT`.
pub(super) fn pano_size(text: &str) -> Result<[usize; 2], String> {
    let parsed = text.split_once(['x', 'X']).and_then(|(w, h)| Some([h.parse().ok()?, w.parse().ok()?]));
    match parsed {
        Some([height, width]) if width == 2 * height => Ok([height, width]),
        _ => Err("WIDTHxHEIGHT with a width of twice the height, for example 2048x1024".to_owned()),
    }
}
