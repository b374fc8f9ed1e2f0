//! What a prompt says beyond its words: weights, breaks, and more tokens than a text encoder has places.

mod parse;

use crate::tokenizer::Tokenizer;
pub use parse::{Part, parse};

/// Chunks that a prompt may have; what goes beyond is cut and told.
pub const MAX_CHUNKS: usize = 32;

/// As many tokens as a text encoder takes at once: start, text, end and padding, with a weight for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Token ids, [`Tokenizer::max_length`] of them.
    pub ids: Vec<u32>,
    /// What each token's state is multiplied with; 1 for start, end and padding.
    pub weights: Vec<f32>,
}

impl Chunk {
    /// Whether no token has a weight of its own.
    pub fn is_plain(&self) -> bool {
        self.weights.iter().all(|weight| *weight == 1.0)
    }
}

/// A prompt as text encoders take it.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptTokens {
    /// At least one.
    pub chunks: Vec<Chunk>,
    /// Tokens behind the last chunk that is allowed.
    pub cut: usize,
}

impl PromptTokens {
    /// Appends chunks of no text until there are `count`: texts of one batch need the same number.
    pub fn pad_to(&mut self, count: usize, tokenizer: &Tokenizer) {
        while self.chunks.len() < count {
            self.chunks.push(chunk(tokenizer, &[]));
        }
    }
}

/// Tokens of one prompt in the syntax that [`parse`] describes, in chunks of the text encoder's length less two.
///
/// A chunk ends when it is full or at `BREAK`. The vectors of a learned word stay together.
///
/// ```
/// # use syncline_loader::{Tokenizer, prompt};
/// let tokenizer = Tokenizer::clip()?;
/// let tokens = prompt::tokens(&tokenizer, "a (red:1.5) cat");
/// assert_eq!(tokens.chunks[0].ids[..5], [49406, 320, 736, 2368, 49407]);
/// assert_eq!(tokens.chunks[0].weights[..5], [1.0, 1.0, 1.5, 1.0, 1.0]);
/// # Ok::<(), syncline_loader::LoadError>(())
/// ```
pub fn tokens(tokenizer: &Tokenizer, prompt: &str) -> PromptTokens {
    let room = tokenizer.max_length() - 2;
    let (mut done, mut open) = (Vec::new(), Vec::<(u32, f32)>::new());
    for part in parse(prompt) {
        let Part::Text { text, weight } = part else {
            done.push(std::mem::take(&mut open));
            continue;
        };
        for group in tokenizer.groups(&text) {
            if open.len() + group.len() > room {
                done.push(std::mem::take(&mut open));
            }
            open.extend(group.into_iter().take(room).map(|id| (id, weight)));
        }
    }
    if !open.is_empty() || done.is_empty() {
        done.push(open);
    }
    let cut = done.iter().skip(MAX_CHUNKS).map(Vec::len).sum();
    let chunks = done.iter().take(MAX_CHUNKS).map(|tokens| chunk(tokenizer, tokens)).collect();
    PromptTokens { chunks, cut }
}

/// The whole text as plain words, without any syntax, in one chunk; what does not fit is cut.
pub fn plain(tokenizer: &Tokenizer, prompt: &str) -> PromptTokens {
    let (ids, cut) = tokenizer.encode_padded(prompt);
    PromptTokens { chunks: vec![Chunk { weights: vec![1.0; ids.len()], ids }], cut }
}

fn chunk(tokenizer: &Tokenizer, tokens: &[(u32, f32)]) -> Chunk {
    let (start, end, pad) = tokenizer.special_ids();
    let text = tokens.iter().copied();
    let all = std::iter::once((start, 1.0)).chain(text).chain([(end, 1.0)]).chain(std::iter::repeat((pad, 1.0)));
    let (ids, weights) = all.take(tokenizer.max_length()).unzip();
    Chunk { ids, weights }
}

/// Multiplies the states `[L, width]` of a chunk with its weights and brings their mean back to what it was, as A1111 and
/// stable-diffusion.cpp do. A chunk without weights is left as it is, to the bit.
pub fn weigh(states: &mut [f32], width: usize, weights: &[f32]) {
    if width == 0 || weights.iter().all(|weight| *weight == 1.0) {
        return;
    }
    let mean = |states: &[f32]| states.iter().map(|v| f64::from(*v)).sum::<f64>() / states.len().max(1) as f64;
    let before = mean(states);
    for (state, weight) in states.chunks_mut(width).zip(weights) {
        state.iter_mut().for_each(|value| *value *= weight);
    }
    let after = mean(states);
    // A mean of nothing has no scale; the states then stay as they were weighed.
    let scale = before / after;
    if scale.is_finite() && scale > 0.0 {
        states.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
}

#[cfg(test)]
mod tests;
