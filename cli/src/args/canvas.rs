//! Flags of all commands that sample the views of a canvas together.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use syncline::methods::Preset;

use super::{DeviceArgs, PromptArgs};

/// What every such command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model, prompts and files")]
pub struct CanvasArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// Pixels of a square view [default: the model's own size]
    #[arg(long)]
    pub view_size: Option<usize>,
    /// The last views side by side, as one more picture
    #[arg(long, value_name = "FILE")]
    pub views_sheet: Option<PathBuf>,
    /// Measure the result and its uncoupled baseline; JSON goes here, or a page with pictures (.html), a table to stderr,
    /// the baseline beside the output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub method: MethodArgs,
    #[command(flatten)]
    pub run: RunArgs,
}

/// How views are coupled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodName {
    StochSync,
    SyncTweedies,
    MultiDiffusion,
    Independent,
    Sds,
    Sdi,
    Ism,
    Csd,
    /// One of SyncTweedies' cases 0 to 6.
    Case(u8),
}

impl ValueEnum for MethodName {
    fn value_variants<'a>() -> &'a [Self] {
        use MethodName::{Case, Csd, Independent, Ism, MultiDiffusion, Sdi, Sds, StochSync, SyncTweedies};
        const ALL: [MethodName; 15] = [
            StochSync,
            SyncTweedies,
            MultiDiffusion,
            Independent,
            Sds,
            Sdi,
            Ism,
            Csd,
            Case(0),
            Case(1),
            Case(2),
            Case(3),
            Case(4),
            Case(5),
            Case(6),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl MethodName {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::StochSync => "stochsync",
            Self::SyncTweedies => "synctweedies",
            Self::MultiDiffusion => "multidiffusion",
            Self::Independent => "independent",
            Self::Sds => "sds",
            Self::Sdi => "sdi",
            Self::Ism => "ism",
            Self::Csd => "csd",
            Self::Case(n) => ["case0", "case1", "case2", "case3", "case4", "case5", "case6"][usize::from(n.min(6))],
        }
    }
}

/// The method and its switches.
#[derive(Debug, Args)]
#[command(next_help_heading = "Method")]
pub struct MethodArgs {
    /// How views are coupled; case0 … case6 are those of the SyncTweedies paper [default: multidiffusion for tiles, else
    /// stochsync]
    #[arg(long, value_enum, hide_possible_values = false)]
    pub method: Option<MethodName>,
    /// Switches of stochsync: paper, official, small, draft, turbo (few evaluations, no guidance) or upscale [default:
    /// official; small for models with latents below 32x32; upscale with --upscale]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Outer steps; of sds, sdi, ism and csd optimisation steps
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
    /// Fresh noise in every step; false: every view's state goes on by DDIM, with the same views in every step
    #[arg(long, value_name = "BOOL")]
    pub max_stochasticity: Option<bool>,
    /// Predictions of several steps; false: one evaluation each
    #[arg(long, value_name = "BOOL")]
    pub multi_step: Option<bool>,
    /// Blend the last two sets of views by the distance to their borders
    #[arg(long, value_name = "BOOL")]
    pub feather: Option<bool>,
    /// Give back what the autoencoder loses in each pass
    #[arg(long, value_name = "BOOL")]
    pub correct_encoding: Option<bool>,
}

/// Looking at a running job, and going on with a stopped one.
#[derive(Debug, Args)]
#[command(next_help_heading = "While it runs")]
pub struct RunArgs {
    /// Every N outer steps the canvas as it is, at most 1024 pixels wide, goes to FILE [default: OUTPUT_preview.png]; latent
    /// canvases (tiles, cases of SyncTweedies) have no preview
    #[arg(long, value_name = "N[=FILE]", value_parser = preview)]
    pub preview: Option<PreviewArg>,
    /// Go on from OUTPUT.journal, which a stopped run with the same options has left
    #[arg(long)]
    pub resume: bool,
    /// Least seconds between two writings of OUTPUT.journal; 0 writes it after every outer step
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0, value_parser = seconds, allow_hyphen_values = true)]
    pub journal_interval: f64,
}

/// How often to show a running job, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewArg {
    /// Outer steps between two previews.
    pub every: usize,
    /// The file, where given.
    pub file: Option<PathBuf>,
}

fn preview(text: &str) -> Result<PreviewArg, String> {
    let (every, file) = text.split_once('=').map_or((text, None), |(every, file)| (every, Some(file)));
    let every = every.parse().ok().filter(|n| *n > 0);
    match (every, file) {
        (None, _) | (_, Some("")) => Err("expected a number of steps from 1, and a file after =, if any".to_owned()),
        (Some(every), file) => Ok(PreviewArg { every, file: file.map(PathBuf::from) }),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| (0.0..=1e9).contains(v)).ok_or_else(|| "seconds from 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_known_by_its_name() {
        for method in MethodName::value_variants() {
            assert_eq!(MethodName::from_str(method.name(), false), Ok(*method));
        }
        assert!(MethodName::from_str("case7", false).is_err());
    }

    #[test]
    fn previews_are_a_number_and_perhaps_a_file() {
        assert_eq!(preview("3"), Ok(PreviewArg { every: 3, file: None }));
        assert_eq!(preview("1=a=b.png"), Ok(PreviewArg { every: 1, file: Some("a=b.png".into()) }));
        for bad in ["", "0", "-1", "x", "2=", "=a.png"] {
            assert!(preview(bad).is_err(), "{bad}");
        }
    }
}
