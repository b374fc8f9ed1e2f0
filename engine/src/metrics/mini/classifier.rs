//! The classifier of the built-in model's world, on the host: four strided convolutions, as
//! `model-loader/mini/train/classifier.py` trains them.

use syncline_loader::{Detail, LoadError, Scope, Weights};

use super::attributes::HEADS;
use crate::error::Result;

/// Side of a view in pixels; it is halved before the first layer.
pub const VIEW_SIDE: usize = 128;
/// Numbers that the heads are computed from: 96 channels in four rows.
pub const FEATURES: usize = 384;
const WIDTHS: [usize; 5] = [3, 24, 40, 64, 96];

/// See the module.
#[derive(Clone, Debug)]
pub struct Classifier {
    convolutions: Vec<Layer>,
    heads: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    /// `[out, in, 3, 3]`, or `[out, in]` of a head.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// What the classifier sees in a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What the heads are computed from: channel by channel, four rows each from top to bottom.
    pub features: Vec<f32>,
    /// Scores of the classes for each of [`HEADS`].
    pub logits: [Vec<f32>; 4],
}

impl Seen {
    /// The class with the highest score, for each head.
    #[must_use]
    pub fn classes(&self) -> [usize; 4] {
        let best = |scores: &Vec<f32>| {
            let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(i, _)| i)
        };
        [0, 1, 2, 3].map(|i| best(&self.logits[i]))
    }
}

impl Classifier {
    /// The one inside the program.
    ///
    /// # Errors
    /// When the file does not hold the classifier described here.
    pub fn mini() -> Result<Self> {
        let weights = Weights::mini_classifier()?;
        check_classes(&weights)?;
        let scope = weights.scope();
        let layer = |scope: &Scope, shape: &[usize]| -> Result<Layer> {
            Ok(Layer { weight: scope.take("weight", shape)?.to_f32(), bias: scope.take("bias", &shape[..1])?.to_f32() })
        };
        let convolution = |i: usize| layer(&scope.at("conv").at(i), &[WIDTHS[i + 1], WIDTHS[i], 3, 3]);
        let convolutions = (0..4).map(convolution).collect::<Result<_>>()?;
        let head = |head: &super::Head| layer(&scope.at("head").at(head.name), &[head.classes.len(), FEATURES]);
        let heads = HEADS.iter().map(head).collect::<Result<_>>()?;
        weights.finish(&[])?;
        Ok(Self { convolutions, heads })
    }

    /// Looks at a view of [`VIEW_SIDE`]² RGB pixels in 0..=1, row by row.
    ///
    /// # Panics
    /// When it has another number of values.
    #[must_use]
    pub fn see(&self, rgb: &[f32]) -> Seen {
        assert_eq!(rgb.len(), VIEW_SIDE * VIEW_SIDE * 3, "RGB values of a view of {VIEW_SIDE} x {VIEW_SIDE}");
        let mut side = VIEW_SIDE / 2;
        let mut planes = halved(rgb);
        for layer in &self.convolutions {
            planes = layer.convolve(&planes, side);
            side /= 2;
        }
        let row = |row: &[f32]| row.iter().sum::<f32>() / side as f32;
        let features: Vec<f32> = planes.chunks_exact(side).map(row).collect();
        let logits = std::array::from_fn(|i| self.heads[i].linear(&features));
        Seen { features, logits }
    }
}

/// The class names in the file must be ours: indices mean nothing else.
fn check_classes(weights: &Weights) -> Result<()> {
    let text = weights.metadata().find(|(key, _)| *key == "heads").map_or("", |(_, text)| text);
    let found: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let agree = HEADS.iter().all(|head| found[head.name] == serde_json::json!(head.classes));
    if agree {
        return Ok(());
    }
    let detail = Detail::new(weights.label(), "the classifier answers other questions").item("heads").found(text);
    let expected = HEADS.map(|head| format!("{}: {}", head.name, head.classes.join(", "))).join("; ");
    Err(LoadError::BadJson(Box::new(detail.expected(expected).next("build the program again"))).into())
}

/// Means of 2 × 2 pixels, as -1..=1, plane by plane.
fn halved(rgb: &[f32]) -> Vec<f32> {
    let side = VIEW_SIDE / 2;
    let value = |i: usize| {
        let (c, y, x) = (i / (side * side), i / side % side, i % side);
        let at = |dy: usize, dx: usize| rgb[((2 * y + dy) * VIEW_SIDE + 2 * x + dx) * 3 + c];
        0.5 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) - 1.0
    };
    (0..3 * side * side).map(value).collect()
}

impl Layer {
    /// 3 × 3, stride 2, one pixel of zeros around, ReLU: planes of `side`² to planes of `(side / 2)²`.
    fn convolve(&self, planes: &[f32], side: usize) -> Vec<f32> {
        let (inputs, half) = (planes.len() / (side * side), side / 2);
        let mut out = Vec::with_capacity(self.bias.len() * half * half);
        for (o, bias) in self.bias.iter().enumerate() {
            let mut plane = vec![*bias; half * half];
            for i in 0..inputs {
                let source = &planes[i * side * side..][..side * side];
                for (k, weight) in self.weight[(o * inputs + i) * 9..][..9].iter().enumerate() {
                    add_tap(&mut plane, source, side, (k, *weight));
                }
            }
            out.extend(plane.into_iter().map(|v| v.max(0.0)));
        }
        out
    }

    fn linear(&self, features: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(features.len());
        rows.zip(&self.bias)
            .map(|(row, bias)| bias + row.iter().zip(features).map(|(w, f)| w * f).sum::<f32>())
            .collect()
    }
}

/// Adds tap `k` of a 3 × 3 filter.
fn add_tap(plane: &mut [f32], source: &[f32], side: usize, (k, weight): (usize, f32)) {
    let half = side / 2;
    let (dy, dx) = (k / 3, k % 3);
    // Row 2y + dy − 1 of the source; only the first can be outside.
    for y in usize::from(dy == 0)..half {
        let row = &source[(2 * y + dy - 1) * side..][..side];
        for x in usize::from(dx == 0)..half {
            plane[y * half + x] += weight * row[2 * x + dx - 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one output at a time.
    fn slow(layer: &Layer, planes: &[f32], side: usize) -> Vec<f64> {
        let (inputs, half) = (planes.len() / (side * side), side / 2);
        let at = |i: usize, y: isize, x: isize| {
            let inside = (0..side as isize).contains(&y) && (0..side as isize).contains(&x);
            if inside { f64::from(planes[i * side * side + y as usize * side + x as usize]) } else { 0.0 }
        };
        let mut out = Vec::new();
        for (o, bias) in layer.bias.iter().enumerate() {
            for p in 0..half * half {
                let (y, x) = ((p / half) as isize, (p % half) as isize);
                let taps = (0..inputs * 9).map(|t| {
                    let (i, ky, kx) = (t / 9, (t % 9 / 3) as isize, (t % 3) as isize);
                    f64::from(layer.weight[o * inputs * 9 + t]) * at(i, 2 * y + ky - 1, 2 * x + kx - 1)
                });
                out.push((f64::from(*bias) + taps.sum::<f64>()).max(0.0));
            }
        }
        out
    }

    #[test]
    fn convolutions_follow_the_definition() {
        let noise = |n: usize, seed: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * 7919 + seed) * 104_729 % 10_007) as f32 / 10_007.0 - 0.5).collect()
        };
        for (inputs, outputs, side) in [(1, 1, 2), (3, 4, 8), (5, 2, 6)] {
            let layer = Layer { weight: noise(outputs * inputs * 9, 3), bias: noise(outputs, 11) };
            let planes = noise(inputs * side * side, 29);
            let (found, expected) = (layer.convolve(&planes, side), slow(&layer, &planes, side));
            assert_eq!(found.len(), expected.len());
            assert!(found.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{side}");
        }
    }

    #[test]
    fn the_embedded_classifier_tells_day_from_night() {
        let classifier = Classifier::mini().unwrap();
        let flat = |sky: [f32; 3], ground: [f32; 3]| -> Vec<f32> {
            (0..128 * 128).flat_map(|i| if i < 64 * 128 { sky } else { ground }).collect()
        };
        let day = classifier.see(&flat([0.45, 0.65, 0.95], [0.3, 0.6, 0.2]));
        let night = classifier.see(&flat([0.02, 0.03, 0.08], [0.03, 0.05, 0.03]));
        assert_eq!((day.features.len(), day.logits[1].len()), (FEATURES, 5));
        assert_eq!((day.classes()[0], day.classes()[1], night.classes()[0]), (1, 2, 3));
    }
}
