//! CLIP's byte-pair tokenizer, as transformers' `CLIPTokenizer` has it.
//!
//! The text is brought to Unicode NFC, white space becomes single blanks, letters become lower case, words are cut by CLIP's
//! pattern, their bytes are written in GPT-2's byte alphabet, and merges run until none applies; the last piece of a word
//! carries `</w>`. Special tokens are recognised in the raw text before all this: with SD-2.x, whose padding token is `!`,
//! an exclamation mark in a prompt is therefore id 0 and not id 256.

mod files;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;

use std::path::Path;

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, NormalizerWrapper, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use crate::error::{Detail, LoadError, Result};
pub(crate) use files::TokenizerFiles;
use vocabulary::Vocabulary;

/// Positions of a CLIP text encoder.
const LENGTH: usize = 77;
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// The merges of OpenAI's CLIP, used by every published Stable Diffusion model. Licence: see data/clip/LICENSE.
const CLIP_MERGES: &str = include_str!("../../data/clip/merges.txt");

/// Special tokens and the number of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Special {
    pub bos: String,
    pub eos: String,
    pub unk: String,
    pub pad: String,
    pub length: usize,
}

impl Default for Special {
    fn default() -> Self {
        let end = "<|endoftext|>".to_owned();
        Special { bos: "<|startoftext|>".to_owned(), eos: end.clone(), unk: end.clone(), pad: end, length: LENGTH }
    }
}

/// Text to token ids.
#[derive(Clone)]
pub struct Tokenizer {
    engine: tokenizers::Tokenizer,
    bos: u32,
    eos: u32,
    pad: u32,
    length: usize,
    vocab_size: usize,
    /// Learned words and the ids they stand for.
    words: Vec<(String, Vec<u32>)>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens, bos {}, eos {}, pad {})", self.vocab_size, self.bos, self.eos, self.pad)
    }
}

impl Tokenizer {
    /// Opens a tokenizer directory: `vocab.json` and `merges.txt`, or `tokenizer.json`; special tokens from
    /// `special_tokens_map.json` and `tokenizer_config.json`.
    pub fn from_dir(path: &Path) -> Result<Tokenizer> {
        Self::from_files(&TokenizerFiles::read(path)?)
    }

    /// A tokenizer from the contents of `vocab.json` and `merges.txt`, padding with the end token.
    pub fn from_parts(vocab_json: &str, merges: &str) -> Result<Tokenizer> {
        Self::build("vocab.json", Vocabulary::parse("vocab.json", vocab_json, merges)?, &Special::default())
    }

    /// The tokenizer of OpenAI's CLIP, padding with the end token as SD-1.x and SDXL's first encoder do.
    pub fn clip() -> Result<Tokenizer> {
        Self::clip_padded_with("<|endoftext|>")
    }

    /// The tokenizer of OpenAI's CLIP with another padding token: `!` for SD-2.x and SDXL's second encoder.
    pub fn clip_padded_with(pad: &str) -> Result<Tokenizer> {
        let special = Special { pad: pad.to_owned(), ..Special::default() };
        Self::build("the built-in CLIP vocabulary", Vocabulary::from_clip_merges(CLIP_MERGES)?, &special)
    }

    pub(crate) fn from_files(files: &TokenizerFiles) -> Result<Tokenizer> {
        Self::build(&files.label, files.vocabulary()?, &files.special()?)
    }

    fn build(file: &str, vocabulary: Vocabulary, special: &Special) -> Result<Tokenizer> {
        let id = |token: &str| {
            vocabulary
                .ids
                .get(token)
                .copied()
                .ok_or_else(|| bad(file, "a special token is not in the vocabulary", token))
        };
        let (bos, eos, pad) = (id(&special.bos)?, id(&special.eos)?, id(&special.pad)?);
        id(&special.unk)?;
        let vocab_size = vocabulary.ids.len();
        let engine = engine(vocabulary, special)
            .map_err(|e| bad(file, "vocabulary and merges do not fit together", &e.to_string()))?;
        Ok(Tokenizer { engine, bos, eos, pad, length: special.length, vocab_size, words: Vec::new() })
    }

    /// Knows learned words, each standing for ids behind the vocabulary. They are found where they stand alone, capitals or
    /// not; of two that begin at one place the longer one.
    pub fn with_words(mut self, mut words: Vec<(String, Vec<u32>)>) -> Self {
        words.retain(|(word, _)| !word.is_empty());
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        self.words = words;
        self
    }

    /// Token ids of the text alone, without start, end and padding.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for piece in words::split(text, &self.words) {
            match piece {
                words::Piece::Text(text) => ids.extend(self.encode_plain(text)),
                words::Piece::Word(learned) => ids.extend_from_slice(learned),
            }
        }
        ids
    }

    /// Token ids of the text in groups that belong together: single tokens, and the ids of a learned word.
    pub(crate) fn groups(&self, text: &str) -> Vec<Vec<u32>> {
        let pieces = words::split(text, &self.words).into_iter();
        let groups = |piece| match piece {
            words::Piece::Text(text) => self.encode_plain(text).into_iter().map(|id| vec![id]).collect(),
            words::Piece::Word(learned) => vec![learned.to_vec()],
        };
        pieces.flat_map(groups).collect()
    }

    fn encode_plain(&self, text: &str) -> Vec<u32> {
        match self.engine.encode_fast(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            Err(error) => {
                // The unknown token is in the vocabulary, so no text can fail; if one does, it must not pass for empty.
                tracing::error!("tokenizer: {error}");
                vec![self.eos]
            }
        }
    }

    /// Start, text, end and padding to the encoder's length (77), and the number of text tokens that did not fit.
    pub fn encode_padded(&self, text: &str) -> (Vec<u32>, usize) {
        let text = self.encode(text);
        let room = self.length - 2;
        let (kept, cut) = text.split_at(text.len().min(room));
        let mut ids = Vec::with_capacity(self.length);
        ids.push(self.bos);
        ids.extend_from_slice(kept);
        ids.push(self.eos);
        ids.resize(self.length, self.pad);
        (ids, cut.len())
    }

    /// Text of token ids, for messages about what was cut off.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.engine.decode(ids, true).unwrap_or_default()
    }

    /// Ids of the start, end and padding tokens.
    pub fn special_ids(&self) -> (u32, u32, u32) {
        (self.bos, self.eos, self.pad)
    }

    /// Number of tokens of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Length of [`Tokenizer::encode_padded`]'s ids.
    pub fn max_length(&self) -> usize {
        self.length
    }
}

fn engine(vocabulary: Vocabulary, special: &Special) -> tokenizers::Result<tokenizers::Tokenizer> {
    let model = BPE::builder()
        .vocab_and_merges(vocabulary.ids, vocabulary.merges)
        .unk_token(special.unk.clone())
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".to_owned())
        .build()?;
    let mut engine = tokenizers::Tokenizer::new(model);
    let blanks = Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
    let steps: Vec<NormalizerWrapper> = vec![NFC.into(), blanks.into(), Lowercase.into()];
    engine.with_normalizer(Some(Normalizers::new(steps)))?;
    let words = Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Removed, true)?;
    let steps: Vec<PreTokenizerWrapper> = vec![words.into(), ByteLevel::new(false, true, true).into()];
    engine.with_pre_tokenizer(Some(PreTokenizers::new(steps)));
    engine.with_decoder(Some(tokenizers::decoders::bpe::BPEDecoder::new("</w>".to_owned())));
    let tokens = [&special.bos, &special.eos, &special.unk, &special.pad];
    let tokens: Vec<AddedToken> = tokens.map(|t| AddedToken::from(t.clone(), true).normalized(false)).to_vec();
    engine.add_special_tokens(tokens)?;
    Ok(engine)
}

fn bad(file: &str, problem: &str, found: &str) -> LoadError {
    let detail = Detail::new(file, problem).found(found).expected("vocab.json and merges.txt of one CLIP tokenizer");
    LoadError::BadTokenizer(Box::new(detail.next("download the tokenizer directory of this model again")))
}
