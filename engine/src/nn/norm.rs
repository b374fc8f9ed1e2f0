//! Group and layer normalisation.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::{group_norm, layer_norm};
use syncline_kernels::tensor::Tensor;

use super::Source;
use crate::error::Result;

/// Normalises groups of channels over all positions of an image (Wu and He 2018), with SiLU behind it where asked.
#[derive(Debug)]
pub struct GroupNorm {
    name: String,
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f32,
}

impl GroupNorm {
    /// `weight [channels]` and `bias [channels]`.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit the device.
    pub fn load(source: &Source<'_>, channels: usize, groups: usize, eps: f64) -> Result<Self> {
        let (weight, bias) = (source.tensor("weight", &[channels])?, source.tensor("bias", &[channels])?);
        Ok(Self { name: source.name(), weight, bias, groups, eps: eps as f32 })
    }

    /// `x [B, .., C]` and the channels of `skip` behind those of `x`, normalised together.
    pub fn record(&self, rec: &mut Recorder, x: &Tensor, skip: Option<&Tensor>, silu: bool) -> Tensor {
        rec.set_layer(&self.name);
        group_norm::group_norm(
            rec,
            &group_norm::GroupNorm {
                x,
                skip,
                weight: &self.weight,
                bias: &self.bias,
                groups: self.groups,
                eps: self.eps,
                silu,
            },
        )
    }
}

/// Normalises each token over its channels (Ba et al. 2016).
#[derive(Debug)]
pub struct LayerNorm {
    name: String,
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// `weight [channels]` and `bias [channels]`.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit the device.
    pub fn load(source: &Source<'_>, channels: usize, eps: f64) -> Result<Self> {
        let (weight, bias) = (source.tensor("weight", &[channels])?, source.tensor("bias", &[channels])?);
        Ok(Self { name: source.name(), weight, bias, eps: eps as f32 })
    }

    /// `x [.., C]`, same shape out.
    pub fn record(&self, rec: &mut Recorder, x: &Tensor) -> Tensor {
        rec.set_layer(&self.name);
        layer_norm::layer_norm(rec, &layer_norm::LayerNorm { x, weight: &self.weight, bias: &self.bias, eps: self.eps })
    }
}
