//! The end of products whose sum was split among workgroups: parts added in order, then what follows a product.

use bytemuck::{Pod, Zeroable};

use super::gemm::Activation;
use super::{ACTIVATION, GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::Tensor;

#[cfg(test)]
mod tests;

/// Adds parts and finishes.
pub const KERNEL: Kernel = Kernel {
    name: "split_sum",
    source: include_str!("split_sum.wgsl"),
    libs: &[GRID, ACTIVATION],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("activation", 0.0)], &[("activation", 1.0)], &[("activation", 2.0)], &[("activation", 3.0)]],
};

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Params {
    rows: u32,
    n: u32,
    splits: u32,
    image_rows: u32,
    has_bias: u32,
    has_time: u32,
    has_residual: u32,
    count: u32,
}

/// Parts and what is done to their sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SplitSum<'a> {
    /// f32 `[splits, rows, N]`, pad lanes of any value.
    pub(crate) partials: &'a Tensor,
    /// `[N]`.
    pub(crate) bias: Option<&'a Tensor>,
    /// `[images, N]`.
    pub(crate) time_embedding: Option<&'a Tensor>,
    /// The shape of `y`.
    pub(crate) residual: Option<&'a Tensor>,
    /// Not GEGLU.
    pub(crate) activation: Activation,
    /// Rows of one image.
    pub(crate) image_rows: usize,
}

/// Appends the sum into `y [.., N]`, a value of this recorder.
pub(crate) fn split_sum(rec: &mut Recorder, op: &SplitSum<'_>, y: &Tensor) {
    let &[splits, rows, n] = op.partials.dims() else { panic!("split_sum: partials {:?}", op.partials.dims()) };
    assert!(y.shape().rows() == rows && y.shape().last() == n, "split_sum: {:?} of {:?}", y.dims(), op.partials.dims());
    assert!(op.activation != Activation::Geglu, "split_sum: GEGLU of {:?}", y.dims());
    let count = rows * n.div_ceil(4);
    let params = Params {
        rows: rows as u32,
        n: n as u32,
        splits: splits as u32,
        image_rows: op.image_rows as u32,
        has_bias: u32::from(op.bias.is_some()),
        has_time: u32::from(op.time_embedding.is_some()),
        has_residual: u32::from(op.residual.is_some()),
        count: count as u32,
    };
    let [bias, time, residual] = [op.bias, op.time_embedding, op.residual].map(|t| t.unwrap_or(op.partials));
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(y.elem(), rec.context()),
        overrides: &[("activation", op.activation.code())],
        bind: &[op.partials, bias, time, residual, y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(count, 64, rec.context().caps().grid),
        flops: (splits * rows * n) as u64,
    });
}
