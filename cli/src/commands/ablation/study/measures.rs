//! What an edit of several views is worth.

use serde::Serialize;
use syncline::metrics::mini::{Classifier, HEADS, VIEW_SIDE};
use syncline::metrics::{psnr, ssim};

use super::Meta;
use crate::commands::ablation::measure::Stat;
use crate::exit::Failure;

/// Of one item. Views are RGB of [`VIEW_SIDE`]², 0..=1.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EditMeasures {
    /// To the source: decibels, structural similarity and mean absolute difference, means over views.
    pub source_psnr: f64,
    pub source_ssim: f64,
    pub source_l1: f64,
    /// Decibels to the picture as it should be.
    pub target_psnr: f64,
    /// Share of views in which the classifier sees what the edit was to bring.
    pub accuracy: f64,
    /// How differently views were changed: root mean square over views and channels of a view's mean change of colour, less the
    /// mean change of all views. Levels of 255.
    pub spread: f64,
}

/// Title, digits and value of a measure.
pub type Column = (&'static str, usize, fn(&EditMeasures) -> f64);

/// Which question an edit answers anew, and with which class.
pub fn wanted(meta: &Meta) -> anyhow::Result<(usize, usize)> {
    let head = HEADS.iter().position(|head| head.name == meta.attribute);
    let class = head.and_then(|head| HEADS[head].classes.iter().position(|class| *class == meta.to));
    head.zip(class).ok_or_else(|| {
        let found = format!("{} = {}", meta.attribute, meta.to);
        Failure::input(format!("meta.json: found {found}, expected an attribute of the built-in model's world")).into()
    })
}

impl EditMeasures {
    pub fn of(
        classifier: &Classifier,
        [source, target, edited]: [&[Vec<f32>]; 3],
        (head, class): (usize, usize),
    ) -> Self {
        let count = edited.len() as f64;
        let mean = |of: &dyn Fn(usize) -> f64| (0..edited.len()).map(of).sum::<f64>() / count;
        // Equal pictures have no finite ratio.
        let finite = |decibels: f64| decibels.min(99.0);
        let l1 = |i: usize| {
            let pairs = edited[i].iter().zip(&source[i]);
            pairs.map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / edited[i].len() as f64
        };
        Self {
            source_psnr: mean(&|i| finite(psnr(&source[i], &edited[i]))),
            source_ssim: mean(&|i| ssim(&source[i], &edited[i], [VIEW_SIDE; 2])),
            source_l1: mean(&l1),
            target_psnr: mean(&|i| finite(psnr(&target[i], &edited[i]))),
            accuracy: mean(&|i| f64::from(u8::from(classifier.see(&edited[i]).classes()[head] == class))),
            spread: spread(source, edited),
        }
    }

    /// Title, digits and value of each.
    pub fn columns() -> [Column; 6] {
        [
            ("accuracy ↑", 3, |m| m.accuracy),
            ("PSNR to truth ↑", 2, |m| m.target_psnr),
            ("PSNR to source", 2, |m| m.source_psnr),
            ("SSIM to source", 3, |m| m.source_ssim),
            ("L1 to source", 4, |m| m.source_l1),
            ("colour spread ↓", 2, |m| m.spread),
        ]
    }

    /// The cells of a table's row: means with standard errors.
    pub fn cells(of: &[Self]) -> Vec<String> {
        let cell = |(_, digits, value): Column| {
            let Stat { mean, error } = Stat::of(&of.iter().map(value).collect::<Vec<_>>());
            format!("{mean:.digits$} ± {error:.digits$}")
        };
        Self::columns().into_iter().map(cell).collect()
    }
}

fn spread(source: &[Vec<f32>], edited: &[Vec<f32>]) -> f64 {
    let pixels = edited[0].len() as f64 / 3.0;
    let change = |i: usize, c: usize| {
        let channel = |view: &[f32]| view.iter().skip(c).step_by(3).map(|v| f64::from(*v)).sum::<f64>() / pixels;
        255.0 * (channel(&edited[i]) - channel(&source[i]))
    };
    let count = edited.len();
    let channel = |c: usize| {
        let mean = (0..count).map(|i| change(i, c)).sum::<f64>() / count as f64;
        (0..count).map(|i| (change(i, c) - mean).powi(2)).sum::<f64>() / count as f64
    };
    ((0..3).map(channel).sum::<f64>() / 3.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_changes_have_no_spread() {
        let view = |level: f32| vec![level; 12];
        let source = [view(0.2), view(0.4)];
        assert!(spread(&source, &[view(0.5), view(0.7)]) < 1e-4);
        let uneven = spread(&source, &[view(0.3), view(0.3)]);
        assert!((uneven - 25.5).abs() < 1e-3, "{uneven}");
    }

    #[test]
    fn attributes_are_those_of_the_world() {
        let meta = |attribute: &str, to: &str| Meta {
            source_prompt: String::new(),
            target_prompt: String::new(),
            instruction: String::new(),
            attribute: attribute.to_owned(),
            to: to.to_owned(),
        };
        assert_eq!(wanted(&meta("time", "night")).unwrap(), (0, 3));
        assert!(wanted(&meta("time", "snow")).is_err() && wanted(&meta("mood", "snow")).is_err());
    }
}
