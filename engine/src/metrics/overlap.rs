//! What two sets of views show where both look.

use super::Equirect;
use super::plane::{Plane, mean};
use super::ssim::{SSIM_WINDOW, ssim_map};

/// Agreement of two fused sets of views on the texels that both cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Overlap {
    /// Mean |A − B|, in units of RGB 0..=1.
    pub disagreement: f64,
    /// Peak signal to noise ratio in dB.
    pub psnr: f64,
    /// Mean SSIM of the windows that both cover wholly; none when there is no such window.
    pub ssim: Option<f64>,
    /// Share of the canvas that both cover.
    pub share: f64,
}

/// Compares two sets `(RGB, coverage)` on one canvas; `None` when they have no texel in common. Texels count alike, whatever
/// their area on the sphere.
///
/// # Panics
/// When the lengths do not fit `size`.
#[must_use]
pub fn overlap(size: [usize; 2], a: (&[f32], &[f32]), b: (&[f32], &[f32])) -> Option<Overlap> {
    let texels = size[0] * size[1];
    let lengths = [a.0.len(), b.0.len(), 3 * a.1.len(), 3 * b.1.len()];
    assert!(lengths.iter().all(|n| *n == 3 * texels), "overlap: sets of {lengths:?} values on a canvas of {size:?}");
    let both: Vec<bool> = a.1.iter().zip(b.1).map(|(a, b)| *a > 0.0 && *b > 0.0).collect();
    let count = both.iter().filter(|both| **both).count();
    if count == 0 {
        return None;
    }
    let differences = || {
        let texels = both.iter().enumerate().filter(|(_, both)| **both);
        texels.flat_map(|(i, _)| 3 * i..3 * i + 3).map(|k| f64::from(a.0[k]) - f64::from(b.0[k]))
    };
    Some(Overlap {
        disagreement: mean(differences().map(f64::abs)),
        psnr: -10.0 * mean(differences().map(|d| d * d)).log10(),
        ssim: masked_ssim(size, (a.0, b.0), &both),
        share: count as f64 / texels as f64,
    })
}

/// Mean SSIM over windows without a texel outside of `mask`.
fn masked_ssim(size: [usize; 2], (a, b): (&[f32], &[f32]), mask: &[bool]) -> Option<f64> {
    if size.iter().any(|n| *n < SSIM_WINDOW) {
        return None;
    }
    let outside = Plane { size, values: mask.iter().map(|inside| if *inside { 0.0 } else { 1.0 }).collect() };
    let outside = outside.filter_inside(&[1.0; SSIM_WINDOW]);
    let map = ssim_map(&Plane::luma(a, size), &Plane::luma(b, size));
    let inside: Vec<f64> =
        map.values.iter().zip(&outside.values).filter(|(_, out)| **out < 0.5).map(|(v, _)| *v).collect();
    (!inside.is_empty()).then(|| mean(inside))
}

/// Mean |A − B| over texels that both cover: how far two sets of views are from showing one world.
#[must_use]
pub fn disagreement(a: (&[f32], &[f32]), b: (&[f32], &[f32])) -> f64 {
    let both = a.1.iter().zip(b.1).enumerate().filter(|(_, (wa, wb))| **wa > 0.0 && **wb > 0.0);
    mean(both.flat_map(|(i, _)| 3 * i..3 * i + 3).map(|k| f64::from((a.0[k] - b.0[k]).abs())))
}

/// Mean overlap of all pairs of sets that share a texel.
#[must_use]
pub fn overlap_of_sets(canvas: &Equirect<'_>, sets: &[(Vec<f32>, Vec<f32>)]) -> Option<Overlap> {
    let pairs = (0..sets.len()).flat_map(|i| (i + 1..sets.len()).map(move |k| (i, k)));
    let of = |(i, k): (usize, usize)| overlap(canvas.size, (&sets[i].0, &sets[i].1), (&sets[k].0, &sets[k].1));
    let found: Vec<Overlap> = pairs.filter_map(of).collect();
    Overlap::mean(&found)
}

impl Overlap {
    /// Mean of several; none of none. Equal sets have an infinite PSNR, and so has then the mean.
    #[must_use]
    pub fn mean(of: &[Self]) -> Option<Self> {
        let ssims: Vec<f64> = of.iter().filter_map(|o| o.ssim).collect();
        (!of.is_empty()).then(|| Self {
            disagreement: mean(of.iter().map(|o| o.disagreement)),
            psnr: mean(of.iter().map(|o| o.psnr)),
            ssim: (!ssims.is_empty()).then(|| mean(ssims)),
            share: mean(of.iter().map(|o| o.share)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disagreement_counts_only_what_both_see() {
        let (a, b) = ([0.1f32; 6], [0.3, 0.3, 0.3, 9.0, 9.0, 9.0]);
        let value = disagreement((&a, &[1.0, 1.0]), (&b, &[1.0, 0.0]));
        assert!((value - 0.2).abs() < 1e-6);
    }

    #[test]
    fn overlap_sees_only_what_both_cover() {
        let size = [32, 64];
        let texels = size[0] * size[1];
        // A covers columns 0..40, B columns 20..64; they differ by 0.1 there and by anything elsewhere.
        let weight = |from: usize, to: usize| -> Vec<f32> {
            (0..texels).map(|i| if (from..to).contains(&(i % 64)) { 1.0 } else { 0.0 }).collect()
        };
        let a: Vec<f32> = (0..texels * 3).map(|i| if i / 3 % 64 < 40 { 0.5 } else { 7.0 }).collect();
        let b: Vec<f32> = (0..texels * 3).map(|i| if i / 3 % 64 >= 20 { 0.6 } else { -7.0 }).collect();
        let sets = [(a, weight(0, 40)), (b, weight(20, 64))];
        let found = overlap_of_sets(&Equirect { size, rgb: &sets[0].0 }, &sets).unwrap();
        assert!((found.disagreement - 0.1).abs() < 1e-6 && (found.psnr - 20.0).abs() < 1e-4, "{found:?}");
        let expected = (2.0 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4);
        assert!((found.ssim.unwrap() - expected).abs() < 1e-5 && (found.share - 20.0 / 64.0).abs() < 1e-12);
        // Ten shared columns hold no window; none at all is no overlap.
        let narrow = overlap(size, (&sets[0].0, &weight(0, 30)), (&sets[1].0, &sets[1].1)).unwrap();
        assert_eq!(narrow.ssim, None);
        assert_eq!(overlap(size, (&sets[0].0, &weight(0, 20)), (&sets[1].0, &sets[1].1)), None);
    }
}
