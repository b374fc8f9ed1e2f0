//! Flags of flat canvases and of the torus.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CanvasArgs, SphereOutputArgs};
use crate::examples;

/// Edges that continue on the opposite side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WrapName {
    /// Left and right
    X,
    /// Upper and lower
    Y,
    /// All
    Xy,
    /// None: a picture larger than the model draws
    None,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Canvas", after_help = examples::TILE)]
pub struct TileArgs {
    /// Width in pixels [default: twice the model's own]
    #[arg(short = 'W', long)]
    pub width: Option<usize>,
    /// Height in pixels [default: twice the model's own]
    #[arg(short = 'H', long)]
    pub height: Option<usize>,
    /// Edges that continue on the opposite side
    #[arg(long, value_enum, default_value = "xy")]
    pub wrap: WrapName,
    /// Pixels between two windows [default: half a window, but a whole one along edges that continue, where windows are
    /// shifted in every step]
    #[arg(long, value_name = "PIXELS")]
    pub stride: Option<usize>,
    #[command(flatten)]
    pub canvas: CanvasArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Canvas", after_help = examples::TORUS)]
pub struct TorusArgs {
    /// Pixels around the axis [default: fits the patches]
    #[arg(short = 'W', long)]
    pub width: Option<usize>,
    /// Pixels around the tube [default: fits the patches]
    #[arg(short = 'H', long)]
    pub height: Option<usize>,
    /// Outer to inner radius
    #[arg(long, default_value_t = 3.0)]
    pub ratio: f64,
    /// Degrees around the tube that a patch shows
    #[arg(long, default_value_t = 180.0)]
    pub fov: f64,
    #[command(flatten)]
    pub canvas: CanvasArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Canvas", after_help = examples::INPAINT)]
pub struct InpaintArgs {
    /// Picture of which a part is drawn anew
    #[arg(short = 'i', long, alias = "image", value_name = "PICTURE")]
    pub init_img: PathBuf,
    /// Picture of the same size: what is white is drawn anew, what is black is kept to the byte
    #[arg(long, value_name = "PICTURE")]
    pub mask: PathBuf,
    /// Picture and mask are 2:1 panorama and are seen by views all around
    #[arg(long)]
    pub panorama: bool,
    /// Pixels between two windows of a flat picture [default: half a window]
    #[arg(long, value_name = "PIXELS", conflicts_with = "panorama")]
    pub stride: Option<usize>,
    #[command(flatten)]
    pub output: SphereOutputArgs,
    #[command(flatten)]
    pub canvas: CanvasArgs,
}
