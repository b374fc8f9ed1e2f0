//! Trajectories pushed toward each other's clean estimates: `x_k += push_k · mean over j ≠ k of (clean_j - clean_k)`, all branches
//! in one dispatch.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::noise::ImageShape;
use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "couple",
    source: include_str!("couple.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[]],
};

/// Shapes of real runs: `[P · V, h, w, C]` and branches P.
pub const CASES: &[(&str, [usize; 4], usize)] = &[
    ("pair, sd 512", [2, 64, 64, 4], 2),
    ("eight prompts, sd 512", [8, 64, 64, 4], 8),
    ("21 views of two models, sd 576", [42, 72, 72, 4], 2),
    ("mini, pair", [2, 16, 16, 4], 2),
];

/// Most branches.
pub const MAX_BRANCHES: usize = 16;

/// What changes from step to step. `Default` is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoupleScalars {
    /// Push of each branch.
    pub push: [f32; MAX_BRANCHES],
    /// Views of each branch below this one stay as they are.
    pub first_view: usize,
}

/// Options of [`fn@couple`].
#[derive(Clone, Copy, Debug)]
pub struct Couple<'a> {
    /// `[P · V, h, w, C]` f32, branch after branch, updated in place.
    pub x: &'a Tensor,
    /// Clean estimates of the same shape.
    pub clean: &'a Tensor,
    /// Branches P.
    pub branches: usize,
    /// Pushes.
    pub scalars: CoupleScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    push: [f32; MAX_BRANCHES],
    share: f32,
    branches: u32,
    count: u32,
    first: u32,
}

/// Pushes all branches. The id is for [`params()`] of the next step.
///
/// # Panics
/// When shapes or element types differ, or the rows do not divide by 2 to [`MAX_BRANCHES`] branches.
pub fn couple(rec: &mut Recorder, couple: &Couple<'_>) -> DispatchId {
    let dims = couple.x.dims();
    for tensor in [couple.x, couple.clean] {
        assert!(
            tensor.dims() == dims && tensor.elem() == Elem::F32,
            "couple: {:?} {} for a state {dims:?} f32",
            tensor.dims(),
            tensor.elem()
        );
    }
    let params = params(dims, couple.branches, &couple.scalars);
    let caps = rec.context().caps();
    let count = ImageShape::new("couple", dims).count as usize / couple.branches;
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[],
        bind: &[couple.clean, couple.x],
        params: &params,
        grid: linear_grid(count, 64, caps.grid),
        flops: 2 * couple.branches as u64 * couple.x.shape().len() as u64,
    })
}

/// Params of a [`fn@couple`] dispatch on a state of `dims`, for `Recording::set_params`.
///
/// # Panics
/// When `dims` has not rank 4 or does not divide by 2 to [`MAX_BRANCHES`] branches.
#[must_use]
pub fn params(dims: &[usize], branches: usize, scalars: &CoupleScalars) -> Vec<u8> {
    let shape = ImageShape::new("couple", dims);
    assert!(
        (2..=MAX_BRANCHES).contains(&branches) && dims[0].is_multiple_of(branches),
        "couple: {branches} branches of {dims:?}, expected 2 to {MAX_BRANCHES} that divide the rows"
    );
    bytemuck::bytes_of(&Params {
        push: scalars.push,
        share: 1.0 / (branches - 1) as f32,
        branches: branches as u32,
        count: shape.count / branches as u32,
        first: scalars.first_view as u32 * shape.pixels * shape.c4,
    })
    .to_vec()
}
