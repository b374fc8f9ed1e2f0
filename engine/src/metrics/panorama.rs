//! Seams and disagreement on an equirectangular canvas.

use super::Equirect;

/// Mean absolute differences between neighbouring columns, in units of RGB 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Seam {
    /// Across the borders.
    pub border: f64,
    /// Everywhere else on the same rows.
    pub elsewhere: f64,
    /// border / elsewhere; about 1 when borders look like their surroundings.
    pub ratio: f64,
}

/// Differences across the given border azimuths (degrees) and across the wrap column, on rows within `latitude` degrees
/// of the horizon.
#[must_use]
pub fn seam(canvas: &Equirect<'_>, borders: &[f64], latitude: f64) -> Seam {
    let [height, width] = canvas.size;
    let mut is_border = vec![false; width];
    is_border[0] = true;
    for azimuth in borders {
        // Texel j belongs to the view right of the border when its centre j + 0.5 lies right of it.
        let x = (azimuth / 360.0 + 0.5).rem_euclid(1.0) * width as f64;
        is_border[(x - 0.5).ceil().max(0.0) as usize % width] = true;
    }
    let rows = (0..height).filter(|&y| canvas.latitude(y).abs() <= latitude);
    let (mut sums, mut counts) = ([0.0; 2], [0usize; 2]);
    for y in rows {
        for (x, &border) in is_border.iter().enumerate() {
            let (a, b) = (canvas.texel(y, (x + width - 1) % width), canvas.texel(y, x));
            let kind = usize::from(border);
            sums[kind] += (0..3).map(|c| f64::from((a[c] - b[c]).abs())).sum::<f64>();
            counts[kind] += 3;
        }
    }
    let mean = |kind: usize| sums[kind] / counts[kind].max(1) as f64;
    let (border, elsewhere) = (mean(1), mean(0));
    Seam { border, elsewhere, ratio: border / elsewhere.max(1e-12) }
}

/// Mean |A − B| over texels that both cover: how far two sets of views are from showing one world.
#[must_use]
pub fn disagreement(a: (&[f32], &[f32]), b: (&[f32], &[f32])) -> f64 {
    let both = a.1.iter().zip(b.1).enumerate().filter(|(_, (wa, wb))| **wa > 0.0 && **wb > 0.0);
    let (sum, count) = both.fold((0.0, 0usize), |(sum, count), (i, _)| {
        let difference: f64 = (3 * i..3 * i + 3).map(|k| f64::from((a.0[k] - b.0[k]).abs())).sum();
        (sum + difference, count + 3)
    });
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_at_a_border_is_found_and_a_ramp_has_none() {
        let (height, width) = (32, 64);
        // Steps of 0.2 at azimuth 0 (column 32) and back at the wrap; ramp of 0.001 elsewhere.
        let value = |x: usize| 0.001 * x as f32 + if x >= 32 { 0.2 } else { 0.0 };
        let rgb: Vec<f32> = (0..height).flat_map(|_| (0..width).flat_map(|x| [value(x); 3])).collect();
        let canvas = Equirect { size: [height, width], rgb: &rgb };
        let with = seam(&canvas, &[0.0], 60.0);
        assert!((with.elsewhere - 0.001).abs() < 1e-5, "{with:?}");
        assert!((with.border - (0.201 + 0.263) / 2.0).abs() < 1e-4 && with.ratio > 100.0, "{with:?}");
        let flat = vec![0.5; height * width * 3];
        assert_eq!(seam(&Equirect { size: [height, width], rgb: &flat }, &[0.0], 60.0).border, 0.0);
    }

    #[test]
    fn disagreement_counts_only_what_both_see() {
        let (a, b) = ([0.1f32; 6], [0.3, 0.3, 0.3, 9.0, 9.0, 9.0]);
        let value = disagreement((&a, &[1.0, 1.0]), (&b, &[1.0, 0.0]));
        assert!((value - 0.2).abs() < 1e-6);
    }
}
