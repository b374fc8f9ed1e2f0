//! All measures of one finished panorama.

use super::{Covered, Detail, Equirect, Look, Overlap, Pole, Seams, overlap_of_sets, pole, seams};
use crate::error::{Error, Result};

/// Most views looked at, and most borders.
const MAX_VIEWS: usize = 360;
/// Sides of a view in pixels.
const SIDES: [usize; 2] = [32, 2048];
/// A view with less of its pixels covered is left out.
const WHOLE_VIEW: f64 = 0.99;

/// What to look at, and what is known besides the picture.
#[derive(Clone, Copy, Debug)]
pub struct MeasureOptions<'a> {
    /// Azimuths in degrees of lines where a seam might be; the wrap is always measured.
    pub borders: &'a [f64],
    /// Seams are measured on rows within this many degrees of the horizon.
    pub latitude: f64,
    /// Weight of every texel, more than 0 where it is covered; without it black texels at the upper and lower edge hold
    /// nothing.
    pub coverage: Option<&'a [f32]>,
    /// Level views around the horizon, evenly from azimuth 0.
    pub views: usize,
    /// Their field in degrees.
    pub fov: f64,
    /// Their side in pixels; none: about a texel per pixel in the middle, 64 to 512.
    pub view_side: Option<usize>,
    /// Sets of views fused on their own, RGB and coverage of the whole canvas each.
    pub sets: &'a [(Vec<f32>, Vec<f32>)],
    /// Single views of the same prompt, to compare details with.
    pub singles: Option<SingleViews<'a>>,
}

impl Default for MeasureOptions<'_> {
    /// Ten views of 72 degrees, as the panoramas of StochSync are judged.
    fn default() -> Self {
        Self {
            borders: &[],
            latitude: 60.0,
            coverage: None,
            views: 10,
            fov: 72.0,
            view_side: None,
            sets: &[],
            singles: None,
        }
    }
}

/// Square views as a model draws them, each on its own.
#[derive(Clone, Copy, Debug)]
pub struct SingleViews<'a> {
    /// RGB of each, 0..=1.
    pub views: &'a [Vec<f32>],
    /// Side in pixels.
    pub side: usize,
    /// Field in degrees.
    pub fov: f64,
    /// Pixels at the edges that are not compared.
    pub margin: usize,
}

/// Measures of one panorama. Unless said otherwise values are of RGB 0..=1. What each can and cannot see: `docs/metrics.md`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PanoramaMeasures {
    /// `[width, height]` in texels.
    pub size: [usize; 2],
    /// Covered share of the texels.
    pub coverage: f64,
    /// Covered share of the sphere.
    pub sphere_coverage: f64,
    /// Differences across columns.
    pub seams: Seams,
    /// Upper pole, where it and the places it is compared with are covered.
    pub zenith: Option<Pole>,
    /// Lower pole.
    pub nadir: Option<Pole>,
    /// Mean of the views that are wholly covered; zeros where none is.
    pub detail: Detail,
    /// Views whose details were measured.
    pub views: usize,
    /// Their side in pixels.
    pub view_side: usize,
    /// The panorama's details divided by those of single views, at the single views' own field and side; about 1 when
    /// nothing was lost.
    pub against_singles: Option<Detail>,
    /// Agreement of the sets of views.
    pub overlap: Option<Overlap>,
}

impl PanoramaMeasures {
    /// Measures a panorama.
    ///
    /// # Errors
    /// When the picture is no panorama that can be measured (see [`Equirect::checked`]) or an option does not fit it.
    pub fn of(canvas: &Equirect<'_>, options: &MeasureOptions<'_>) -> Result<Self> {
        let canvas = Equirect::checked(canvas.size, canvas.rgb)?;
        options.check()?;
        options.check_lengths(&canvas)?;
        let covered = options.covered(&canvas);
        let view_side = options.view_side.unwrap_or_else(|| options.side_for(&canvas));
        let looks = options.looks(&covered);
        let details = |looks: &[Look], side: usize, margin: usize| {
            let of = |look: &Look| Detail::of(&look.view(&canvas, side), [side, side], margin);
            Detail::mean(&looks.iter().map(of).collect::<Vec<_>>())
        };
        let against_singles = options.singles.map(|s| {
            let looks: Vec<Look> = looks.iter().map(|look| Look { fov: s.fov, ..*look }).collect();
            let singles: Vec<Detail> = s.views.iter().map(|v| Detail::of(v, [s.side, s.side], s.margin)).collect();
            details(&looks, s.side, s.margin).relative_to(&Detail::mean(&singles))
        });
        let [height, width] = canvas.size;
        Ok(Self {
            size: [width, height],
            coverage: covered.of_canvas(),
            sphere_coverage: covered.of_sphere(),
            seams: seams(&canvas, &covered, options.borders, options.latitude),
            zenith: pole(&canvas, &covered, true),
            nadir: pole(&canvas, &covered, false),
            detail: details(&looks, view_side, 0),
            views: looks.len(),
            view_side,
            against_singles,
            overlap: overlap_of_sets(&canvas, options.sets),
        })
    }
}

impl MeasureOptions<'_> {
    /// Which texels hold anything.
    #[must_use]
    pub fn covered(&self, canvas: &Equirect<'_>) -> Covered {
        match self.coverage {
            Some(weights) => Covered::from_weights(canvas.size, weights),
            None => Covered::from_black(canvas),
        }
    }

    /// The views that are covered, but for a hundredth of their pixels.
    #[must_use]
    pub fn looks(&self, covered: &Covered) -> Vec<Look> {
        let looks = (0..self.views).map(|i| Look::level(360.0 * i as f64 / self.views as f64, self.fov));
        looks.filter(|look| look.covered(covered, 128) >= WHOLE_VIEW).collect()
    }

    fn side_for(&self, canvas: &Equirect<'_>) -> usize {
        let texel = std::f64::consts::PI / canvas.size[0] as f64;
        ((2.0 * (0.5 * self.fov).to_radians().tan() / texel) as usize).clamp(64, 512)
    }

    /// Refuses numbers outside their ranges, whatever the picture.
    ///
    /// # Errors
    /// With what was found and what would do.
    pub fn check(&self) -> Result<()> {
        if let Some(azimuth) = self.borders.iter().find(|a| !a.is_finite()) {
            return refuse("border azimuth", azimuth.to_string(), "a finite number of degrees".into());
        }
        if self.borders.len() > MAX_VIEWS {
            return refuse("borders", self.borders.len().to_string(), format!("at most {MAX_VIEWS}"));
        }
        if !(self.latitude > 0.0 && self.latitude <= 90.0) {
            return refuse("latitude", self.latitude.to_string(), "more than 0 and at most 90 degrees".into());
        }
        if !(1..=MAX_VIEWS).contains(&self.views) {
            return refuse("views", self.views.to_string(), format!("1 to {MAX_VIEWS}"));
        }
        let side_fits = |side: usize| (SIDES[0]..=SIDES[1]).contains(&side);
        if let Some(side) = self.view_side.into_iter().chain(self.singles.map(|s| s.side)).find(|s| !side_fits(*s)) {
            return refuse("view size", side.to_string(), format!("{} to {} pixels", SIDES[0], SIDES[1]));
        }
        let fovs = [Some(self.fov), self.singles.map(|s| s.fov)];
        if let Some(fov) = fovs.into_iter().flatten().find(|fov| !(10.0..=150.0).contains(fov)) {
            return refuse("fov", fov.to_string(), "10 to 150 degrees".into());
        }
        self.singles.map_or(Ok(()), |singles| singles.check())
    }

    fn check_lengths(&self, canvas: &Equirect<'_>) -> Result<()> {
        let texels = canvas.size[0] * canvas.size[1];
        if let Some(weights) = self.coverage.filter(|w| w.len() != texels) {
            return refuse("coverage", format!("{} weights", weights.len()), format!("{texels}, one for each texel"));
        }
        let whole = |set: &&(Vec<f32>, Vec<f32>)| set.0.len() != 3 * texels || set.1.len() != texels;
        if let Some(set) = self.sets.iter().find(whole) {
            let found = format!("{} values and {} weights", set.0.len(), set.1.len());
            return refuse("set of views", found, format!("{} and {texels}", 3 * texels));
        }
        Ok(())
    }
}

fn refuse(what: &'static str, found: String, expected: String) -> Result<()> {
    Err(Error::Input { what, found, expected })
}

impl SingleViews<'_> {
    fn check(&self) -> Result<()> {
        let values = self.side * self.side * 3;
        match self.views.iter().find(|view| view.len() != values) {
            Some(view) => refuse("single view", format!("{} values", view.len()), format!("{values}")),
            None if self.views.is_empty() => refuse("single views", "none".into(), "one or more".into()),
            None if self.margin.saturating_mul(2).saturating_add(16) > self.side => {
                refuse("margin", self.margin.to_string(), format!("at least 16 of {} pixels left", self.side))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [128, 256];

    /// Waves that fit the circle, darker towards the ground; nothing beyond 50 degrees.
    fn picture(amplitude: f32) -> Vec<f32> {
        let value = |y: usize, x: usize| {
            let latitude = (y as f32 + 0.5) / 128.0 * 180.0 - 90.0;
            let wave = (12.0 * std::f32::consts::TAU * x as f32 / 256.0).sin() * (0.4 * y as f32).cos();
            if latitude.abs() > 50.0 { 0.0 } else { 0.5 - 0.003 * latitude + amplitude * wave }
        };
        (0..SIZE[0] * SIZE[1]).flat_map(|i| [value(i / SIZE[1], i % SIZE[1]); 3]).collect()
    }

    #[test]
    fn a_whole_picture_without_seams() {
        let rgb = picture(0.1);
        let canvas = Equirect { size: SIZE, rgb: &rgb };
        let options = MeasureOptions { borders: &[36.0, 108.0], ..MeasureOptions::default() };
        let found = PanoramaMeasures::of(&canvas, &options).unwrap();
        assert!((found.coverage - 72.0 / 128.0).abs() < 1e-12);
        assert!((found.sphere_coverage - 50.625f64.to_radians().sin()).abs() < 1e-3);
        assert!(found.zenith.is_none() && found.nadir.is_none() && found.views == 10);
        // A wave is at most pi/2 times as steep as on average.
        assert!(found.seams.borders.len() == 2 && found.seams.worst_ratio < 1.6, "{:?}", found.seams);
        assert_eq!(found.view_side, 64);
        let text = serde_json::to_string(&found).unwrap();
        assert!(text.contains("\"zenith\":null") && text.contains("\"worst_ratio\""));
    }

    #[test]
    fn weaker_details_are_less_than_those_of_single_views() {
        let (sharp, soft) = (picture(0.1), picture(0.05));
        let sharp = Equirect { size: SIZE, rgb: &sharp };
        let views: Vec<Vec<f32>> = (0..10).map(|i| Look::level(36.0 * i as f64, 80.0).view(&sharp, 96)).collect();
        let singles = Some(SingleViews { views: &views, side: 96, fov: 80.0, margin: 6 });
        let coverage = vec![1.0; SIZE[0] * SIZE[1]];
        let options = MeasureOptions { singles, coverage: Some(&coverage), ..MeasureOptions::default() };
        let same = PanoramaMeasures::of(&sharp, &options).unwrap().against_singles.unwrap();
        assert!((same.sharpness - 1.0).abs() < 1e-9 && (same.bands[0] - 1.0).abs() < 1e-9, "{same:?}");
        let less = PanoramaMeasures::of(&Equirect { size: SIZE, rgb: &soft }, &options).unwrap();
        let less = less.against_singles.unwrap();
        assert!((less.bands[1] - 0.25).abs() < 0.02 && less.sharpness < 0.7, "{less:?}");
    }

    #[test]
    fn options_that_do_not_fit_are_refused_with_numbers() {
        let rgb = picture(0.1);
        let canvas = Equirect { size: SIZE, rgb: &rgb };
        let good = MeasureOptions::default();
        let sets = [(vec![0.0; 5], vec![0.0; 2])];
        let views = [vec![0.5f32; 7]];
        let singles = |margin| Some(SingleViews { views: &views, side: 32, fov: 80.0, margin });
        let none = Some(SingleViews { views: &[], side: 32, fov: 80.0, margin: 0 });
        let cases: [(MeasureOptions<'_>, &str); 11] = [
            (MeasureOptions { borders: &[f64::NAN], ..good }, "border azimuth: found NaN"),
            (MeasureOptions { borders: &[0.0; 361], ..good }, "borders: found 361, expected at most 360"),
            (MeasureOptions { latitude: 0.0, ..good }, "latitude: found 0"),
            (MeasureOptions { views: 0, ..good }, "views: found 0, expected 1 to 360"),
            (MeasureOptions { view_side: Some(8), ..good }, "view size: found 8, expected 32 to 2048"),
            (MeasureOptions { fov: 180.0, ..good }, "fov: found 180"),
            (MeasureOptions { coverage: Some(&[1.0]), ..good }, "coverage: found 1 weights, expected 32768"),
            (MeasureOptions { sets: &sets, ..good }, "set of views: found 5 values and 2 weights, expected 98304 and"),
            (MeasureOptions { singles: singles(0), ..good }, "single view: found 7 values, expected 3072"),
            (MeasureOptions { singles: none, ..good }, "single views: found none"),
            (
                MeasureOptions { singles: Some(SingleViews { side: 4, ..singles(0).unwrap() }), ..good },
                "view size: found 4",
            ),
        ];
        for (options, message) in cases {
            let found = PanoramaMeasures::of(&canvas, &options).unwrap_err().to_string();
            assert!(found.contains(message), "{found}: {message}");
        }
        let wide = Equirect { size: [128, 128], rgb: &rgb };
        assert!(PanoramaMeasures::of(&wide, &good).unwrap_err().to_string().contains("found 128x128"));
    }
}
