//! Views between canvas and latents: project and encode, decode and keep.

use std::sync::Arc;

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::ops::convert::convert;
use syncline_kernels::ops::finite::{self, finite};
use syncline_kernels::tensor::{Elem, Tensor};

use crate::error::{Error, Result};
use crate::models::Wrap;
use crate::pipeline::StableDiffusion;
use crate::spaces::{self, Project, Space, VIEW_WORDS, View};

/// Most bytes of activations that encoding or decoding views together may take; beyond, views go one by one.
const TOGETHER_BYTES: u64 = 1 << 30;

/// Recordings for `chunk` views at a time; a set of views is a whole number of chunks.
#[derive(Debug)]
pub(super) struct ViewCodec {
    model: Arc<StableDiffusion>,
    chunk: usize,
    cameras: Tensor,
    encode: Recording,
    decode: Recording,
    report: Tensor,
    /// Encoded latents to their place in the batch, per chunk.
    place: Vec<Recording>,
    /// State of the batch to the decoder's input, per chunk.
    pick: Vec<Recording>,
    /// Decoded views to their place among all views, per set and chunk.
    keep: Vec<Recording>,
}

/// Where views and latents of a canvas job live.
#[derive(Clone, Debug)]
pub(super) struct ViewTensors {
    /// The canvas.
    pub(super) canvas: Tensor,
    /// Encoded views `[V, h, w, C]`, scaled as the sampler has them.
    pub(super) latents: Tensor,
    /// State of the sampler `[V, h, w, C]`.
    pub(super) x: Tensor,
    /// Decoded views of the last sets, `[sets · V, H, W, 3]`, -1..1.
    pub(super) views: Tensor,
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

impl ViewCodec {
    pub(super) fn new(model: &Arc<StableDiffusion>, space: &dyn Space, tensors: &ViewTensors) -> Result<Self> {
        let &[count, h, w, _] = tensors.latents.dims() else { unreachable!("latents are [V, h, w, C]") };
        let ctx = &model.ctx;
        let chunk = chunk_size(model, count, [h, w])?;
        let cameras = ctx.named_tensor("chunk views", &[chunk, VIEW_WORDS], Elem::F32)?;
        let ids = ctx.upload_u32(&vec![0; chunk], &[chunk])?;
        let report = finite::new_report(ctx)?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("project");
        let (canvas, elem) = (&tensors.canvas, model.elem());
        // Canvas RGB is 0..1, the autoencoder's -1..1.
        let (geometry, interpolation, size) = (space.geometry(), space.interpolation(), space.view_size());
        let (words, views, map) = (&cameras, &ids, [2.0, -1.0]);
        let project = Project { geometry, interpolation, size, canvas, words, views, map, elem };
        let image = spaces::project(&mut rec, &project);
        let mean = model.vae.record_encode(&mut rec, &image, Wrap::default()).mean;
        rec.set_layer("scaling_factor");
        let factor = model.vae.config().scaling_factor as f32;
        let latent = syncline_kernels::ops::convert::convert_scaled(&mut rec, &mean, Elem::F32, factor);
        finite(&mut rec, &latent, &report);
        let latent = rec.keep(&latent)?;
        let encode = rec.finish()?;
        let input = ctx.named_tensor("decoder input", latent.dims(), Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        let rgb = model.vae.record_decode_scaled(&mut rec, &input, Wrap::default());
        finite(&mut rec, &rgb, &report);
        let rgb = rec.keep(&rgb)?;
        let decode = rec.finish()?;
        let at = |tensor: &Tensor, i: usize| tensor.slice(i * chunk, chunk);
        let chunks = count / chunk;
        let kept = tensors.views.dims()[0] / chunk;
        Ok(Self {
            place: (0..chunks).map(|i| copy(model, &latent, &at(&tensors.latents, i))).collect::<Result<_>>()?,
            pick: (0..chunks).map(|i| copy(model, &at(&tensors.x, i), &input)).collect::<Result<_>>()?,
            keep: (0..kept).map(|i| copy(model, &rgb, &at(&tensors.views, i))).collect::<Result<_>>()?,
            model: model.clone(),
            chunk,
            cameras,
            encode,
            decode,
            report,
        })
    }

    /// Chunks of one set.
    pub(super) fn chunks(&self) -> usize {
        self.place.len()
    }

    /// Aims the encoder at chunk `i` of a set.
    pub(super) fn aim(&self, set: &[View], i: usize) -> Result<()> {
        let words: Vec<f32> = set[i * self.chunk..(i + 1) * self.chunk].iter().flat_map(View::words).collect();
        Ok(self.model.ctx.write(&self.cameras, &words)?)
    }

    /// The recordings of one chunk, in order: project and encode, then the copy into the batch.
    pub(super) fn encode(&mut self, i: usize, part: usize) -> &mut Recording {
        if part == 0 { &mut self.encode } else { &mut self.place[i] }
    }

    /// The recordings of one chunk, in order: copy out of the batch, decode, copy among all views of set `set`.
    pub(super) fn decode(&mut self, set: usize, i: usize, part: usize) -> &mut Recording {
        let chunks = self.chunks();
        match part {
            0 => &mut self.pick[i],
            1 => &mut self.decode,
            _ => &mut self.keep[set * chunks + i],
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
