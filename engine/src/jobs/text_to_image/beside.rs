//! What a UNet sees beside the state: made once, the same in every step.

use syncline_kernels::tensor::{Elem, Tensor};

use super::TextToImageOptions;
use super::options::Beside;
use crate::error::Result;
use crate::pipeline::StableDiffusion;

/// The pictures whose latents a run needs, RGB in 0..=1: the initial image, then the one without what its mask covers.
pub(super) fn pictures(options: &TextToImageOptions) -> Vec<Vec<f32>> {
    let Some(init) = &options.init else { return Vec::new() };
    let mut pictures = Vec::new();
    if options.starts_from_image() || matches!(options.beside, Some(Beside::Edit { .. })) {
        pictures.push(init.rgb.clone());
    }
    if let Some(Beside::Mask(mask)) = &options.beside {
        // 0 to the autoencoder, whose values go from -1 to 1.
        let shown = |(i, v): (usize, &f32)| if mask[i / 3] >= 0.5 { 0.5 } else { *v };
        pictures.push(init.rgb.iter().enumerate().map(shown).collect());
    }
    pictures
}

/// The channels behind the latents' `[1, h, w, Ce]` f32, from the latents of [`pictures`].
pub(super) fn channels(
    model: &StableDiffusion,
    options: &TextToImageOptions,
    [h, w]: [usize; 2],
    latents: &[Vec<f32>],
) -> Result<Option<Tensor>> {
    let last = latents.last().map_or(&[][..], Vec::as_slice);
    let values = match &options.beside {
        None => return Ok(None),
        Some(Beside::Depth { size, values }) => depth(values, *size, [h, w]),
        Some(Beside::Edit { .. }) => {
            // The latents of InstructPix2Pix are not scaled.
            let factor = model.vae.config().scaling_factor;
            last.iter().map(|v| (f64::from(*v) / factor) as f32).collect()
        }
        Some(Beside::Mask(mask)) => {
            let f = model.downscale();
            let (c, width) = (model.latent_channels(), w * f);
            let covered = |i: usize| f32::from(u8::from(mask[(i / w) * f * width + (i % w) * f] >= 0.5));
            (0..h * w).flat_map(|i| std::iter::once(covered(i)).chain(last[i * c..(i + 1) * c].to_vec())).collect()
        }
    };
    let dims = [1, h, w, model.extra_channels()];
    Ok(Some(model.ctx.upload_named("beside the latents", &values, &dims, Elem::F32)?))
}

/// A depth map at latent size, from -1 at its farthest to 1 at its nearest; 0 where everything is equally far.
fn depth(values: &[f32], [height, width]: [usize; 2], [h, w]: [usize; 2]) -> Vec<f32> {
    let [rows, columns] = [height / h, width / w];
    let cell = |i: usize| -> f64 {
        let (top, left) = (i / w * rows, i % w * columns);
        let row = |y: usize| &values[y * width + left..y * width + left + columns];
        let sum: f64 = (top..top + rows).flat_map(row).map(|v| f64::from(*v)).sum();
        sum / (rows * columns) as f64
    };
    let cells: Vec<f64> = (0..h * w).map(cell).collect();
    let (low, high) = cells.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let range = high - low;
    cells.iter().map(|v| if range > 0.0 { (2.0 * (v - low) / range - 1.0) as f32 } else { 0.0 }).collect()
}

/// `rgb` where the mask says so, the initial image to the bit elsewhere.
pub(super) fn keep(options: &TextToImageOptions, rgb: &mut [f32]) {
    if let (Some(Beside::Mask(mask)), Some(init)) = (&options.beside, &options.init) {
        for (i, (v, kept)) in rgb.iter_mut().zip(&init.rgb).enumerate() {
            if mask[i / 3] < 0.5 {
                *v = *kept;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depth_maps_are_averaged_and_normalised() {
        let map = [1.0, 3.0, 5.0, 5.0, 1.0, 3.0, 5.0, 5.0];
        assert_eq!(depth(&map, [2, 4], [1, 2]), [-1.0, 1.0]);
        assert_eq!(depth(&[7.0; 4], [2, 2], [1, 1]), [0.0]);
    }
}
