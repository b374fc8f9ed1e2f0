//! Layers. Each owns its weights, carries its checkpoint key as its name and records one kernel.
//!
//! Weights go up once, when a model is loaded; this folder is the only place where they are laid out for the kernels:
//! convolutions `[O, I, kh, kw]` become `[O, kh, kw, I]`, everything else stays as the checkpoint has it.

mod attention;
mod conv2d;
mod linear;
mod norm;
mod source;

pub use attention::{Attention, AttentionNames};
pub use conv2d::{Conv2d, ConvEpilogue, ConvGeometry};
pub use linear::{Epilogue, Linear, TwoInputLinear};
pub use norm::{GroupNorm, LayerNorm};
pub use source::Source;

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::convert;
use syncline_kernels::tensor::{Elem, Tensor};

/// `x` as `elem`: itself where it has that type, a conversion otherwise. How values enter and leave a model.
pub fn cast(rec: &mut Recorder, x: &Tensor, elem: Elem) -> Tensor {
    if x.elem() == elem { x.clone() } else { convert::convert(rec, x, elem) }
}
