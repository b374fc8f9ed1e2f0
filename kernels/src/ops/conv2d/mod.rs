//! 1×1 and 3×3 convolutions with everything that surrounds them in a UNet or VAE: nearest enlargement, two sources
//! instead of a concatenation, circular padding, bias, time embedding, activation and residual.

use bytemuck::{Pod, Zeroable};

use super::gemm::{
    Activation, DIVIDE, LANES, Route, Size, Source, TILE, lanes_variants, limited, matrix_variants, tile_order,
};
use super::matrix;
use super::{ACTIVATION, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::Tensor;

#[cfg(test)]
mod oracle;
mod parts;
#[cfg(test)]
mod tests;

use parts::launch_parts;
pub(super) use parts::{is_wide, repeat, tile_key};

pub(super) const OPERANDS: &str = include_str!("operands.wgsl");
const SOURCES: &str = include_str!("sources.wgsl");

/// Convolution as an implicit product over (tap row, tap column, channel), tiled in workgroup memory.
pub const KERNEL: Kernel = Kernel {
    name: "conv2d",
    source: include_str!("conv2d.wgsl"),
    libs: &[OPERANDS, SOURCES, TILE, DIVIDE, ACTIVATION],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("activation", 0.0)], &[("activation", 1.0)]],
};

/// The same on software adapters: registers and broadcasts instead of workgroup memory.
pub const KERNEL_LANES: Kernel = Kernel {
    name: "conv2d_lanes",
    source: include_str!("conv2d_lanes.wgsl"),
    libs: &[OPERANDS, SOURCES, LANES, DIVIDE, ACTIVATION],
    subgroups: true,
    variants: lanes_variants!(
        (0.0("two_sources", 0.0)),
        (1.0("two_sources", 0.0)),
        (0.0("two_sources", 1.0)),
        (1.0("two_sources", 1.0))
    ),
    ..KERNEL
};

/// Overrides of parts of a split convolution.
pub(super) const PART_VARIANTS: &[&[(&str, f64)]] = &[
    &[("activation", 0.0), ("tail", 0.0), ("two_sources", 0.0)],
    &[("activation", 0.0), ("tail", 0.0), ("two_sources", 1.0)],
];
/// Overrides of the kernels by cooperative matrices.
pub(super) const MATRIX_VARIANTS: &[&[(&str, f64)]] = matrix_variants!(
    (0.0("two_sources", 0.0)),
    (1.0("two_sources", 0.0)),
    (0.0("two_sources", 1.0)),
    (1.0("two_sources", 1.0))
);

/// Which border is added around the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// `k / 2` on every side.
    #[default]
    Same,
    /// One row below and one column to the right: the downsampling of Stable Diffusion's VAE encoder.
    AsymmetricEnd,
}

/// Axes on which the border repeats the opposite side instead of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrap {
    /// Left and right edges touch.
    pub x: bool,
    /// Upper and lower edges touch.
    pub y: bool,
}

/// A convolution. All tensors have the element type of `x`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// `[B, H, W, C]`.
    pub x: &'a Tensor,
    /// `[B, H, W, C2]`: further channels behind those of `x`, as if concatenated; C must be a multiple of 4 then.
    pub skip: Option<&'a Tensor>,
    /// `[Co, k, k, C + C2]`, k 1 or 3.
    pub w: &'a Tensor,
    /// `[Co]`.
    pub bias: Option<&'a Tensor>,
    /// `[B, Co]`, added to every pixel of an image before the activation.
    pub time_embedding: Option<&'a Tensor>,
    /// Added last; the shape of the result.
    pub residual: Option<&'a Tensor>,
    /// None or SiLU; others panic.
    pub activation: Activation,
    /// 1 or 2.
    pub stride: usize,
    /// Border.
    pub padding: Padding,
    /// Circular axes. With `upsample` the enlarged image is what wraps.
    pub wrap: Wrap,
    /// Enlarge 2× by repetition before the convolution.
    pub upsample: bool,
    /// Leave out the last enlarged row, column: maps of odd height or width come back to their size.
    pub trim: [bool; 2],
}

impl<'a> Conv2d<'a> {
    /// Stride 1, zero padding of `k / 2`, nothing else.
    #[must_use]
    pub fn new(x: &'a Tensor, w: &'a Tensor) -> Self {
        Self {
            x,
            skip: None,
            w,
            bias: None,
            time_embedding: None,
            residual: None,
            activation: Activation::None,
            stride: 1,
            padding: Padding::Same,
            wrap: Wrap::default(),
            upsample: false,
            trim: [false; 2],
        }
    }
}

/// A convolution of a real model.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Model, layer and map.
    pub name: &'static str,
    /// `[B, H, W, C]` of the input.
    pub x: [usize; 4],
    /// Channels of the second source, 0 for none.
    pub skip: usize,
    /// Channels of the result.
    pub out: usize,
    /// Window.
    pub taps: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Enlarged first.
    pub upsample: bool,
}

impl Case {
    const fn new(name: &'static str, x: [usize; 4], out: usize, taps: usize) -> Self {
        Self { name, x, skip: 0, out, taps, stride: 1, upsample: false }
    }
}

/// Convolutions of real models.
pub const CASES: &[Case] = &[
    Case::new("sd21 conv_in", [1, 64, 64, 4], 320, 3),
    Case::new("sd21 resnet 32x32", [1, 32, 32, 320], 320, 3),
    Case { stride: 2, ..Case::new("sd21 downsample 32x32", [1, 32, 32, 320], 320, 3) },
    Case::new("sd21 resnet 16x16", [1, 16, 16, 640], 640, 3),
    Case { skip: 640, ..Case::new("sd21 up resnet 16x16", [1, 16, 16, 640], 640, 3) },
    Case { skip: 640, ..Case::new("sd21 up shortcut 16x16", [1, 16, 16, 640], 640, 1) },
    Case::new("sd21 resnet 8x8", [1, 8, 8, 1280], 1280, 3),
    Case { upsample: true, ..Case::new("sd21 upsample 8x8", [1, 8, 8, 1280], 1280, 3) },
    Case::new("sd21 conv_out", [1, 64, 64, 320], 4, 3),
    Case::new("sd vae 64x64", [1, 64, 64, 128], 128, 3),
    Case::new("mini unet 16x16", [1, 16, 16, 48], 48, 3),
    Case::new("mini unet 8x8", [1, 8, 8, 64], 64, 3),
    Case::new("mini unet 4x4", [1, 4, 4, 128], 128, 3),
    Case::new("mini unet 2x2, 8 images", [8, 2, 2, 128], 128, 3),
    Case { skip: 48, ..Case::new("mini up resnet 16x16", [1, 16, 16, 48], 48, 3) },
    Case::new("mini vae 128x128", [1, 128, 128, 16], 16, 3),
    Case::new("mini vae 64x64", [1, 64, 64, 32], 32, 3),
    Case { upsample: true, ..Case::new("mini vae upsample 32x32", [1, 32, 32, 48], 48, 3) },
    Case::new("mini vae conv_out", [1, 128, 128, 16], 3, 3),
];

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Params {
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    c4: u32,
    s4: u32,
    n: u32,
    taps: u32,
    stride: u32,
    pad: u32,
    up: u32,
    wrap_x: u32,
    wrap_y: u32,
    has_bias: u32,
    has_time: u32,
    has_residual: u32,
    rows: u32,
    column_tiles: u32,
    row_tiles: u32,
    tiles: u32,
    rows_first: u32,
    trim_y: u32,
    trim_x: u32,
    split: u32,
}

/// Checked dimensions of a convolution.
struct Sizes {
    batch: usize,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    c: usize,
    s: usize,
    n: usize,
    taps: usize,
    pad: usize,
}

impl Sizes {
    fn dims(&self) -> [usize; 4] {
        [self.batch, self.out_height, self.out_width, self.n]
    }
}

/// Rows or columns of the result: `size` input ones, enlarged, `before + after` border ones.
fn out_size(g: &Conv2d<'_>, size: usize, taps: usize, trim: bool) -> usize {
    let border = match g.padding {
        Padding::Same => 2 * (taps / 2),
        Padding::AsymmetricEnd => 1,
    };
    assert!(g.upsample || !trim, "conv2d: trim without upsample of x {:?}", g.x.dims());
    let padded = (size << usize::from(g.upsample)) - usize::from(trim) + border;
    assert!(padded >= taps, "conv2d: x {:?} is smaller than the window of w {:?}", g.x.dims(), g.w.dims());
    (padded - taps) / g.stride + 1
}

fn sizes(g: &Conv2d<'_>) -> Sizes {
    let (x, w) = (g.x.dims(), g.w.dims());
    let (&[batch, height, width, c], &[n, taps, across, depth]) = (x, w) else {
        panic!("conv2d: x {x:?} and w {w:?} must be [B,H,W,C] and [Co,k,k,C]")
    };
    let s = g.skip.map_or(0, |skip| {
        let d = skip.dims();
        assert!(d.len() == 4 && d[..3] == x[..3] && c % 4 == 0, "conv2d: skip {d:?} beside x {x:?}");
        d[3]
    });
    assert!(
        depth == c + s && taps == across && (taps == 1 || taps == 3),
        "conv2d: x {x:?} skip {s} does not fit w {w:?}"
    );
    assert!(g.stride == 1 || g.stride == 2, "conv2d: stride {}", g.stride);
    assert!(matches!(g.activation, Activation::None | Activation::Silu), "conv2d: {:?} of w {w:?}", g.activation);
    let (out_height, out_width) = (out_size(g, height, taps, g.trim[0]), out_size(g, width, taps, g.trim[1]));
    let pad = if g.padding == Padding::Same { taps / 2 } else { 0 };
    let sizes = Sizes { batch, height, width, out_height, out_width, c, s, n, taps, pad };
    let expect = |name: &str, tensor: Option<&Tensor>, dims: &[usize]| {
        if let Some(t) = tensor {
            assert_eq!(t.dims(), dims, "conv2d: {name} for x {x:?}, w {w:?}");
            assert_eq!(t.elem(), g.x.elem(), "conv2d: element type of {name}");
        }
    };
    assert_eq!(g.w.elem(), g.x.elem(), "conv2d: element types of x {x:?} and w {w:?}");
    expect("skip", g.skip, &[batch, height, width, s.max(1)]);
    expect("bias", g.bias, &[n]);
    expect("time embedding", g.time_embedding, &[batch, n]);
    expect("residual", g.residual, &sizes.dims());
    sizes
}

/// Appends the convolution; the result is `[B, Ho, Wo, Co]` with torch's rounding of odd sizes.
///
/// # Panics
/// When shapes or element types do not fit.
pub fn conv2d(rec: &mut Recorder, g: &Conv2d<'_>) -> Tensor {
    let s = sizes(g);
    launch(rec, g, &s, Route::choose(rec.context(), g.x.elem(), &size(&s)))
}

/// What the choice of a kernel depends on.
fn size(s: &Sizes) -> Size {
    let image_rows = s.out_height * s.out_width;
    let (rows, k, wide) = (s.batch * image_rows, s.taps * s.taps * (s.c + s.s), (s.c | s.s).is_multiple_of(8));
    Size { op: "conv2d", image_rows, rows, n: s.n, k, wide, pairs: false }
}

/// As [`conv2d`] on a given route.
pub(super) fn conv2d_by(rec: &mut Recorder, g: &Conv2d<'_>, route: Route) -> Tensor {
    launch(rec, g, &sizes(g), route)
}

fn launch(rec: &mut Recorder, g: &Conv2d<'_>, s: &Sizes, route: Route) -> Tensor {
    let params = params(g, s, &route);
    let y = rec.temp(&s.dims(), g.x.elem());
    let [skip, bias, time, residual] = [g.skip, g.bias, g.time_embedding, g.residual].map(|t| t.unwrap_or(g.x));
    let grid =
        linear_grid(limited("conv2d", params.rows as usize, params.tiles as usize), 1, rec.context().caps().grid);
    if let (Source::Matrix(kernels), Some(part)) = (route.source, matrix::split(&size(s), s.c + s.s)) {
        launch_parts(rec, g, s, (kernels, part, params, grid), &y);
        return y;
    }
    rec.launch(&Launch {
        kernel: match route.source {
            Source::Tiled | Source::Vector => &KERNEL,
            Source::Lanes => &KERNEL_LANES,
            Source::Matrix(kernels) => &kernels.conv2d,
        },
        store: route.store(g.x.elem(), rec.context()),
        overrides: &route.overrides(
            g.activation,
            s.c.next_multiple_of(4) + s.s.next_multiple_of(4),
            Some(g.skip.is_some()),
        ),
        bind: &[g.x, skip, g.w, bias, time, residual, &y],
        params: bytemuck::bytes_of(&params),
        grid,
        flops: 2 * (y.shape().len() * s.taps * s.taps * (s.c + s.s)) as u64,
    });
    y
}

fn params(g: &Conv2d<'_>, s: &Sizes, route: &Route) -> Params {
    let rows = s.batch * s.out_height * s.out_width;
    let (column_tiles, row_tiles) = (s.n.div_ceil(route.columns), rows.div_ceil(route.rows));
    let weights = s.n * s.taps * s.taps * (s.c + s.s);
    Params {
        height: s.height as u32,
        width: s.width as u32,
        out_height: s.out_height as u32,
        out_width: s.out_width as u32,
        c4: s.c.div_ceil(4) as u32,
        s4: s.s.div_ceil(4) as u32,
        n: s.n as u32,
        taps: s.taps as u32,
        stride: g.stride as u32,
        pad: s.pad as u32,
        up: u32::from(g.upsample),
        wrap_x: u32::from(g.wrap.x),
        wrap_y: u32::from(g.wrap.y),
        has_bias: u32::from(g.bias.is_some()),
        has_time: u32::from(g.time_embedding.is_some()),
        has_residual: u32::from(g.residual.is_some()),
        rows: rows as u32,
        column_tiles: column_tiles as u32,
        row_tiles: row_tiles as u32,
        tiles: (column_tiles * row_tiles) as u32,
        rows_first: tile_order(s.batch * s.height * s.width * (s.c + s.s), weights),
        trim_y: u32::from(g.trim[0]),
        trim_x: u32::from(g.trim[1]),
        split: 0,
    }
}
