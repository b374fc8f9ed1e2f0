//! The networks. Structs are named as diffusers' classes and fields as state-dict keys.
//!
//! A model is loaded once (`load`) and recorded as often as wanted (`record…`): recording appends launches to a recorder
//! and returns handles, so that a job can join several models in one plan. Images are `[B, H, W, C]`, tokens `[B, L, C]`;
//! inputs may be f32 or the model's own type, images and latents leave a model as f32.

mod resnet;

pub mod clip_text;
pub mod controlnet;
pub mod unet;
pub mod vae;

pub use clip_text::{ClipTextModel, TextStates};
pub use controlnet::{Control, ControlInputs, ControlNetModel, ControlStates};
pub use unet::{ContextKeysValues, UNet2DConditionModel, UNetInputs};
pub use vae::{AutoencoderKl, Footprint, Moments};

/// Edges of images that continue on the opposite side, for every convolution of a model.
pub use syncline_kernels::ops::conv2d::Wrap;
