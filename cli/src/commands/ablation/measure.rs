//! What the runs of a row are worth: means with standard errors.

use serde::Serialize;
use syncline::methods::ablation::Row;
use syncline::metrics::mini::{Judge, VIEW_SIDE, Wanted};
use syncline::metrics::{Diversity, Equirect, MeasureOptions, PanoramaMeasures, Sample, SetMeasures};
use syncline::reproject::Raster;

use super::{Run, finished, paths, read_run};
use crate::args::AblationArgs;

/// Every view set here has borders at multiples of this angle, in degrees.
const BORDER: f64 = 36.0;
/// Views that are judged look at the borders and half way between them in turn, whichever set was the last.
const VIEWS: usize = 10;
/// Rows that all views cover.
const LATITUDE: f64 = 24.0;

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stat {
    /// Mean over the runs.
    pub mean: f64,
    /// Standard error of it.
    pub error: f64,
}

impl Stat {
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean, error: (squares / (n - 1.0).max(1.0) / n).sqrt() }
    }

    /// Of a number that belongs to all runs together: what leaving out one run at a time changes.
    pub fn jackknife(whole: f64, without: &[f64]) -> Self {
        let n = without.len() as f64;
        let mean = without.iter().sum::<f64>() / n;
        let squares: f64 = without.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean: whole, error: ((n - 1.0) / n * squares).sqrt() }
    }
}

/// The measures of one row.
#[derive(Clone, Debug, Serialize)]
pub struct RowMeasures {
    /// Name, title, switches and the paper's numbers.
    pub name: &'static str,
    pub title: &'static str,
    pub switches: Option<[bool; 3]>,
    pub paper: Option<[f64; 4]>,
    /// Number of runs.
    pub runs: usize,
    /// Fréchet distance between features of its views and of true ones; what as many true panoramas would have.
    pub frechet: Option<Stat>,
    pub frechet_floor: Option<f64>,
    /// Share of views in which the classifier sees everything the prompt names.
    pub accuracy: Option<Stat>,
    /// Mean |difference| across borders over that elsewhere, and the absolute value.
    pub seam_ratio: Stat,
    pub seam: Stat,
    /// Discontinuity Score of the wrap.
    pub discontinuity: Stat,
    /// Mean |dx| of views.
    pub sharpness: Stat,
    /// Of pairs of seeds.
    pub diversity: Option<Diversity>,
    /// Network evaluations of a run.
    pub evaluations: f64,
    /// Seconds of a run, whatever else the machine did.
    pub seconds: f64,
    /// Seam ratio of each run.
    pub seam_ratios: Vec<f64>,
    /// Fréchet distance with each run left out.
    pub frechet_without: Vec<f64>,
}

/// Measures the runs of a row that are there; `None` without any.
pub fn measure(
    args: &AblationArgs,
    row: &Row,
    prompts: &[String],
    judge: Option<&Judge>,
) -> anyhow::Result<Option<RowMeasures>> {
    let mut runs: Vec<(Run, Raster)> = Vec::new();
    for (number, prompt) in prompts.iter().enumerate() {
        for seed in &args.seeds {
            if let Some(run) = finished(args, row, (number, prompt, *seed)) {
                runs.push((run, read_run(&paths(args, row, number, *seed)[0])?));
            }
        }
    }
    if runs.is_empty() {
        return Ok(None);
    }
    let borders: Vec<f64> = (0..10).map(|i| BORDER * f64::from(i)).collect();
    let options = MeasureOptions { borders: &borders, latitude: LATITUDE, views: VIEWS, ..MeasureOptions::default() };
    let samples: Vec<Sample<'_>> = runs
        .iter()
        .map(|(run, raster)| Sample {
            prompt: &run.prompt,
            canvas: Equirect { size: raster.size, rgb: &raster.rgb },
            options,
            evaluations: run.evaluations,
        })
        .collect();
    let set = SetMeasures::of(&samples, None)?;
    let stat = |value: fn(&PanoramaMeasures) -> f64| Stat::of(&set.panoramas.iter().map(value).collect::<Vec<_>>());
    let judged = judge.map(|judge| judge_runs(judge, &samples));
    let frechet_without = judged.as_ref().map(|j| j.without.clone()).unwrap_or_default();
    let mean = |value: fn(&Run) -> f64| runs.iter().map(|(run, _)| value(run)).sum::<f64>() / runs.len() as f64;
    Ok(Some(RowMeasures {
        name: row.name,
        title: row.title,
        switches: row.switches(),
        paper: row.paper,
        runs: runs.len(),
        frechet: judged.as_ref().and_then(|j| j.frechet),
        frechet_floor: judged.as_ref().and_then(|j| j.floor),
        accuracy: judged.and_then(|j| j.accuracy),
        seam_ratio: stat(|p| p.seams.mean_ratio),
        seam: stat(|p| p.seams.borders.iter().map(|b| b.across).sum::<f64>() / p.seams.borders.len().max(1) as f64),
        discontinuity: stat(|p| p.seams.wrap.discontinuity),
        sharpness: stat(|p| p.detail.sharpness),
        diversity: set.diversity,
        evaluations: mean(|run| run.evaluations as f64),
        seconds: mean(|run| run.seconds),
        seam_ratios: set.panoramas.iter().map(|p| p.seams.mean_ratio).collect(),
        frechet_without,
    }))
}

struct Judged {
    frechet: Option<Stat>,
    /// With each run left out.
    without: Vec<f64>,
    floor: Option<f64>,
    accuracy: Option<Stat>,
}

/// Looks at every view once; the distance is then taken of all runs, and with each left out.
fn judge_runs(judge: &Judge, samples: &[Sample<'_>]) -> Judged {
    let mut accuracies = Vec::new();
    let mut seen: Vec<(Wanted, Vec<Vec<f64>>)> = Vec::new();
    for sample in samples {
        let wanted = Wanted::of_prompt(sample.prompt);
        let covered = sample.options.covered(&sample.canvas);
        let looks = sample.options.looks(&covered);
        let views: Vec<_> =
            looks.iter().map(|look| judge.classifier.see(&look.view(&sample.canvas, VIEW_SIDE))).collect();
        let right = views.iter().filter(|view| wanted.met(view.classes()).iter().all(|met| *met != Some(false)));
        accuracies.push(right.count() as f64 / views.len().max(1) as f64);
        seen.push((wanted, views.iter().map(|view| judge.truth.project(&view.features)).collect()));
    }
    let whole = judge.truth.compare(&seen);
    let without = |i: usize| {
        let rest: Vec<_> = seen.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, s)| s.clone()).collect();
        judge.truth.compare(&rest).map(|c| c.frechet)
    };
    let left: Option<Vec<f64>> = (0..seen.len()).map(without).collect();
    let without = left.unwrap_or_default();
    let frechet = whole.as_ref().filter(|_| !without.is_empty()).map(|w| Stat::jackknife(w.frechet, &without));
    Judged { frechet, without, floor: whole.and_then(|c| c.panorama_floor), accuracy: Some(Stat::of(&accuracies)) }
}
