//! The residual block and the resampling convolutions that UNet and VAE share.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::conv2d::{Padding, Wrap};
use syncline_kernels::tensor::Tensor;

use crate::error::{Error, Result};
use crate::nn::{Conv2d, ConvEpilogue, ConvGeometry, Epilogue, GroupNorm, Linear, Source};

/// Widths of a [`ResnetBlock2D`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ResnetShape {
    /// Channels that come from the layer before.
    pub channels: usize,
    /// Channels that come from a skip connection; 0 for none.
    pub skip: usize,
    /// Channels that leave.
    pub outputs: usize,
    /// Width of the time embedding; `None` in VAEs.
    pub time: Option<usize>,
    /// Groups of both norms.
    pub groups: usize,
    /// Epsilon of both norms.
    pub eps: f64,
}

/// What a [`ResnetBlock2D`] is recorded on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResnetInputs<'a> {
    /// `[B, H, W, C]`.
    pub x: &'a Tensor,
    /// The skip connection; norm and shortcut read it in place, it is never joined to `x` in memory.
    pub skip: Option<&'a Tensor>,
    /// The time embedding behind its SiLU, `[B, T]`.
    pub time: Option<&'a Tensor>,
    /// Edges.
    pub wrap: Wrap,
}

/// conv2(silu(norm2(conv1(silu(norm1(x))) + time_emb_proj(silu(emb))))) + shortcut(x).
#[derive(Debug)]
pub(super) struct ResnetBlock2D {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock2D {
    pub fn load(source: &Source<'_>, shape: ResnetShape) -> Result<Self> {
        let ResnetShape { channels, skip, outputs, time, groups, eps } = shape;
        let inputs = channels + skip;
        let has_shortcut = inputs != outputs;
        // Without a shortcut convolution, x and skip would have to be joined for the residual alone; and skips begin at
        // a whole vector of four.
        if skip > 0 && (!has_shortcut || !channels.is_multiple_of(4)) {
            return Err(Error::UnsupportedModel {
                component: "UNet2DConditionModel",
                key: "block_out_channels",
                found: format!("{channels} + {skip} channels at {}", source.name()),
                expected: format!("multiples of 4 with another sum than the block's {outputs}"),
            });
        }
        let three = ConvGeometry::THREE;
        let load_shortcut = || Conv2d::load(&source.at("conv_shortcut"), inputs, outputs, ConvGeometry::ONE);
        Ok(Self {
            norm1: GroupNorm::load(&source.at("norm1"), inputs, groups, eps)?,
            conv1: Conv2d::load(&source.at("conv1"), inputs, outputs, three)?,
            time_emb_proj: time.map(|t| Linear::load(&source.at("time_emb_proj"), t, outputs)).transpose()?,
            norm2: GroupNorm::load(&source.at("norm2"), outputs, groups, eps)?,
            conv2: Conv2d::load(&source.at("conv2"), outputs, outputs, three)?,
            conv_shortcut: has_shortcut.then(load_shortcut).transpose()?,
        })
    }

    pub fn record(&self, rec: &mut Recorder, inputs: ResnetInputs<'_>) -> Tensor {
        let ResnetInputs { x, skip, time, wrap } = inputs;
        let embedded = self.time_emb_proj.as_ref().zip(time).map(|(p, t)| p.record(rec, t, Epilogue::default()));
        let h = self.norm1.record(rec, x, skip, true);
        let with_time = ConvEpilogue { time_embedding: embedded.as_ref(), wrap, ..ConvEpilogue::default() };
        let h = self.conv1.record(rec, &h, with_time);
        let h = self.norm2.record(rec, &h, None, true);
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.record(rec, x, ConvEpilogue { skip, wrap, ..ConvEpilogue::default() }),
            None => x.clone(),
        };
        self.conv2.record(rec, &h, ConvEpilogue { residual: Some(&shortcut), wrap, ..ConvEpilogue::default() })
    }
}

/// A convolution that halves height and width.
pub(super) fn load_downsampler(source: &Source<'_>, channels: usize, padding: Padding) -> Result<Conv2d> {
    let geometry = ConvGeometry { stride: 2, padding, ..ConvGeometry::THREE };
    Conv2d::load(&source.at("downsamplers").at(0).at("conv"), channels, channels, geometry)
}

/// A nearest-neighbour doubling and a convolution, in one.
pub(super) fn load_upsampler(source: &Source<'_>, channels: usize) -> Result<Conv2d> {
    let geometry = ConvGeometry { upsample: true, ..ConvGeometry::THREE };
    Conv2d::load(&source.at("upsamplers").at(0).at("conv"), channels, channels, geometry)
}

/// A convolution with nothing but its edges.
pub(super) fn plain(wrap: Wrap) -> ConvEpilogue<'static> {
    ConvEpilogue { wrap, ..ConvEpilogue::default() }
}
