//! Sharded checkpoints: an index that says which file holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{Detail, LoadError, Result};
use crate::strict_json::{self, StrictMap};
use crate::table::Table;

/// Shards of one checkpoint; published ones have at most a few dozen.
const MAX_SHARDS: usize = 1000;

#[derive(Deserialize)]
struct Index {
    weight_map: StrictMap<String>,
}

/// Opens all shards of an index.
pub(crate) fn open(index_path: &Path) -> Result<Table> {
    let label = index_path.display().to_string();
    let index: Index = strict_json::parse(&label, &strict_json::read_text(index_path)?)?;
    let map = index.weight_map.0;
    let files: BTreeSet<&String> = map.values().collect();
    if files.is_empty() || files.len() > MAX_SHARDS {
        let found = format!("{} shards", files.len());
        return Err(bad(&label, "weight_map", "the index is of no use", found, format!("1 to {MAX_SHARDS} shards")));
    }
    let mut table = Table::default();
    for file in files {
        add_shard(&mut table, index_path, file, &map)?;
    }
    if let Some((name, file)) = map.iter().find(|(name, _)| table.entry(name).is_none()) {
        let found = format!("no such tensor in {file}");
        return Err(bad(
            &label,
            name,
            "a tensor is not in the shard that the index names",
            found,
            "it in that shard".into(),
        ));
    }
    Ok(table)
}

fn add_shard(table: &mut Table, index_path: &Path, file: &str, map: &BTreeMap<String, String>) -> Result<()> {
    let label = index_path.display().to_string();
    if !is_plain(file) {
        let found = format!("\"{file}\"");
        return Err(bad(
            &label,
            "weight_map",
            "a shard is named by a path",
            found,
            "a plain file name ending in .safetensors".into(),
        ));
    }
    let path = index_path.with_file_name(file);
    if !path.exists() {
        let detail = Detail::new(&label, "a shard of the checkpoint is missing").item(file);
        let detail = detail.found("no such file beside the index").expected(path.display().to_string());
        return Err(LoadError::BadShards(Box::new(detail.next(format!("download {file} into the same directory")))));
    }
    let shard = Table::open(&path)?;
    for name in shard.names() {
        if map.get(name).map(String::as_str) != Some(file) {
            let found = format!("it is in {file}");
            let expected = map.get(name).map_or("an entry in weight_map".to_owned(), |f| format!("it in {f}"));
            return Err(bad(&label, name, "index and shards disagree about a tensor", found, expected));
        }
    }
    table.absorb(shard);
    Ok(())
}

/// A name that cannot leave the directory of the index.
fn is_plain(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    let one = matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
    one && file.ends_with(".safetensors") && !file.contains(['/', '\\', ':', '\0'])
}

fn bad(file: &str, item: &str, problem: &str, found: String, expected: String) -> LoadError {
    let detail = Detail::new(file, problem).item(item).found(found).expected(expected);
    LoadError::BadShards(Box::new(detail.next("download the index and all shards of one revision again")))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn shard_names_cannot_leave_the_directory() {
        assert!(is_plain("model-00001-of-00002.safetensors"));
        for name in [
            "../x.safetensors",
            "/etc/x.safetensors",
            "a/b.safetensors",
            "a\\b.safetensors",
            "C:x.safetensors",
            "..",
            ".",
            "",
            "model.bin",
            "./x.safetensors",
            "x\0.safetensors",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
