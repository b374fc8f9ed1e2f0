//! The attention block of a UNet: tokens of one feature map look at each other and at the text.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::gemm::Activation;
use syncline_kernels::tensor::Tensor;
use syncline_loader::config::UNet2DConditionConfig;

use super::blocks::Pass;
use crate::error::Result;
use crate::nn::{Attention, AttentionNames, Epilogue, GroupNorm, LayerNorm, Linear, Source};

/// Epsilon of the group norm at the head of the block, whatever the configuration's `norm_eps`.
const GROUP_NORM_EPS: f64 = 1e-6;
/// Epsilon of the layer norms.
const LAYER_NORM_EPS: f64 = 1e-5;

/// Sizes of a [`Transformer2DModel`].
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformerShape {
    channels: usize,
    heads: usize,
    layers: usize,
}

impl TransformerShape {
    /// Those of a level of the network, counted from the outermost.
    pub fn of_level(config: &UNet2DConditionConfig, level: usize) -> Self {
        let (heads, layers) = (config.heads(level), config.transformer_layers(level));
        Self { channels: config.block_out_channels[level], heads, layers }
    }
}

/// proj_out(blocks(proj_in(norm(x)))) + x.
#[derive(Debug)]
pub(super) struct Transformer2DModel {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<BasicTransformerBlock>,
    proj_out: Linear,
}

impl Transformer2DModel {
    pub fn load(source: &Source<'_>, config: &UNet2DConditionConfig, shape: TransformerShape) -> Result<Self> {
        let (channels, groups) = (shape.channels, config.norm_num_groups);
        // On tokens a 1×1 convolution is a linear layer; only the stored shape differs.
        let project = if config.use_linear_projection { Linear::load } else { Linear::load_conv1x1 };
        let blocks = source.at("transformer_blocks");
        let block = |j| BasicTransformerBlock::load(&blocks.at(j), shape, config.context_width());
        Ok(Self {
            norm: GroupNorm::load(&source.at("norm"), channels, groups, GROUP_NORM_EPS)?,
            proj_in: project(&source.at("proj_in"), channels, channels)?,
            transformer_blocks: (0..shape.layers).map(block).collect::<Result<_>>()?,
            proj_out: project(&source.at("proj_out"), channels, channels)?,
        })
    }

    pub fn record_context(&self, rec: &mut Recorder, context: &Tensor, pairs: &mut Vec<(Tensor, Tensor)>) {
        pairs.extend(self.transformer_blocks.iter().map(|block| block.attn2.record_keys_values(rec, context)));
    }

    pub fn record(&self, rec: &mut Recorder, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let (map, tokens) = match *x.dims() {
            [b, h, w, c] => ([b, h, w, c], [b, h * w, c]),
            ref other => panic!("Transformer2DModel: {other:?}, [B, H, W, C] expected"),
        };
        let residual = x.reshape(&tokens);
        let normed = self.norm.record(rec, x, None, false).reshape(&tokens);
        let mut h = self.proj_in.record(rec, &normed, Epilogue::default());
        for block in &self.transformer_blocks {
            let Some(pair) = pass.context.next() else {
                panic!("Transformer2DModel: keys and values of a UNet with fewer attention layers")
            };
            h = block.record(rec, &h, pair);
        }
        let out = self.proj_out.record(rec, &h, Epilogue { residual: Some(&residual), ..Epilogue::default() });
        out.reshape(&map)
    }
}

/// Self attention, attention to the text, feed-forward; each behind a norm and added to what came in.
#[derive(Debug)]
struct BasicTransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    /// `ff.net.0.proj`, `ff.net.2`.
    ff: [Linear; 2],
}

impl BasicTransformerBlock {
    fn load(source: &Source<'_>, shape: TransformerShape, context: usize) -> Result<Self> {
        let TransformerShape { channels, heads, .. } = shape;
        let norm = |name| LayerNorm::load(&source.at(name), channels, LAYER_NORM_EPS);
        let net = source.at("ff").at("net");
        let inner = 4 * channels;
        Ok(Self {
            norm1: norm("norm1")?,
            attn1: Attention::load(&source.at("attn1"), AttentionNames::UNET, channels, channels, heads)?,
            norm2: norm("norm2")?,
            attn2: Attention::load(&source.at("attn2"), AttentionNames::UNET, channels, context, heads)?,
            norm3: norm("norm3")?,
            ff: [Linear::load(&net.at(0).at("proj"), channels, 2 * inner)?, Linear::load(&net.at(2), inner, channels)?],
        })
    }

    fn record(&self, rec: &mut Recorder, x: &Tensor, (k, v): &(Tensor, Tensor)) -> Tensor {
        let h = self.norm1.record(rec, x);
        let x = self.attn1.record_self(rec, &h, x, false);
        let h = self.norm2.record(rec, &x);
        let x = self.attn2.record(rec, &h, (k, v), &x, false);
        let h = self.norm3.record(rec, &x);
        let h = self.ff[0].record(rec, &h, Epilogue { activation: Activation::Geglu, ..Epilogue::default() });
        self.ff[1].record(rec, &h, Epilogue { residual: Some(&x), ..Epilogue::default() })
    }
}
