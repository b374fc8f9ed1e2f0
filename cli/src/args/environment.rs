//! Flags of pictures that surround the viewer.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;

use super::AdapterArgs;
use crate::examples;
use crate::output::{ConsumerName, Layout};

/// How a 360° picture is written.
#[derive(Debug, Args)]
pub struct EnvironmentArgs {
    /// Engine or viewer that shall read the files: picks layout, face order and turns [default: a 2:1 panorama]
    #[arg(long = "for", value_enum, value_name = "CONSUMER")]
    pub consumer: Option<ConsumerName>,
    /// Six files, all faces in one, or a 2:1 panorama [default: what --for takes]
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// A page that shows the picture all around, in one file, offline
    #[arg(long, value_name = "FILE.html")]
    pub viewer: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::REPROJECT)]
pub struct ReprojectArgs {
    /// 2:1 panorama, cross, row or column of faces, or six files: all of them in the order +X -X +Y -Y +Z -Z, or one name
    /// with * for the part that differs (PNG, JPEG, WebP, EXR or HDR)
    #[arg(short, long, num_args = 1..=6, value_name = "FILE", required_unless_present = "test_card")]
    pub input: Vec<PathBuf>,
    /// Convention of the input's faces [default: the neutral one, as without --for]
    #[arg(long, value_enum, value_name = "CONSUMER")]
    pub from: Option<ConsumerName>,
    /// The input is a perspective view with this vertical field in degrees: it lies ahead, the rest is black
    #[arg(long, value_name = "DEGREES", conflicts_with = "from")]
    pub input_fov: Option<f64>,
    /// Instead of an input: a picture whose letters and colours show where every direction went
    #[arg(long, conflicts_with_all = ["input", "from", "input_fov"])]
    pub test_card: bool,
    /// Output file (.png, .jpg, .exr, .hdr, .ktx2); six files get _px … before the extension, or in place of a *
    #[arg(short, long, alias = "out")]
    pub output: PathBuf,
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Side of a face, or WIDTHxHEIGHT of a panorama or view [default: fits the input; views 1024x768]
    #[arg(long, value_parser = size, value_name = "SIZE")]
    pub size: Option<Size>,
    /// What the middle of the result shows: degrees to the right
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true, value_parser = degrees)]
    pub azimuth: f64,
    /// Degrees upwards
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true, value_parser = degrees)]
    pub elevation: f64,
    /// Degrees about the line of sight
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true, value_parser = degrees)]
    pub roll: f64,
    /// Vertical field in degrees: the result is a perspective view
    #[arg(long, value_name = "DEGREES", conflicts_with_all = ["consumer", "layout", "viewer"])]
    pub fov: Option<f64>,
    /// Samples of a pixel in x and y [default: as many as the input has pixels there, at most 8]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=8).map(usize::from))]
    pub samples: Option<usize>,
    /// Overwrite the output files
    #[arg(long)]
    pub force: bool,
    /// Leave out what the input says about how it was made
    #[arg(long)]
    pub no_metadata: bool,
    #[command(flatten)]
    pub adapter: AdapterArgs,
}

/// One number, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A side of a face; the height of a panorama or square view.
    Side(usize),
    /// Height and width.
    Pixels([usize; 2]),
}

fn size(text: &str) -> Result<Size, String> {
    let number = |t: &str| t.parse::<usize>().ok().filter(|n| (1..=syncline::reproject::MAX_SIDE).contains(n));
    let parsed = match text.split_once(['x', 'X']) {
        Some((width, height)) => number(width).zip(number(height)).map(|(w, h)| Size::Pixels([h, w])),
        None => number(text).map(Size::Side),
    };
    let expected = || format!("expected a side or WIDTHxHEIGHT of 1 to {} pixels", syncline::reproject::MAX_SIDE);
    parsed.ok_or_else(expected)
}

fn degrees(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| v.abs() <= 3600.0).ok_or_else(|| "expected degrees".to_owned())
}
