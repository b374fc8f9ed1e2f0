//! Convolutions by matrices whose sum is split among workgroups, and their repetition with other tiles.

use super::{Conv2d, Params, Sizes};
use crate::gpu::{DispatchView, Launch, Recorder, Store, TileKey};
use crate::ops::gemm::{Activation, Route};
use crate::ops::linear_grid;
use crate::ops::matrix::{self, Kernels};
use crate::ops::split_sum::{SplitSum, split_sum};
use crate::tensor::{Elem, Tensor};

/// The convolution in parts of `part` terms, and their sum.
pub(super) fn launch_parts(
    rec: &mut Recorder,
    g: &Conv2d<'_>,
    s: &Sizes,
    (kernels, part, params, grid): (&'static Kernels, usize, Params, [u32; 3]),
    y: &Tensor,
) {
    let image_rows = s.out_height * s.out_width;
    let (depth, terms) = (s.c + s.s, s.taps * s.taps * (s.c + s.s));
    let parts = terms.div_ceil(part);
    let partials = rec.temp(&[parts, s.batch * image_rows, s.n], Elem::F32);
    let params = Params { split: (part / kernels.tile.depth) as u32, ..params };
    rec.launch(&Launch {
        kernel: &kernels.conv2d_part,
        store: Store::F16Matrix,
        overrides: &Route::matrix(kernels).overrides(Activation::None, depth, Some(g.skip.is_some())),
        bind: &[g.x, g.skip.unwrap_or(g.x), g.w, &partials],
        params: bytemuck::bytes_of(&params),
        grid: [grid[0], grid[1], parts as u32],
        flops: 2 * (y.shape().len() * terms) as u64,
    });
    let (partials, activation) = (&partials, g.activation);
    let (bias, time_embedding, residual) = (g.bias, g.time_embedding, g.residual);
    split_sum(rec, &SplitSum { partials, bias, time_embedding, residual, activation, image_rows }, y);
}

/// What a dispatch's tile is chosen by.
pub(in crate::ops) fn tile_key(d: &DispatchView<'_>) -> TileKey {
    let params: Params = bytemuck::pod_read_unaligned(d.params);
    let w = d.bind[2].shape();
    ("conv2d", params.rows as usize, w.dims()[0], w.len() / w.dims()[0])
}

/// Whether the channels of all sources are multiples of eight.
pub(in crate::ops) fn is_wide(d: &DispatchView<'_>) -> bool {
    let (c, depth) = (d.bind[0].shape().last(), d.bind[2].shape().last());
    (c | (depth - c)).is_multiple_of(8)
}

/// Appends a dispatch again, with the tile of other kernels.
pub(in crate::ops) fn repeat(rec: &mut Recorder, d: &DispatchView<'_>, kernels: &'static Kernels) {
    let route = Route::matrix(kernels);
    let mut params: Params = bytemuck::pod_read_unaligned(d.params);
    params.column_tiles = params.n.div_ceil(route.columns as u32);
    params.row_tiles = params.rows.div_ceil(route.rows as u32);
    params.tiles = params.column_tiles * params.row_tiles;
    // Parts have the same terms for every tile.
    let part = d.kernel.name == "conv2d_part";
    let depth = matrix::tile_of(d.kernel).map_or(0, |tile| tile.depth);
    params.split = params.split * depth as u32 / kernels.tile.depth as u32;
    let [x, y, _] = linear_grid(params.tiles as usize, 1, rec.context().caps().grid);
    let grid = [x, y, d.grid[2]];
    let last = d.bind.len() - 1;
    let y = rec.temp(d.bind[last].dims(), d.bind[last].elem());
    let mut bind: Vec<&Tensor> = d.bind.iter().collect();
    bind[last] = &y;
    let two = d.overrides.iter().any(|(name, value)| *name == "two_sources" && *value != 0.0);
    let silu = d.overrides.iter().any(|(name, value)| *name == "activation" && *value != 0.0);
    let activation = if silu { Activation::Silu } else { Activation::None };
    rec.launch(&Launch {
        kernel: if part { &kernels.conv2d_part } else { &kernels.conv2d },
        store: Store::F16Matrix,
        overrides: &route.overrides(activation, 4 * (params.c4 + params.s4) as usize, Some(two)),
        bind: &bind,
        params: bytemuck::bytes_of(&params),
        grid,
        flops: 0,
    });
}
