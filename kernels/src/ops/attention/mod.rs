//! Multi-head attention with a streaming softmax: scores never reach memory.

use bytemuck::{Pod, Zeroable};

use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::Tensor;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

const fn rows_of(row: &'static [&'static str], variants: &'static [&'static [(&'static str, f64)]]) -> Kernel {
    Kernel {
        name: "attention",
        source: include_str!("attention.wgsl"),
        libs: row,
        access: &[Access::Read, Access::Read, Access::Read, Access::Write],
        params: size_of::<Params>(),
        subgroups: false,
        stores: &Store::ALL,
        variants,
    }
}

/// Heads of up to 64 channels.
pub const KERNEL_64: Kernel =
    rows_of(&["const ROW = 16u;"], &[&[("QUADS", 2.0)], &[("QUADS", 4.0)], &[("QUADS", 8.0)], &[("QUADS", 16.0)]]);
/// Heads of 68 to 160 channels.
pub const KERNEL_160: Kernel = rows_of(&["const ROW = 40u;"], &[&[("QUADS", 20.0)], &[("QUADS", 40.0)]]);
/// Heads of 164 to 512 channels.
pub const KERNEL_512: Kernel = rows_of(&["const ROW = 128u;"], &[&[("QUADS", 128.0)]]);

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
    pad: [u32; 3],
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

/// `softmax(q kᵀ / √D) v` for each head: `[B, L, heads·D]`.
///
/// # Panics
/// When shapes, element types or heads do not fit together.
pub fn attention(rec: &mut Recorder, op: &Attention<'_>) -> Tensor {
    let dims = Dims::new(op);
    let y = rec.temp(op.q.dims(), op.q.elem());
    let params = Params {
        queries: dims.queries as u32,
        keys: dims.keys as u32,
        heads: op.heads as u32,
        causal: u32::from(op.causal),
        scale: (std::f64::consts::LOG2_E / (dims.size as f64).sqrt()) as f32,
        pad: [0; 3],
    };
    let kernel = match dims.size {
        0..=64 => &KERNEL_64,
        65..=160 => &KERNEL_160,
        _ => &KERNEL_512,
    };
    rec.launch(&Launch {
        kernel,
        store: Store::of(op.q.elem(), rec.context()),
        overrides: &[("QUADS", (dims.size / 4) as f64)],
        bind: &[op.q, op.k, op.v, &y],
        params: bytemuck::bytes_of(&params),
        grid: [dims.queries.div_ceil(64) as u32, op.heads as u32, dims.batch as u32],
        flops: 4 * (dims.batch * dims.queries * dims.keys * op.heads * dims.size) as u64,
    });
    y
}
