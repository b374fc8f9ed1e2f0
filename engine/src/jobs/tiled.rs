//! Pictures to latents and back, in tiles when a whole picture does not fit.

use std::sync::Arc;

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::ops::convert::{convert, convert_scaled};
use syncline_kernels::ops::finite::{self, finite};
use syncline_kernels::tensor::{Elem, Tensor};

use super::tiles::{Blend, Tile, starts};
use crate::error::{Error, Result};
use crate::models::vae::LOGVAR_RANGE;
use crate::models::{Footprint, Wrap};
use crate::pipeline::StableDiffusion;

/// Latent cells that neighbouring tiles have in common.
pub(super) const OVERLAP: usize = 8;

/// Which half of the autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// RGB in 0..=1 to latents, scaled as the sampler has them: the posterior's mean.
    Encode,
    /// RGB in 0..=1 to the posterior's standard deviation, scaled alike.
    Deviation,
    /// Latents to RGB.
    Decode,
}

/// How a picture is cut up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// `[h, w]` of a tile in latent cells; `None`: as large as fits.
    pub tile: Option<[usize; 2]>,
    /// Bytes of activations that a tile should not exceed; `None`: only the adapter's limits count.
    pub most: Option<u64>,
    /// Edges that continue on the opposite side, of pictures that are one tile.
    pub wrap: Wrap,
}

/// Encodes or decodes pictures of one size, one at a time.
#[derive(Debug)]
pub(super) struct Tiled {
    ctx: Context,
    way: Way,
    /// `[h, w]` of the latents.
    size: [usize; 2],
    /// `[h, w]` of a tile's latents.
    tile: [usize; 2],
    /// Side of a cell in what goes in and in what comes out.
    cell: [usize; 2],
    /// Their channels.
    channels: [usize; 2],
    origins: Vec<[usize; 2]>,
    input: Tensor,
    output: Tensor,
    report: Tensor,
    recording: Recording,
    blend: Option<Blend>,
    next: usize,
    /// The autoencoder's scaling factor.
    scaling: f32,
}

/// What a tile of `[h, w]` cells takes.
fn footprint(model: &StableDiffusion, way: Way, [h, w]: [usize; 2]) -> Footprint {
    let f = model.downscale();
    match way {
        Way::Encode | Way::Deviation => model.vae.encode_footprint(&model.ctx, [1, h * f, w * f]),
        Way::Decode => model.vae.decode_footprint(&model.ctx, [1, h, w]),
    }
}

/// The largest tile whose tensors fit one storage binding, and whose activations stay below `most` where they can, halving
/// the longer side until they do.
fn fitting_tile(model: &StableDiffusion, way: Way, size: [usize; 2], most: Option<u64>) -> Result<[usize; 2]> {
    let caps = model.ctx.caps();
    let limit = caps.max_binding.min(caps.max_buffer);
    let mut tile = size;
    loop {
        let needed = footprint(model, way, tile);
        let fits = needed.largest_tensor <= limit;
        let smallest = tile.iter().all(|n| *n <= 2 * OVERLAP);
        if fits && (smallest || most.is_none_or(|most| needed.activations <= most)) {
            return Ok(tile);
        }
        if smallest {
            return Err(Error::Input {
                what: "largest storage binding of the adapter",
                found: format!("{limit} bytes"),
                expected: format!(
                    "at least {} bytes for a tile of {}x{} latent cells",
                    needed.largest_tensor, tile[1], tile[0]
                ),
            });
        }
        halve(&mut tile);
    }
}

/// Halves the longer side of a tile, to no less than two overlaps.
pub(super) fn halve(tile: &mut [usize; 2]) {
    let longer = usize::from(tile[1] >= tile[0]);
    tile[longer] = tile[longer].min(tile[longer].div_ceil(2).max(2 * OVERLAP));
}

/// The tile that [`Tiled`] would take.
pub(super) fn tile_size(model: &StableDiffusion, way: Way, size: [usize; 2], cut: &Cut) -> Result<[usize; 2]> {
    match cut.tile {
        Some(tile) => Ok([0, 1].map(|i| size[i].min(tile[i].max(2 * OVERLAP)))),
        None => fitting_tile(model, way, size, cut.most),
    }
}

impl Tiled {
    /// Records the network for latents of `size`.
    pub(super) fn new(model: &Arc<StableDiffusion>, way: Way, size: [usize; 2], cut: &Cut) -> Result<Self> {
        let tile = tile_size(model, way, size, cut)?;
        // A tile's border is no border of the image.
        let wrap = if tile == size { cut.wrap } else { Wrap::default() };
        let (ctx, f, latent) = (&model.ctx, model.downscale(), model.latent_channels());
        let (cell, channels) = match way {
            Way::Encode | Way::Deviation => ([f, 1], [3, latent]),
            Way::Decode => ([1, f], [latent, 3]),
        };
        let dims = [1, tile[0] * cell[0], tile[1] * cell[0], channels[0]];
        let input = ctx.named_tensor("tile", &dims, Elem::F32)?;
        let report = finite::new_report(ctx)?;
        let mut rec = Recorder::new(ctx);
        let coded = match way {
            Way::Encode => {
                let mean = model.vae.record_encode(&mut rec, &input, wrap).mean;
                rec.set_layer("scaling_factor");
                convert_scaled(&mut rec, &mean, Elem::F32, model.vae.config().scaling_factor as f32)
            }
            Way::Deviation => {
                let logvar = model.vae.record_encode(&mut rec, &input, wrap).logvar;
                convert(&mut rec, &logvar, Elem::F32)
            }
            Way::Decode => model.vae.record_decode_scaled(&mut rec, &input, wrap),
        };
        finite(&mut rec, &coded, &report);
        let output = rec.keep(&coded)?;
        let recording = rec.finish()?;
        let columns = starts(size[1], tile[1], OVERLAP);
        let rows = starts(size[0], tile[0], OVERLAP);
        let origins = rows.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect();
        let (ctx, blend, next, scaling) = (ctx.clone(), None, 0, model.vae.config().scaling_factor as f32);
        Ok(Self {
            ctx,
            way,
            size,
            tile,
            cell,
            channels,
            origins,
            input,
            output,
            report,
            recording,
            blend,
            next,
            scaling,
        })
    }

    /// Tiles of one image.
    pub(super) fn tiles(&self) -> usize {
        self.origins.len()
    }

    /// Tiles of the present image that are done.
    pub(super) fn tiles_done(&self) -> usize {
        self.next
    }

    /// The recording of the next tile of a picture's values, row by row, or `None` after the last.
    pub(super) fn next(&mut self, values: &[f32], begin: bool) -> Result<Option<&mut Recording>> {
        let Some(&origin) = self.origins.get(self.next) else { return Ok(None) };
        if begin {
            let (cell, c) = (self.cell[0], self.channels[0]);
            let ([top, left], [rows, columns]) = (origin.map(|n| n * cell), self.tile.map(|n| n * cell));
            let row = |y: usize| {
                let start = ((top + y) * self.size[1] * cell + left) * c;
                &values[start..start + columns * c]
            };
            // RGB is 0..1, the autoencoder's -1..1.
            let [scale, offset] = if self.way == Way::Decode { [1.0, 0.0] } else { [2.0, -1.0] };
            let values: Vec<f32> = (0..rows).flat_map(row).map(|v| scale * v + offset).collect();
            self.ctx.write(&self.input, &values)?;
        }
        Ok(Some(&mut self.recording))
    }

    pub(super) fn done(&mut self) -> Result<()> {
        let found = finite::take_report(&self.ctx, &self.report)?;
        if found.count > 0 {
            let stage = if self.way == Way::Decode { "decode" } else { "encode" };
            let culprit = self.recording.find_nonfinite()?;
            return Err(culprit.map_or_else(
                || Error::NonFinite { stage: stage.into(), count: found.count },
                |error| Error::from(error).at_stage(stage),
            ));
        }
        let values = self.ctx.read(&self.output)?;
        let cell = self.cell[1];
        let size = self.size.map(|n| n * cell);
        let blend = self.blend.get_or_insert_with(|| Blend::new(size, self.channels[1]));
        // Half of the overlap keeps the rows nearest to a tile's border, which never saw their neighbours, at weight ~0.
        let ramp = if self.origins.len() == 1 { 1 } else { OVERLAP * cell };
        let at = self.origins[self.next].map(|n| n * cell);
        blend.add(&Tile { at, size: self.tile.map(|n| n * cell), ramp, values: &values });
        self.next += 1;
        Ok(())
    }

    /// The coded image, row by row: latents, or RGB in 0..=1. Ready for the next image afterwards.
    pub(super) fn take(&mut self) -> Option<Vec<f32>> {
        self.next = 0;
        let values = self.blend.take()?.finish();
        Some(match self.way {
            Way::Encode => values,
            Way::Deviation => {
                let (low, high) = LOGVAR_RANGE;
                values.into_iter().map(|v| self.scaling * (0.5 * v.clamp(low, high)).exp()).collect()
            }
            Way::Decode => values.into_iter().map(|v| (0.5 * v + 0.5).clamp(0.0, 1.0)).collect(),
        })
    }
}
