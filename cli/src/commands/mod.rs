//! One file per command.

pub mod contact_sheet;
pub mod devices;
pub mod images;
pub mod inspect;
pub mod panorama;
pub mod verify;

use std::path::PathBuf;

use serde_json::json;

use crate::args::{Global, PromptArgs, Seed};
use crate::exit::Failure;

/// A prompt as given, or the text of the file behind `@`.
fn prompt_text(given: &str) -> anyhow::Result<String> {
    let Some(path) = given.strip_prefix('@') else { return Ok(given.to_owned()) };
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::input(format!("prompt file {path}: {e}; give the text itself or an existing UTF-8 file"))
    })?;
    Ok(text.trim_end().to_owned())
}

/// The seed to use; a random one is told to the user by the picture's metadata and on stderr.
fn seed(global: &Global, args: &PromptArgs) -> u64 {
    match args.seed {
        Seed::Given(seed) => seed,
        Seed::Random => {
            use std::hash::{BuildHasher, Hasher};
            // The hasher's keys come from the operating system's random source. 32 bits, as other tools print them.
            let seed = std::collections::hash_map::RandomState::new().build_hasher().finish() >> 32;
            if !global.quiet {
                eprintln!("seed {seed}");
            }
            seed
        }
    }
}

/// Tells where the results are: paths on stdout.
fn announce(global: &Global, paths: &[PathBuf]) {
    if global.json {
        println!("{}", json!({ "schema": 1, "event": "result", "paths": paths }));
    } else {
        for path in paths {
            println!("{}", path.display());
        }
    }
}

fn warn_truncated(tokens: usize) {
    if tokens > 0 {
        tracing::warn!("the prompt is too long for the text encoder: its last {tokens} tokens are ignored");
    }
}
