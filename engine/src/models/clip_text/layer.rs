//! One transformer layer of CLIP's text encoder.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::gemm::Activation;
use syncline_kernels::tensor::Tensor;
use syncline_loader::config::ClipTextConfig;

use crate::error::Result;
use crate::nn::{Attention, AttentionNames, Epilogue, LayerNorm, Linear, Source};

/// x + attention(norm(x)), then x + fc2(act(fc1(norm(x)))); attention looks only back.
#[derive(Debug)]
pub(super) struct ClipEncoderLayer {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl ClipEncoderLayer {
    pub fn load(source: &Source<'_>, config: &ClipTextConfig) -> Result<Self> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let heads = config.num_attention_heads;
        let mlp = source.at("mlp");
        Ok(Self {
            layer_norm1: LayerNorm::load(&source.at("layer_norm1"), width, eps)?,
            self_attn: Attention::load(&source.at("self_attn"), AttentionNames::CLIP, width, width, heads)?,
            layer_norm2: LayerNorm::load(&source.at("layer_norm2"), width, eps)?,
            fc1: Linear::load(&mlp.at("fc1"), width, inner)?,
            fc2: Linear::load(&mlp.at("fc2"), inner, width)?,
            activation: super::activation(config),
        })
    }

    pub fn record(&self, rec: &mut Recorder, x: &Tensor) -> Tensor {
        let h = self.layer_norm1.record(rec, x);
        let x = self.self_attn.record_self(rec, &h, x, true);
        let h = self.layer_norm2.record(rec, &x);
        let h = self.fc1.record(rec, &h, Epilogue { activation: self.activation, ..Epilogue::default() });
        self.fc2.record(rec, &h, Epilogue { residual: Some(&x), ..Epilogue::default() })
    }
}
