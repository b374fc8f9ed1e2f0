//! JSON with the rule that serde_json leaves to its users: no key twice.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::error::{Detail, LoadError, Result, escaped};

/// Configuration and index files are at most this long; a `tokenizer.json` of CLIP has 2 MB.
const MAX_JSON: u64 = 8 << 20;
/// Keys of one object; CLIP's vocabulary has 49,408.
const MAX_KEYS: usize = 1 << 18;

/// A JSON object in which a repeated key is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrictMap<V>(pub BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for StrictMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Pairs<V> {
            type Value = StrictMap<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<StrictMap<V>, M::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    if pairs.contains_key(&key) {
                        return Err(de::Error::custom(format!("duplicate key \"{}\"", escaped(&key, 100))));
                    }
                    if pairs.len() == MAX_KEYS {
                        return Err(de::Error::custom(format!("more than {MAX_KEYS} keys")));
                    }
                    pairs.insert(key, value);
                }
                Ok(StrictMap(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

/// Reads a text file of bounded length.
pub fn read_text(path: &Path) -> Result<String> {
    let length = regular_length(path)?;
    let file = path.display().to_string();
    if length > MAX_JSON {
        let detail = Detail::new(&file, "the file is too long for a text file of a model");
        let detail = detail.found(format!("{length} bytes")).expected(format!("at most {MAX_JSON} bytes"));
        return Err(LoadError::BadJson(Box::new(detail.next(format!("head -c 300 {file}")))));
    }
    let bytes = std::fs::read(path).map_err(|e| LoadError::io(path, e))?;
    text_of(&file, &bytes)
}

/// Length of a plain file. Pipes and devices are refused: opening one could wait for ever.
pub fn regular_length(path: &Path) -> Result<u64> {
    let meta = std::fs::metadata(path).map_err(|e| LoadError::io(path, e))?;
    if meta.is_file() {
        return Ok(meta.len());
    }
    let detail = Detail::new(path.display().to_string(), "not a plain file");
    let detail = detail.found(if meta.is_dir() { "a directory" } else { "a pipe or device" }).expected("a file");
    Err(LoadError::WrongFormat(Box::new(detail.next(format!("ls -l {}", path.display())))))
}

/// Bytes as text, without a byte-order mark.
pub fn text_of(file: &str, bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|e| bad_json(file, bytes, e.to_string()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

/// Parses JSON; an error names the file and says when it is something else altogether.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| bad_json(file, text.as_bytes(), e.to_string()))
}

fn bad_json(file: &str, bytes: &[u8], problem: String) -> LoadError {
    use crate::sniff::{FileKind, sniff};
    let kind = sniff(bytes);
    let found = match kind {
        FileKind::Json | FileKind::Text(_) | FileKind::Unknown | FileKind::Short => problem,
        other => other.describe(),
    };
    let detail = Detail::new(file, "cannot be read as JSON").found(found).expected("a JSON object");
    LoadError::BadJson(Box::new(detail.next(format!("head -c 300 {file}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_refused() {
        assert!(parse::<StrictMap<u32>>("x.json", "{\"a\":1,\"b\":2}").is_ok());
        let e = parse::<StrictMap<u32>>("x.json", "{\"a\":1,\"a\":1}").unwrap_err();
        assert!(e.to_string().contains("duplicate key"), "{e}");
    }

    #[test]
    fn a_pointer_is_named_instead_of_a_syntax_error() {
        let e =
            parse::<StrictMap<u32>>("config.json", "version https://git-lfs.github.com/spec/v1\nsize 9\n").unwrap_err();
        assert!(e.to_string().contains("Git LFS pointer"), "{e}");
    }
}
