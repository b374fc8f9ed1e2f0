//! Pictures of any size to latents and back, one at a time: memory does not depend on how many there are.
//!
//! Sides that the model cannot take are extended by repeating the last row and column, and cropped back. Pictures too large for
//! the adapter (or for [`PictureOptions::most_bytes`]) are coded in windows whose overlaps are averaged.

use std::sync::Arc;

use syncline_kernels::gpu::{GpuError, Recording};

use super::job::{Job, Program, Status};
use super::tiled::{Cut, OVERLAP, Tiled, Way, halve, tile_size};
use crate::error::{Error, Result};
use crate::models::Wrap;
use crate::pipeline::StableDiffusion;
use crate::rng::NoiseKey;

/// Bytes of activations that a window should not exceed by default.
const MOST_BYTES: u64 = 2 << 30;

/// How pictures are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PictureOptions {
    /// Latent cells of a window's side; `None`: as large as fits.
    pub tile: Option<usize>,
    /// Bytes of activations that a window should not exceed; `None`: 2 GiB.
    pub most_bytes: Option<u64>,
    /// Edges that continue on the opposite side (x of a panorama).
    pub wrap: Wrap,
}

/// Encodes and decodes pictures of one size.
#[derive(Debug)]
pub struct PictureCodec {
    model: Arc<StableDiffusion>,
    options: PictureOptions,
    /// `[height, width]` in pixels.
    size: [usize; 2],
    /// `[h, w]` of its latents.
    latent: [usize; 2],
    encode: Option<Half>,
    deviation: Option<Half>,
    decode: Option<Half>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    tiled: Tiled,
    /// Cells added around, `[y, x]`: neighbours across an edge that continues, for pictures of several windows.
    margin: [usize; 2],
}

impl Half {
    fn new(model: &Arc<StableDiffusion>, way: Way, latent: [usize; 2], options: &PictureOptions) -> Result<Self> {
        let most = Some(options.most_bytes.unwrap_or(MOST_BYTES));
        let mut cut = Cut { tile: options.tile.map(|side| [side; 2]), most, wrap: options.wrap };
        loop {
            let mut tile = tile_size(model, way, latent, &cut)?;
            let whole = tile == latent;
            let beside = |wraps: bool| if wraps && !whole { OVERLAP } else { 0 };
            let margin = [beside(options.wrap.y), beside(options.wrap.x)];
            cut.tile = Some(tile);
            match Tiled::new(model, way, extended(latent, margin, 1), &cut) {
                Ok(tiled) => return Ok(Self { tiled, margin }),
                // What is left beside everything else on the device decides.
                Err(Error::Gpu(GpuError::OutOfMemory { .. })) if tile.iter().any(|n| *n > 2 * OVERLAP) => {
                    halve(&mut tile);
                    cut.tile = Some(tile);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// Latents with a margin, with `cell` values a side of a cell.
fn extended(latent: [usize; 2], margin: [usize; 2], cell: usize) -> [usize; 2] {
    [0, 1].map(|i| (latent[i] + 2 * margin[i]) * cell)
}

impl PictureCodec {
    /// For pictures of `[height, width]` pixels. Nothing is allocated before the first of them.
    ///
    /// # Errors
    /// When a side is zero or above 16384, or continues across its edge without being a multiple of what the model needs.
    pub fn new(model: &Arc<StableDiffusion>, size: [usize; 2], options: PictureOptions) -> Result<Self> {
        let multiple = model.downscale() * model.unet.size_multiple();
        let [height, width] = size;
        for (what, side, wraps) in [("height", height, options.wrap.y), ("width", width, options.wrap.x)] {
            if wraps && !side.is_multiple_of(multiple) {
                return Err(Error::Input {
                    what,
                    found: format!("{side} of a picture that continues across its edge"),
                    expected: format!("a multiple of {multiple}, for example {}", side.next_multiple_of(multiple)),
                });
            }
        }
        let padded = size.map(|n| n.next_multiple_of(multiple));
        let latent = model.latent_size(padded[0], padded[1])?;
        Ok(Self { model: model.clone(), options, size, latent, encode: None, deviation: None, decode: None })
    }

    /// `[height, width]` of the pictures in pixels.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// `[h, w]` of their latents, which cover the picture and what extends it.
    #[must_use]
    pub fn latent_size(&self) -> [usize; 2] {
        self.latent
    }

    /// Values of one picture's latents, `h · w · C`.
    #[must_use]
    pub fn latent_len(&self) -> usize {
        self.latent[0] * self.latent[1] * self.model.latent_channels()
    }

    /// Gives the device's memory back until the next picture.
    pub fn release(&mut self) {
        (self.encode, self.deviation, self.decode) = (None, None, None);
    }

    /// The program that turns RGB in 0..=1, row by row, into latents `[h, w, C]`: the posterior's mean, scaled as samplers have
    /// them.
    ///
    /// # Errors
    /// When there is another number of values, or the device has no room for the smallest window.
    pub fn encoding(&mut self, rgb: &[f32]) -> Result<CodePicture<'_>> {
        self.encoding_to(Way::Encode, rgb)
    }

    /// Latents or their deviation.
    fn encoding_to(&mut self, way: Way, rgb: &[f32]) -> Result<CodePicture<'_>> {
        check_len("picture", rgb, self.size[0] * self.size[1] * 3, self.size)?;
        let f = self.model.downscale();
        let slot = if way == Way::Deviation { &mut self.deviation } else { &mut self.encode };
        let half = ready(slot, || Half::new(&self.model, way, self.latent, &self.options))?;
        let from = Grid { size: self.size, channels: 3 };
        let size = extended(self.latent, half.margin, f);
        let values = from.window(rgb, half.margin.map(|n| n * f), size, self.options.wrap);
        let to = Grid { size: extended(self.latent, half.margin, 1), channels: self.model.latent_channels() };
        Ok(CodePicture::new(half, values, "encode", Crop { from: to, margin: half.margin, size: self.latent }))
    }

    /// The program that turns latents `[h, w, C]` into RGB in 0..=1, row by row.
    ///
    /// # Errors
    /// As [`PictureCodec::encoding`].
    pub fn decoding(&mut self, latents: &[f32]) -> Result<CodePicture<'_>> {
        check_len("latents", latents, self.latent_len(), self.latent)?;
        let f = self.model.downscale();
        let half = ready(&mut self.decode, || Half::new(&self.model, Way::Decode, self.latent, &self.options))?;
        let from = Grid { size: self.latent, channels: self.model.latent_channels() };
        let values = from.window(latents, half.margin, extended(self.latent, half.margin, 1), self.options.wrap);
        let to = Grid { size: extended(self.latent, half.margin, f), channels: 3 };
        Ok(CodePicture::new(
            half,
            values,
            "decode",
            Crop { from: to, margin: half.margin.map(|n| n * f), size: self.size },
        ))
    }

    /// [`PictureCodec::encoding`], run to its end.
    ///
    /// # Errors
    /// As there, and when the network gives NaN or infinity.
    pub fn encode(&mut self, rgb: &[f32]) -> Result<Vec<f32>> {
        Job::new(self.encoding(rgb)?).run(|_, _| {})
    }

    /// As [`PictureCodec::encode`], but a sample of the posterior instead of its mean, as the authors of StochSync, SyncTweedies and
    /// CSD take it; with the key's noise. Two passes through the encoder.
    ///
    /// # Errors
    /// As there.
    pub fn encode_sample(&mut self, rgb: &[f32], key: &NoiseKey) -> Result<Vec<f32>> {
        let mut latents = self.encode(rgb)?;
        let deviations = Job::new(self.encoding_to(Way::Deviation, rgb)?).run(|_, _| {})?;
        let noise = key.randn(latents.len());
        latents.iter_mut().zip(deviations).zip(noise).for_each(|((mean, deviation), xi)| *mean += deviation * xi);
        Ok(latents)
    }

    /// [`PictureCodec::decoding`], run to its end.
    ///
    /// # Errors
    /// As there, and when the network gives NaN or infinity.
    pub fn decode(&mut self, latents: &[f32]) -> Result<Vec<f32>> {
        Job::new(self.decoding(latents)?).run(|_, _| {})
    }
}

/// Made at first use. A free function: the rest of the codec stays readable beside what it lends.
fn ready(slot: &mut Option<Half>, make: impl FnOnce() -> Result<Half>) -> Result<&mut Half> {
    if slot.is_none() {
        *slot = Some(make()?);
    }
    match slot {
        Some(half) => Ok(half),
        None => unreachable!("made above"),
    }
}

fn check_len(what: &'static str, values: &[f32], expected: usize, [height, width]: [usize; 2]) -> Result<()> {
    if values.len() == expected {
        return Ok(());
    }
    let (found, expected) = (format!("{} values", values.len()), format!("{expected} for {width}x{height}"));
    Err(Error::Input { what, found, expected })
}

/// Rows of values.
#[derive(Clone, Copy, Debug)]
struct Grid {
    size: [usize; 2],
    channels: usize,
}

impl Grid {
    /// The part of `size` that begins `before` (`[y, x]`) outside: across edges that continue there is the other side, beyond
    /// others the last value again.
    fn window(&self, values: &[f32], before: [usize; 2], size: [usize; 2], wrap: Wrap) -> Vec<f32> {
        let place = |i: usize, axis: usize, wraps: bool| {
            let (n, at) = (self.size[axis], i + 2 * self.size[axis] - before[axis] % self.size[axis]);
            if wraps { at % n } else { i.saturating_sub(before[axis]).min(n - 1) }
        };
        let row = |y: usize| {
            let y = place(y, 0, wrap.y);
            (0..size[1]).flat_map(move |x| {
                let start = (y * self.size[1] + place(x, 1, wrap.x)) * self.channels;
                &values[start..start + self.channels]
            })
        };
        (0..size[0]).flat_map(row).copied().collect()
    }
}

/// What is kept of a coded picture.
#[derive(Clone, Copy, Debug)]
struct Crop {
    from: Grid,
    margin: [usize; 2],
    size: [usize; 2],
}

impl Crop {
    fn take(&self, values: &[f32]) -> Vec<f32> {
        let c = self.from.channels;
        let row = |y: usize| {
            let start = ((self.margin[0] + y) * self.from.size[1] + self.margin[1]) * c;
            &values[start..start + self.size[1] * c]
        };
        (0..self.size[0]).flat_map(row).copied().collect()
    }
}

/// One picture on its way; see [`PictureCodec`].
#[derive(Debug)]
pub struct CodePicture<'a> {
    half: &'a mut Half,
    values: Vec<f32>,
    stage: &'static str,
    crop: Crop,
    /// The present recording has been handed out.
    begun: bool,
}

impl<'a> CodePicture<'a> {
    fn new(half: &'a mut Half, values: Vec<f32>, stage: &'static str, crop: Crop) -> Self {
        // A picture before this one may have been cancelled.
        let _ = half.tiled.take();
        Self { half, values, stage, crop, begun: false }
    }
}

impl Program for CodePicture<'_> {
    type Output = Vec<f32>;

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        let begin = !std::mem::replace(&mut self.begun, true);
        self.half.tiled.next(&self.values, begin)
    }

    fn done(&mut self) -> Result<()> {
        self.begun = false;
        self.half.tiled.done()
    }

    fn status(&self) -> Status {
        let (step, steps) = (self.half.tiled.tiles_done(), self.half.tiled.tiles());
        Status { stage: self.stage, step, steps, fraction: step as f64 / steps as f64 }
    }

    fn finish(&mut self) -> Result<Vec<f32>> {
        self.half.tiled.take().map(|values| self.crop.take(&values)).ok_or(Error::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_reach_over_edges() {
        let grid = Grid { size: [2, 3], channels: 2 };
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let row = |columns: [usize; 5]| columns.map(|x| [2 * x, 2 * x + 1]).concat();
        let clamped = grid.window(&values, [0, 1], [3, 5], Wrap::default());
        let second: Vec<usize> = row([0, 0, 1, 2, 2]).iter().map(|v| v + 6).collect();
        let expected: Vec<f32> =
            [row([0, 0, 1, 2, 2]), second.clone(), second].concat().iter().map(|v| *v as f32).collect();
        assert_eq!(clamped, expected);
        let around = grid.window(&values, [0, 1], [1, 5], Wrap { x: true, y: false });
        assert_eq!(around, row([2, 0, 1, 2, 0]).iter().map(|v| *v as f32).collect::<Vec<_>>());
        let crop = Crop { from: Grid { size: [1, 5], channels: 2 }, margin: [0, 1], size: [1, 3] };
        assert_eq!(crop.take(&around), values[..6]);
    }
}
