//! Products, convolutions and attention by cooperative matrices: sources for each tile, and whether they may be trusted.
//!
//! Only f16 tensors. Every tile adds the same products in the same order, so which one runs is a matter of speed.

use std::sync::LazyLock;

use super::{ACTIVATION, MATRIX_8, MATRIX_16, attention, conv2d, gemm};
use crate::gpu::{Access, Caps, Context, Kernel, Store};

mod self_test;
#[cfg(test)]
mod tests;
mod tune;
mod unroll;

pub(crate) use self_test::self_test;
pub use tune::{Tuned, tune};

const TILE: &str = include_str!("tile.wgsl");

/// How a workgroup divides its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows and columns of a workgroup.
    pub size: [usize; 2],
    /// Fragments of a subgroup, down and across; across is even.
    pub fragments: [usize; 2],
    /// Terms of the sum in workgroup memory at a time.
    pub depth: usize,
    /// Operands are loaded 16 bytes at a time: rows in multiples of eight.
    pub wide: bool,
    /// Relative time of one term of its sum, fitted to 63 products of three networks on an NVIDIA H200.
    cost: usize,
}

impl Tile {
    const fn new(size: [usize; 2], fragments: [usize; 2], depth: usize, cost: usize) -> Self {
        Self { size, fragments, depth, wide: false, cost }
    }

    const fn wide(size: [usize; 2], fragments: [usize; 2], depth: usize, cost: usize) -> Self {
        Self { size, fragments, depth, wide: true, cost }
    }
}

/// Tiles for matrices of 16×16 and subgroups of 32.
pub const TILES_16: &[Tile] = &[
    Tile::new([128, 128], [4, 4], 32, 587),
    Tile::new([128, 128], [4, 2], 32, 431),
    Tile::wide([128, 128], [4, 2], 32, 243),
    Tile::new([128, 64], [4, 2], 32, 419),
    Tile::wide([128, 64], [4, 2], 32, 193),
    Tile::wide([64, 128], [2, 4], 32, 184),
    Tile::new([64, 64], [2, 2], 64, 222),
    Tile::wide([64, 64], [2, 2], 64, 97),
    Tile::wide([32, 64], [1, 2], 64, 77),
];
/// Tiles for matrices of 8×8 and subgroups of 8.
pub const TILES_8: &[Tile] = &[Tile::new([32, 32], [2, 2], 32, 2), Tile::wide([16, 32], [1, 2], 32, 1)];

/// The kernels of one tile.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) tile: Tile,
    pub(crate) gemm: Kernel,
    pub(crate) conv2d: Kernel,
    /// The same for a part of the sum, f32 results.
    pub(crate) gemm_part: Kernel,
    pub(crate) conv2d_part: Kernel,
    bytes: u32,
    threads: u32,
}

/// Widths of matrices and subgroups that sources exist for.
const SHAPES: [(usize, usize, &[Tile]); 2] = [(16, 32, TILES_16), (8, 8, TILES_8)];

static KERNELS: LazyLock<[Vec<Kernels>; 2]> =
    LazyLock::new(|| SHAPES.map(|(side, lanes, tiles)| tiles.iter().map(|tile| kernels(*tile, side, lanes)).collect()));

static ATTENTION: LazyLock<[Kernel; 2]> = LazyLock::new(|| [attention_kernel(16, 32), attention_kernel(8, 8)]);

/// Queries of a workgroup of the attention kernels: subgroups, groups of a subgroup.
const ATTENTION_GROUPS: [usize; 2] = [4, 1];
/// Keys of a block.
const ATTENTION_KEYS: usize = 64;
/// Channels of a head.
pub(crate) const ATTENTION_SIZE: usize = 64;

fn leak(text: String) -> &'static str {
    // Once per tile and process: kernels are constants, only made at run time.
    Box::leak(text.into_boxed_str())
}

/// All sources of a set, in the order of the tiles.
pub(crate) fn tiles(side: u32) -> &'static [Kernels] {
    &KERNELS[usize::from(side != 16)]
}

/// The attention kernel for matrices of `side`, and its queries per workgroup.
pub(crate) fn attention(side: u32) -> (&'static Kernel, usize) {
    let [subgroups, groups] = ATTENTION_GROUPS;
    (&ATTENTION[usize::from(side != 16)], subgroups * groups * side as usize)
}

/// Every kernel here, for tests that look at sources.
#[must_use]
pub fn all() -> Vec<&'static Kernel> {
    let of_tiles = KERNELS.iter().flatten().flat_map(|k| [&k.gemm, &k.conv2d, &k.gemm_part, &k.conv2d_part]);
    of_tiles.chain(ATTENTION.iter()).collect()
}

impl Kernels {
    /// Whether an adapter's workgroups hold the tile, and rows are long enough for its loads.
    pub(crate) fn fits(&self, caps: &Caps, wide: bool) -> bool {
        self.bytes <= caps.workgroup_memory && self.threads <= caps.workgroup_invocations && (wide || !self.tile.wide)
    }
}

/// The bindings of these names as words, 16 bytes at a time.
fn widened(text: &str, names: &[&str]) -> String {
    names.iter().fold(text.to_owned(), |text, name| {
        let (four, eight) = (format!(" {name}: array<elem4>;"), format!(" {name}: array<vec4<u32>>;"));
        assert!(text.contains(&four), "no binding {name}");
        text.replace(&four, &eight)
    })
}

/// The operands of a part of a sum: without their end and what only that reads, f32 results.
fn unfinished(text: &str, used: usize) -> String {
    let end = text.find("fn finish(").unwrap_or_else(|| panic!("no finish"));
    let mut out = String::new();
    for line in text[..end].lines() {
        let only_at_the_end =
            [" bias: array", " time: array", " residual: array"].iter().any(|name| line.contains(name));
        if line.contains(" y: array<elem4>;") {
            out.push_str(&format!("@group(0) @binding({used}) var<storage, read_write> y: array<vec4<f32>>;\n"));
        } else if !only_at_the_end {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Sizes of a tile's workgroup.
struct Plan {
    constants: Vec<(&'static str, usize)>,
    bytes: usize,
    threads: usize,
}

fn plan(tile: Tile, side: usize, lanes: usize) -> Plan {
    let ([rows, columns], [left, right], depth) = (tile.size, tile.fragments, tile.depth);
    let across = columns / (right * side);
    let subgroups = rows / (left * side) * across;
    let threads = subgroups * lanes;
    let load_rows = threads / (depth / 8);
    let halves = 2 * (rows + columns) * (depth + 8) * 2;
    let strips = |pad: usize| subgroups * side * (side + pad) * 4;
    let limit = 48 * 1024;
    let pad = if halves + strips(4) <= limit { 4 } else { 0 };
    assert!(halves + strips(pad) <= limit && right % 2 == 0 && rows % load_rows == 0 && columns % load_rows == 0);
    let constants = vec![
        ("ROWS", rows),
        ("COLUMNS", columns),
        ("LEFT", left),
        ("RIGHT", right),
        ("DEPTH", depth),
        ("PAD", pad),
        ("LANES", lanes),
        ("SUBGROUPS", subgroups),
        ("ACROSS", across),
        ("THREADS", threads),
        ("LOAD_ROWS", load_rows),
        ("LEFT_LOADS", rows / load_rows),
        ("RIGHT_LOADS", columns / load_rows),
        ("SIDE", side),
    ];
    Plan { constants, bytes: halves + strips(pad), threads }
}

/// Bindings of parts of sums with two and with three operands.
const PART_ACCESS: [&[Access]; 2] =
    [&[Access::Read, Access::Read, Access::Write], &[Access::Read, Access::Read, Access::Read, Access::Write]];

/// One operation of a tile.
struct Op {
    name: &'static str,
    main: &'static str,
    operands: &'static str,
    wide: &'static [&'static str],
    part: bool,
    base: Kernel,
}

impl Op {
    fn kernel(self, tile: Tile, side: usize, plan: &Plan) -> Kernel {
        let types = if side == 16 { MATRIX_16 } else { MATRIX_8 };
        let loads = if tile.wide { include_str!("wide.wgsl") } else { include_str!("narrow.wgsl") };
        let mut operands = self.operands.to_owned();
        let mut main = self.main.to_owned();
        if tile.wide {
            operands = widened(&operands, self.wide);
        }
        if self.part {
            operands = unfinished(&operands, self.wide.len());
            main.push_str(if self.base.access.len() == 5 {
                "//: use gemm_finish\n"
            } else {
                "//: use conv2d_finish\n"
            });
        }
        let mut constants = plan.constants.clone();
        constants.push(("SPLIT", usize::from(self.part)));
        let source = unroll::unroll(&[&main, TILE, loads, include_str!("partial.wgsl"), types], &constants);
        let libs = vec![leak(operands), gemm::DIVIDE, ACTIVATION];
        Kernel {
            name: self.name,
            source: leak(source),
            libs: libs.leak(),
            access: if self.part { PART_ACCESS[self.wide.len() - 2] } else { self.base.access },
            subgroups: true,
            stores: &[Store::F16Matrix],
            ..self.base
        }
    }
}

fn kernels(tile: Tile, side: usize, lanes: usize) -> Kernels {
    let plan = plan(tile, side, lanes);
    let product = |name, part, variants| {
        let (main, operands, wide) = (include_str!("gemm.wgsl"), gemm::OPERANDS, &["a", "w"]);
        let base = Kernel { variants, ..gemm::KERNEL };
        Op { name, main, operands, wide, part, base }.kernel(tile, side, &plan)
    };
    let map = |name, part, variants| {
        let (main, operands, wide) = (include_str!("conv2d.wgsl"), conv2d::OPERANDS, &["x", "skip", "w"]);
        let base = Kernel { variants, ..conv2d::KERNEL };
        Op { name, main, operands, wide, part, base }.kernel(tile, side, &plan)
    };
    Kernels {
        tile,
        gemm: product("gemm_matrix", false, gemm::MATRIX_VARIANTS),
        conv2d: map("conv2d_matrix", false, conv2d::MATRIX_VARIANTS),
        gemm_part: product("gemm_part", true, gemm::PART_VARIANTS),
        conv2d_part: map("conv2d_part", true, conv2d::PART_VARIANTS),
        bytes: plan.bytes as u32,
        threads: plan.threads as u32,
    }
}

/// The tile of one of these kernels.
pub(crate) fn tile_of(kernel: &Kernel) -> Option<Tile> {
    let among =
        |k: &Kernels| [&k.gemm, &k.conv2d, &k.gemm_part, &k.conv2d_part].iter().any(|own| std::ptr::eq(*own, kernel));
    KERNELS.iter().flatten().find(|k| among(k)).map(|k| k.tile)
}

/// Terms of a part of a split sum are multiples of this, whatever the tile: parts are the same for all.
const UNIT: usize = 64;
/// Multiprocessors of the adapter that the tiles' costs were measured on.
const PROCESSORS: usize = 132;
/// Workgroups that keep a large adapter busy.
const BUSY: usize = 264;
/// Fewest units of a part: below that the sum of the parts costs more than they save.
const LEAST_UNITS: usize = 16;

/// How many terms the parts of a sum have, where one image alone gives too few tiles to work on; `None` where it is not
/// split. It depends on one image only, never on the batch: parts change the last bits.
pub(crate) fn split(size: &gemm::Size, row: usize) -> Option<usize> {
    if size.pairs || !row.is_multiple_of(UNIT) {
        return None;
    }
    let (tiles, units) = (size.image_rows.div_ceil(64) * size.n.div_ceil(64), size.k / UNIT);
    let parts = (BUSY / tiles).min(8).min(units / LEAST_UNITS);
    (parts > 1).then(|| units.div_ceil(parts) * UNIT)
}

fn attention_kernel(side: usize, lanes: usize) -> Kernel {
    let [subgroups, groups] = ATTENTION_GROUPS;
    let threads = subgroups * lanes;
    let constants = [
        ("SIZE", ATTENTION_SIZE),
        ("KEYS", ATTENTION_KEYS),
        ("GROUPS", groups),
        ("SUBGROUPS", subgroups),
        ("LANES", lanes),
        ("THREADS", threads),
        ("LOADS", ATTENTION_KEYS * ATTENTION_SIZE / 8 / threads),
        ("VECTORS", ATTENTION_KEYS / 4 / (lanes / side)),
        ("SIDE", side),
    ];
    let types = if side == 16 { MATRIX_16 } else { MATRIX_8 };
    Kernel {
        name: "attention_matrix",
        source: leak(unroll::unroll(&[include_str!("attention.wgsl"), types], &constants)),
        libs: &[],
        subgroups: true,
        stores: &[Store::F16Matrix],
        variants: &[&[]],
        ..attention::KERNEL_TILED
    }
}

/// The tile for a product: the one with the least estimated time that the adapter's workgroups hold.
pub(crate) fn choose(ctx: &Context, size: &gemm::Size) -> Option<&'static Kernels> {
    let caps = ctx.caps();
    if let Some(tile) = ctx.tile(&(size.op, size.rows, size.n, size.k)) {
        return tiles(caps.matrix).get(tile).filter(|kernels| kernels.fits(&caps, size.wide));
    }
    let fitting = tiles(caps.matrix).iter().filter(|kernels| kernels.fits(&caps, size.wide));
    let width = if size.pairs { 2 * size.n } else { size.n };
    let time = |kernels: &&Kernels| {
        let [rows, columns] = kernels.tile.size;
        let tiles = size.rows.div_ceil(rows) * width.div_ceil(columns);
        tiles.div_ceil(PROCESSORS) * kernels.tile.cost
    };
    fitting.min_by_key(time)
}
