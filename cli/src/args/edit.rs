//! Flags of edits of one picture.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use syncline::methods::{EditMethod, Form, Integrator, PathVariance};

use super::{DeviceArgs, PromptArgs};
use crate::examples;

/// How a picture is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditMethodName {
    /// One that works on one picture.
    Single(EditMethod),
    /// Collaborative score distillation of the picture's windows.
    Csd,
}

impl EditMethodName {
    const ALL: [Self; 7] = [
        Self::Single(EditMethod::SyncSde),
        Self::Single(EditMethod::FlowEdit),
        Self::Single(EditMethod::Dds),
        Self::Single(EditMethod::SdEdit),
        Self::Single(EditMethod::DdimInversion),
        Self::Single(EditMethod::RfInversion),
        Self::Csd,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single(method) => method.name(),
            Self::Csd => "csd",
        }
    }
}

impl ValueEnum for EditMethodName {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// In which terms a path is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormName {
    /// Ancestral steps of diffusion models
    Diffusion,
    /// The straight line between picture and noise
    Flow,
}

impl From<FormName> for Form {
    fn from(name: FormName) -> Self {
        match name {
            FormName::Diffusion => Self::Diffusion,
            FormName::Flow => Self::Flow,
        }
    }
}

/// Noise of sync-SDE's path in the flow form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VarianceName {
    /// As published
    Midpoint,
    /// That of the levels
    Exact,
}

impl From<VarianceName> for PathVariance {
    fn from(name: VarianceName) -> Self {
        match name {
            VarianceName::Midpoint => Self::Midpoint,
            VarianceName::Exact => Self::Exact,
        }
    }
}

/// Steps of sync-SDE's difference in the flow form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IntegratorName {
    /// As published
    Euler,
    /// Exact for a difference of estimates that stays
    Exponential,
}

impl From<IntegratorName> for Integrator {
    fn from(name: IntegratorName) -> Self {
        match name {
            IntegratorName::Euler => Self::Euler,
            IntegratorName::Exponential => Self::Exponential,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Edit", after_help = examples::EDIT)]
pub struct EditArgs {
    /// Picture to edit; the result keeps its size
    #[arg(short = 'i', long, alias = "image", value_name = "PICTURE")]
    pub init_img: PathBuf,
    /// What the picture shows, in as many words as -p and differing only in the edit; @FILE reads a file
    #[arg(long, value_name = "PROMPT", allow_hyphen_values = true)]
    pub source_prompt: Option<String>,
    /// What to do, for InstructPix2Pix models, instead of two prompts; @FILE reads a file
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["source_prompt", "method", "report"])]
    pub instruction: Option<String>,
    /// Picture of the same size: what is black is kept to the byte
    #[arg(long, value_name = "PICTURE")]
    pub mask: Option<PathBuf>,
    /// The edit by every method side by side: JSON goes here, or a page with pictures (.html), a table to stderr
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub method: EditMethodArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
}

/// The method and its switches.
#[derive(Debug, Args)]
#[command(next_help_heading = "Method")]
pub struct EditMethodArgs {
    /// How source and target belong together
    #[arg(long, value_enum, default_value = "sync-sde")]
    pub method: EditMethodName,
    /// Levels from noise to picture
    #[arg(long, default_value_t = 28, aliases = ["num-inference-steps", "n-steps"])]
    pub steps: usize,
    /// Index of the first level that runs, from 1: small changes more, the number of steps nothing [default: a seventh of
    /// the steps]
    #[arg(long, value_name = "INDEX")]
    pub start: Option<usize>,
    /// The same as a share of the steps that run: 1 changes most
    #[arg(long, conflicts_with = "start", aliases = ["denoise", "denoising-strength"])]
    pub strength: Option<f64>,
    /// Classifier-free guidance of the target; of --instruction along the text [default: 7, 5 for the built-in model]
    #[arg(long, visible_alias = "cfg-scale", alias = "guidance-scale", allow_hyphen_values = true)]
    pub guidance: Option<f64>,
    /// Classifier-free guidance of the source
    #[arg(long, default_value_t = 1.0, allow_hyphen_values = true)]
    pub source_guidance: f64,
    /// Guidance of --instruction along the picture
    #[arg(long, default_value_t = 1.5, allow_hyphen_values = true)]
    pub image_guidance: f64,
    /// sync-sde, sdedit: in which terms they run on diffusion models
    #[arg(long, value_enum, default_value = "diffusion")]
    pub form: FormName,
    /// sync-sde --form flow: noise of the path
    #[arg(long, value_enum, default_value = "midpoint")]
    pub path_variance: VarianceName,
    /// sync-sde --form flow: steps of the difference
    #[arg(long, value_enum, default_value = "euler")]
    pub integrator: IntegratorName,
    /// sync-sde: a new path each step
    #[arg(long)]
    pub resample: bool,
    /// flowedit: noises averaged in each step
    #[arg(long, default_value_t = 1)]
    pub n_avg: usize,
    /// flowedit: steps of ordinary sampling at the end
    #[arg(long, default_value_t = 0)]
    pub n_min: usize,
    /// dds, csd: gradient steps [default: 200 and 100]
    #[arg(long)]
    pub iterations: Option<usize>,
    /// dds: what a gradient is multiplied with [default: 0.0488]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<f64>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::METRICS)]
pub struct MetricsEditArgs {
    /// The picture that was edited
    #[arg(value_name = "SOURCE")]
    pub source: PathBuf,
    /// What it became, of the same size
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    /// Picture of the same size, white where the edit was free: measures inside and outside of it
    #[arg(long, value_name = "PICTURE")]
    pub mask: Option<PathBuf>,
    /// The true edited picture, where it is known
    #[arg(long, value_name = "PICTURE")]
    pub truth: Option<PathBuf>,
    /// What the result is to show, for pictures of the built-in model's world: how much of it a classifier sees; @FILE reads a
    /// file
    #[arg(long, value_name = "PROMPT", allow_hyphen_values = true)]
    pub target_prompt: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_known_by_its_name() {
        for method in EditMethodName::value_variants() {
            assert_eq!(EditMethodName::from_str(method.name(), false), Ok(*method));
        }
        let names: Vec<_> = EditMethod::ALL.map(EditMethod::name).to_vec();
        assert!(names.iter().all(|name| EditMethodName::from_str(name, false).is_ok()));
    }
}
