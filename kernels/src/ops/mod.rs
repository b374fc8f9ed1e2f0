//! The kernels. One folder each: `<name>.wgsl`, the launcher in `mod.rs`, a slow f64 oracle in `oracle.rs`.

pub mod adam;
pub mod attention;
pub mod conv2d;
pub mod convert;
pub mod couple;
pub mod edit_step;
pub mod embed_tokens;
pub mod finite;
pub mod fuse_views;
pub mod gemm;
mod grid;
pub mod group_norm;
pub mod layer_norm;
pub mod layout;
pub mod matrix;
pub mod mix;
pub mod model_input;
pub mod noise;
pub mod peak;
pub mod project_renoise;
pub mod repaint;
pub mod scatter_views;
pub mod sgd;
pub mod split_sum;
pub mod stein;
pub mod step;
pub mod timestep_embedding;
pub mod views;

use crate::gpu::Kernel;

pub(crate) use grid::{GRID, linear_grid};

/// `activate` and `gelu4` for kernels that end in an activation.
pub(crate) const ACTIVATION: &str = include_str!("../wgsl/lib/activation.wgsl");

/// Types of cooperative matrices of 16×16.
pub(crate) const MATRIX_16: &str = include_str!("../wgsl/lib/matrix_16.wgsl");
/// Types of cooperative matrices of 8×8.
pub(crate) const MATRIX_8: &str = include_str!("../wgsl/lib/matrix_8.wgsl");

/// Every kernel there is. Validation of all variants, portability tests and docs run over this list.
#[rustfmt::skip] // One line per entry.
pub const KERNELS: &[&Kernel] = &[
    &adam::KERNEL,
    &attention::KERNEL_16,
    &attention::KERNEL_16_LANES,
    &attention::KERNEL_32,
    &attention::KERNEL_32_LANES,
    &attention::KERNEL_64,
    &attention::KERNEL_64_LANES,
    &attention::KERNEL_160,
    &attention::KERNEL_160_LANES,
    &attention::KERNEL_512,
    &attention::KERNEL_512_LANES,
    &attention::KERNEL_TILED,
    &conv2d::KERNEL,
    &conv2d::KERNEL_LANES,
    &convert::KERNEL,
    &convert::KERNEL_WIDE,
    &couple::KERNEL,
    &edit_step::KERNEL,
    &embed_tokens::KERNEL,
    &finite::KERNEL,
    &fuse_views::KERNEL,
    &fuse_views::KERNEL_BANDS,
    &gemm::KERNEL,
    &gemm::KERNEL_LANES,
    &gemm::KERNEL_VECTOR,
    &group_norm::KERNEL_STATS,
    &group_norm::KERNEL_MOMENTS,
    &group_norm::KERNEL_APPLY,
    &layer_norm::KERNEL,
    &layout::NCHW_TO_NHWC,
    &layout::NHWC_TO_NCHW,
    &mix::KERNEL,
    &model_input::KERNEL,
    &noise::KERNEL,
    &peak::KERNEL_FMA,
    &peak::KERNEL_COPY,
    &project_renoise::KERNEL,
    &project_renoise::KERNEL_BANDS,
    &repaint::KERNEL,
    &scatter_views::KERNEL,
    &sgd::KERNEL,
    &stein::KERNEL,
    &stein::KERNEL_DISTANCES,
    &split_sum::KERNEL,
    &step::KERNEL,
    &timestep_embedding::KERNEL,
];

/// Kernels that use cooperative matrices, beside [`KERNELS`]: Direct3D's language cannot say what they do. Those of
/// [`matrix`] are written out at run time.
#[must_use]
pub fn kernels_matrix() -> Vec<&'static Kernel> {
    #[rustfmt::skip] // One line per entry.
    let constants: [&Kernel; 2] = [
        &peak::KERNEL_MATRIX_8,
        &peak::KERNEL_MATRIX_16,
    ];
    constants.into_iter().chain(matrix::all()).collect()
}
