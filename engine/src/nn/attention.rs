//! Multi-head attention with its four projections.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::attention;
use syncline_kernels::tensor::Tensor;

use super::{Epilogue, Linear, Source};
use crate::error::{Error, Result};

/// Channels per head that the kernel takes at most; VAEs have one head of 512.
const MAX_HEAD: usize = 512;

/// Checkpoint names of the projections, and which of them carry a bias.
#[derive(Clone, Copy, Debug)]
pub struct AttentionNames {
    /// Queries, keys, values, output.
    pub projections: [&'static str; 4],
    /// Whether queries, keys and values have a bias; the output always has.
    pub biased: bool,
}

impl AttentionNames {
    /// diffusers' UNets.
    pub const UNET: Self = Self { projections: ["to_q", "to_k", "to_v", "to_out.0"], biased: false };
    /// diffusers' VAEs. The loader knows the names before diffusers 0.17.
    pub const VAE: Self = Self { biased: true, ..Self::UNET };
    /// transformers' CLIP.
    pub const CLIP: Self = Self { projections: ["q_proj", "k_proj", "v_proj", "out_proj"], biased: true };
}

/// softmax(Q Kᵀ / sqrt(d)) V per head, with projections before and after (Vaswani et al. 2017).
#[derive(Debug)]
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
    name: String,
}

impl Attention {
    /// Projections of `channels`-wide queries and outputs and `context`-wide keys and values.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit the device.
    pub fn load(
        source: &Source<'_>,
        names: AttentionNames,
        channels: usize,
        context: usize,
        heads: usize,
    ) -> Result<Self> {
        let size = channels / heads;
        if !size.is_multiple_of(4) || size > MAX_HEAD {
            return Err(Error::UnsupportedModel {
                component: "attention",
                key: "channels per head",
                found: format!("{size} at {}", source.name()),
                expected: format!("a multiple of 4 up to {MAX_HEAD}"),
            });
        }
        let [q, k, v, out] = names.projections.map(|name| source.at(name));
        let load = if names.biased { Linear::load } else { Linear::load_unbiased };
        Ok(Self {
            to_q: load(&q, channels, channels)?,
            to_k: load(&k, context, channels)?,
            to_v: load(&v, context, channels)?,
            to_out: Linear::load(&out, channels, channels)?,
            heads,
            name: source.name(),
        })
    }

    /// Keys and values of `context [B, L, context]`: fixed for a whole run where the context is a text.
    pub fn record_keys_values(&self, rec: &mut Recorder, context: &Tensor) -> (Tensor, Tensor) {
        let k = self.to_k.record(rec, context, Epilogue::default());
        (k, self.to_v.record(rec, context, Epilogue::default()))
    }

    /// Attention of `x [B, L, C]` to given keys and values, plus `residual`.
    pub fn record(
        &self,
        rec: &mut Recorder,
        x: &Tensor,
        (k, v): (&Tensor, &Tensor),
        residual: &Tensor,
        causal: bool,
    ) -> Tensor {
        let q = self.to_q.record(rec, x, Epilogue::default());
        rec.set_layer(&self.name);
        let mixed = attention::attention(rec, &attention::Attention { q: &q, k, v, heads: self.heads, causal });
        self.to_out.record(rec, &mixed, Epilogue { residual: Some(residual), ..Epilogue::default() })
    }

    /// Attention of `x [B, L, C]` to itself, plus `residual`.
    pub fn record_self(&self, rec: &mut Recorder, x: &Tensor, residual: &Tensor, causal: bool) -> Tensor {
        let (k, v) = self.record_keys_values(rec, x);
        self.record(rec, x, (&k, &v), residual, causal)
    }
}
