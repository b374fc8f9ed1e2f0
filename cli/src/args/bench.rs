//! `bench`.

use clap::builder::TypedValueParser;
use clap::{Args, Subcommand, ValueEnum};
use syncline_loader::Family;

use super::{AdapterArgs, Precision};
use crate::examples;

#[derive(Debug, Args)]
#[command(after_help = examples::BENCH)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub what: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The roof: what the adapter can do at most, measured
    Peak(BenchRunArgs),
    /// Every kind of dispatch of UNet and VAE: checked, then timed
    Ops(BenchModelArgs),
    /// One evaluation of the UNet
    Unet(BenchModelArgs),
    /// Decoding latents
    Vae(BenchModelArgs),
    /// Dispatches, arithmetic and memory of the networks by their plans, without running anything
    Counts,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FamilyName {
    Sd15,
    Sd21,
    Sdxl,
}

impl FamilyName {
    pub fn name(self) -> &'static str {
        match self {
            FamilyName::Sd15 => "SD-1.5",
            FamilyName::Sd21 => "SD-2.1",
            FamilyName::Sdxl => "SDXL",
        }
    }

    pub fn family(self) -> Family {
        match self {
            FamilyName::Sd15 => Family::Sd1,
            FamilyName::Sd21 => Family::Sd2,
            FamilyName::Sdxl => Family::Sdxl,
        }
    }
}

/// How to measure.
#[derive(Debug, Args)]
pub struct BenchRunArgs {
    /// Timed runs; the median counts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10000))]
    pub runs: u16,
    /// Storage of weights and activations; sums are always f32
    #[arg(long, value_enum, default_value = "auto", aliases = ["type", "dtype"])]
    pub precision: Precision,
    #[command(flatten)]
    pub adapter: AdapterArgs,
}

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchModelArgs {
    /// Family whose shapes are used, with generated weights
    #[arg(long, value_enum, default_value = "sd21")]
    pub family: FamilyName,
    /// Latents in a batch; 2 is one picture with guidance
    #[arg(short, long, default_values_t = [2usize], value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=256).map(usize::from))]
    pub batch: Vec<usize>,
    /// Side of the latents; by default the family's own
    #[arg(long, value_parser = clap::value_parser!(u16).range(8..=512).map(usize::from))]
    pub latent: Option<usize>,
    /// Check every product, convolution and attention against f64 sums first
    #[arg(long)]
    pub check: bool,
    /// Measure every tile of every product first and use the fastest
    #[arg(long)]
    pub tune: bool,
    #[command(flatten)]
    pub run: BenchRunArgs,
}
