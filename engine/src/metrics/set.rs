//! Measures of many panoramas made in one way: one row of a comparison of methods.

use super::mini::{self, Judge, Judgement, Prompted};
use super::plane::mean;
use super::{Covered, Detail, Diversity, Equirect, Look, MeasureOptions, Overlap, PanoramaMeasures, diversity};
use crate::error::{Error, Result};

/// One panorama of a set.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// What it was made for.
    pub prompt: &'a str,
    /// The result.
    pub canvas: Equirect<'a>,
    /// How it is measured; fields and numbers of views must be alike within a set.
    pub options: MeasureOptions<'a>,
    /// Network evaluations that it took, counting each view and each guidance row; 0 when that is not known.
    pub evaluations: usize,
}

/// A set's measures.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SetMeasures {
    /// Of each panorama.
    pub panoramas: Vec<PanoramaMeasures>,
    /// Their means.
    pub mean: Summary,
    /// How different panoramas of one prompt are, seen in the views that all of them cover; mean over the prompts that have
    /// two or more.
    pub diversity: Option<Diversity>,
    /// What the classifier of the built-in model's world says.
    pub mini: Option<Judgement>,
}

/// Means over panoramas; of a number that only some have, over those.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Covered share of the sphere.
    pub sphere_coverage: f64,
    /// Rows that seams are measured on; without any their numbers are 0.
    pub seam_rows: f64,
    /// Seam ratio of all borders and the wrap.
    pub seam_ratio: f64,
    /// The largest of a panorama's ratios.
    pub worst_seam_ratio: f64,
    /// Seam ratio of the wrap alone.
    pub wrap_ratio: f64,
    /// Share of plain columns that change as much as the wrap.
    pub wrap_rank: f64,
    /// Discontinuity Score of the wrap.
    pub wrap_discontinuity: f64,
    /// The same of lines without a seam.
    pub discontinuity_elsewhere: Option<f64>,
    /// Ring ratio of the poles that are covered.
    pub pole_ring_ratio: Option<f64>,
    /// Detail ratio of these.
    pub pole_detail_ratio: Option<f64>,
    /// Roll difference of these.
    pub pole_roll_difference: Option<f64>,
    /// Views that are whole; without any their details are 0.
    pub views: f64,
    /// Details of views.
    pub detail: Detail,
    /// The same divided by those of single views.
    pub against_singles: Option<Detail>,
    /// Agreement of sets of views.
    pub overlap: Option<Overlap>,
    /// Network evaluations of a panorama.
    pub evaluations: f64,
}

impl SetMeasures {
    /// Measures a set. With a `judge` the views are judged too; that means nothing for models of other worlds.
    ///
    /// # Errors
    /// As [`PanoramaMeasures::of`], or when the set is empty.
    pub fn of(samples: &[Sample<'_>], judge: Option<&Judge>) -> Result<Self> {
        if samples.is_empty() {
            let expected = "one or more".to_owned();
            return Err(Error::Input { what: "panoramas", found: "none".to_owned(), expected });
        }
        let measure = |s: &Sample<'_>| PanoramaMeasures::of(&s.canvas, &s.options);
        let panoramas = samples.iter().map(measure).collect::<Result<Vec<_>>>()?;
        let covered: Vec<Covered> = samples.iter().map(|s| s.options.covered(&s.canvas)).collect();
        let judged = |judge: &Judge| {
            let prompted = samples.iter().zip(&covered).map(|(s, covered)| Prompted {
                prompt: s.prompt.to_owned(),
                views: views(s, &s.options.looks(covered)),
            });
            judge.judge(&prompted.collect::<Vec<_>>())
        };
        Ok(Self {
            mean: Summary::of(&panoramas, mean(samples.iter().map(|s| s.evaluations as f64))),
            diversity: diversity_of_prompts(samples, &covered),
            mini: judge.map(judged),
            panoramas,
        })
    }
}

/// Small views, as the classifier takes them.
fn views(sample: &Sample<'_>, looks: &[Look]) -> Vec<Vec<f32>> {
    looks.iter().map(|look| look.view(&sample.canvas, mini::VIEW_SIDE)).collect()
}

fn diversity_of_prompts(samples: &[Sample<'_>], covered: &[Covered]) -> Option<Diversity> {
    let mut prompts: Vec<&str> = samples.iter().map(|s| s.prompt).collect();
    prompts.sort_unstable();
    prompts.dedup();
    let of = |prompt: &&str| {
        let own = || samples.iter().zip(covered).filter(|(s, _)| s.prompt == *prompt);
        // Views that all of them cover.
        let mut looks: Option<Vec<Look>> = None;
        for (sample, covered) in own() {
            let seen = sample.options.looks(covered);
            looks = Some(looks.map_or(seen.clone(), |looks| looks.into_iter().filter(|l| seen.contains(l)).collect()));
        }
        let looks = looks.unwrap_or_default();
        let pictures: Vec<Vec<Vec<f32>>> = own().map(|(sample, _)| views(sample, &looks)).collect();
        let pictures: Vec<&[Vec<f32>]> = pictures.iter().map(Vec::as_slice).collect();
        diversity(&pictures, [mini::VIEW_SIDE; 2])
    };
    let found: Vec<Diversity> = prompts.iter().filter_map(of).collect();
    (!found.is_empty()).then(|| Diversity {
        rms: mean(found.iter().map(|d| d.rms)),
        ssim_distance: mean(found.iter().map(|d| d.ssim_distance)),
        pairs: found.iter().map(|d| d.pairs).sum(),
    })
}

/// Mean of the numbers that are there.
fn mean_of(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let there: Vec<f64> = values.flatten().collect();
    (!there.is_empty()).then(|| mean(there))
}

impl Summary {
    /// Means of panoramas that took `evaluations` on average.
    #[must_use]
    pub fn of(panoramas: &[PanoramaMeasures], evaluations: f64) -> Self {
        let over = |f: &dyn Fn(&PanoramaMeasures) -> f64| mean(panoramas.iter().map(f));
        let poles = || panoramas.iter().flat_map(|p| [p.zenith, p.nadir]);
        let details: Vec<Detail> = panoramas.iter().map(|p| p.detail).collect();
        let relative: Vec<Detail> = panoramas.iter().filter_map(|p| p.against_singles).collect();
        let overlaps: Vec<Overlap> = panoramas.iter().filter_map(|p| p.overlap).collect();
        Self {
            sphere_coverage: over(&|p| p.sphere_coverage),
            seam_rows: over(&|p| p.seams.rows as f64),
            seam_ratio: over(&|p| p.seams.mean_ratio),
            worst_seam_ratio: over(&|p| p.seams.worst_ratio),
            wrap_ratio: over(&|p| p.seams.wrap.ratio),
            wrap_rank: over(&|p| p.seams.wrap.rank),
            wrap_discontinuity: over(&|p| p.seams.wrap.discontinuity),
            discontinuity_elsewhere: mean_of(panoramas.iter().map(|p| p.seams.discontinuity_elsewhere)),
            pole_ring_ratio: mean_of(poles().map(|p| p.map(|p| p.ring_ratio))),
            pole_detail_ratio: mean_of(poles().map(|p| p.map(|p| p.detail_ratio))),
            pole_roll_difference: mean_of(poles().map(|p| p.map(|p| p.roll_difference))),
            views: over(&|p| p.views as f64),
            detail: Detail::mean(&details),
            against_singles: (!relative.is_empty()).then(|| Detail::mean(&relative)),
            overlap: Overlap::mean(&overlaps),
            evaluations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [64, 128];

    fn picture(phase: f32) -> Vec<f32> {
        let value = |y: usize, x: usize| {
            0.5 + 0.2 * (6.0 * std::f32::consts::TAU * x as f32 / 128.0 + phase).sin() * (0.2 * y as f32).cos()
        };
        (0..SIZE[0] * SIZE[1]).flat_map(|i| [value(i / SIZE[1], i % SIZE[1]); 3]).collect()
    }

    #[test]
    fn pairs_are_those_of_one_prompt() {
        let pictures = [0.0, 1.5, 0.4].map(picture);
        let options = MeasureOptions { views: 4, borders: &[10.0], ..MeasureOptions::default() };
        let sample = |i: usize, prompt: &'static str| Sample {
            prompt,
            canvas: Equirect { size: SIZE, rgb: &pictures[i] },
            options,
            evaluations: 100 * i,
        };
        let found = SetMeasures::of(&[sample(0, "a sea"), sample(1, "a hill"), sample(2, "a hill")], None).unwrap();
        assert_eq!((found.panoramas.len(), found.mean.evaluations), (3, 100.0));
        let pair = SetMeasures::of(&[sample(1, "a hill"), sample(2, "a hill")], None).unwrap().diversity.unwrap();
        assert_eq!((found.diversity, pair.pairs), (Some(pair), 1));
        assert!(pair.rms > 0.05 && found.mini.is_none());
        let ratio = |i: usize| found.panoramas[i].seams.mean_ratio;
        assert!((found.mean.seam_ratio - (ratio(0) + ratio(1) + ratio(2)) / 3.0).abs() < 1e-12);
        assert_eq!(SetMeasures::of(&[sample(0, "a"), sample(1, "b")], None).unwrap().diversity, None);
        assert!(SetMeasures::of(&[], None).unwrap_err().to_string().contains("panoramas: found none"));
    }

    #[test]
    fn the_judge_sees_all_views() {
        let day: Vec<f32> = (0..SIZE[0] * SIZE[1])
            .flat_map(|i| if i < SIZE[0] * SIZE[1] / 2 { [0.45, 0.65, 0.95] } else { [0.3, 0.6, 0.2] })
            .collect();
        let options = MeasureOptions { views: 5, ..MeasureOptions::default() };
        let canvas = Equirect { size: SIZE, rgb: &day };
        let sample = |prompt| Sample { prompt, canvas, options, evaluations: 0 };
        let judge = Judge::mini().unwrap();
        let found = SetMeasures::of(&[sample("meadow at noon"), sample("meadow at night")], Some(&judge)).unwrap();
        let mini = found.mini.unwrap();
        assert_eq!((mini.views, mini.accuracy.time, mini.accuracy.ground), (10, Some(0.5), Some(1.0)));
        assert_eq!(mini.against_truth.unwrap().views, 10);
    }
}
