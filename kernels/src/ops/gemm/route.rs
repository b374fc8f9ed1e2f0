//! Which kernel and tile a product gets. The choice depends on the adapter and on the shape, and every kernel of a tier
//! and every tile of it adds the same products in the same order, so that the batch changes no bit.

use super::Activation;
use crate::gpu::{Context, Store, Tier};
use crate::ops::matrix::{self, Kernels};
use crate::tensor::Elem;

/// The tile in workgroup memory.
pub(crate) const TILE: &str = include_str!("../../wgsl/lib/tile.wgsl");
/// The tile in registers.
pub(crate) const LANES: &str = include_str!("../../wgsl/lib/lanes.wgsl");
/// Division of small numbers.
pub(crate) const DIVIDE: &str = include_str!("../../wgsl/lib/divide.wgsl");

/// Override sets of a kernel with [`TILE`]: every activation.
macro_rules! tile_variants {
    () => {
        &[
            &[("activation", 0.0)],
            &[("activation", 1.0)],
            &[("activation", 2.0)],
            &[("activation", 3.0)],
            &[("activation", 4.0)],
        ]
    };
}

/// Override sets of a kernel with [`LANES`]: every tile of [`Route::choose`] with each given activation, and whatever
/// override follows it.
macro_rules! lanes_variants {
    ($(($activation:literal $($more:expr)?)),*) => {
        &[$(
            &[("rows", 1.0), ("columns", 16.0), ("activation", $activation) $(, $more)?],
            &[("rows", 2.0), ("columns", 16.0), ("activation", $activation) $(, $more)?],
            &[("rows", 4.0), ("columns", 16.0), ("activation", $activation) $(, $more)?],
            &[("rows", 4.0), ("columns", 4.0), ("activation", $activation) $(, $more)?],
        )*]
    };
}

/// Override sets of a matrix kernel: with and without a remainder of the sum.
macro_rules! matrix_variants {
    ($(($activation:literal $($more:expr)?)),*) => {
        &[$(
            &[("activation", $activation), ("tail", 0.0) $(, $more)?],
            &[("activation", $activation), ("tail", 1.0) $(, $more)?],
        )*]
    };
}

pub(crate) use {lanes_variants, matrix_variants, tile_variants};

/// Which source of an operation runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Registers and broadcasts.
    Lanes,
    /// Workgroup memory.
    Tiled,
    /// One row at a time; products alone.
    Vector,
    /// Cooperative matrices.
    Matrix(&'static Kernels),
}

/// A kernel and its tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) source: Source,
    /// Rows of a workgroup's tile.
    pub(crate) rows: usize,
    /// Columns of a workgroup's tile; values and gates together for GEGLU.
    pub(crate) columns: usize,
}

/// What a choice depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Name of the operation.
    pub(crate) op: &'static str,
    /// Rows of one image.
    pub(crate) image_rows: usize,
    /// Rows of all images.
    pub(crate) rows: usize,
    /// Columns of the result.
    pub(crate) n: usize,
    /// Terms of each sum.
    pub(crate) k: usize,
    /// Rows of all operands are multiples of eight.
    pub(crate) wide: bool,
    /// A tile must hold values and gates.
    pub(crate) pairs: bool,
}

impl Route {
    pub(crate) const TILED: Self = Self { source: Source::Tiled, rows: 64, columns: 64 };

    pub(crate) const VECTOR: Self = Self { source: Source::Vector, rows: 1, columns: 4 };

    pub(crate) fn matrix(kernels: &'static Kernels) -> Self {
        let [rows, columns] = kernels.tile.size;
        Self { source: Source::Matrix(kernels), rows, columns }
    }

    pub(crate) fn choose(ctx: &Context, elem: Elem, size: &Size) -> Self {
        match ctx.tier() {
            Tier::Lanes => Self::lanes(size),
            Tier::Matrix if elem == Elem::F16 => matrix::choose(ctx, size).map_or(Self::TILED, Self::matrix),
            Tier::Tiled | Tier::Matrix => Self::TILED,
        }
    }

    fn lanes(size: &Size) -> Self {
        if size.n <= 4 && !size.pairs {
            return Self { source: Source::Lanes, rows: 32, columns: 4 };
        }
        // Relative times of one tile, measured: small tiles load more per multiply-add, large ones waste rows.
        let cost = |(rows, time): &(usize, usize)| size.image_rows.div_ceil(*rows) * time;
        let rows = [(8, 119), (16, 178), (32, 296)].into_iter().min_by_key(cost).map_or(32, |tile| tile.0);
        Self { source: Source::Lanes, rows, columns: 16 }
    }

    /// Storage variant for tensors of type `elem`. llvmpipe loads a packed pair in the time of one half.
    pub(crate) fn store(&self, elem: Elem, ctx: &Context) -> Store {
        match self.source {
            Source::Lanes if elem == Elem::F16 => Store::F16Packed,
            Source::Matrix(_) => Store::F16Matrix,
            _ => Store::of(elem, ctx),
        }
    }

    /// Override constants of the kernel; `two_sources` where a kernel has that one; `depth` as the kernels walk it, the
    /// channels of a tap.
    pub(crate) fn overrides(
        &self,
        activation: Activation,
        depth: usize,
        two_sources: Option<bool>,
    ) -> Vec<(&'static str, f64)> {
        let flag = |on: bool| f64::from(u8::from(on));
        let mut list = vec![("activation", activation.code())];
        match self.source {
            Source::Tiled | Source::Vector => return list,
            Source::Lanes => list.extend([("rows", (self.rows / 8) as f64), ("columns", self.columns as f64)]),
            Source::Matrix(kernels) => list.push(("tail", flag(!depth.is_multiple_of(kernels.tile.depth)))),
        }
        list.extend(two_sources.map(|two| ("two_sources", flag(two))));
        list
    }
}

/// Whether row tiles should vary fastest: the smaller operand is the one to read again and again, from cache.
pub(crate) fn tile_order(left_elements: usize, right_elements: usize) -> u32 {
    u32::from(left_elements < right_elements)
}

/// `tiles`, when the kernels can divide it and the rows.
///
/// # Panics
/// When there are more rows or tiles than divide.wgsl handles.
pub(crate) fn limited(kernel: &str, rows: usize, tiles: usize) -> usize {
    assert!(rows < 1 << 24 && tiles < 1 << 21, "{kernel}: {rows} rows in {tiles} tiles are too many");
    tiles
}
