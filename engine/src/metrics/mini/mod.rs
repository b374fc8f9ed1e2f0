//! Quality of pictures of the built-in model's world, judged by a classifier that was trained on true views of it: whether
//! prompts are followed, and how far generated views are from true ones. Means nothing for other models.

mod attributes;
mod classifier;
mod true_views;

pub use attributes::{HEADS, Head, Wanted};
pub use classifier::{Classifier, FEATURES, Seen, VIEW_SIDE};
pub use true_views::{COORDINATES, Comparison, TrueViews};

use super::plane::mean;
use crate::error::Result;

/// The classifier with the true views.
#[derive(Clone, Debug)]
pub struct Judge {
    /// Sees what a view shows.
    pub classifier: Classifier,
    /// What it sees in true views.
    pub truth: TrueViews,
}

/// Views of [`VIEW_SIDE`]² pixels in one panorama, and its prompt.
#[derive(Clone, Debug)]
pub struct Prompted {
    /// The prompt they were made for.
    pub prompt: String,
    /// RGB of each, 0..=1.
    pub views: Vec<Vec<f32>>,
}

/// Share of views that show what their prompt names; none where no prompt names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Accuracy {
    /// Time of day.
    pub time: Option<f64>,
    /// Ground.
    pub ground: Option<f64>,
    /// What stands on the horizon.
    pub relief: Option<f64>,
    /// Sky.
    pub sky: Option<f64>,
    /// Views with everything right that was named.
    pub all: Option<f64>,
}

/// What the classifier says of generated views.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Judgement {
    /// Whether they show what was asked for.
    pub accuracy: Accuracy,
    /// How far they are from true views; none for fewer than two.
    pub against_truth: Option<Comparison>,
    /// Views judged.
    pub views: usize,
}

impl Judge {
    /// The one inside the program.
    ///
    /// # Errors
    /// When its files are not what they should be.
    pub fn mini() -> Result<Self> {
        Ok(Self { classifier: Classifier::mini()?, truth: TrueViews::mini()? })
    }

    /// Judges the views of one or more panoramas.
    ///
    /// # Panics
    /// When a view has another size.
    #[must_use]
    pub fn judge(&self, sets: &[Prompted]) -> Judgement {
        let mut met: Vec<[Option<bool>; 4]> = Vec::new();
        let mut coordinates = Vec::new();
        for set in sets {
            let wanted = Wanted::of_prompt(&set.prompt);
            let seen: Vec<Seen> = set.views.iter().map(|view| self.classifier.see(view)).collect();
            met.extend(seen.iter().map(|s| wanted.met(s.classes())));
            coordinates.push((wanted, seen.iter().map(|s| self.truth.project(&s.features)).collect()));
        }
        Judgement { accuracy: Accuracy::of(&met), against_truth: self.truth.compare(&coordinates), views: met.len() }
    }
}

impl Accuracy {
    fn of(met: &[[Option<bool>; 4]]) -> Self {
        let share = |right: Vec<bool>| {
            (!right.is_empty()).then(|| mean(right.into_iter().map(|right| if right { 1.0 } else { 0.0 })))
        };
        let head = |i: usize| share(met.iter().filter_map(|m| m[i]).collect());
        let named = met.iter().filter(|m| m.iter().any(Option::is_some));
        let all = share(named.map(|m| m.iter().all(|met| *met != Some(false))).collect());
        Self { time: head(0), ground: head(1), relief: head(2), sky: head(3), all }
    }
}

/// Unbiased squared maximum mean discrepancy of a sample and a weighted one (Gretton et al. 2012; with this kernel the
/// KID of Bińkowski et al. 2018): `mean over pairs i ≠ j of k(xᵢ, xⱼ) + the same of y − 2 mean k(xᵢ, yⱼ)`, both centred on the
/// mean of y: this kernel knows an origin.
fn kernel_distance(x: &[&[f64]], y: &[(&[f64], f64)]) -> f64 {
    let kernel = |a: &[f64], b: &[f64]| (a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() + 1.0).powi(3);
    let total: f64 = y.iter().map(|(_, weight)| weight).sum();
    let middle = |k: usize| y.iter().map(|(row, weight)| weight / total * row[k]).sum::<f64>();
    let middle: Vec<f64> = (0..y.first().map_or(0, |(row, _)| row.len())).map(middle).collect();
    let away = |row: &[f64]| row.iter().zip(&middle).map(|(v, m)| v - m).collect::<Vec<f64>>();
    let x: Vec<(Vec<f64>, f64)> = x.iter().map(|row| (away(row), 1.0)).collect();
    let y: Vec<(Vec<f64>, f64)> = y.iter().map(|(row, weight)| (away(row), *weight)).collect();
    let within = |set: &[(Vec<f64>, f64)]| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (i, (a, wa)) in set.iter().enumerate() {
            for (b, wb) in &set[..i] {
                sum += wa * wb * kernel(a, b);
                weights += wa * wb;
            }
        }
        sum / weights
    };
    let (mut between, mut weights) = (0.0, 0.0);
    for (a, wa) in &x {
        for (b, wb) in &y {
            between += wa * wb * kernel(a, b);
            weights += wa * wb;
        }
    }
    within(&x) + within(&y) - 2.0 * between / weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_counts_only_what_was_named() {
        let (yes, no) = (Some(true), Some(false));
        let found = Accuracy::of(&[[yes, no, None, None], [yes, yes, None, None], [None; 4], [no, None, None, yes]]);
        assert_eq!(found.time, Some(2.0 / 3.0));
        assert_eq!((found.ground, found.relief, found.sky), (Some(0.5), None, Some(1.0)));
        assert_eq!(found.all, Some(1.0 / 3.0));
        assert_eq!(Accuracy::of(&[[None; 4]]), Accuracy::default());
    }

    /// In one dimension, (xy + 1)³ = 1 + 3xy + 3x²y² + x³y³ compares the first three moments.
    #[test]
    fn kernel_distance_of_known_samples() {
        let rows = [[0.0], [1.0], [2.0], [4.0]];
        let row = |i: usize| &rows[i][..];
        let k = |a: f64, b: f64| (a * b + 1.0f64).powi(3);
        // Less the mean 3 of the second sample: −3, −2 and −1, 1.
        let between = k(-3.0, -1.0) + k(-3.0, 1.0) + k(-2.0, -1.0) + k(-2.0, 1.0);
        let expected = k(-3.0, -2.0) + k(-1.0, 1.0) - 2.0 * between / 4.0;
        let found = kernel_distance(&[row(0), row(1)], &[(row(2), 1.0), (row(3), 1.0)]);
        assert!((found - expected).abs() < 1e-9);
    }

    #[test]
    fn a_flat_day_is_no_night() {
        let judge = Judge::mini().unwrap();
        let view: Vec<f32> =
            (0..128 * 128).flat_map(|i| if i < 64 * 128 { [0.45, 0.65, 0.95] } else { [0.3, 0.6, 0.2] }).collect();
        let of = |prompt: &str| {
            judge.judge(&[Prompted { prompt: prompt.to_owned(), views: vec![view.clone(), view.clone()] }])
        };
        let (day, night) = (of("green meadow at noon"), of("green meadow at night"));
        assert_eq!((day.accuracy.time, day.accuracy.ground, day.accuracy.sky), (Some(1.0), Some(1.0), None));
        assert_eq!((night.accuracy.time, night.accuracy.all, night.views), (Some(0.0), Some(0.0), 2));
        let (day, night) = (day.against_truth.unwrap(), night.against_truth.unwrap());
        assert!(day.frechet < night.frechet && day.kernel < night.kernel, "{day:?} {night:?}");
    }
}
