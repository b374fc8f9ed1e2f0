//! Multi-head attention with a streaming softmax: scores never reach memory.
//!
//! Two kernels for one formula: software adapters (lavapipe, WARP) want many queries per invocation and no barriers, GPUs
//! want their workgroup memory used. Both are tested on every adapter.

use bytemuck::{Pod, Zeroable};

use super::matrix;
use crate::gpu::{Access, Kernel, Launch, Recorder, Store, Tier};
use crate::tensor::{Elem, Tensor};

#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

/// What all attention kernels share.
const BASE: Kernel = Kernel {
    name: "attention",
    source: include_str!("attention.wgsl"),
    libs: &[],
    access: &[Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[]],
};

/// With subgroup broadcasts.
const LANES: Kernel = Kernel { subgroups: true, ..BASE };

/// Loads of four keys, by every invocation.
const FOUR: &str = include_str!("four.wgsl");
/// The same shared by subgroup broadcasts.
const FOUR_LANES: &str = include_str!("four_lanes.wgsl");

/// Heads of up to 16 channels, software adapters.
pub const KERNEL_16: Kernel = Kernel { libs: &[FOUR, "const ROWS = 8u; const ROW = 4u;"], ..BASE };
/// The same with subgroups.
pub const KERNEL_16_LANES: Kernel = Kernel { libs: &[FOUR_LANES, "const ROWS = 8u; const ROW = 4u;"], ..LANES };
/// Heads of up to 32 channels, software adapters.
pub const KERNEL_32: Kernel = Kernel { libs: &[FOUR, "const ROWS = 8u; const ROW = 8u;"], ..BASE };
/// The same with subgroups.
pub const KERNEL_32_LANES: Kernel = Kernel { libs: &[FOUR_LANES, "const ROWS = 8u; const ROW = 8u;"], ..LANES };
/// Heads of up to 64 channels, software adapters.
pub const KERNEL_64: Kernel = Kernel { libs: &[FOUR, "const ROWS = 8u; const ROW = 16u;"], ..BASE };
/// The same with subgroups.
pub const KERNEL_64_LANES: Kernel = Kernel { libs: &[FOUR_LANES, "const ROWS = 8u; const ROW = 16u;"], ..LANES };
/// Heads of up to 160 channels, software adapters.
pub const KERNEL_160: Kernel = Kernel { libs: &[FOUR, "const ROWS = 4u; const ROW = 40u;"], ..BASE };
/// The same with subgroups.
pub const KERNEL_160_LANES: Kernel = Kernel { libs: &[FOUR_LANES, "const ROWS = 4u; const ROW = 40u;"], ..LANES };
/// Heads of up to 512 channels, software adapters.
pub const KERNEL_512: Kernel = Kernel { libs: &[FOUR, "const ROWS = 2u; const ROW = 128u;"], ..BASE };
/// The same with subgroups.
pub const KERNEL_512_LANES: Kernel = Kernel { libs: &[FOUR_LANES, "const ROWS = 2u; const ROW = 128u;"], ..LANES };

/// Heads of any size, adapters with workgroup memory of their own. `LANES` is `GROUPS · D / 4`.
pub const KERNEL_TILED: Kernel = Kernel {
    source: include_str!("tiled.wgsl"),
    variants: &[
        &[("GROUPS", 8.0), ("LANES", 32.0)],
        &[("GROUPS", 8.0), ("LANES", 64.0)],
        &[("GROUPS", 8.0), ("LANES", 80.0)],
        &[("GROUPS", 8.0), ("LANES", 128.0)],
        &[("GROUPS", 8.0), ("LANES", 160.0)],
        &[("GROUPS", 4.0), ("LANES", 160.0)],
        &[("GROUPS", 2.0), ("LANES", 256.0)],
    ],
    ..BASE
};

/// `(name, [B, L, S, heads, D], causal)` of the models' layers, for tests and benches.
pub const CASES: &[(&str, [usize; 5], bool)] = &[
    ("sd21 self 64x64", [1, 4096, 4096, 5, 64], false),
    ("sd21 self 32x32", [2, 1024, 1024, 10, 64], false),
    ("sd21 self 16x16", [2, 256, 256, 20, 64], false),
    ("sd21 cross 64x64", [2, 4096, 77, 5, 64], false),
    ("sd21 cross 32x32", [2, 1024, 77, 10, 64], false),
    ("clip vit-h", [2, 77, 77, 16, 64], true),
    ("sd15 self 64x64", [1, 4096, 4096, 8, 40], false),
    ("sd15 self 32x32", [1, 1024, 1024, 8, 80], false),
    ("sd15 self 16x16", [1, 256, 256, 8, 160], false),
    ("vae mid 64x64", [1, 4096, 4096, 1, 512], false),
    ("vae mid 32x32", [1, 1024, 1024, 1, 512], false),
    ("mini self 8x8", [2, 64, 64, 2, 32], false),
    ("mini self 4x4", [2, 16, 16, 4, 32], false),
    ("mini cross 8x8", [2, 64, 77, 2, 32], false),
    ("mini clip", [2, 77, 77, 4, 16], true),
    ("mini vae mid", [1, 256, 256, 1, 64], false),
];

/// Operands of [`attention`].
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `[B, L, heads·D]`
    pub q: &'a Tensor,
    /// `[B, S, heads·D]`
    pub k: &'a Tensor,
    /// `[B, S, heads·D]`
    pub v: &'a Tensor,
    /// Number of heads. `D` is a multiple of 4 up to 512.
    pub heads: usize,
    /// Query `i` sees keys `0..=i` only.
    pub causal: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    queries: u32,
    keys: u32,
    heads: u32,
    causal: u32,
    scale: f32,
    quads: u32,
    pad: [u32; 2],
}

struct Dims {
    batch: usize,
    queries: usize,
    keys: usize,
    size: usize,
}

impl Dims {
    fn new(op: &Attention<'_>) -> Self {
        let (q, k, v) = (op.q.dims(), op.k.dims(), op.v.dims());
        let elems = [op.k.elem(), op.v.elem()];
        let (&[batch, queries, width], &[k_batch, keys, k_width]) = (q, k) else {
            panic!("attention: q {q:?}, k {k:?} are not [B, L, heads D]")
        };
        assert!(
            k == v && k_batch == batch && k_width == width && elems.iter().all(|&e| e == op.q.elem()),
            "attention: q {q:?} {}, k {k:?} {}, v {v:?} {}",
            op.q.elem(),
            elems[0],
            elems[1]
        );
        assert!(op.heads > 0 && width.is_multiple_of(op.heads), "attention: q {q:?}, {} heads", op.heads);
        let size = width / op.heads;
        assert!(size.is_multiple_of(4) && size <= 512, "attention: q {q:?}, {} heads of {size}", op.heads);
        let largest = batch * queries.max(keys) * width;
        assert!(u32::try_from(largest).is_ok(), "attention: q {q:?}, k {k:?} is too large");
        Self { batch, queries, keys, size }
    }
}

/// Which source runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Many queries in registers.
    Registers,
    /// Workgroup memory.
    Tiled,
    /// Cooperative matrices: f16, heads of [`matrix::ATTENTION_SIZE`] channels.
    Matrix,
}

/// `softmax(q kᵀ / √D) v` for each head: `[B, L, heads·D]`.
///
/// # Panics
/// When shapes, element types or heads do not fit together.
pub fn attention(rec: &mut Recorder, op: &Attention<'_>) -> Tensor {
    let ctx = rec.context();
    let fits = op.q.elem() == Elem::F16 && op.q.shape().last() == op.heads * matrix::ATTENTION_SIZE;
    let route = match ctx.tier() {
        Tier::Matrix if fits => Route::Matrix,
        _ if ctx.caps().software => Route::Registers,
        _ => Route::Tiled,
    };
    launch(rec, op, route)
}

/// The register kernel for heads of `size` channels, and its queries per workgroup.
fn register_kernel(size: usize, lanes: bool) -> (&'static Kernel, usize) {
    match (size, lanes) {
        (0..=16, false) => (&KERNEL_16, 64),
        (0..=16, true) => (&KERNEL_16_LANES, 64),
        (17..=32, false) => (&KERNEL_32, 64),
        (17..=32, true) => (&KERNEL_32_LANES, 64),
        (33..=64, false) => (&KERNEL_64, 64),
        (33..=64, true) => (&KERNEL_64_LANES, 64),
        (65..=160, false) => (&KERNEL_160, 32),
        (65..=160, true) => (&KERNEL_160_LANES, 32),
        (_, false) => (&KERNEL_512, 16),
        (_, true) => (&KERNEL_512_LANES, 16),
    }
}

/// Groups of 8 queries per workgroup: as many as 256 invocations allow, at most 8.
fn groups(quads: usize) -> usize {
    match quads {
        0..=32 => 8,
        33..=64 => 4,
        _ => 2,
    }
}

/// Kernel, queries per workgroup and overrides.
fn kernel(rec: &Recorder, route: Route, size: usize) -> (&'static Kernel, usize, Vec<(&'static str, f64)>) {
    let (ctx, quads) = (rec.context(), size / 4);
    match route {
        Route::Matrix => {
            assert_eq!(size, matrix::ATTENTION_SIZE, "attention: heads of {size} by matrices");
            let (kernel, rows) = matrix::attention(ctx.caps().matrix);
            (kernel, rows, Vec::new())
        }
        Route::Tiled => {
            let groups = groups(quads);
            (&KERNEL_TILED, 8 * groups, vec![("GROUPS", groups as f64), ("LANES", (groups * quads) as f64)])
        }
        Route::Registers => {
            // Broadcasts count on the invocations' order in a subgroup, which is known of software adapters.
            let lanes = ctx.caps().software && ctx.caps().subgroups && ctx.adapter().subgroup_size.0 >= 8;
            let (kernel, rows) = register_kernel(size, lanes);
            (kernel, rows, Vec::new())
        }
    }
}

pub(super) fn launch(rec: &mut Recorder, op: &Attention<'_>, route: Route) -> Tensor {
    let dims = Dims::new(op);
    let y = rec.temp(op.q.dims(), op.q.elem());
    let params = Params {
        queries: dims.queries as u32,
        keys: dims.keys as u32,
        heads: op.heads as u32,
        causal: u32::from(op.causal),
        scale: (std::f64::consts::LOG2_E / (dims.size as f64).sqrt()) as f32,
        quads: (dims.size / 4) as u32,
        pad: [0; 2],
    };
    let (kernel, rows, overrides) = kernel(rec, route, dims.size);
    let store = if route == Route::Matrix { Store::F16Matrix } else { Store::of(op.q.elem(), rec.context()) };
    rec.launch(&Launch {
        kernel,
        store,
        overrides: &overrides,
        bind: &[op.q, op.k, op.v, &y],
        params: bytemuck::bytes_of(&params),
        grid: [dims.queries.div_ceil(rows) as u32, op.heads as u32, dims.batch as u32],
        flops: 4 * (dims.batch * dims.queries * dims.keys * op.heads * dims.size) as u64,
    });
    y
}
