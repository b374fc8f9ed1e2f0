//! The convolution by its definition, in f64: concatenate, enlarge, pad, correlate.

use crate::ops::gemm::oracle::activate;

use super::{Activation, Padding, Wrap};

/// Sizes and options of one convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub(crate) batch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) c: usize,
    pub(crate) s: usize,
    pub(crate) n: usize,
    pub(crate) taps: usize,
    pub(crate) stride: usize,
    pub(crate) padding: Padding,
    pub(crate) wrap: Wrap,
    pub(crate) upsample: bool,
    pub(crate) trim: [bool; 2],
    pub(crate) activation: Activation,
}

/// Values of one convolution, as stored.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) x: Vec<f64>,
    pub(crate) skip: Vec<f64>,
    pub(crate) w: Vec<f64>,
    pub(crate) bias: Option<Vec<f64>>,
    pub(crate) time: Option<Vec<f64>>,
    pub(crate) residual: Option<Vec<f64>>,
}

impl Problem {
    /// The image that the window sees, one row and column at a time: enlarged, with its border.
    fn padded(&self, v: &Values, b: usize) -> (Vec<Vec<Vec<f64>>>, usize) {
        let factor = if self.upsample { 2 } else { 1 };
        let (before, after) = match self.padding {
            Padding::Same => (self.taps / 2, self.taps / 2),
            Padding::AsymmetricEnd => (0, 1),
        };
        let [h, w] = [0, 1].map(|i| [self.height, self.width][i] * factor - usize::from(self.trim[i]));
        let pixel = |y: usize, x: usize| -> Vec<f64> {
            let at = (b * self.height + y / factor) * self.width + x / factor;
            let own = &v.x[at * self.c..][..self.c];
            let other = if self.s == 0 { &[] } else { &v.skip[at * self.s..][..self.s] };
            [own, other].concat()
        };
        let source = |at: usize, size: usize, wrap: bool| -> Option<usize> {
            let p = at as i64 - before as i64;
            if wrap { Some(p.rem_euclid(size as i64) as usize) } else { usize::try_from(p).ok().filter(|&p| p < size) }
        };
        let image = (0..h + before + after)
            .map(|y| {
                (0..w + before + after)
                    .map(|x| match (source(y, h, self.wrap.y), source(x, w, self.wrap.x)) {
                        (Some(y), Some(x)) => pixel(y, x),
                        _ => vec![0.0; self.c + self.s],
                    })
                    .collect()
            })
            .collect();
        (image, w + before + after)
    }

    /// The result, `[batch, out height, out width, n]`, and the output height and width.
    pub(crate) fn solve(&self, v: &Values) -> (Vec<f64>, usize, usize) {
        let depth = self.c + self.s;
        let mut y = Vec::new();
        let (mut out_height, mut out_width) = (0, 0);
        for b in 0..self.batch {
            let (image, padded_width) = self.padded(v, b);
            out_height = (image.len() - self.taps) / self.stride + 1;
            out_width = (padded_width - self.taps) / self.stride + 1;
            for oy in 0..out_height {
                for ox in 0..out_width {
                    for n in 0..self.n {
                        let mut sum = v.bias.as_ref().map_or(0.0, |bias| bias[n]);
                        sum += v.time.as_ref().map_or(0.0, |time| time[b * self.n + n]);
                        for ty in 0..self.taps {
                            for tx in 0..self.taps {
                                let pixel = &image[oy * self.stride + ty][ox * self.stride + tx];
                                let w = &v.w[((n * self.taps + ty) * self.taps + tx) * depth..][..depth];
                                sum += pixel.iter().zip(w).map(|(p, w)| p * w).sum::<f64>();
                            }
                        }
                        let residual = v.residual.as_ref().map_or(0.0, |r| r[y.len()]);
                        y.push(activate(sum, self.activation) + residual);
                    }
                }
            }
        }
        (y, out_height, out_width)
    }
}
