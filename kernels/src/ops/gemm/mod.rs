//! Matrix products with everything that usually follows them: `y = activation(a · wᵀ + bias) + residual`.

use bytemuck::{Pod, Zeroable};

use super::matrix::{self, Kernels};
use super::split_sum::{SplitSum, split_sum};
use super::{ACTIVATION, linear_grid};
use crate::gpu::{Access, DispatchView, Kernel, Launch, Recorder, Store, TileKey};
use crate::tensor::{Elem, Tensor};

#[cfg(test)]
pub(crate) mod oracle;
mod route;
#[cfg(test)]
mod tests;

use route::tile_variants;
pub(crate) use route::{DIVIDE, LANES, Route, Size, Source, TILE, limited, tile_order};
pub(crate) use route::{lanes_variants, matrix_variants};

pub(super) const OPERANDS: &str = include_str!("operands.wgsl");

/// torch's Linear and batched products, tiled in workgroup memory.
pub const KERNEL: Kernel = Kernel {
    name: "gemm",
    source: include_str!("gemm.wgsl"),
    libs: &[OPERANDS, TILE, DIVIDE, ACTIVATION],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: tile_variants!(),
};

/// The same on software adapters: registers and broadcasts instead of workgroup memory.
pub const KERNEL_LANES: Kernel = Kernel {
    name: "gemm_lanes",
    source: include_str!("gemm_lanes.wgsl"),
    libs: &[OPERANDS, LANES, DIVIDE, ACTIVATION],
    subgroups: true,
    variants: lanes_variants!((0.0), (1.0), (2.0), (3.0), (4.0)),
    ..KERNEL
};

/// One row at a time, for rows that are alone.
pub const KERNEL_VECTOR: Kernel = Kernel {
    name: "gemm_vector",
    source: include_str!("gemm_vector.wgsl"),
    libs: &[OPERANDS, DIVIDE, ACTIVATION],
    variants: &[&[("activation", 0.0)], &[("activation", 1.0)], &[("activation", 2.0)], &[("activation", 3.0)]],
    ..KERNEL
};

/// Overrides of parts of a split product.
pub(super) const PART_VARIANTS: &[&[(&str, f64)]] = &[&[("activation", 0.0), ("tail", 0.0)]];
/// Overrides of the kernels by cooperative matrices, one for each of [`super::matrix::TILES_16`].
pub(super) const MATRIX_VARIANTS: &[&[(&str, f64)]] = matrix_variants!((0.0), (1.0), (2.0), (3.0), (4.0));

/// What is applied to `a · wᵀ + bias`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `x · sigmoid(x)`.
    Silu,
    /// `x · Φ(x)` with the exact error function.
    Gelu,
    /// `x · sigmoid(1.702 x)`, as CLIP ViT-L has it.
    QuickGelu,
    /// `value · gelu(gate)`: the weight's first half of rows gives values, the second gates (diffusers' `GEGLU`).
    Geglu,
}

impl Activation {
    /// The value of activation.wgsl's override.
    pub(crate) fn code(self) -> f64 {
        match self {
            Activation::None => 0.0,
            Activation::Silu => 1.0,
            Activation::Gelu => 2.0,
            Activation::QuickGelu => 3.0,
            Activation::Geglu => 4.0,
        }
    }
}

/// A product. All tensors have the element type of `a`.
#[derive(Clone, Copy, Debug)]
pub struct Gemm<'a> {
    /// `[.., M, K]`.
    pub a: &'a Tensor,
    /// `[N, K]` as torch's Linear stores it, or `[B, N, K]` with `a` as `[B, M, K]`. `[2N, K]` for GEGLU.
    pub w: &'a Tensor,
    /// `[N]`; `[2N]` for GEGLU.
    pub bias: Option<&'a Tensor>,
    /// Added last; the shape of the result.
    pub residual: Option<&'a Tensor>,
    /// Applied before the residual is added.
    pub activation: Activation,
}

impl<'a> Gemm<'a> {
    /// `a · wᵀ` alone.
    #[must_use]
    pub fn new(a: &'a Tensor, w: &'a Tensor) -> Self {
        Self { a, w, bias: None, residual: None, activation: Activation::None }
    }
}

/// Products of real models, `[M, N, K]`; GEGLU where the name says so (N of the result).
pub const CASES: &[(&str, [usize; 3])] = &[
    ("sd21 attn1.to_q 32x32", [1024, 320, 320]),
    ("sd21 ff.geglu 32x32", [1024, 1280, 320]),
    ("sd21 ff.2 16x16", [256, 640, 2560]),
    ("sd21 ff.geglu 16x16", [256, 2560, 640]),
    ("sd21 attn1.to_q 8x8", [64, 1280, 1280]),
    ("sd21 attn2.to_k", [77, 1280, 1024]),
    ("sd21 text fc1", [77, 4096, 1024]),
    ("sd21 time_embedding.linear_2", [1, 1280, 1280]),
    ("mini attn1.to_q 16x16", [256, 64, 64]),
    ("mini ff.geglu 8x8", [64, 256, 64]),
    ("mini ff.2 8x8", [64, 64, 256]),
    ("mini ff.geglu 4x4", [16, 512, 128]),
];

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Params {
    m: u32,
    n: u32,
    k4: u32,
    column_tiles: u32,
    row_tiles: u32,
    tiles: u32,
    rows_first: u32,
    w_batch: u32,
    has_bias: u32,
    has_residual: u32,
    split: u32,
    pad: u32,
}

/// Checked dimensions of a product.
struct Sizes {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    dims: Vec<usize>,
}

fn sizes(g: &Gemm<'_>) -> Sizes {
    let (a, w) = (g.a.dims(), g.w.dims());
    let k = g.a.shape().last();
    let batched = w.len() == 3;
    assert!(
        g.w.shape().last() == k && (w.len() == 2 || (batched && a.len() == 3 && a[0] == w[0])),
        "gemm: a {a:?} does not fit w {w:?}"
    );
    let geglu = g.activation == Activation::Geglu;
    let rows = w[w.len() - 2];
    assert!(!geglu || rows % 8 == 0, "gemm: GEGLU of w {w:?} needs values and gates in multiples of 4");
    let n = if geglu { rows / 2 } else { rows };
    let (batch, m) = if batched { (a[0], a[1]) } else { (1, g.a.shape().rows()) };
    let dims: Vec<usize> = a[..a.len() - 1].iter().copied().chain([n]).collect();
    if let Some(bias) = g.bias {
        assert!(bias.dims() == [rows] && bias.elem() == g.w.elem(), "gemm: bias {:?} for w {w:?}", bias.dims());
    }
    if let Some(residual) = g.residual {
        let same = residual.dims() == dims && residual.elem() == g.a.elem();
        assert!(same, "gemm: residual {:?} for result {dims:?}", residual.dims());
    }
    assert_eq!(g.a.elem(), g.w.elem(), "gemm: element types of a {a:?} and w {w:?}");
    Sizes { batch, m, n, k, dims }
}

/// Appends `activation(a · wᵀ + bias) + residual`; `a.dims()` with N as the last.
///
/// # Panics
/// When shapes or element types do not fit.
pub fn gemm(rec: &mut Recorder, g: &Gemm<'_>) -> Tensor {
    let s = sizes(g);
    // Rows without an image around them are few, whatever the batch.
    if g.a.dims().len() == 2 && g.activation != Activation::Geglu && !rec.context().caps().software {
        return launch(rec, g, &s, Route::VECTOR);
    }
    launch(rec, g, &s, Route::choose(rec.context(), g.a.elem(), &size(g, &s)))
}

/// What the choice of a kernel depends on.
fn size(g: &Gemm<'_>, s: &Sizes) -> Size {
    // Rows of one image: without a batch dimension the rows are the batch.
    let image_rows = if g.a.dims().len() > 2 { g.a.dims()[g.a.dims().len() - 2] } else { 1 };
    let pairs = g.activation == Activation::Geglu;
    Size { op: "gemm", image_rows, rows: s.batch * s.m, n: s.n, k: s.k, wide: s.k.is_multiple_of(8), pairs }
}

/// As [`gemm`] on a given route.
pub(super) fn gemm_by(rec: &mut Recorder, g: &Gemm<'_>, route: Route) -> Tensor {
    launch(rec, g, &sizes(g), route)
}

fn launch(rec: &mut Recorder, g: &Gemm<'_>, s: &Sizes, route: Route) -> Tensor {
    let geglu = g.activation == Activation::Geglu;
    let alone = matches!(route.source, Source::Vector);
    assert!(!alone || (!geglu && s.batch == 1), "gemm: rows alone of w {:?}", g.w.dims());
    let columns = if geglu { route.columns / 2 } else { route.columns };
    let (column_tiles, row_tiles) = (s.n.div_ceil(columns), s.m.div_ceil(route.rows));
    let tiles = column_tiles * row_tiles * s.batch;
    let rows = if geglu { 2 * s.n } else { s.n };
    let params = Params {
        m: s.m as u32,
        n: s.n as u32,
        k4: s.k.div_ceil(4) as u32,
        column_tiles: column_tiles as u32,
        row_tiles: row_tiles as u32,
        tiles: tiles as u32,
        rows_first: tile_order(s.m * s.k, rows * s.k),
        w_batch: if s.batch > 1 { rows as u32 } else { 0 },
        has_bias: u32::from(g.bias.is_some()),
        has_residual: u32::from(g.residual.is_some()),
        split: 0,
        pad: 0,
    };
    let y = rec.temp(&s.dims, g.a.elem());
    let grid = linear_grid(limited("gemm", s.m, tiles), 1, rec.context().caps().grid);
    if let (Source::Matrix(kernels), 1, Some(part)) = (route.source, s.batch, matrix::split(&size(g, s), s.k)) {
        launch_parts(rec, g, s, (kernels, part, params, grid), &y);
        return y;
    }
    rec.launch(&Launch {
        kernel: match route.source {
            Source::Tiled => &KERNEL,
            Source::Lanes => &KERNEL_LANES,
            Source::Vector => &KERNEL_VECTOR,
            Source::Matrix(kernels) => &kernels.gemm,
        },
        store: route.store(g.a.elem(), rec.context()),
        overrides: &route.overrides(g.activation, s.k, None),
        bind: &[g.a, g.w, g.bias.unwrap_or(g.w), g.residual.unwrap_or(g.a), &y],
        params: bytemuck::bytes_of(&params),
        grid,
        flops: 2 * (s.batch * s.m * rows * s.k) as u64,
    });
    y
}

/// The product in parts of `part` terms, and their sum.
fn launch_parts(
    rec: &mut Recorder,
    g: &Gemm<'_>,
    s: &Sizes,
    (kernels, part, params, grid): (&'static Kernels, usize, Params, [u32; 3]),
    y: &Tensor,
) {
    let parts = s.k.div_ceil(part);
    let partials = rec.temp(&[parts, s.m, s.n], Elem::F32);
    let params = Params { split: (part / kernels.tile.depth) as u32, ..params };
    rec.launch(&Launch {
        kernel: &kernels.gemm_part,
        store: Store::F16Matrix,
        overrides: &Route::matrix(kernels).overrides(Activation::None, s.k, None),
        bind: &[g.a, g.w, &partials],
        params: bytemuck::bytes_of(&params),
        grid: [grid[0], grid[1], parts as u32],
        flops: 2 * (s.m * s.n * s.k) as u64,
    });
    let (partials, bias, residual) = (&partials, g.bias, g.residual);
    let sum = SplitSum { partials, bias, time_embedding: None, residual, activation: g.activation, image_rows: s.m };
    split_sum(rec, &sum, y);
}

/// What a dispatch's tile is chosen by.
pub(super) fn tile_key(d: &DispatchView<'_>) -> TileKey {
    let (a, n) = (d.bind[0].shape(), d.bind[d.bind.len() - 1].shape().last());
    ("gemm", a.rows(), n, a.last())
}

/// Appends a dispatch again, with the tile of other kernels.
pub(super) fn repeat(rec: &mut Recorder, d: &DispatchView<'_>, kernels: &'static Kernels) {
    let params: Params = bytemuck::pod_read_unaligned(d.params);
    let code = d.overrides.iter().find(|(name, _)| *name == "activation").map_or(0.0, |(_, code)| *code);
    let activations = [Activation::None, Activation::Silu, Activation::Gelu, Activation::QuickGelu, Activation::Geglu];
    let activation = activations.into_iter().find(|a| a.code() == code).unwrap_or_default();
    let mut op = Gemm { activation, ..Gemm::new(&d.bind[0], &d.bind[1]) };
    // A part has no end.
    if let [_, _, bias, residual, _] = d.bind {
        op.bias = (params.has_bias != 0).then_some(bias);
        op.residual = (params.has_residual != 0).then_some(residual);
    }
    gemm_by(rec, &op, Route::matrix(kernels));
}
