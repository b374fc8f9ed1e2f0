//! What to draw, and where to.

use std::path::PathBuf;

use clap::Args;

/// Prompts, seed and output.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// What to show; @FILE reads a file
    #[arg(short, long, default_value = "", allow_hyphen_values = true)]
    pub prompt: String,
    /// What not to show; @FILE reads a file
    #[arg(short, long, default_value = "", alias = "uncond-prompt", allow_hyphen_values = true)]
    pub negative_prompt: String,
    /// Seed; -1 or "random" draws one
    #[arg(short, long, default_value = "42", value_parser = seed, allow_hyphen_values = true)]
    pub seed: Seed,
    /// Output file (PNG; panoramas and cubemaps also .jpg, .exr, .hdr, .ktx2); an existing one is not overwritten: the
    /// next gets a number
    #[arg(short, long, default_value = "output.png", alias = "out")]
    pub output: PathBuf,
    /// Overwrite the output file
    #[arg(long)]
    pub force: bool,
    /// Write no prompts and settings into the picture
    #[arg(long, alias = "disable-image-metadata")]
    pub no_metadata: bool,
}

/// A seed, or the wish for a random one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    Given(u64),
    Random,
}

/// The value of `--seed`.
pub fn seed(text: &str) -> Result<Seed, String> {
    if text == "-1" || text.eq_ignore_ascii_case("random") {
        return Ok(Seed::Random);
    }
    text.parse().map(Seed::Given).map_err(|_| format!("a seed is 0 to {}, or -1 for a random one", u64::MAX))
}
