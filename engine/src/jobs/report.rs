//! What a canvas job's result is worth, beside its uncoupled baseline.

use super::canvas::CanvasResult;
use crate::metrics::{Equirect, Seam, disagreement, perspective, seam, sharpness};
use crate::spaces::{Camera, Space};

/// Measures of a panorama of level views; absolute values in units of RGB 0..=1.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CanvasReport {
    /// Share of the canvas that some view covers.
    pub coverage: f64,
    /// Mean |A − B| of the last two view sets, hard tiles, before any feathering.
    pub disagreement: Option<f64>,
    /// Seams of the final canvas over the borders of all sets and the wrap column.
    pub seam: Seam,
    /// Seams of the last set alone, hard tiles, over its own borders.
    pub hard_tiles: Seam,
    /// Mean |dx| of perspective views of the final canvas.
    pub sharpness: f64,
    /// Mean |dx| of the views as they were generated, on the same pixels.
    pub view_sharpness: f64,
    /// Network evaluations, counting each view and each guidance row.
    pub evaluations: usize,
}

/// Where views lie and where their borders are.
#[derive(Clone, Copy, Debug)]
pub struct ReportGeometry<'a> {
    /// Azimuths in degrees of the borders of all sets.
    pub borders: &'a [f64],
    /// Rows within this latitude in degrees are measured.
    pub latitude: f64,
    /// Margin of a view in pixels that is not used.
    pub margin: usize,
}

impl CanvasReport {
    /// Measures a result.
    #[must_use]
    pub fn new(result: &CanvasResult, space: &dyn Space, geometry: &ReportGeometry<'_>) -> Self {
        let canvas = Equirect { size: result.size, rgb: &result.rgb };
        let covered = result.coverage.iter().filter(|w| **w > 0.0).count();
        let sets = &result.sets;
        let disagreement = (sets.len() > 1).then(|| disagreement((&sets[0].0, &sets[0].1), (&sets[1].0, &sets[1].1)));
        let all = geometry.borders.len();
        // Borders of set i are those at i, i + sets, …
        let step = space.set_count();
        let own: Vec<f64> = (0..all).step_by(step).map(|i| geometry.borders[i]).collect();
        let first = Equirect { size: result.size, rgb: &sets[0].0 };
        let hard = seam(&first, &own, geometry.latitude);
        let views = (0..step).flat_map(|set| space.views(set));
        let cameras: Vec<Camera> = views.map(|view| Camera::from_words(&view.words)).collect();
        let of = |rgb: &[f32]| sharpness(rgb, result.view_size, geometry.margin);
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let reprojected =
            cameras.iter().take(result.views.len()).map(|camera| of(&perspective(&canvas, camera, result.view_size)));
        Self {
            coverage: covered as f64 / result.coverage.len() as f64,
            disagreement,
            seam: seam(&canvas, geometry.borders, geometry.latitude),
            hard_tiles: hard,
            sharpness: mean(reprojected.collect()),
            view_sharpness: mean(result.views.iter().map(|view| of(view)).collect()),
            evaluations: result.evaluations,
        }
    }
}
