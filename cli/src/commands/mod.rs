//! One file per command.

pub mod ablation;
pub mod bench;
mod canvas;
pub mod completions;
pub mod contact_sheet;
pub mod devices;
pub mod edit;
pub mod edit_set;
pub mod flat;
pub mod images;
pub mod inpaint;
pub mod inspect;
pub mod metrics;
pub mod pair;
pub mod panorama;
pub mod reproject;
pub mod rerun;
mod steering;
pub mod verify;

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::path::PathBuf;

use serde_json::json;

use crate::args::{Global, PromptArgs, Seed};
use crate::console;
use crate::exit::Failure;

/// Most bytes of a prompt file; text encoders take 77 tokens.
const MAX_PROMPT_BYTES: u64 = 1 << 20;

/// A prompt as given, or the text of the file behind `@`.
fn prompt_text(given: &str) -> anyhow::Result<String> {
    let Some(path) = given.strip_prefix('@') else { return Ok(given.to_owned()) };
    let refuse = |found: String| {
        Failure::input(format!(
            "prompt file '{path}': found {found}, expected UTF-8 text of at most 1 MiB; give such a file after the @, or \
             the text itself"
        ))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|e| refuse(e.to_string()))?;
    // A device or a pipe may never end.
    let length = file.take(MAX_PROMPT_BYTES + 1).read_to_string(&mut text).map_err(|e| refuse(e.to_string()))?;
    if length as u64 > MAX_PROMPT_BYTES {
        return Err(refuse("more".to_owned()).into());
    }
    Ok(text.trim_end().to_owned())
}

/// The seed to use; a random one is told by the picture's metadata, on stderr and in the result event.
fn seed(global: &Global, args: &PromptArgs) -> u64 {
    drawn_seed(global, args.seed)
}

/// As [`seed`], of the flag alone.
fn drawn_seed(global: &Global, seed: Seed) -> u64 {
    match seed {
        Seed::Given(seed) => seed,
        Seed::Random => {
            // The hasher's keys come from the operating system's random source. 32 bits, as other tools print them.
            let seed = std::collections::hash_map::RandomState::new().build_hasher().finish() >> 32;
            if !global.quiet && !global.json {
                console::note(format_args!("seed {seed}"));
            }
            seed
        }
    }
}

/// Tells where the results are: paths on stdout.
fn announce(global: &Global, seed: Option<u64>, paths: &[PathBuf]) -> anyhow::Result<()> {
    if global.json {
        return console::result(json!({ "schema": 1, "event": "result", "seed": seed, "paths": paths }));
    }
    paths.iter().try_for_each(|path| console::result(path.display()))
}

fn warn_truncated(tokens: usize) {
    if tokens > 0 {
        tracing::warn!("the prompt is too long for the text encoder: its last {tokens} tokens are ignored");
    }
}
