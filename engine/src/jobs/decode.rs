//! Latents to RGB, in tiles when a whole image does not fit the adapter.

use std::sync::Arc;

use syncline_kernels::gpu::{Recorder, Recording};
use syncline_kernels::ops::finite::{self, finite};
use syncline_kernels::tensor::{Elem, Tensor};

use super::tiles::{Blend, Tile, starts};
use crate::error::{Error, Result};
use crate::models::Wrap;
use crate::pipeline::StableDiffusion;

/// Latent cells that neighbouring tiles have in common.
const OVERLAP: usize = 8;

/// Decodes latents one image at a time.
#[derive(Debug)]
pub(super) struct Decode {
    model: Arc<StableDiffusion>,
    /// `[h, w]` of the latents.
    size: [usize; 2],
    /// `[h, w]` of a tile.
    tile: [usize; 2],
    origins: Vec<[usize; 2]>,
    input: Tensor,
    output: Tensor,
    report: Tensor,
    recording: Recording,
    blend: Option<Blend>,
    next: usize,
}

/// The largest tile whose tensors fit one storage binding, halving the longer side until they do.
fn fitting_tile(model: &StableDiffusion, size: [usize; 2]) -> Result<[usize; 2]> {
    let caps = model.ctx.caps();
    let limit = caps.max_binding.min(caps.max_buffer);
    let mut tile = size;
    loop {
        let needed = model.vae.decode_footprint(&model.ctx, [1, tile[0], tile[1]]).largest_tensor;
        if needed <= limit {
            return Ok(tile);
        }
        let longer = usize::from(tile[1] >= tile[0]);
        if tile[longer] <= 2 * OVERLAP {
            return Err(Error::Input {
                what: "largest storage binding of the adapter",
                found: format!("{limit} bytes"),
                expected: format!("at least {needed} bytes for a tile of {}x{} latent cells", tile[1], tile[0]),
            });
        }
        tile[longer] = tile[longer].div_ceil(2).max(2 * OVERLAP);
    }
}

impl Decode {
    /// Records the decoder for latents of `size`. `tile`: latent cells of a tile, `None`: as large as the adapter can.
    pub(super) fn new(model: &Arc<StableDiffusion>, size: [usize; 2], tile: Option<usize>, wrap: Wrap) -> Result<Self> {
        let tile = match tile {
            Some(side) => size.map(|n| n.min(side.max(2 * OVERLAP))),
            None => fitting_tile(model, size)?,
        };
        // A tile's border is no border of the image.
        let wrap = if tile == size { wrap } else { Wrap::default() };
        let ctx = &model.ctx;
        let input = ctx.named_tensor("tile", &[1, tile[0], tile[1], model.latent_channels()], Elem::F32)?;
        let report = finite::new_report(ctx)?;
        let mut rec = Recorder::new(ctx);
        let image = model.vae.record_decode_scaled(&mut rec, &input, wrap);
        finite(&mut rec, &image, &report);
        let output = rec.keep(&image)?;
        let recording = rec.finish()?;
        let columns = starts(size[1], tile[1], OVERLAP);
        let origins = starts(size[0], tile[0], OVERLAP);
        let origins = origins.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect();
        Ok(Self { model: model.clone(), size, tile, origins, input, output, report, recording, blend: None, next: 0 })
    }

    /// Tiles of one image.
    pub(super) fn tiles(&self) -> usize {
        self.origins.len()
    }

    /// The recording of the next tile of `latents` (`h · w · C` values), or `None` after the last.
    pub(super) fn next(&mut self, latents: &[f32], begin: bool) -> Result<Option<&mut Recording>> {
        let Some(&[top, left]) = self.origins.get(self.next) else { return Ok(None) };
        if begin {
            let c = self.model.latent_channels();
            let row = |y: usize| {
                let start = ((top + y) * self.size[1] + left) * c;
                &latents[start..start + self.tile[1] * c]
            };
            let values: Vec<f32> = (0..self.tile[0]).flat_map(row).copied().collect();
            self.model.ctx.write(&self.input, &values)?;
        }
        Ok(Some(&mut self.recording))
    }

    pub(super) fn done(&mut self) -> Result<()> {
        let found = finite::take_report(&self.model.ctx, &self.report)?;
        if found.count > 0 {
            let culprit = self.recording.find_nonfinite()?;
            return Err(culprit.map_or_else(
                || Error::NonFinite { stage: "decode".into(), count: found.count },
                |error| Error::from(error).at_stage("decode"),
            ));
        }
        let rgb = self.model.ctx.read(&self.output)?;
        let f = self.model.downscale();
        let [top, left] = self.origins[self.next];
        let blend = self.blend.get_or_insert_with(|| Blend::new(self.size.map(|n| n * f)));
        // Half of the overlap keeps the rows nearest to a tile's border, which never saw their neighbours, at weight ~0.
        let ramp = if self.origins.len() == 1 { 1 } else { OVERLAP * f };
        blend.add(&Tile { at: [top * f, left * f], size: self.tile.map(|n| n * f), ramp, rgb: &rgb });
        self.next += 1;
        Ok(())
    }

    /// The decoded image as RGB in 0..=1, row by row; ready for the next image afterwards.
    pub(super) fn take(&mut self) -> Option<Vec<f32>> {
        self.next = 0;
        let rgb = self.blend.take()?.finish();
        Some(rgb.into_iter().map(|v| (0.5 * v + 0.5).clamp(0.0, 1.0)).collect())
    }
}
