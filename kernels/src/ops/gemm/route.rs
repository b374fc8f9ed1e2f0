//! Which kernel and tile a product gets. The choice depends on the adapter and on the shape of one image, never on the
//! batch; every kernel and tile adds the same products in the same order.

use super::Activation;
use crate::gpu::{Context, Store};
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

pub(crate) use {lanes_variants, tile_variants};

/// A kernel and its tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// The register kernel instead of the one with workgroup memory.
    pub(crate) lanes: bool,
    /// Rows of a workgroup's tile.
    pub(crate) rows: usize,
    /// Columns of a workgroup's tile; values and gates together for GEGLU.
    pub(crate) columns: usize,
}

impl Route {
    /// For `m` rows of one image and `n` columns; `pairs` when a tile must hold values and gates.
    pub(crate) fn choose(ctx: &Context, m: usize, n: usize, pairs: bool) -> Self {
        let caps = ctx.caps();
        if !(caps.software && caps.subgroups && ctx.adapter().subgroup_size.0 >= 8) {
            return Self { lanes: false, rows: 64, columns: 64 };
        }
        if n <= 4 && !pairs {
            return Self { lanes: true, rows: 32, columns: 4 };
        }
        // Relative times of one tile, measured: small tiles load more per multiply-add, large ones waste rows.
        let cost = |(rows, time): &(usize, usize)| m.div_ceil(*rows) * time;
        let rows = [(8, 119), (16, 178), (32, 296)].into_iter().min_by_key(cost).map_or(32, |tile| tile.0);
        Self { lanes: true, rows, columns: 16 }
    }

    /// Storage variant for tensors of type `elem`. llvmpipe loads a packed pair in the time of one half.
    pub(crate) fn store(&self, elem: Elem, ctx: &Context) -> Store {
        if self.lanes && elem == Elem::F16 { Store::F16Packed } else { Store::of(elem, ctx) }
    }

    /// Override constants of the kernel; `two_sources` where a kernel has that one.
    pub(crate) fn overrides(&self, activation: Activation, two_sources: Option<bool>) -> Vec<(&'static str, f64)> {
        let mut list = vec![("activation", activation.code())];
        if self.lanes {
            list.extend([("rows", (self.rows / 8) as f64), ("columns", self.columns as f64)]);
            list.extend(two_sources.map(|two| ("two_sources", f64::from(u8::from(two)))));
        }
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
