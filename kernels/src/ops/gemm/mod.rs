//! Matrix products with everything that usually follows them: `y = activation(a · wᵀ + bias) + residual`.

use bytemuck::{Pod, Zeroable};

use super::{ACTIVATION, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::Tensor;

#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

/// torch's Linear and batched products.
pub const KERNEL: Kernel = Kernel {
    name: "gemm",
    source: include_str!("gemm.wgsl"),
    libs: &[ACTIVATION],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[]],
};

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
    /// The number `activate` of activation.wgsl knows it by; GEGLU is not elementwise.
    pub(crate) fn code(self) -> u32 {
        match self {
            Activation::None | Activation::Geglu => 0,
            Activation::Silu => 1,
            Activation::Gelu => 2,
            Activation::QuickGelu => 3,
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

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Params {
    m: u32,
    n: u32,
    k4: u32,
    column_tiles: u32,
    row_tiles: u32,
    tiles: u32,
    w_batch: u32,
    has_bias: u32,
    has_residual: u32,
    activation: u32,
    geglu: u32,
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
    assert!(!geglu || rows % 2 == 0, "gemm: GEGLU of w {w:?} needs an even number of rows");
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
    let geglu = g.activation == Activation::Geglu;
    let column_tiles = s.n.div_ceil(if geglu { 8 } else { 16 });
    let row_tiles = s.m.div_ceil(64);
    let tiles = column_tiles * row_tiles * s.batch;
    let params = Params {
        m: s.m as u32,
        n: s.n as u32,
        k4: s.k.div_ceil(4) as u32,
        column_tiles: column_tiles as u32,
        row_tiles: row_tiles as u32,
        tiles: tiles as u32,
        w_batch: if s.batch > 1 { s.n as u32 * if geglu { 2 } else { 1 } } else { 0 },
        has_bias: u32::from(g.bias.is_some()),
        has_residual: u32::from(g.residual.is_some()),
        activation: g.activation.code(),
        geglu: u32::from(geglu),
        pad: 0,
    };
    let y = rec.temp(&s.dims, g.a.elem());
    let grid = linear_grid(tiles, 1, rec.context().caps().grid);
    let rows = if geglu { 2 * s.n } else { s.n };
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(g.a.elem(), rec.context()),
        overrides: &[],
        bind: &[g.a, g.w, g.bias.unwrap_or(g.w), g.residual.unwrap_or(g.a), &y],
        params: bytemuck::bytes_of(&params),
        grid,
        flops: 2 * (s.batch * s.m * rows * s.k) as u64,
    });
    y
}
