//! Whether pictures of different things have one layout. Formulas: `docs/metrics.md`.

use super::plane::{Plane, mean};
use super::ssim;

/// Blur in pixels before edges are taken: texture is no layout.
const EDGE_SIGMA: f64 = 1.0;

/// How alike two pictures of the same size are in space.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Alignment {
    /// Mean |A − B| of RGB 0..=1.
    pub difference: f64,
    /// Mean structural similarity of brightness.
    pub ssim: f64,
    /// Correlation of the strength of edges: whatever the colours, 1 where all edges lie at the same places, 0 for unrelated
    /// pictures.
    pub edges: f64,
}

impl Alignment {
    /// Of two RGB pictures of `[height, width]` pixels.
    ///
    /// # Panics
    /// When the sizes differ or a side is below [`super::SSIM_WINDOW`].
    #[must_use]
    pub fn of(a: &[f32], b: &[f32], size: [usize; 2]) -> Self {
        assert_eq!(a.len(), b.len(), "alignment of pictures of one size");
        let difference = mean(a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())));
        let [ea, eb] = [a, b].map(|rgb| strength(&Plane::luma(rgb, size).blurred(EDGE_SIGMA)));
        Self { difference, ssim: ssim(a, b, size), edges: correlation(&ea, &eb) }
    }

    /// Mean over all pairs of several pictures; `None` for fewer than two.
    #[must_use]
    pub fn among(pictures: &[Vec<f32>], size: [usize; 2]) -> Option<Self> {
        let pairs = (0..pictures.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
        let all: Vec<Self> = pairs.map(|(i, j)| Self::of(&pictures[i], &pictures[j], size)).collect();
        let of = |value: fn(&Self) -> f64| mean(all.iter().map(value));
        (!all.is_empty()).then(|| Self {
            difference: of(|a| a.difference),
            ssim: of(|a| a.ssim),
            edges: of(|a| a.edges),
        })
    }
}

/// Length of the gradient on inner pixels.
fn strength(plane: &Plane) -> Vec<f64> {
    let [height, width] = plane.size;
    let at =
        |y: usize, x: usize| (plane.at(y, x + 1) - plane.at(y, x - 1)).hypot(plane.at(y + 1, x) - plane.at(y - 1, x));
    (1..height - 1).flat_map(|y| (1..width - 1).map(move |x| (y, x))).map(|(y, x)| at(y, x)).collect()
}

/// Pearson's; 0 where one of both is constant.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let [ma, mb] = [a, b].map(|v| mean(v.iter().copied()));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(a, b)| f(a - ma, b - mb)).sum::<f64>();
    let (ab, aa, bb) = (sum(&|a, b| a * b), sum(&|a, _| a * a), sum(&|_, b| b * b));
    if aa * bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [40, 48];

    /// Grey pictures of a function of place.
    fn picture(f: impl Fn(f64, f64) -> f64) -> Vec<f32> {
        (0..SIZE[0] * SIZE[1]).flat_map(|i| [f((i / SIZE[1]) as f64, (i % SIZE[1]) as f64) as f32; 3]).collect()
    }

    fn disc(y: f64, x: f64, [cy, cx]: [f64; 2]) -> f64 {
        if (y - cy).hypot(x - cx) < 8.0 { 1.0 } else { 0.0 }
    }

    #[test]
    fn layout_counts_and_colours_do_not() {
        let a = picture(|y, x| 0.2 + 0.5 * disc(y, x, [20.0, 24.0]));
        let same = Alignment::of(&a, &a, SIZE);
        assert_eq!((same.difference, same.ssim, same.edges), (0.0, 1.0, 1.0));
        // The same disc, dark on light and with half the contrast.
        let night = picture(|y, x| 0.9 - 0.25 * disc(y, x, [20.0, 24.0]));
        let other = Alignment::of(&a, &night, SIZE);
        assert!((other.edges - 1.0).abs() < 1e-6 && other.difference > 0.3 && other.ssim < 0.6, "{other:?}");
        // A disc elsewhere, with the same colours.
        let moved = Alignment::of(&a, &picture(|y, x| 0.2 + 0.5 * disc(y, x, [12.0, 12.0])), SIZE);
        assert!(moved.edges < 0.3 && moved.difference < other.difference, "{moved:?}");
        assert_eq!(Alignment::of(&a, &picture(|_, _| 0.5), SIZE).edges, 0.0);
    }

    #[test]
    fn all_pairs_count_alike() {
        let pictures = [0.1, 0.2, 0.4].map(|v| picture(|_, _| v));
        let found = Alignment::among(&pictures, SIZE).unwrap();
        assert!((found.difference - (0.1 + 0.3 + 0.2) / 3.0).abs() < 1e-6);
        assert_eq!(Alignment::among(&pictures[..1], SIZE), None);
    }
}
