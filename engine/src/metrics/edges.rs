//! Opposite edges of a picture that is to continue itself.

use super::plane::mean;
use super::seams::Seam;

/// How the picture changes from one edge to the opposite one, beside how it changes elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Edges {
    /// From the right edge to the left one.
    pub x: Seam,
    /// From the lower edge to the upper one.
    pub y: Seam,
}

/// Measures both pairs of edges of an RGB picture of `[height, width]` pixels; units of RGB 0..=1.
///
/// # Panics
/// When `rgb` does not hold `height · width · 3` values.
#[must_use]
pub fn edges(rgb: &[f32], [height, width]: [usize; 2]) -> Edges {
    assert_eq!(rgb.len(), height * width * 3, "edges: RGB values of a picture of {width}x{height}");
    let difference =
        |a: usize, b: usize| (0..3).map(|c| f64::from((rgb[3 * a + c] - rgb[3 * b + c]).abs())).sum::<f64>() / 3.0;
    let column = |x: usize, next: usize| mean((0..height).map(|y| difference(y * width + x, y * width + next)));
    let row = |y: usize, next: usize| mean((0..width).map(|x| difference(y * width + x, next * width + x)));
    let seam = |count: usize, line: &dyn Fn(usize, usize) -> f64| {
        let border = line(count - 1, 0);
        let elsewhere = mean((1..count).map(|i| line(i - 1, i)));
        Seam { border, elsewhere, ratio: border / elsewhere.max(1e-12) }
    };
    Edges { x: seam(width, &column), y: seam(height, &row) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_that_closes_has_no_edge_and_a_ramp_has() {
        let [height, width] = [24, 32];
        let angle = |i: usize, n: usize| std::f64::consts::TAU * i as f64 / n as f64;
        let picture = |f: &dyn Fn(usize, usize) -> f64| -> Vec<f32> {
            (0..height).flat_map(|y| (0..width).flat_map(move |x| [(x, y); 3])).map(|(x, y)| f(x, y) as f32).collect()
        };
        // Sums of shifted waves change equally everywhere.
        let wave = picture(&|x, y| 0.5 + 0.2 * (angle(x, width) + angle(y, height)).sin());
        let found = edges(&wave, [height, width]);
        assert!((found.x.ratio - 1.0).abs() < 0.01 && (found.y.ratio - 1.0).abs() < 0.01, "{found:?}");
        let ramp = edges(&picture(&|x, _| x as f64 / width as f64), [height, width]);
        assert!((ramp.x.ratio - 31.0).abs() < 0.01 && ramp.x.elsewhere > 0.03, "{ramp:?}");
        assert_eq!((ramp.y.border, ramp.y.elsewhere), (0.0, 0.0));
    }
}
