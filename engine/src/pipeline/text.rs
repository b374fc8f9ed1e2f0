//! Prompts to the states that models are conditioned on.

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::tensor::Tensor;
use syncline_loader::Tokenizer;

use super::StableDiffusion;
use crate::error::Result;

/// One text as networks see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EncodedText {
    /// What cross attentions see, `[L · D]`. In SDXL each token has the last but one states of both encoders behind each other.
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
#[derive(Debug)]
pub struct EncodeText {
    recording: Recording,
    states: Tensor,
    /// The second encoder's states and embeddings.
    second: Option<[Tensor; 2]>,
    /// Whether the last prompt's states are to be zeros.
    zero_last: bool,
    /// Tokens that did not fit, per prompt.
    pub truncated: Vec<usize>,
}

/// Token ids `[N, L]`, also on the host, and how many did not fit.
struct Tokens {
    tensor: Tensor,
    ids: Vec<u32>,
    length: usize,
    truncated: Vec<usize>,
}

impl Tokens {
    fn new(ctx: &Context, tokenizer: &Tokenizer, prompts: &[&str]) -> Result<Self> {
        let (mut ids, mut truncated) = (Vec::new(), Vec::new());
        for prompt in prompts {
            let (row, cut) = tokenizer.encode_padded(prompt);
            ids.extend(row);
            truncated.push(cut);
        }
        let length = ids.len() / prompts.len().max(1);
        Ok(Self { tensor: ctx.upload_u32(&ids, &[prompts.len(), length])?, ids, length, truncated })
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
        let tokens = Tokens::new(ctx, &model.tokenizer, &all)?;
        let mut rec = Recorder::new(ctx);
        let states = model.text_encoder.record(&mut rec, &tokens.tensor);
        let (states, second) = match &model.second_encoder {
            None => (states.last_hidden_state, None),
            Some(second) => {
                let tokens = Tokens::new(ctx, &second.tokenizer, &all)?;
                let rows = second.text_encoder.pooled_rows(&tokens.ids, tokens.length);
                let rows = ctx.upload_u32(&rows, &[all.len(), 1])?;
                let more = second.text_encoder.record(&mut rec, &tokens.tensor);
                let pooled = second.text_encoder.record_pooled(&mut rec, &more.last_hidden_state, &rows);
                // Loading has checked that there is a projection.
                let embeds = second.text_encoder.record_text_embeds(&mut rec, &pooled).unwrap_or(pooled);
                (states.penultimate, Some([rec.keep(&more.penultimate)?, rec.keep(&embeds)?]))
            }
        };
        rec.set_layer("text_model");
        let states = rec.keep(&states)?;
        let zero_last = model.zero_empty_prompt && negative.is_some_and(|text| text.trim().is_empty());
        Ok(Self { recording: rec.finish()?, states, second, zero_last, truncated: tokens.truncated })
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
        let read = |tensor: &Tensor| -> Result<Vec<Vec<f32>>> {
            let all = model.ctx.read(tensor)?;
            let size = all.len() / tensor.dims()[0];
            Ok(all.chunks_exact(size).map(<[f32]>::to_vec).collect())
        };
        let first = read(&self.states)?;
        let mut texts: Vec<EncodedText> = match &self.second {
            None => first.into_iter().map(|context| EncodedText { context, pooled: Vec::new() }).collect(),
            Some([states, embeds]) => {
                let tokens = self.states.dims()[1];
                let both = first.iter().zip(read(states)?).zip(read(embeds)?);
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
