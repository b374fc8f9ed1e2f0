//! How to compute: hand-written WGSL kernels, the recorder that turns them into a replayable plan, and the GPU
//! context they run on. This is the only crate of the workspace that names `wgpu`.
//!
//! ```no_run
//! use syncline_kernels::{gpu::{Context, ContextOptions, Recorder}, ops, tensor::Elem};
//! # fn main() -> Result<(), syncline_kernels::gpu::GpuError> {
//! let ctx = Context::new(&ContextOptions::default())?;
//! let x = ctx.upload(&[1.0, 2.0, 3.0], &[1, 3], Elem::F32)?;
//! let mut rec = Recorder::new(&ctx);
//! let y = ops::convert::convert(&mut rec, &x, Elem::F16);
//! let y = rec.keep(&y)?;
//! let mut recording = rec.finish()?;
//! recording.run()?;
//! assert_eq!(ctx.read(&y)?, [1.0, 2.0, 3.0]);
//! # Ok(()) }
//! ```

pub mod check;
pub mod gpu;
pub mod ops;
pub mod tensor;
pub mod wgsl;

/// The `wgpu` this crate is built with, for hosts that lend their device.
pub use wgpu;
