//! The kernels. One folder each: `<name>.wgsl`, the launcher in `mod.rs`, a slow f64 oracle in `oracle.rs`.

pub mod conv2d;
pub mod convert;
pub mod finite;
pub mod gemm;
mod grid;

use crate::gpu::Kernel;

pub(crate) use grid::{GRID, linear_grid};

/// `activate` and `gelu4` for kernels that end in an activation.
pub(crate) const ACTIVATION: &str = include_str!("../wgsl/lib/activation.wgsl");

/// Every kernel there is. Validation of all variants, portability tests and docs run over this list.
pub const KERNELS: &[&Kernel] =
    &[&conv2d::KERNEL, &convert::KERNEL, &convert::KERNEL_WIDE, &finite::KERNEL, &gemm::KERNEL];
