//! What the rows of a batch are conditioned on, on the device.

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};

use super::{EncodedText, StableDiffusion};
use crate::error::Result;
use crate::models::ContextKeysValues;
use crate::models::unet::AddedConditions;

/// What SDXL is told about a picture's size, in pixels (Podell et al. 2023, section 2.2). Other models do not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroConditions {
    /// `[height, width]` of the picture before it was cropped and scaled for training.
    pub original: [usize; 2],
    /// `[top, left]` of the crop.
    pub crop: [usize; 2],
    /// `[height, width]` of the picture to draw.
    pub target: [usize; 2],
}

impl MicroConditions {
    /// A whole picture of `[height, width]`.
    #[must_use]
    pub fn whole(size: [usize; 2]) -> Self {
        Self { original: size, crop: [0, 0], target: size }
    }

    /// In the order of the time ids.
    fn ids(&self) -> [f32; 6] {
        let ([oh, ow], [ct, cl], [th, tw]) = (self.original, self.crop, self.target);
        [oh, ow, ct, cl, th, tw].map(|side| side as f32)
    }
}

/// Keys and values of every cross attention, for the rows of one batch, and SDXL's added conditions.
#[derive(Debug)]
pub struct Conditioning {
    recording: Recording,
    pub(super) context: Tensor,
    pub(super) keys_values: ContextKeysValues,
    /// Pooled vectors `[R, P]` and time ids `[R * 6]`.
    added: Option<[Tensor; 2]>,
}

fn contexts(rows: &[&EncodedText]) -> Vec<f32> {
    rows.iter().flat_map(|row| row.context.iter().copied()).collect()
}

fn pooled(rows: &[&EncodedText]) -> Vec<f32> {
    rows.iter().flat_map(|row| row.pooled.iter().copied()).collect()
}

impl Conditioning {
    /// Records the keys and values of `rows` of texts, for pictures of such a size.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(model: &StableDiffusion, rows: &[&EncodedText], micro: MicroConditions) -> Result<Self> {
        let (ctx, width) = (&model.ctx, model.unet.config().context_width());
        let length = rows.first().map_or(1, |row| row.context.len() / width);
        let context = ctx.upload_named("context", &contexts(rows), &[rows.len(), length, width], Elem::F32)?;
        let added = if model.second_encoder.is_some() {
            let values = pooled(rows);
            let vectors = ctx.upload_named("pooled", &values, &[rows.len(), values.len() / rows.len()], Elem::F32)?;
            let ids = micro.ids().repeat(rows.len());
            Some([vectors, ctx.upload_named("time ids", &ids, &[ids.len()], Elem::F32)?])
        } else {
            None
        };
        let mut rec = Recorder::new(ctx);
        let mut keys_values = model.unet.record_context(&mut rec, &context);
        for tensor in keys_values.tensors_mut() {
            *tensor = rec.keep(tensor)?;
        }
        Ok(Self { recording: rec.finish()?, context, keys_values, added })
    }

    /// Other texts for the same number of rows; [`Conditioning::recording`] must run again.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn write(&self, model: &StableDiffusion, rows: &[&EncodedText]) -> Result<()> {
        if let Some([vectors, _]) = &self.added {
            model.ctx.write(vectors, &pooled(rows))?;
        }
        Ok(model.ctx.write(&self.context, &contexts(rows))?)
    }

    /// The recording to run before the first step.
    pub fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    /// SDXL's added conditions.
    pub(super) fn added(&self) -> Option<AddedConditions<'_>> {
        self.added.as_ref().map(|[text_embeds, time_ids]| AddedConditions { text_embeds, time_ids })
    }
}
