//! `y = activation(x Wᵀ + b) + residual`.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::conv2d::{self, Padding, Wrap};
use syncline_kernels::ops::gemm::{self, Activation, Gemm};
use syncline_kernels::tensor::Tensor;

use super::Source;
use crate::error::Result;

/// What a linear layer does to its sum before it stores it, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Applied to the sum with its bias.
    pub activation: Activation,
    /// Added last, of the shape of the result.
    pub residual: Option<&'a Tensor>,
}

/// A linear layer; weight `[out, in]`, as checkpoints have it.
#[derive(Debug)]
pub struct Linear {
    name: String,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// `weight [outputs, inputs]` and `bias [outputs]`.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit the device.
    pub fn load(source: &Source<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let bias = Some(source.tensor("bias", &[outputs])?);
        Ok(Self { bias, ..Self::load_unbiased(source, inputs, outputs)? })
    }

    /// `weight [outputs, inputs]` alone.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub fn load_unbiased(source: &Source<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let weight = source.tensor("weight", &[outputs, inputs])?;
        Ok(Self { name: source.name(), weight, bias: None })
    }

    /// A 1×1 convolution, `weight [outputs, inputs, 1, 1]`, used on tokens: the same numbers in the same order.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub fn load_conv1x1(source: &Source<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let host = source.take("weight", &[outputs, inputs, 1, 1])?;
        let weight = source.upload("weight", &host.to_f32(), &[outputs, inputs])?;
        let bias = Some(source.tensor("bias", &[outputs])?);
        Ok(Self { name: source.name(), weight, bias })
    }

    /// `x [.., in]` to `[.., out]`; `[.., out / 2]` with [`Activation::Geglu`].
    pub fn record(&self, rec: &mut Recorder, x: &Tensor, epilogue: Epilogue<'_>) -> Tensor {
        rec.set_layer(&self.name);
        gemm::gemm(
            rec,
            &Gemm {
                a: x,
                w: &self.weight,
                bias: self.bias.as_ref(),
                residual: epilogue.residual,
                activation: epilogue.activation,
            },
        )
    }
}

/// `y = activation(U u + V v + b)`: a linear layer of two vectors that are never joined in memory.
///
/// It runs as a 1×1 convolution of a 1×1 map with a skip input.
#[derive(Debug)]
pub struct TwoInputLinear {
    name: String,
    weight: Tensor,
    bias: Tensor,
}

impl TwoInputLinear {
    /// One stored layer: `weight [outputs, u + v]` and `bias [outputs]`.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit the device.
    pub fn load(source: &Source<'_>, [u, v]: [usize; 2], outputs: usize) -> Result<Self> {
        let weight = source.take("weight", &[outputs, u + v])?.to_f32();
        Ok(Self {
            name: source.name(),
            weight: source.upload("weight", &weight, &[outputs, 1, 1, u + v])?,
            bias: source.tensor("bias", &[outputs])?,
        })
    }

    /// The sum of two stored layers, each `[outputs, inputs]` with a bias.
    ///
    /// # Errors
    /// As [`TwoInputLinear::load`].
    pub fn load_sum([first, second]: [&Source<'_>; 2], inputs: usize, outputs: usize) -> Result<Self> {
        let [u, v] = [first, second].map(|s| s.take("weight", &[outputs, inputs]).map(|w| w.to_f32()));
        let (u, v) = (u?, v?);
        let joined: Vec<f32> =
            u.chunks(inputs).zip(v.chunks(inputs)).flat_map(|(u, v)| u.iter().chain(v)).copied().collect();
        let [a, b] = [first, second].map(|s| s.take("bias", &[outputs]).map(|b| b.to_f32()));
        let bias: Vec<f32> = a?.iter().zip(&b?).map(|(a, b)| a + b).collect();
        Ok(Self {
            name: format!("{} + {}", first.name(), second.name()),
            weight: first.upload("weight", &joined, &[outputs, 1, 1, 2 * inputs])?,
            bias: first.upload("bias", &bias, &[outputs])?,
        })
    }

    /// `[B, U]` and `[B, V]` to `[B, out]`.
    pub fn record(&self, rec: &mut Recorder, inputs: [&Tensor; 2], activation: Activation) -> Tensor {
        rec.set_layer(&self.name);
        let [u, v] = inputs.map(|x| x.reshape(&[x.dims()[0], 1, 1, x.shape().last()]));
        let out = conv2d::conv2d(
            rec,
            &conv2d::Conv2d {
                x: &u,
                skip: Some(&v),
                w: &self.weight,
                bias: Some(&self.bias),
                time_embedding: None,
                residual: None,
                activation,
                stride: 1,
                padding: Padding::Same,
                wrap: Wrap::default(),
                upsample: false,
                trim: [false; 2],
            },
        );
        out.reshape(&[u.dims()[0], out.shape().last()])
    }
}
