//! Models by name: presets, and repositories in the Hugging Face cache. Nothing is ever downloaded.

mod cache;
mod complete;
mod presets;

use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use presets::{Kind, PRESETS, Preset, preset};

use crate::error::{Detail, LoadError, Result};

/// The file or directory that `name` stands for: a path, a preset such as `sd21`, or `owner/name[@revision]` in the
/// Hugging Face cache that the environment names. What exists as a path is a path.
///
/// # Errors
/// When there is no such path or cached model, or its download is incomplete; says how to get it.
pub fn resolve(name: &Path) -> Result<PathBuf> {
    if name.exists() {
        return Ok(name.to_path_buf());
    }
    resolve_in(name, &Cache::from_env())
}

/// [`resolve`] with a cache that is told.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_in(name: &Path, cache: &Cache) -> Result<PathBuf> {
    if name.exists() {
        return Ok(name.to_path_buf());
    }
    let text = name.to_str().unwrap_or("");
    if let Some(preset) = preset(text) {
        return of_preset(preset, text, cache);
    }
    let (repository, revision) = match text.split_once('@') {
        Some((repository, revision)) => (repository, Some(revision)),
        None => (text, None),
    };
    if !cache::is_repository(repository) {
        return Err(nothing(name, text));
    }
    if cache.holds(repository) {
        return cache.snapshot(repository, revision);
    }
    // Pages that are gone live on under other names.
    let moved = PRESETS.iter().find(|preset| preset.formerly == Some(repository));
    match moved {
        Some(preset) if cache.holds(preset.repository) => cache.snapshot(preset.repository, None),
        Some(preset) => Err(absent(text, Some(preset), preset.repository, cache)),
        None => Err(absent(text, None, repository, cache)),
    }
}

fn of_preset(preset: &Preset, name: &str, cache: &Cache) -> Result<PathBuf> {
    let known = [Some(preset.repository), preset.formerly];
    match known.into_iter().flatten().find(|repository| cache.holds(repository)) {
        Some(repository) => cache.snapshot(repository, None),
        None => Err(absent(name, Some(preset), preset.repository, cache)),
    }
}

fn absent(name: &str, preset: Option<&Preset>, repository: &str, cache: &Cache) -> LoadError {
    let gone = preset.is_some_and(|preset| preset.formerly == Some(name));
    let problem = if gone {
        "the model is not in the Hugging Face cache, and its page at Hugging Face is gone; a mirror has it"
    } else {
        "the model is not in the Hugging Face cache"
    };
    let detail = Detail::new(name, problem).found(format!("no {repository} in {}", cache.root().display()));
    let detail = match preset {
        Some(preset) => detail.expected(preset.describe()),
        None => detail.expected("a path, a preset, or owner/name of a cached model"),
    };
    LoadError::NotFound(Box::new(detail.next(format!("hf download {repository}"))))
}

fn nothing(name: &Path, text: &str) -> LoadError {
    let plain = !text.is_empty() && !text.contains(['/', '\\', '.']);
    if !plain {
        return LoadError::io(name, std::io::ErrorKind::NotFound.into());
    }
    let names = PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
    let detail =
        Detail::new(text, "there is no such file, directory or preset").expected(format!("a path, or {names}"));
    LoadError::NotFound(Box::new(detail.next("ls")))
}

/// The snapshot of a cache entry (`models--owner--name`) that was passed as a path.
pub(crate) fn of_entry(entry: &Path) -> Result<PathBuf> {
    let folder = entry.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let name = folder.strip_prefix("models--").map(|name| name.replacen("--", "/", 1));
    let name = name.filter(|name| cache::is_repository(name)).unwrap_or_else(|| entry.display().to_string());
    cache::snapshot(entry, &name, None)
}
