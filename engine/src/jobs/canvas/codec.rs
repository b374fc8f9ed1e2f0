//! Views between an RGB canvas and latents: project and encode, decode and keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::ops::convert::{convert, convert_scaled};
use syncline_kernels::ops::finite::{self, finite};
use syncline_kernels::tensor::{Elem, Tensor};

use super::picture::Picture;
use super::registers::{Registers, rows_of};
use crate::error::{Error, Result};
use crate::methods::{Op, Plan, Reg, ViewReg};
use crate::models::Wrap;
use crate::pipeline::StableDiffusion;
use crate::spaces::{Project, Space, VIEW_WORDS, View};

/// Most bytes of activations that encoding or decoding views together may take; beyond, views go one by one.
const TOGETHER_BYTES: u64 = 1 << 30;

/// Recordings for `chunk` views at a time; a set of views is a whole number of chunks.
#[derive(Debug)]
pub(super) struct ViewCodec {
    model: Arc<StableDiffusion>,
    chunk: usize,
    words: Tensor,
    encode: Recording,
    decode: Recording,
    report: Tensor,
    /// Encoded latents to their place in the batch, per chunk.
    place: Vec<Recording>,
    /// A view register to the decoder's input, per chunk.
    pick: BTreeMap<ViewReg, Vec<Recording>>,
    /// Decoded views to their place among all views, per set and chunk.
    keep: Vec<Recording>,
}

/// All views at once when that fits, else one by one.
fn chunk_size(model: &StableDiffusion, count: usize, [h, w]: [usize; 2]) -> Result<usize> {
    let caps = model.ctx.caps();
    let limit = caps.max_binding.min(caps.max_buffer);
    let f = model.downscale();
    let need = |batch| {
        let decode = model.vae.decode_footprint(&model.ctx, [batch, h, w]);
        let encode = model.vae.encode_footprint(&model.ctx, [batch, h * f, w * f]);
        let largest = decode.largest_tensor.max(encode.largest_tensor);
        (largest, decode.activations.max(encode.activations))
    };
    let fits = |(largest, activations): (u64, u64)| largest <= limit && activations <= TOGETHER_BYTES;
    if fits(need(count)) {
        return Ok(count);
    }
    let (largest, _) = need(1);
    if largest > limit {
        return Err(Error::Input {
            what: "view size",
            found: format!("{}x{} pixels, {largest} bytes in one tensor", w * f, h * f),
            expected: format!("at most {limit} bytes in one tensor (the adapter's largest storage binding)"),
        });
    }
    Ok(1)
}

fn copy(model: &StableDiffusion, from: &Tensor, to: &Tensor) -> Result<Recording> {
    let mut rec = Recorder::new(&model.ctx);
    rec.set_layer("views");
    let copied = convert(&mut rec, from, Elem::F32);
    rec.place(&copied, to);
    Ok(rec.finish()?)
}

/// Projects the picture and encodes `words.dims()[0]` views; returns the latents, scaled as the sampler has them.
fn record_encode(
    model: &StableDiffusion,
    space: &dyn Space,
    (picture, words, report): (&Picture, &Tensor, &Tensor),
) -> Result<(Recording, Tensor)> {
    let ctx = &model.ctx;
    let chunk = words.dims()[0];
    let ids = ctx.upload_u32(&vec![0; chunk], &[chunk])?;
    let mut rec = Recorder::new(ctx);
    rec.set_layer("project");
    // RGB on the canvas is 0..1, the autoencoder's -1..1.
    let options = Project {
        geometry: space.geometry(),
        interpolation: space.interpolation(),
        size: space.view_size(),
        canvas: &picture.bands[0],
        words,
        views: &ids,
        map: [2.0, -1.0],
        elem: model.vae.elem(),
    };
    let image = picture.project(&mut rec, &options);
    let mean = model.vae.record_encode(&mut rec, &image, Wrap::default()).mean;
    rec.set_layer("scaling_factor");
    let factor = model.vae.config().scaling_factor as f32;
    let latent = convert_scaled(&mut rec, &mean, Elem::F32, factor);
    finite(&mut rec, &latent, report);
    let latent = rec.keep(&latent)?;
    Ok((rec.finish()?, latent))
}

impl ViewCodec {
    pub(super) fn new(
        model: &Arc<StableDiffusion>,
        space: &dyn Space,
        plan: &Plan,
        registers: &mut Registers,
    ) -> Result<Self> {
        let known = registers.get(ViewReg::Known)?;
        let (Some(kept), Some(picture)) = (registers.kept.clone(), registers.picture.clone()) else {
            unreachable!("decoded views are kept")
        };
        let &[count, h, w, _] = known.dims() else { unreachable!("latents are [V, h, w, C]") };
        let ctx = &model.ctx;
        // Branches pass one after the other: a plan may ask for one alone.
        let chunk = chunk_size(model, count / plan.branches, [h, w])?;
        let words = ctx.named_tensor("chunk views", &[chunk, VIEW_WORDS], Elem::F32)?;
        let report = finite::new_report(ctx)?;
        let (encode, latent) = record_encode(model, space, (&picture, &words, &report))?;
        let input = ctx.named_tensor("decoder input", latent.dims(), Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        let rgb = model.vae.record_decode_scaled(&mut rec, &input, Wrap::default());
        finite(&mut rec, &rgb, &report);
        let rgb = rec.keep(&rgb)?;
        let decode = rec.finish()?;
        let at = |tensor: &Tensor, i: usize| rows_of(tensor, &(i * chunk..(i + 1) * chunk));
        let chunks = count / chunk;
        let slots = kept.dims()[0] / chunk;
        let mut pick = BTreeMap::new();
        for op in &plan.ops {
            let Op::Fuse { from: Reg::View(from) | Reg::Branch(from, _), .. } = *op else { continue };
            if let std::collections::btree_map::Entry::Vacant(entry) = pick.entry(from) {
                let latents = registers.get(from)?;
                let parts = (0..chunks).map(|i| copy(model, &at(&latents, i)?, &input));
                entry.insert(parts.collect::<Result<Vec<_>>>()?);
            }
        }
        Ok(Self {
            place: (0..chunks).map(|i| copy(model, &latent, &at(&known, i)?)).collect::<Result<_>>()?,
            keep: (0..slots).map(|i| copy(model, &rgb, &at(&kept, i)?)).collect::<Result<_>>()?,
            pick,
            model: model.clone(),
            chunk,
            words,
            encode,
            decode,
            report,
        })
    }

    /// Views that pass together.
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Aims the encoder at chunk `i` of a set.
    pub(super) fn aim(&self, views: &[View], i: usize) -> Result<()> {
        let chunk = &views[i * self.chunk..(i + 1) * self.chunk];
        let words: Vec<f32> = chunk.iter().flat_map(View::words).collect();
        Ok(self.model.ctx.write(&self.words, &words)?)
    }

    /// Part 0 of a chunk: project and encode, 1: copy into the batch.
    pub(super) fn encode(&mut self, i: usize, part: usize) -> &mut Recording {
        if part == 0 { &mut self.encode } else { &mut self.place[i] }
    }

    /// Part 0 of a chunk: copy out of the batch, 1: decode, 2: copy among all views of set `set`.
    pub(super) fn decode(&mut self, from: Reg, set: usize, i: usize, part: usize) -> Option<&mut Recording> {
        let (Reg::View(from) | Reg::Branch(from, _)) = from else { return None };
        let chunks = self.place.len();
        match part {
            0 => self.pick.get_mut(&from)?.get_mut(i),
            1 => Some(&mut self.decode),
            _ => self.keep.get_mut(set * chunks + i),
        }
    }

    /// Fails with the layer's name when the encoder (or the decoder) has just written NaN or infinity.
    pub(super) fn check(&mut self, stage: &str, decoder: bool) -> Result<()> {
        let found = finite::take_report(&self.model.ctx, &self.report)?;
        if found.count == 0 {
            return Ok(());
        }
        let recording = if decoder { &mut self.decode } else { &mut self.encode };
        let culprit = recording.find_nonfinite()?;
        Err(culprit.map_or_else(
            || Error::NonFinite { stage: stage.to_owned(), count: found.count },
            |error| Error::from(error).at_stage(stage),
        ))
    }
}
