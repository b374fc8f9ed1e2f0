//! The picture that is edited: as it was given, as the model takes it, and back.

use std::path::Path;
use std::sync::Arc;

use syncline::jobs::{PictureCodec, PictureOptions, edit_views};
use syncline::pipeline::StableDiffusion;
use syncline::reproject::{Edges, Raster, resize};

use crate::args::Global;
use crate::commands::inpaint::free_mask;
use crate::input::read_picture;
use crate::progress;

/// A picture with the mask of its edit.
#[derive(Clone, Debug)]
pub struct Given {
    /// RGB 0..=1.
    pub picture: Raster,
    /// 1 where the edit is free, one value per pixel.
    pub mask: Option<Vec<f32>>,
}

impl Given {
    /// From files.
    ///
    /// # Errors
    /// When one is no picture, or the mask is of another size or of one colour.
    pub fn read(picture: &Path, mask: Option<&Path>) -> anyhow::Result<Self> {
        let mut raster = read_picture(picture)?.to_srgb().into_owned();
        raster.rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let mask = mask.map(|mask| free_mask(mask, raster.size, picture)).transpose()?;
        Ok(Self { picture: raster, mask })
    }
}

/// A picture whose latents are known.
#[derive(Debug)]
pub struct Source {
    given: Given,
    /// `[height, width]` that the model works at.
    size: [usize; 2],
    codec: PictureCodec,
    latents: Vec<f32>,
    mask: Option<Vec<f32>>,
}

impl Source {
    /// Encodes it. A picture that is smaller than the model's is enlarged until its shorter side is the model's; a larger one is
    /// left as it is.
    ///
    /// # Errors
    /// When the device has no room, or a side is none that the model takes.
    pub fn new(global: &Global, model: &Arc<StableDiffusion>, given: Given) -> anyhow::Result<Self> {
        let side = model.native_size();
        let [height, width] = given.picture.size;
        let factor = (side as f64 / height.min(width) as f64).max(1.0);
        let size = [height, width].map(|n| (n as f64 * factor).round() as usize);
        let scaled = resize(&given.picture, size, Edges::Clamp);
        let mut codec = PictureCodec::new(model, size, PictureOptions::default())?;
        let latents = progress::run(global, codec.encoding(&scaled.rgb)?)?;
        codec.release();
        let mask = given.mask.as_ref().map(|mask| latent_mask(mask, given.picture.size, factor, &codec, model));
        Ok(Self { given, size, codec, latents, mask })
    }

    /// The picture and the mask.
    pub fn given(&self) -> &Given {
        &self.given
    }

    /// `[h, w]` of the latents.
    pub fn latent_size(&self) -> [usize; 2] {
        self.codec.latent_size()
    }

    /// The latents.
    pub fn latents(&self) -> &[f32] {
        &self.latents
    }

    /// Where latents may change.
    pub fn latent_mask(&self) -> Option<&[f32]> {
        self.mask.as_deref()
    }

    /// Whether the model sees it through several windows.
    ///
    /// # Errors
    /// When a side is none that the model takes.
    pub fn is_windowed(&self, model: &StableDiffusion) -> anyhow::Result<bool> {
        Ok(edit_views(model, self.latent_size())?.view_count() > 1)
    }

    /// Edited latents as a picture of the size that was given; what the mask keeps has its own pixels.
    ///
    /// # Errors
    /// When the device has no room or the network gives NaN.
    pub fn finish(&mut self, global: &Global, latents: &[f32]) -> anyhow::Result<Raster> {
        let rgb = progress::run(global, self.codec.decoding(latents)?)?;
        self.codec.release();
        let mut picture = resize(&Raster::new(self.size, rgb), self.given.picture.size, Edges::Clamp);
        let Some(mask) = &self.given.mask else { return Ok(picture) };
        for (i, free) in mask.iter().enumerate() {
            if *free < 0.5 {
                picture.rgb[3 * i..3 * i + 3].copy_from_slice(&self.given.picture.rgb[3 * i..3 * i + 3]);
            }
        }
        Ok(picture)
    }
}

/// A cell is free when any pixel of it is: what it shows of kept pixels is put back from the picture.
fn latent_mask(
    mask: &[f32],
    [height, width]: [usize; 2],
    factor: f64,
    codec: &PictureCodec,
    model: &StableDiffusion,
) -> Vec<f32> {
    let ([h, w], cell) = (codec.latent_size(), model.downscale() as f64 / factor);
    let mut cells = vec![0.0f32; h * w];
    // Pixels of a cell, at least one; cells beyond the picture repeat its edge.
    let range = |i: usize, n: usize| {
        let (from, to) = ((i as f64 * cell) as usize, ((i + 1) as f64 * cell).ceil() as usize);
        from.min(n - 1)..to.clamp(from.min(n - 1) + 1, n)
    };
    for (i, value) in cells.iter_mut().enumerate() {
        let mut pixels = range(i / w, height).flat_map(|y| range(i % w, width).map(move |x| y * width + x));
        *value = f32::from(u8::from(pixels.any(|at| mask[at] >= 0.5)));
    }
    cells
}
