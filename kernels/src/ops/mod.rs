//! The kernels. One folder each: `<name>.wgsl`, the launcher in `mod.rs`, a slow f64 oracle in `oracle.rs`.

pub mod convert;
pub mod finite;
mod grid;

use crate::gpu::Kernel;

pub(crate) use grid::{GRID, linear_grid};

/// Every kernel there is. Validation of all variants, portability tests and docs run over this list.
pub const KERNELS: &[&Kernel] = &[&convert::KERNEL, &convert::KERNEL_WIDE, &finite::KERNEL];
