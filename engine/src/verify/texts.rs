//! Texts: one encoder's states as the context, or in SDXL two encoders' joined, with a pooled vector.

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::{Elem, Tensor};

use super::modules::{Modules, run};
use crate::error::Result;
use crate::models::UNet2DConditionModel;
use crate::models::unet::AddedConditions;

/// One text as a UNet takes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    /// `[L, D]`.
    context: Vec<f32>,
    /// SDXL's pooled vector.
    pooled: Vec<f32>,
}

/// The texts of a batch on the device.
#[derive(Debug)]
pub(super) struct UploadedTexts {
    /// `[B, L, D]`.
    pub context: Tensor,
    /// Pooled vectors `[B, P]` and time ids `[B * 6]`.
    added: Option<(Tensor, Tensor)>,
}

impl UploadedTexts {
    /// For latents of `h × w` cells.
    pub fn new(ctx: &Context, unet: &UNet2DConditionModel, rows: &[&Text], [h, w]: [usize; 2]) -> Result<Self> {
        /// Pixels per cell in SDXL's size numbers, whatever the VAE.
        const PIXELS: usize = 8;
        let (batch, width) = (rows.len(), unet.config().context_width());
        let context: Vec<f32> = rows.iter().flat_map(|text| text.context.iter().copied()).collect();
        let context = ctx.upload(&context, &[batch, context.len() / (batch * width), width], Elem::F32)?;
        let pooled: Vec<f32> = rows.iter().flat_map(|text| text.pooled.iter().copied()).collect();
        if pooled.is_empty() {
            return Ok(Self { context, added: None });
        }
        let [height, width] = [h, w].map(|side| (side * PIXELS) as f32);
        let ids = [height, width, 0.0, 0.0, height, width].repeat(batch);
        let pooled = ctx.upload(&pooled, &[batch, pooled.len() / batch], Elem::F32)?;
        Ok(Self { context, added: Some((pooled, ctx.upload(&ids, &[ids.len()], Elem::F32)?)) })
    }

    /// SDXL's added conditions.
    pub fn added(&self) -> Option<AddedConditions<'_>> {
        self.added.as_ref().map(|(text_embeds, time_ids)| AddedConditions { text_embeds, time_ids })
    }
}

/// Rows of `a` and of `b`, joined.
fn join_rows(a: &[f32], b: &[f32], rows: usize) -> Vec<f32> {
    let (a, b) = (a.chunks(a.len() / rows), b.chunks(b.len() / rows));
    a.zip(b).flat_map(|(a, b)| a.iter().chain(b)).copied().collect()
}

impl Modules<'_> {
    /// Encodes one half of the golden's text and keeps every state that a golden may name.
    pub fn encode_text(&mut self, half: &str) -> Result<()> {
        let ids = self.golden.ids(&format!("ids.{half}"))?;
        let [last, penultimate, pooled] = self.encode_with(0, &ids)?;
        let text = if self.is_sdxl() {
            let ids2 = self.golden.ids(&format!("ids2.{half}"))?;
            let [_, penultimate2, text_embeds] = self.encode_with(1, &ids2)?;
            let context = join_rows(&penultimate, &penultimate2, ids.len());
            self.remember(format!("te2.{half}.penultimate"), penultimate2);
            self.remember(format!("te2.{half}.text_embeds"), text_embeds.clone());
            self.remember(format!("{half}.prompt_embeds"), context.clone());
            Text { context, pooled: text_embeds }
        } else {
            Text { context: last.clone(), pooled: Vec::new() }
        };
        self.texts.insert(half.to_owned(), text);
        self.remember(format!("te.{half}.last_hidden_state"), last);
        self.remember(format!("te.{half}.penultimate"), penultimate);
        self.remember(format!("te.{half}.pooled"), pooled);
        Ok(())
    }

    /// Last and last but one states, and the pooled vector (projected where the encoder has a projection).
    fn encode_with(&mut self, index: usize, ids: &[u32]) -> Result<[Vec<f32>; 3]> {
        let ctx = self.ctx;
        let model = self.text_encoder(index)?;
        let tokens = ctx.upload_u32(ids, &[1, ids.len()])?;
        let rows = ctx.upload_u32(&model.pooled_rows(ids, ids.len()), &[1, 1])?;
        let mut values = run(ctx, |rec| {
            let states = model.record(rec, &tokens);
            let pooled = model.record_pooled(rec, &states.last_hidden_state, &rows);
            let pooled = model.record_text_embeds(rec, &pooled).unwrap_or(pooled);
            vec![states.last_hidden_state, states.penultimate, pooled]
        })?;
        Ok([0, 1, 2].map(|i| std::mem::take(&mut values[i])))
    }

    /// The text of `half`, encoded here.
    pub fn own_text(&mut self, half: &str) -> Result<Text> {
        if !self.texts.contains_key(half) {
            self.encode_text(half)?;
        }
        Ok(self.texts.get(half).cloned().unwrap_or_default())
    }

    /// The same by the reference, where the directory has it: a module is to be measured alone.
    pub fn reference_text(&mut self, half: &str) -> Result<Text> {
        let (context, pooled) = if self.is_sdxl() {
            (format!("{half}.prompt_embeds"), Some(format!("te2.{half}.text_embeds")))
        } else {
            (format!("te.{half}.last_hidden_state"), None)
        };
        let pooled = pooled.map(|name| self.golden.maybe_expected(&name)).transpose()?;
        match (self.golden.maybe_expected(&context)?, pooled) {
            (Some(context), None) => Ok(Text { context: context.to_f32(), pooled: Vec::new() }),
            (Some(context), Some(Some(pooled))) => Ok(Text { context: context.to_f32(), pooled: pooled.to_f32() }),
            _ => self.own_text(half),
        }
    }
}
