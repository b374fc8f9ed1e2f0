//! Seams: differences across single columns, and the Discontinuity Score of Christensen et al., "Geometry Fidelity for
//! Spherical Images" (arXiv 2407.18207, 2024).

use super::plane::{Plane, mean};
use super::{Covered, Equirect};

/// The line between two columns of a panorama, and how the picture changes across it.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Border {
    /// Where it is, in degrees.
    pub azimuth: f64,
    /// Mean |difference| of the two columns, in units of RGB 0..=1.
    pub across: f64,
    /// across / elsewhere; about 1 when the line looks like its surroundings.
    pub ratio: f64,
    /// Share of the columns that are no border and change as much or more: near 0 is a seam, anything else is content.
    pub rank: f64,
    /// Discontinuity Score; see [`discontinuity`].
    pub discontinuity: f64,
}

/// All borders of a panorama.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Seams {
    /// Where the left and the right edge of the picture meet.
    pub wrap: Border,
    /// The lines that were asked for.
    pub borders: Vec<Border>,
    /// The largest ratio of these, the wrap included.
    pub worst_ratio: f64,
    /// Their mean ratio, the wrap included.
    pub mean_ratio: f64,
    /// Mean |difference| of neighbouring columns that are no border, on the same rows.
    pub elsewhere: f64,
    /// Mean Discontinuity Score of up to 32 lines away from borders: what a line without a seam has in this picture.
    pub discontinuity_elsewhere: Option<f64>,
    /// Rows the numbers are of; without any the others are 0.
    pub rows: usize,
}

/// Most lines over which the picture's own Discontinuity Score is averaged.
const LINES: usize = 32;

/// A column's index from the azimuth of its left edge: texel j lies right of the line when its centre does.
fn column(azimuth: f64, width: usize) -> usize {
    let x = (azimuth / 360.0 + 0.5).rem_euclid(1.0) * width as f64;
    (x - 0.5).ceil().max(0.0) as usize % width
}

/// Differences across the wrap column and the lines at `borders` (azimuths in degrees), on rows within `latitude` degrees of
/// the horizon that are covered over their whole width.
#[must_use]
pub fn seams(canvas: &Equirect<'_>, covered: &Covered, borders: &[f64], latitude: f64) -> Seams {
    let [height, width] = canvas.size;
    let whole = |y: &usize| (0..width).all(|x| covered.texel(*y, x));
    let rows: Vec<usize> = (0..height).filter(|y| canvas.latitude(*y).abs() <= latitude).filter(whole).collect();
    let across: Vec<f64> = (0..width).map(|x| column_difference(canvas, &rows, x)).collect();
    let is_border = border_columns(borders, width);
    let plain: Vec<f64> = (0..width).filter(|x| !is_border[*x]).map(|x| across[x]).collect();
    let elsewhere = mean(plain.iter().copied());
    let border = |azimuth: f64| {
        let x = column(azimuth, width);
        let ratio = across[x] / elsewhere.max(1e-12);
        let rank = mean(plain.iter().map(|d| if *d >= across[x] { 1.0 } else { 0.0 }));
        Border { azimuth, across: across[x], ratio, rank, discontinuity: discontinuity(canvas, &rows, x) }
    };
    let wrap = border(-180.0);
    let borders: Vec<Border> = borders.iter().map(|azimuth| border(*azimuth)).collect();
    let worst_ratio = borders.iter().fold(wrap.ratio, |worst, b| worst.max(b.ratio));
    let mean_ratio = mean(borders.iter().map(|b| b.ratio).chain([wrap.ratio]));
    // Lines whose six columns and their neighbours hold no border.
    let plain: Vec<usize> = (0..width).filter(|x| (0..7).all(|i| !is_border[(x + width + i - 3) % width])).collect();
    let plain: Vec<f64> =
        plain.iter().step_by(plain.len().div_ceil(LINES).max(1)).map(|x| discontinuity(canvas, &rows, *x)).collect();
    let discontinuity_elsewhere = (!plain.is_empty()).then(|| mean(plain));
    Seams { wrap, borders, worst_ratio, mean_ratio, elsewhere, discontinuity_elsewhere, rows: rows.len() }
}

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

/// Differences across the given border azimuths (degrees) and across the wrap column, all in one number, on rows within
/// `latitude` degrees of the horizon, covered or not. [`seams`] has each on its own.
#[must_use]
pub fn seam(canvas: &Equirect<'_>, borders: &[f64], latitude: f64) -> Seam {
    let [height, width] = canvas.size;
    let rows: Vec<usize> = (0..height).filter(|y| canvas.latitude(*y).abs() <= latitude).collect();
    let is_border = border_columns(borders, width);
    let of = |border: bool| {
        mean((0..width).filter(|x| is_border[*x] == border).map(|x| column_difference(canvas, &rows, x)))
    };
    let (border, elsewhere) = (of(true), of(false));
    Seam { border, elsewhere, ratio: border / elsewhere.max(1e-12) }
}

/// Columns left of which a border or the wrap lies.
fn border_columns(borders: &[f64], width: usize) -> Vec<bool> {
    let mut is_border = vec![false; width];
    is_border[0] = true;
    borders.iter().for_each(|azimuth| is_border[column(*azimuth, width)] = true);
    is_border
}

/// Mean |difference| between column `x` and its left neighbour.
fn column_difference(canvas: &Equirect<'_>, rows: &[usize], x: usize) -> f64 {
    let width = canvas.size[1];
    let channel = |y: usize, c: usize| {
        let (a, b) = (canvas.texel(y, (x + width - 1) % width), canvas.texel(y, x));
        f64::from((a[c] - b[c]).abs())
    };
    mean(rows.iter().flat_map(|y| (0..3).map(move |c| channel(*y, c))))
}

/// Scharr's smoothing weights; with the central difference [-1, 0, 1] a unit step has the response 1.
const SCHARR: [f64; 3] = [3.0 / 16.0, 10.0 / 16.0, 3.0 / 16.0];

/// Keeps the score finite where nothing changes: one 8-bit level. The paper has such a constant and no value for it that
/// we could find, so scores are for comparison among themselves.
pub const DISCONTINUITY_FLOOR: f64 = 1.0 / 255.0;

/// Discontinuity Score of the line left of column `x`: of six columns 0..=5 around it, the line being between 2 and 3, with
/// the horizontal Scharr response â of brightness,
/// `mean over rows of (|â(2)| / (|â(1)| + c) + |â(3)| / (|â(4)| + c)) / 2`. The filter is 3 × 3, so 2 and 3 see both sides of
/// the line, and 1 and 4 see one. `rows` are consecutive rows; the first and the last are context only.
#[must_use]
pub fn discontinuity(canvas: &Equirect<'_>, rows: &[usize], x: usize) -> f64 {
    let width = canvas.size[1];
    let crop: Vec<f32> =
        rows.iter().flat_map(|y| (0..6).flat_map(move |i| canvas.texel(*y, (x + width + i - 3) % width))).collect();
    let luma = Plane::luma(&crop, [rows.len(), 6]);
    let response = |y: usize, x: usize| {
        (0..3).map(|k| SCHARR[k] * (luma.at(y + k - 1, x + 1) - luma.at(y + k - 1, x - 1))).sum::<f64>().abs()
    };
    let row = |y: usize| {
        let against = |seam: usize, beside: usize| response(y, seam) / (response(y, beside) + DISCONTINUITY_FLOOR);
        0.5 * (against(2, 1) + against(3, 4))
    };
    mean((1..rows.len().saturating_sub(1)).map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [64, 128];

    fn canvas(f: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        (0..SIZE[0] * SIZE[1]).flat_map(|i| [f(i / SIZE[1], i % SIZE[1]); 3]).collect()
    }

    fn all() -> Covered {
        Covered::from_weights(SIZE, &[1.0; SIZE[0] * SIZE[1]])
    }

    #[test]
    fn each_border_has_its_own_step() {
        // Ramp of 0.001; steps of 0.1 at azimuth 0 and 0.2 at 90; the wrap goes back by the sum.
        let rgb = canvas(|_, x| 0.001 * x as f32 + if x >= 64 { 0.1 } else { 0.0 } + if x >= 96 { 0.2 } else { 0.0 });
        let found = seams(&Equirect { size: SIZE, rgb: &rgb }, &all(), &[0.0, 90.0, -90.0], 45.0);
        let expected = [(0.101, 0.0), (0.201, 90.0), (0.001, -90.0)];
        for (border, (across, azimuth)) in found.borders.iter().zip(expected) {
            assert!((border.across - across).abs() < 1e-6 && border.azimuth == azimuth, "{border:?}");
            assert!((border.ratio - across / 0.001).abs() < 0.1, "{border:?}");
            assert!(border.rank == 0.0 || across == 0.001, "{border:?}");
        }
        let middle = seams(&Equirect { size: SIZE, rgb: &canvas(|_, x| (x * x) as f32) }, &all(), &[0.0], 45.0);
        // Columns 65..=127 change more than column 64, which changes more than 1..=63.
        assert!((middle.borders[0].rank - 63.0 / 126.0).abs() < 1e-12, "{middle:?}");
        assert!((found.wrap.across - 0.427).abs() < 1e-6 && (found.elsewhere - 0.001).abs() < 1e-6);
        assert!((found.worst_ratio - 427.0).abs() < 0.5 && found.rows == 32);
        assert!((found.mean_ratio - (101.0 + 201.0 + 1.0 + 427.0) / 4.0).abs() < 0.5);
    }

    /// A ramp of slope s has the response 2s, a step d at the line 2s + d on both sides of it.
    #[test]
    fn discontinuity_of_a_step_on_a_ramp() {
        let (slope, step) = (0.002, 0.15);
        let rgb = canvas(|_, x| slope * x as f32 + if x >= 64 { step } else { 0.0 });
        let picture = Equirect { size: SIZE, rgb: &rgb };
        let rows: Vec<usize> = (10..40).collect();
        let (slope, step) = (f64::from(slope), f64::from(step));
        let expected = (2.0 * slope + step) / (2.0 * slope + DISCONTINUITY_FLOOR);
        assert!((discontinuity(&picture, &rows, 64) - expected).abs() < 1e-4);
        let plain = 2.0 * slope / (2.0 * slope + DISCONTINUITY_FLOOR);
        assert!((discontinuity(&picture, &rows, 30) - plain).abs() < 1e-4);
        let found = seams(&picture, &all(), &[0.0], 60.0);
        assert!((found.discontinuity_elsewhere.unwrap() - plain).abs() < 1e-4 && found.borders[0].discontinuity > 10.0);
    }

    #[test]
    fn uncovered_rows_do_not_count() {
        let rgb = canvas(|y, x| if y < 20 { 0.0 } else { 0.3 + 0.002 * x as f32 });
        let picture = Equirect { size: SIZE, rgb: &rgb };
        let found = seams(&picture, &Covered::from_black(&picture), &[], 90.0);
        assert_eq!(found.rows, 44);
        assert!((found.elsewhere - 0.002).abs() < 1e-6);
    }

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
}
