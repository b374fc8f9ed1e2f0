//! Which file of a component directory holds the weights.

use std::path::{Path, PathBuf};

use crate::error::{Detail, LoadError, Result};
use crate::sniff;

/// Where the weights are.
pub enum Located {
    /// One safetensors file.
    File(PathBuf),
    /// The index of a sharded checkpoint.
    Index(PathBuf),
}

/// Base names that diffusers and transformers use.
const BASES: [&str; 2] = ["diffusion_pytorch_model", "model"];

/// Finds the weights: `path` itself, or the file in the directory `path`.
pub fn locate(path: &Path, variant: Option<&str>) -> Result<Located> {
    let meta = std::fs::metadata(path).map_err(|e| LoadError::io(path, e))?;
    if meta.is_dir() {
        return in_directory(path, variant);
    }
    let is_index = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    Ok(if is_index { Located::Index(path.to_path_buf()) } else { Located::File(path.to_path_buf()) })
}

fn in_directory(dir: &Path, variant: Option<&str>) -> Result<Located> {
    let names = file_names(dir)?;
    let has = |name: &str| names.iter().any(|n| n == name);
    let of_variant = |variant: Option<&str>| {
        BASES.iter().find_map(|base| {
            let (file, index) = match variant {
                None => (format!("{base}.safetensors"), format!("{base}.safetensors.index.json")),
                Some(v) => (format!("{base}.{v}.safetensors"), format!("{base}.safetensors.index.{v}.json")),
            };
            if has(&file) {
                Some(Located::File(dir.join(file)))
            } else {
                has(&index).then(|| Located::Index(dir.join(index)))
            }
        })
    };
    if let Some(found) = of_variant(variant) {
        return Ok(found);
    }
    if variant.is_some() {
        return Err(nothing(dir, &names, variant));
    }
    if let Some(found) = of_variant(Some("fp16")) {
        return Ok(found);
    }
    let weights: Vec<&String> = names.iter().filter(|n| n.ends_with(".safetensors")).collect();
    match weights.as_slice() {
        [only] => Ok(Located::File(dir.join(only))),
        _ => Err(nothing(dir, &names, variant)),
    }
}

/// Whether a component directory holds any weights of this engine's formats.
pub fn has_weights(dir: &Path) -> bool {
    file_names(dir)
        .is_ok_and(|names| names.iter().any(|n| n.ends_with(".safetensors") || n.ends_with(".safetensors.index.json")))
}

/// Whether a component directory holds the named variant.
pub fn has_variant(dir: &Path, variant: &str) -> bool {
    let part = format!(".{variant}.");
    file_names(dir).is_ok_and(|names| names.iter().any(|n| n.contains(&part) && n.contains(".safetensors")))
}

/// Names of the plain files in a directory, sorted.
pub fn file_names(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(|e| LoadError::io(dir, e))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn nothing(dir: &Path, names: &[String], variant: Option<&str>) -> LoadError {
    let wanted = match variant {
        Some(v) => format!("diffusion_pytorch_model.{v}.safetensors or model.{v}.safetensors"),
        None => "diffusion_pytorch_model.safetensors or model.safetensors".to_owned(),
    };
    let mut found = names.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        found = "an empty directory".into();
    }
    let pickled = names.iter().any(|n| [".bin", ".ckpt", ".pt", ".pth"].iter().any(|end| n.ends_with(end)));
    let next = if pickled {
        "get the .safetensors files of this model; pickles (.bin, .ckpt) can run code and are never loaded".to_owned()
    } else {
        format!("ls -l {}", dir.display())
    };
    let detail = Detail::new(dir.display().to_string(), "the directory holds no weights that could be chosen");
    LoadError::BadLayout(Box::new(detail.found(found).expected(wanted).next(next)))
}

/// Adds to an error about `path` that a downloader has left an unfinished file beside it.
pub fn mention_unfinished(error: LoadError, path: &Path) -> LoadError {
    let Some(neighbour) = sniff::unfinished_neighbour(path) else {
        return error;
    };
    match error {
        LoadError::Truncated(mut detail) => {
            detail.next = Some(format!("let the download finish first: {neighbour} lies beside the file"));
            LoadError::Truncated(detail)
        }
        LoadError::WrongFormat(mut detail) => {
            detail.next = Some(format!("let the download finish first: {neighbour} lies beside the file"));
            LoadError::WrongFormat(detail)
        }
        other => other,
    }
}
