//! The files of a tokenizer directory.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::vocabulary::{Vocabulary, parse_merges};
use super::{LENGTH, Special, bad};
use crate::error::{Detail, LoadError, Result};
use crate::strict_json::{self, StrictMap};

/// Contents of a tokenizer directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenizerFiles {
    pub label: String,
    /// File name to text, of those that are there.
    pub texts: BTreeMap<&'static str, String>,
}

impl TokenizerFiles {
    /// All files that can matter.
    pub const NAMES: [&'static str; 5] =
        ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

    /// Reads a directory.
    pub fn read(dir: &Path) -> Result<TokenizerFiles> {
        std::fs::read_dir(dir).map_err(|e| LoadError::io(dir, e))?;
        let mut files = TokenizerFiles { label: dir.display().to_string(), texts: BTreeMap::new() };
        for name in Self::NAMES {
            let path = dir.join(name);
            if path.is_file() {
                files.texts.insert(name, strict_json::read_text(&path)?);
            }
        }
        Ok(files)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.label)
    }

    /// Tokens and merges, from the pair of files or from `tokenizer.json`.
    pub fn vocabulary(&self) -> Result<Vocabulary> {
        if let (Some(vocab), Some(merges)) = (self.text("vocab.json"), self.text("merges.txt")) {
            return Vocabulary::parse(&self.path("vocab.json"), vocab, merges);
        }
        if let Some(text) = self.text("tokenizer.json") {
            return whole(&self.path("tokenizer.json"), text);
        }
        let present = self.texts.keys().copied().collect::<Vec<_>>().join(", ");
        let detail = Detail::new(&self.label, "the directory holds no tokenizer");
        let detail = detail.found(if present.is_empty() { "none of its files".to_owned() } else { present });
        let detail = detail.expected("vocab.json and merges.txt, or tokenizer.json");
        Err(LoadError::BadLayout(Box::new(detail.next("download the tokenizer directory of this model"))))
    }

    /// Special tokens. `special_tokens_map.json` wins over `tokenizer_config.json`, as in transformers, unless the latter is
    /// of the newer kind that lists its added tokens.
    pub fn special(&self) -> Result<Special> {
        let config = self.object("tokenizer_config.json")?;
        let map = self.object("special_tokens_map.json")?;
        let newer = config.contains_key("added_tokens_decoder");
        let order = if newer { [&config, &map] } else { [&map, &config] };
        let default = Special::default();
        let token =
            |key: &str, default: String| order.iter().find_map(|o| o.get(key).and_then(content)).unwrap_or(default);
        let eos = token("eos_token", default.eos);
        let length = match config.get("model_max_length").and_then(Value::as_u64) {
            Some(n) if n < 3 => {
                return Err(bad(&self.path("tokenizer_config.json"), "model_max_length is too small", &n.to_string()));
            }
            // "No limit" is written as a huge number.
            Some(n) if n <= 4096 => n as usize,
            _ => LENGTH,
        };
        Ok(Special {
            bos: token("bos_token", default.bos),
            unk: token("unk_token", eos.clone()),
            pad: token("pad_token", eos.clone()),
            eos,
            length,
        })
    }

    fn object(&self, name: &str) -> Result<BTreeMap<String, Value>> {
        match self.text(name) {
            None => Ok(BTreeMap::new()),
            Some(text) => Ok(strict_json::parse::<StrictMap<Value>>(&self.path(name), text)?.0),
        }
    }
}

/// A token is written as its text or as an object with its text.
fn content(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

fn whole(file: &str, text: &str) -> Result<Vocabulary> {
    let root = strict_json::parse::<StrictMap<Value>>(file, text)?.0;
    let model = root.get("model").ok_or_else(|| bad(file, "there is no model in it", "no key \"model\""))?;
    let kind = model.get("type").and_then(Value::as_str).unwrap_or("");
    if kind != "BPE" {
        return Err(bad(file, "the tokenizer is not byte-pair encoding", &format!("type \"{kind}\"")));
    }
    let pairs = model
        .get("vocab")
        .and_then(Value::as_object)
        .ok_or_else(|| bad(file, "there is no vocabulary", "no key \"vocab\""))?;
    let ids = pairs.iter().map(|(token, id)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(|id| (token.clone(), id)).ok_or_else(|| bad(file, "a token has no id", token))
    });
    let merges = model
        .get("merges")
        .and_then(Value::as_array)
        .ok_or_else(|| bad(file, "there are no merges", "no key \"merges\""))?;
    let merges = merges.iter().map(|merge| one_merge(file, merge)).collect::<Result<Vec<_>>>()?;
    Vocabulary::checked(file, ids.collect::<Result<_>>()?, merges)
}

/// A merge is written as "a b" or as ["a", "b"].
fn one_merge(file: &str, merge: &Value) -> Result<(String, String)> {
    if let Some([Value::String(left), Value::String(right)]) = merge.as_array().map(Vec::as_slice) {
        return Ok((left.clone(), right.clone()));
    }
    let line = merge.as_str().unwrap_or("");
    parse_merges(file, line)?.pop().ok_or_else(|| bad(file, "a merge is not two tokens", &merge.to_string()))
}
