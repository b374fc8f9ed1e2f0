//! Tokens, ids and merges.

use std::collections::{BTreeMap, BTreeSet};

use tokenizers::models::bpe::Vocab;

use super::bad;
use crate::error::Result;
use crate::strict_json::{self, StrictMap};

/// Larger than any vocabulary of a text encoder.
const MAX_TOKENS: usize = 1 << 20;

/// Checked tokens and merges.
pub struct Vocabulary {
    pub ids: Vocab,
    pub merges: Vec<(String, String)>,
}

impl Vocabulary {
    /// From the contents of `vocab.json` and `merges.txt`.
    pub fn parse(file: &str, vocab_json: &str, merges: &str) -> Result<Vocabulary> {
        let ids = strict_json::parse::<StrictMap<u32>>(file, vocab_json)?.0;
        Self::checked(file, ids, parse_merges(file, merges)?)
    }

    /// From parts that are already taken apart.
    pub fn checked(file: &str, ids: BTreeMap<String, u32>, merges: Vec<(String, String)>) -> Result<Vocabulary> {
        let count = ids.len();
        if count == 0 || count > MAX_TOKENS || merges.len() > MAX_TOKENS {
            return Err(bad(file, "the vocabulary has an impossible size", &format!("{count} tokens")));
        }
        let distinct: BTreeSet<u32> = ids.values().copied().collect();
        if distinct.len() != count {
            return Err(bad(
                file,
                "two tokens have the same id",
                &format!("{} ids for {count} tokens", distinct.len()),
            ));
        }
        if let Some((token, id)) = ids.iter().find(|(_, id)| **id as usize >= MAX_TOKENS) {
            return Err(bad(file, "a token has an impossible id", &format!("\"{token}\": {id}")));
        }
        for (left, right) in &merges {
            let merged = format!("{left}{right}");
            if let Some(token) = [left, right, &merged].into_iter().find(|token| !ids.contains_key(*token)) {
                return Err(bad(file, "a merge uses a token that is not in the vocabulary", &format!("\"{token}\"")));
            }
        }
        Ok(Vocabulary { ids: ids.into_iter().collect(), merges })
    }

    /// OpenAI's CLIP needs no vocabulary file: its ids are the byte alphabet, the same with `</w>`, the merges in order,
    /// start and end.
    pub fn from_clip_merges(merges: &str) -> Result<Vocabulary> {
        let file = "the built-in CLIP merges";
        let merges = parse_merges(file, merges)?;
        let alphabet = byte_alphabet();
        let mut tokens: Vec<String> = alphabet.iter().map(char::to_string).collect();
        tokens.extend(alphabet.iter().map(|c| format!("{c}</w>")));
        tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
        tokens.extend(["<|startoftext|>", "<|endoftext|>"].map(str::to_owned));
        let ids = (0u32..).zip(tokens).map(|(id, token)| (token, id)).collect();
        Self::checked(file, ids, merges)
    }
}

/// GPT-2's stand-ins for the 256 bytes in the order of their ids: printable Latin-1 characters stand for themselves, the
/// rest is moved to U+0100 and above.
fn byte_alphabet() -> Vec<char> {
    let printable = (b'!'..=b'~').chain(0xa1..=0xac).chain(0xae..=0xff);
    let moved = 256 - printable.clone().count();
    printable.map(char::from).chain((0..moved as u32).filter_map(|n| char::from_u32(256 + n))).collect()
}

/// Lines of two tokens; the first line may be a version comment.
pub fn parse_merges(file: &str, text: &str) -> Result<Vec<(String, String)>> {
    let mut merges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let mut parts = line.split(' ').filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next()) {
            (Some(left), Some(right), None) => merges.push((left.to_owned(), right.trim_end().to_owned())),
            _ => {
                return Err(bad(
                    file,
                    "a line of the merges is not two tokens",
                    &format!("line {}: \"{line}\"", number + 1),
                ));
            }
        }
    }
    Ok(merges)
}
