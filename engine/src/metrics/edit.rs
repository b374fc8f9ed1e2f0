//! One edited picture against its source, or against the true edit: inside and outside of a mask.

use super::detail::Detail;
use super::plane::{Plane, mean};
use super::ssim::{SSIM_WINDOW, ssim_map};

/// How near a part of two pictures is.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Nearness {
    /// Share of the pixels that it is about.
    pub share: f64,
    /// Mean absolute difference of RGB 0..=1.
    pub l1: f64,
    /// Root of the mean squared difference.
    pub l2: f64,
    /// −20 log10 of [`Nearness::l2`], in dB; infinite (in JSON null) when nothing differs.
    pub psnr: f64,
    /// Mean SSIM of brightness over the windows whose middle lies there; none where there is no such window.
    pub ssim: Option<f64>,
}

/// All measures of an edit.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct EditMeasures {
    /// Against the other picture, everywhere.
    pub whole: Nearness,
    /// Where the edit is free; none without a mask.
    pub inside: Option<Nearness>,
    /// Where it is not.
    pub outside: Option<Nearness>,
    /// Detail of the edited picture.
    pub detail: Detail,
    /// Its sharpness over that of the other picture.
    pub relative_sharpness: f64,
}

impl EditMeasures {
    /// Of an edited picture against another one, RGB 0..=1 of `[height, width]` each at least 3 pixels. `free`: at least ½ where
    /// the edit is free.
    ///
    /// # Panics
    /// When lengths differ from the size.
    #[must_use]
    pub fn of(edited: &[f32], other: &[f32], size: [usize; 2], free: Option<&[f32]>) -> Self {
        let pixels = size[0] * size[1];
        assert!(edited.len() == 3 * pixels && other.len() == 3 * pixels, "pictures of {size:?}");
        assert!(free.is_none_or(|free| free.len() == pixels), "a mask of {size:?}");
        let windows = size.iter().all(|n| *n >= SSIM_WINDOW);
        let similar = windows.then(|| ssim_map(&Plane::luma(edited, size), &Plane::luma(other, size)));
        let of = |part: &dyn Fn(usize) -> bool| nearness((edited, other), size, similar.as_ref(), part);
        let detail = Detail::of(edited, size, 0);
        let sharpness = Detail::of(other, size, 0).sharpness;
        let masked = |inside: bool| free.and_then(|free| of(&|i| (free[i] >= 0.5) == inside));
        let whole = of(&|_| true);
        Self {
            whole: whole.unwrap_or(Nearness { share: 1.0, l1: 0.0, l2: 0.0, psnr: f64::INFINITY, ssim: None }),
            inside: masked(true),
            outside: masked(false),
            detail,
            relative_sharpness: detail.sharpness / sharpness.max(1e-12),
        }
    }
}

/// Of the pixels that are part of it; none without any.
fn nearness(
    (a, b): (&[f32], &[f32]),
    [height, width]: [usize; 2],
    similar: Option<&Plane>,
    part: &dyn Fn(usize) -> bool,
) -> Option<Nearness> {
    let inside: Vec<usize> = (0..height * width).filter(|i| part(*i)).collect();
    if inside.is_empty() {
        return None;
    }
    let differences: Vec<f64> =
        inside.iter().flat_map(|i| (3 * i..3 * i + 3).map(|k| f64::from(a[k]) - f64::from(b[k]))).collect();
    let l1 = mean(differences.iter().map(|d| d.abs()));
    let squared = mean(differences.iter().map(|d| d * d));
    let ssim = similar.and_then(|map| {
        let reach = SSIM_WINDOW / 2;
        let columns = map.size[1];
        let middle = |i: usize| (i / columns + reach) * width + i % columns + reach;
        let values: Vec<f64> = (0..map.values.len()).filter(|i| part(middle(*i))).map(|i| map.values[i]).collect();
        (!values.is_empty()).then(|| mean(values))
    });
    let share = inside.len() as f64 / (height * width) as f64;
    Some(Nearness { share, l1, l2: squared.sqrt(), psnr: -10.0 * squared.log10(), ssim })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture, and the same with 0.1 more in its right half.
    fn pair(size: [usize; 2]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let [height, width] = size;
        let value = |i: usize| 0.3 + 0.2 * ((i * 7 % 13) as f32 / 13.0);
        let source: Vec<f32> = (0..height * width * 3).map(value).collect();
        let right = |i: usize| i % width >= width / 2;
        let edited = source.iter().enumerate().map(|(k, v)| if right(k / 3) { v + 0.1 } else { *v }).collect();
        let free = (0..height * width).map(|i| f32::from(u8::from(right(i)))).collect();
        (source, edited, free)
    }

    #[test]
    fn parts_are_told_apart() {
        let size = [24, 40];
        let (source, edited, free) = pair(size);
        let found = EditMeasures::of(&edited, &source, size, Some(&free));
        let (inside, outside) = (found.inside.unwrap(), found.outside.unwrap());
        assert!((inside.l1 - 0.1).abs() < 1e-6 && (inside.l2 - 0.1).abs() < 1e-6 && (inside.psnr - 20.0).abs() < 1e-4);
        assert_eq!((outside.l1, outside.l2, outside.psnr, outside.share), (0.0, 0.0, f64::INFINITY, 0.5));
        assert!((found.whole.l1 - 0.05).abs() < 1e-6 && (found.whole.psnr - 23.0103).abs() < 1e-3);
        // Windows whose middle is kept may reach over the border by five pixels.
        assert!(outside.ssim.unwrap() > 0.85 && inside.ssim.unwrap() < outside.ssim.unwrap());
        // Sharpness is a mean of |dx|: only the step between the halves is new.
        assert!((found.relative_sharpness - 1.0).abs() < 0.05);
        let json = serde_json::to_value(found).unwrap();
        assert!(json["outside"]["psnr"].is_null());
    }

    #[test]
    fn small_pictures_and_empty_parts_have_no_numbers() {
        let size = [4, 5];
        let (source, edited, _) = pair(size);
        let found = EditMeasures::of(&edited, &source, size, Some(&[1.0; 20]));
        assert_eq!((found.outside, found.inside.unwrap().ssim), (None, None));
        let same = EditMeasures::of(&source, &source, size, None);
        assert_eq!((same.whole.l1, same.relative_sharpness, same.inside), (0.0, 1.0, None));
    }
}
