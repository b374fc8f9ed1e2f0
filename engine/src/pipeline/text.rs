//! Prompts to the states that models are conditioned on.

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::tensor::Tensor;
use syncline_loader::Tokenizer;
use syncline_loader::prompt::{self, PromptTokens};

use super::StableDiffusion;
use crate::error::Result;

/// One text as networks see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EncodedText {
    /// What cross attentions see, `[chunks · L · D]`. In SDXL each token has the last but one states of both encoders behind each other.
    pub context: Vec<f32>,
    /// SDXL's pooled vector: the second encoder's text embedding.
    pub pooled: Vec<f32>,
}

impl EncodedText {
    /// All its numbers.
    pub fn values(&self) -> impl Iterator<Item = &f32> {
        self.context.iter().chain(&self.pooled)
    }

    fn zeros(like: &Self) -> Self {
        Self { context: vec![0.0; like.context.len()], pooled: vec![0.0; like.pooled.len()] }
    }
}

/// Encodes a list of prompts in one run.
///
/// Prompts may weigh words and be longer than the text encoders; see [`syncline_loader::prompt`]. All prompts of a list get
/// as many chunks as the longest one, shorter ones chunks without text. A pooled vector is that of the first chunk.
#[derive(Debug)]
pub struct EncodeText {
    recording: Recording,
    states: States,
    /// The second encoder's states and embeddings.
    second: Option<(States, Tensor)>,
    chunks: usize,
    /// Whether the last prompt's states are to be zeros.
    zero_last: bool,
    /// Tokens that did not fit, per prompt.
    pub truncated: Vec<usize>,
}

/// States `[N · chunks, L, D]` of an encoder, and the weights of their tokens.
#[derive(Debug)]
struct States {
    tensor: Tensor,
    weights: Vec<Vec<f32>>,
}

impl States {
    /// `[chunks · L · D]` of each prompt, weighed as it says.
    fn read(&self, ctx: &Context, chunks: usize) -> Result<Vec<Vec<f32>>> {
        let mut all = ctx.read(&self.tensor)?;
        let dims = self.tensor.dims();
        for (states, weights) in all.chunks_exact_mut(dims[1] * dims[2]).zip(&self.weights) {
            prompt::weigh(states, dims[2], weights);
        }
        Ok(all.chunks_exact(chunks * dims[1] * dims[2]).map(<[f32]>::to_vec).collect())
    }
}

/// Token ids `[N · chunks, L]`, also on the host, and their weights by row.
struct Tokens {
    tensor: Tensor,
    ids: Vec<u32>,
    length: usize,
    weights: Vec<Vec<f32>>,
}

impl Tokens {
    fn new(ctx: &Context, tokenizer: &Tokenizer, mut prompts: Vec<PromptTokens>, chunks: usize) -> Result<Self> {
        prompts.iter_mut().for_each(|tokens| tokens.pad_to(chunks, tokenizer));
        let rows = prompts.into_iter().flat_map(|tokens| tokens.chunks);
        let (ids, weights): (Vec<_>, Vec<_>) = rows.map(|chunk| (chunk.ids, chunk.weights)).unzip();
        let (rows, length) = (ids.len(), ids.first().map_or(0, Vec::len));
        let ids = ids.concat();
        Ok(Self { tensor: ctx.upload_u32(&ids, &[rows, length])?, ids, length, weights })
    }
}

impl EncodeText {
    /// Records the text encoders on `prompts` and, last, on a negative prompt: an empty one is all zeros to models that were
    /// trained so (`force_zeros_for_empty_prompt`).
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(model: &StableDiffusion, prompts: &[String], negative: Option<&str>) -> Result<Self> {
        let all: Vec<&str> = prompts.iter().map(String::as_str).chain(negative).collect();
        let ctx = &model.ctx;
        let parse = |tokenizer: &Tokenizer| all.iter().map(|text| prompt::tokens(tokenizer, text)).collect::<Vec<_>>();
        let first = parse(&model.tokenizer);
        let more = model.second_encoder.as_ref().map(|second| (second, parse(&second.tokenizer)));
        let truncated = first.iter().map(|tokens| tokens.cut).collect();
        let every = first.iter().chain(more.iter().flat_map(|(_, tokens)| tokens));
        let chunks = every.map(|tokens| tokens.chunks.len()).max().unwrap_or(1);
        let tokens = Tokens::new(ctx, &model.tokenizer, first, chunks)?;
        let mut rec = Recorder::new(ctx);
        let states = model.text_encoder.record(&mut rec, &tokens.tensor);
        let (states, second) = match more {
            None => (states.last_hidden_state, None),
            Some((second, prompts)) => {
                let tokens = Tokens::new(ctx, &second.tokenizer, prompts, chunks)?;
                let encoder = &second.text_encoder;
                let rows = encoder.pooled_rows(&tokens.ids, tokens.length);
                let rows: Vec<u32> = rows.into_iter().step_by(chunks).collect();
                let rows = ctx.upload_u32(&rows, &[all.len(), 1])?;
                let more = encoder.record(&mut rec, &tokens.tensor);
                let pooled = encoder.record_pooled(&mut rec, &more.last_hidden_state, &rows);
                // Loading has checked that there is a projection.
                let embeds = encoder.record_text_embeds(&mut rec, &pooled).unwrap_or(pooled);
                let more = States { tensor: rec.keep(&more.penultimate)?, weights: tokens.weights };
                (states.penultimate, Some((more, rec.keep(&embeds)?)))
            }
        };
        rec.set_layer("text_model");
        let states = States { tensor: rec.keep(&states)?, weights: tokens.weights };
        let zero_last = model.zero_empty_prompt && negative.is_some_and(|text| text.trim().is_empty());
        Ok(Self { recording: rec.finish()?, states, second, chunks, zero_last, truncated })
    }

    /// The recording to run.
    pub fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    /// The states of each prompt, the negative one last. Read back once a job, to be arranged in the rows that guidance wants.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn states(&self, model: &StableDiffusion) -> Result<Vec<EncodedText>> {
        let first = self.states.read(&model.ctx, self.chunks)?;
        let mut texts: Vec<EncodedText> = match &self.second {
            None => first.into_iter().map(|context| EncodedText { context, pooled: Vec::new() }).collect(),
            Some((states, embeds)) => {
                let tokens = self.chunks * self.states.tensor.dims()[1];
                let all = model.ctx.read(embeds)?;
                let embeds = all.chunks_exact(all.len() / embeds.dims()[0]).map(<[f32]>::to_vec);
                let both = first.iter().zip(states.read(&model.ctx, self.chunks)?).zip(embeds);
                let text = |((a, b), pooled): ((&Vec<f32>, Vec<f32>), Vec<f32>)| EncodedText {
                    context: join_rows(a, &b, tokens),
                    pooled,
                };
                both.map(text).collect()
            }
        };
        if let (true, Some(last)) = (self.zero_last, texts.last_mut()) {
            *last = EncodedText::zeros(last);
        }
        Ok(texts)
    }
}

/// Rows of `a` and of `b`, joined.
fn join_rows(a: &[f32], b: &[f32], rows: usize) -> Vec<f32> {
    let (a, b) = (a.chunks(a.len() / rows), b.chunks(b.len() / rows));
    a.zip(b).flat_map(|(a, b)| a.iter().chain(b)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_own_states() {
        assert_eq!(join_rows(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0], 2), [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
    }
}
