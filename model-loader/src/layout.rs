//! Finding a model directory, and saying what a directory is when it is none.

use std::path::{Path, PathBuf};

use crate::error::{Detail, LoadError, Result};
use crate::hub;
use crate::locate::file_names;

/// The directory with `model_index.json`: `path` itself, or the snapshot of a Hugging Face cache entry.
pub fn model_root(path: &Path) -> Result<PathBuf> {
    std::fs::metadata(path).map_err(|e| LoadError::io(path, e))?;
    if path.join("model_index.json").is_file() {
        return Ok(path.to_path_buf());
    }
    if path.join("snapshots").is_dir() {
        let dir = hub::of_entry(path)?;
        return if dir.join("model_index.json").is_file() {
            Ok(dir)
        } else {
            Err(no_index(&dir.display().to_string()))
        };
    }
    Err(no_index(&path.display().to_string()))
}

/// The error for a directory without `model_index.json`; says what it looks like instead.
pub fn no_index(root: &str) -> LoadError {
    let names = file_names(Path::new(root)).unwrap_or_default();
    let has = |name: &str| names.iter().any(|n| n == name);
    let found = if has("config.json") {
        "a single component (config.json beside weights)".to_owned()
    } else if names.iter().any(|n| n.ends_with(".safetensors")) {
        "single-file weights without a model_index.json; pass the file itself if it is a whole checkpoint".to_owned()
    } else if names.is_empty() {
        "an empty directory".to_owned()
    } else {
        names.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
    };
    let next = if has("config.json") && Path::new(root).parent().is_some_and(|p| p.join("model_index.json").is_file()) {
        format!("pass the directory above: {root}/..")
    } else {
        format!("ls {root}")
    };
    let detail = Detail::new(root, "this is not a model directory").found(found);
    let expected = "model_index.json and the directories unet, vae, text_encoder, tokenizer, scheduler";
    LoadError::BadLayout(Box::new(detail.expected(expected).next(next)))
}

/// The error for an absent part of a model directory.
pub fn no_component(root: &str, part: &str, present: &[String]) -> LoadError {
    let present = if present.is_empty() { "no component".to_owned() } else { present.join(", ") };
    let detail = Detail::new(root, "a part of the model is missing").item(part).found(present);
    LoadError::BadLayout(Box::new(detail.expected(format!("{root}/{part}")).next(format!("ls -R {root}"))))
}

/// The error for a part that a single file does not hold.
pub fn not_in_file(file: &str, component: &str, present: &[String]) -> LoadError {
    let detail = Detail::new(file, "the file does not hold all parts of a model").item(component);
    let detail = detail.found(present.join(", ")).expected(format!("{component} as well, in this or another file"));
    let flag = component.replace('_', "-");
    LoadError::BadLayout(Box::new(detail.next(format!("add --{flag} FILE with the {component} of this model"))))
}

/// The error for SDXL's refiner, which is left out.
pub fn refiner(root: &str) -> LoadError {
    let detail = Detail::new(root, "SDXL's refiner is not supported; the base model makes whole pictures without it");
    let detail = detail.found("a pipeline with requires_aesthetics_score").expected("SDXL's base model");
    LoadError::UnsupportedConfig(Box::new(detail.next("syncline txt2img -m sdxl -p \"a harbour\"")))
}
