//! Convolutions over `[B, H, W, C]` maps.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::conv2d::{self, Padding, Wrap};
use syncline_kernels::ops::gemm::Activation;
use syncline_kernels::tensor::Tensor;

use super::Source;
use crate::error::Result;

/// How a convolution moves over its input. Its padding is "same" for stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Kernel height and width.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros (or wrapped values) around the input.
    pub padding: Padding,
    /// The input is doubled by nearest neighbour first.
    pub upsample: bool,
}

impl ConvGeometry {
    /// 3×3, stride 1.
    pub const THREE: Self = Self { kernel: 3, stride: 1, padding: Padding::Same, upsample: false };
    /// 1×1, stride 1.
    pub const ONE: Self = Self { kernel: 1, ..Self::THREE };
}

/// What else enters a convolution.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvEpilogue<'a> {
    /// A second input whose channels follow those of the first.
    pub skip: Option<&'a Tensor>,
    /// `[B, C out]`, added at every position.
    pub time_embedding: Option<&'a Tensor>,
    /// Applied to the sum of all but the residual.
    pub activation: Activation,
    /// Added last, of the shape of the result.
    pub residual: Option<&'a Tensor>,
    /// Edges that continue on the opposite side instead of in zeros.
    pub wrap: Wrap,
    /// After a doubling, whether its last row, column is left out.
    pub trim: [bool; 2],
}

/// A convolution; weight `[out, kh, kw, in]` on the device.
#[derive(Debug)]
pub struct Conv2d {
    name: String,
    weight: Tensor,
    bias: Tensor,
    geometry: ConvGeometry,
}

/// `[O, I, kh, kw]` to `[O, kh, kw, I]`.
fn channels_last(values: &[f32], [outputs, inputs, taps]: [usize; 3]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for o in 0..outputs {
        let from = &values[o * inputs * taps..(o + 1) * inputs * taps];
        let to = &mut out[o * inputs * taps..(o + 1) * inputs * taps];
        for i in 0..inputs {
            for t in 0..taps {
                to[t * inputs + i] = from[i * taps + t];
            }
        }
    }
    out
}

impl Conv2d {
    /// `weight [outputs, inputs, k, k]` and `bias [outputs]`.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit the device.
    pub fn load(source: &Source<'_>, inputs: usize, outputs: usize, geometry: ConvGeometry) -> Result<Self> {
        Ok(Self::load_split(source, inputs, &[outputs], geometry)?.remove(0))
    }

    /// As [`Conv2d::load`], with results multiplied by `scale`.
    ///
    /// # Errors
    /// As [`Conv2d::load`].
    pub fn load_scaled(
        source: &Source<'_>,
        [inputs, outputs]: [usize; 2],
        geometry: ConvGeometry,
        scale: f64,
    ) -> Result<Self> {
        Ok(Self::load_parts(source, inputs, &[outputs], geometry, scale)?.remove(0))
    }

    /// One stored convolution as several with `parts` output channels each, in order: a result that is to be split by
    /// channels is never joined in the first place.
    ///
    /// # Errors
    /// As [`Conv2d::load`].
    pub fn load_split(
        source: &Source<'_>,
        inputs: usize,
        parts: &[usize],
        geometry: ConvGeometry,
    ) -> Result<Vec<Self>> {
        Self::load_parts(source, inputs, parts, geometry, 1.0)
    }

    fn load_parts(
        source: &Source<'_>,
        inputs: usize,
        parts: &[usize],
        geometry: ConvGeometry,
        scale: f64,
    ) -> Result<Vec<Self>> {
        let (k, outputs) = (geometry.kernel, parts.iter().sum());
        let take = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let mut values = source.take(name, shape)?.to_f32();
            if scale != 1.0 {
                values.iter_mut().for_each(|v| *v = (f64::from(*v) * scale) as f32);
            }
            Ok(values)
        };
        let weight = channels_last(&take("weight", &[outputs, inputs, k, k])?, [outputs, inputs, k * k]);
        let bias = take("bias", &[outputs])?;
        let row = k * k * inputs;
        let mut first = 0;
        let part = |&count: &usize| {
            let rows = first..first + count;
            first += count;
            Ok(Self {
                name: source.name(),
                weight: source.upload("weight", &weight[rows.start * row..rows.end * row], &[count, k, k, inputs])?,
                bias: source.upload("bias", &bias[rows], &[count])?,
                geometry,
            })
        };
        parts.iter().map(part).collect()
    }

    /// `x [B, H, W, in]`, or `x` and `skip` with `in` channels together, to `[B, H', W', out]`.
    pub fn record(&self, rec: &mut Recorder, x: &Tensor, epilogue: ConvEpilogue<'_>) -> Tensor {
        rec.set_layer(&self.name);
        conv2d::conv2d(
            rec,
            &conv2d::Conv2d {
                x,
                skip: epilogue.skip,
                w: &self.weight,
                bias: Some(&self.bias),
                time_embedding: epilogue.time_embedding,
                residual: epilogue.residual,
                activation: epilogue.activation,
                stride: self.geometry.stride,
                padding: self.geometry.padding,
                wrap: epilogue.wrap,
                upsample: self.geometry.upsample,
                trim: epilogue.trim,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::channels_last;

    #[test]
    fn channels_go_last() {
        let (o, i, t) = (2, 3, 4);
        let values: Vec<f32> = (0..o * i * t).map(|v| v as f32).collect();
        let out = channels_last(&values, [o, i, t]);
        for (a, b, c) in [(0, 0, 0), (1, 2, 3), (1, 0, 2), (0, 2, 1)] {
            assert_eq!(out[(a * t + c) * i + b], values[(a * i + b) * t + c]);
        }
    }
}
