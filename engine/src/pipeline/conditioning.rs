//! Prompts to what the UNet attends to.

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};

use super::StableDiffusion;
use crate::error::Result;
use crate::models::ContextKeysValues;

/// Encodes a list of prompts in one run.
#[derive(Debug)]
pub struct EncodeText {
    recording: Recording,
    states: Tensor,
    /// Tokens that did not fit, per prompt.
    pub truncated: Vec<usize>,
}

impl EncodeText {
    /// Records the text encoder on `prompts`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(model: &StableDiffusion, prompts: &[String]) -> Result<Self> {
        let mut ids = Vec::new();
        let mut truncated = Vec::new();
        for prompt in prompts {
            let (row, cut) = model.tokenizer.encode_padded(prompt);
            ids.extend(row);
            truncated.push(cut);
        }
        let length = ids.len() / prompts.len().max(1);
        let ids = model.ctx.upload_u32(&ids, &[prompts.len(), length])?;
        let mut rec = Recorder::new(&model.ctx);
        let states = model.text_encoder.record(&mut rec, &ids).last_hidden_state;
        rec.set_layer("text_model");
        let states = rec.keep(&states)?;
        Ok(Self { recording: rec.finish()?, states, truncated })
    }

    /// The recording to run.
    pub fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    /// The states, one `[L · D]` per prompt. Read back once a job, to be arranged in the rows that guidance wants.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn states(&self, model: &StableDiffusion) -> Result<Vec<Vec<f32>>> {
        let all = model.ctx.read(&self.states)?;
        let size = all.len() / self.states.dims()[0];
        Ok(all.chunks_exact(size).map(<[f32]>::to_vec).collect())
    }
}

/// Keys and values of every cross attention, for the rows of one batch.
#[derive(Debug)]
pub struct Conditioning {
    recording: Recording,
    context: Tensor,
    pub(super) keys_values: ContextKeysValues,
}

impl Conditioning {
    /// Records the keys and values of `rows` of text states, each `[L · D]`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(model: &StableDiffusion, rows: &[&[f32]]) -> Result<Self> {
        let width = model.text_encoder.config().hidden_size;
        let length = rows.first().map_or(1, |row| row.len() / width);
        let context = model.ctx.upload_named("context", &rows.concat(), &[rows.len(), length, width], Elem::F32)?;
        let mut rec = Recorder::new(&model.ctx);
        let mut keys_values = model.unet.record_context(&mut rec, &context);
        for tensor in keys_values.tensors_mut() {
            *tensor = rec.keep(tensor)?;
        }
        Ok(Self { recording: rec.finish()?, context, keys_values })
    }

    /// Other texts for the same number of rows; [`Conditioning::recording`] must run again.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn write(&self, model: &StableDiffusion, rows: &[&[f32]]) -> Result<()> {
        Ok(model.ctx.write(&self.context, &rows.concat())?)
    }

    /// The recording to run before the first step.
    pub fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }
}
