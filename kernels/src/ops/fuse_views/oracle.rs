//! Fusing in f64, texel by texel, from the formula.

use super::{FuseScalars, Weight};
use crate::ops::views::oracle::{Placed, near_border, sample};

/// What one texel gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Texel {
    /// Rounding decides: a view's border, a pixel's border in nearest sampling, or the winner.
    Ambiguous,
    /// Sum of weights; zero keeps the old value.
    Covered(f64),
}

/// The host side of [`super::FuseViews`].
pub(super) struct Inputs<'a> {
    pub(super) views: &'a [f64],
    /// `[V, h, w, C]`
    pub(super) dims: [usize; 4],
    pub(super) places: &'a [Placed],
    pub(super) weight: Weight,
    pub(super) bilinear: bool,
    pub(super) scalars: FuseScalars,
    /// `[R, Hc, Wc]`
    pub(super) regions: Option<&'a [f64]>,
}

fn weight(input: &Inputs<'_>, share: [f64; 2], cosine: f64) -> f64 {
    let s = &input.scalars;
    match input.weight {
        Weight::Count => 1.0,
        Weight::Feather => ((1.0 - share[0].max(share[1])) / f64::from(s.feather)).clamp(1e-4, 1.0),
        Weight::Cosine | Weight::Winner => cosine.powf(f64::from(s.exponent)).max(1e-4),
    }
}

/// New canvas `[Hc, Wc, C]` from the old one, and what happened to each texel.
pub(super) fn fuse(input: &Inputs<'_>, old: &[f64], canvas: [usize; 2]) -> (Vec<f64>, Vec<Texel>) {
    let [_, h, w, c] = input.dims;
    let s = &input.scalars;
    let scaled: Vec<f64> = input
        .views
        .iter()
        .map(|v| {
            let value = f64::from(s.gain) * v + f64::from(s.offset);
            s.clamp.map_or(value, |[lo, hi]| value.clamp(f64::from(lo), f64::from(hi)))
        })
        .collect();
    let (mut new, mut texels) = (old.to_vec(), Vec::new());
    for texel in 0..canvas[0] * canvas[1] {
        let (mut ambiguous, mut seen) = (false, Vec::new());
        for (view, placed) in input.places.iter().enumerate() {
            let Some(at) = placed.seen(texel / canvas[1], texel % canvas[1], canvas, [w as f64, h as f64]) else {
                continue;
            };
            ambiguous |= at.share.iter().any(|b| (b - 1.0).abs() < 1e-5);
            if at.share.iter().any(|&b| b > 1.0) {
                continue;
            }
            let region = placed.words.numbers[16];
            let share = match input.regions {
                Some(regions) if region >= 0.0 => regions[region as usize * canvas[0] * canvas[1] + texel],
                _ => 1.0,
            };
            if share > 0.0 {
                ambiguous |= !input.bilinear && near_border(at.position, 1e-4);
                seen.push((share * weight(input, at.share, at.cosine), view, at.position));
            }
        }
        if input.weight == Weight::Winner {
            seen.sort_by(|a, b| b.0.total_cmp(&a.0));
            ambiguous |= seen.len() > 1 && seen[0].0 - seen[1].0 < 1e-5 * seen[0].0;
            seen.truncate(1);
        }
        let total: f64 = seen.iter().map(|v| v.0).sum();
        texels.push(if ambiguous { Texel::Ambiguous } else { Texel::Covered(total) });
        for channel in 0..c {
            let value = |view: usize, at| {
                let image = &scaled[view * h * w * c..(view + 1) * h * w * c];
                sample(image, [h, w, c], at, channel, input.bilinear, [false; 2])
            };
            let z = seen.iter().map(|&(weight, view, at)| weight * value(view, at)).sum::<f64>() / total;
            if total > 0.0 {
                let slot = &mut new[texel * c + channel];
                *slot = (1.0 - f64::from(s.blend)) * *slot + f64::from(s.blend) * z;
            }
        }
    }
    (new, texels)
}
