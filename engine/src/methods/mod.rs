//! Methods: how views are sampled together. A method is a schedule as data; the one loop in `jobs` runs it. Methods see
//! a [`Denoiser`](crate::denoiser::Denoiser) and a [`Space`](crate::spaces::Space), never a model.

pub mod stochsync;

pub use stochsync::{Preset, StochSync};
