//! Whether a snapshot was downloaded to its end.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Detail, LoadError, Result};
use crate::locate::{self, file_names};
use crate::strict_json;

/// Components that are read; a repository may hold others, such as a safety checker.
const READ: [&str; 7] = ["unet", "vae", "text_encoder", "text_encoder_2", "scheduler", "tokenizer", "tokenizer_2"];
/// Names that a message lists.
const LISTED: usize = 4;

/// Fails when a file that the model needs is missing or still being downloaded.
pub fn check(snapshot: &Path, entry: &Path, name: &str, next: &str) -> Result<()> {
    let mut missing = dangling(snapshot);
    let index = snapshot.join("model_index.json");
    // A reference directory may have its weights computed.
    let computed = snapshot.join("golden/meta.json").is_file();
    if index.is_file() && !computed {
        missing.extend(absent_components(snapshot, &index));
    } else if !computed && snapshot.join("config.json").is_file() && !has_any_weights(snapshot) {
        missing.push("its weights".to_owned());
    }
    let folders = READ.iter().map(|part| snapshot.join(part)).chain([snapshot.to_path_buf()]);
    missing.extend(folders.flat_map(|folder| absent_shards(&folder)));
    missing.sort();
    missing.dedup();
    let nothing_there = file_names(snapshot).map_or(true, |names| names.is_empty());
    if missing.is_empty() && !nothing_there {
        return Ok(());
    }
    let listed = missing.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(LISTED);
    let mut found = match (nothing_there, more) {
        (true, _) => "an empty snapshot".to_owned(),
        (_, 0) => format!("without {listed}"),
        _ => format!("without {listed} and {more} more"),
    };
    let (parts, bytes) = unfinished(entry);
    if parts > 0 {
        found.push_str(&format!("; {parts} unfinished downloads of {:.2} GB so far", bytes as f64 / 1e9));
    }
    let detail = Detail::new(name, "the download in the cache is incomplete").item(snapshot.display().to_string());
    Err(LoadError::Truncated(Box::new(detail.found(found).expected("all files of the model").next(next))))
}

/// The one weights file of a snapshot that holds nothing else to load.
pub fn only_file(snapshot: &Path) -> Option<PathBuf> {
    if snapshot.join("model_index.json").is_file() || snapshot.join("config.json").is_file() {
        return None;
    }
    let names = file_names(snapshot).ok()?;
    let mut weights = names.iter().filter(|name| name.ends_with(".safetensors"));
    match (weights.next(), weights.next()) {
        (Some(only), None) => Some(snapshot.join(only)),
        _ => None,
    }
}

/// Links whose blob is not there, in the snapshot and its directories.
fn dangling(snapshot: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let inner = READ.iter().map(|part| (snapshot.join(part), format!("{part}/")));
    for (folder, prefix) in inner.chain([(snapshot.to_path_buf(), String::new())]) {
        for name in file_names(&folder).unwrap_or_default() {
            // A link that leads nowhere has metadata of its own, but none of a target.
            if !folder.join(&name).exists() {
                found.push(format!("{prefix}{name}"));
            }
        }
    }
    found
}

/// Components that the pipeline has and the snapshot has not, or not wholly.
fn absent_components(snapshot: &Path, index: &Path) -> Vec<String> {
    let text = strict_json::read_text(index).unwrap_or_default();
    // What is wrong with the file itself is said by whoever reads it next.
    let Ok(Value::Object(pairs)) = serde_json::from_str::<Value>(&text) else { return Vec::new() };
    let present = |value: &Value| value.as_array().is_some_and(|pair| pair.iter().all(Value::is_string));
    let parts = READ.iter().filter(|part| pairs.get(**part).is_some_and(present));
    let absent = |part: &&&str| -> Option<String> {
        let folder = snapshot.join(part);
        let (settings, weighty) = match **part {
            "scheduler" => ("scheduler_config.json", false),
            "tokenizer" | "tokenizer_2" => ("", false),
            _ => ("config.json", true),
        };
        let names = file_names(&folder).unwrap_or_default();
        if names.is_empty() {
            Some(format!("{part}/"))
        } else if !settings.is_empty() && !names.iter().any(|name| name == settings) {
            Some(format!("{part}/{settings}"))
        } else if weighty && !has_any_weights(&folder) {
            Some(format!("weights of {part}"))
        } else {
            None
        }
    };
    parts.filter_map(|part| absent(&part)).collect()
}

/// Weights in any format: a directory with nothing but pickles is complete, and refused elsewhere for what it is.
fn has_any_weights(folder: &Path) -> bool {
    let pickled = |name: &String| [".bin", ".ckpt", ".pt", ".pth"].iter().any(|end| name.ends_with(end));
    locate::has_weights(folder) || file_names(folder).is_ok_and(|names| names.iter().any(pickled))
}

/// Shards that an index names and the directory lacks.
fn absent_shards(folder: &Path) -> Vec<String> {
    let names = file_names(folder).unwrap_or_default();
    let mut found = Vec::new();
    for index in names.iter().filter(|name| name.contains(".safetensors.index.")) {
        let text = strict_json::read_text(&folder.join(index)).unwrap_or_default();
        let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
        let map = value.get("weight_map").and_then(Value::as_object);
        let shards = map.into_iter().flat_map(|map| map.values()).filter_map(Value::as_str);
        found.extend(shards.filter(|shard| !names.iter().any(|name| name == shard)).map(str::to_owned));
    }
    found
}

/// Blobs whose download has not ended: how many, and their bytes so far.
fn unfinished(entry: &Path) -> (usize, u64) {
    let blobs = entry.join("blobs");
    let names = file_names(&blobs).unwrap_or_default();
    let parts = names.iter().filter(|name| name.ends_with(".incomplete"));
    let sizes = parts.map(|name| std::fs::metadata(blobs.join(name)).map_or(0, |meta| meta.len()));
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}
