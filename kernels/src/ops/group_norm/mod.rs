//! Group normalisation (Wu, He 2018, arXiv 1803.08494) with optional SiLU, over one tensor or over the concatenation of
//! two that is never built.
//!
//! Three dispatches: statistics of spans of pixels (many workgroups per image), their combination per group, and the
//! pass that applies them. How an image is cut depends only on its own shape, so a batch gives the bytes of single runs.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

/// Mean and M2 of spans of pixels.
pub const KERNEL_STATS: Kernel = Kernel {
    name: "group_norm_stats",
    source: include_str!("stats.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Read, Access::Write],
    params: size_of::<PassParams>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("SKIP", 0.0)], &[("SKIP", 1.0)]],
};

/// Mean and scale of each channel from the spans of its group.
pub const KERNEL_MOMENTS: Kernel = Kernel {
    name: "group_norm_moments",
    source: include_str!("moments.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Read, Access::Write],
    params: size_of::<MomentsParams>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("LANES", 1.0)], &[("LANES", 64.0)]],
};

/// Normalises, scales, shifts and activates.
pub const KERNEL_APPLY: Kernel = Kernel {
    name: "group_norm",
    source: include_str!("apply.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<PassParams>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[
        &[("SKIP", 0.0), ("SILU", 0.0)],
        &[("SKIP", 0.0), ("SILU", 1.0)],
        &[("SKIP", 1.0), ("SILU", 0.0)],
        &[("SKIP", 1.0), ("SILU", 1.0)],
    ],
};

/// `(name, [B, H, W, C], C of the skip, groups)` of the models' layers, for tests and benches.
pub const CASES: &[(&str, [usize; 4], usize, usize)] = &[
    ("sd21 64x64", [2, 64, 64, 320], 0, 32),
    ("sd21 up 64x64", [2, 64, 64, 640], 320, 32),
    ("sd21 16x16", [2, 16, 16, 1280], 0, 32),
    ("vae 128x128", [1, 128, 128, 128], 0, 32),
    ("mini 16x16", [2, 16, 16, 48], 0, 4),
    ("mini up 16x16", [2, 16, 16, 64], 48, 4),
    ("mini 8x8", [2, 8, 8, 64], 0, 4),
    ("mini 4x4", [2, 4, 4, 128], 0, 4),
    ("mini vae 128x128", [1, 128, 128, 16], 0, 2),
];

/// Operands of [`group_norm`].
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// `[B, H, W, C]` or `[B, L, C]`.
    pub x: &'a Tensor,
    /// `[.., C2]`, the same pixels: normalised as the concatenation `[x | skip]`. `C` and `C2` are multiples of 4 then;
    /// a group may straddle the boundary.
    pub skip: Option<&'a Tensor>,
    /// `[C + C2]`, element type of `x`.
    pub weight: &'a Tensor,
    /// `[C + C2]`, element type of `x`.
    pub bias: &'a Tensor,
    /// Number of groups; divides `C + C2`.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct PassParams {
    count: u32,
    pixels: u32,
    quads_x: u32,
    quads_skip: u32,
    spans: u32,
    span: u32,
    pad: [u32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct MomentsParams {
    groups: u32,
    group_width: u32,
    width: u32,
    spans: u32,
    span: u32,
    pixels: u32,
    eps: f32,
    items: u32,
}

/// The sizes all three passes share.
struct Plan {
    batch: usize,
    pixels: usize,
    width: usize,
    quads_x: usize,
    quads_skip: usize,
}

impl Plan {
    fn new(op: &GroupNorm<'_>) -> Self {
        let dims = op.x.dims();
        let skip = op.skip.map_or(0, |s| s.shape().last());
        let width = op.x.shape().last() + skip;
        let (weight, bias) = (op.weight, op.bias);
        assert!(dims.len() >= 3, "group_norm: x {dims:?} is neither [B, H, W, C] nor [B, L, C]");
        assert!(op.groups > 0 && width.is_multiple_of(op.groups), "group_norm: {width} channels, {} groups", op.groups);
        assert!(
            weight.dims() == [width] && bias.dims() == [width],
            "group_norm: weight {:?}, bias {:?} for {width} channels",
            weight.dims(),
            bias.dims()
        );
        assert!(op.eps > 0.0, "group_norm: eps {}", op.eps);
        let mut elems = [weight, bias].into_iter().chain(op.skip).map(Tensor::elem);
        assert!(elems.all(|e| e == op.x.elem()), "group_norm: element types differ from x {}", op.x.elem());
        if let Some(s) = op.skip {
            let rank = dims.len();
            assert!(
                s.dims().len() == rank
                    && s.dims()[..rank - 1] == dims[..rank - 1]
                    && dims[rank - 1].is_multiple_of(4)
                    && skip.is_multiple_of(4),
                "group_norm: x {dims:?} with skip {:?}",
                s.dims()
            );
        }
        let (batch, quads_skip) = (dims[0], skip / 4);
        let pixels = op.x.shape().rows() / batch;
        let plan = Self { batch, pixels, width, quads_x: op.x.shape().padded_last() / 4, quads_skip };
        let total = batch * pixels * plan.quads();
        assert!(u32::try_from(total).is_ok(), "group_norm: x {dims:?} with skip {skip} is too large");
        plan
    }

    fn quads(&self) -> usize {
        self.quads_x + self.quads_skip
    }

    /// Params and number of invocations of a pass over spans of `span` pixels.
    fn pass(&self, span: usize) -> (PassParams, usize) {
        let spans = self.pixels.div_ceil(span);
        let count = self.batch * spans * self.quads();
        let params = PassParams {
            count: count as u32,
            pixels: self.pixels as u32,
            quads_x: self.quads_x as u32,
            quads_skip: self.quads_skip as u32,
            spans: spans as u32,
            span: span as u32,
            pad: [0; 2],
        };
        (params, count)
    }
}

/// At least 32 pixels a span, at most about 512 spans an image: enough invocations for a large GPU, few partials.
fn stats_span(pixels: usize) -> usize {
    pixels.div_ceil(512).next_multiple_of(8).max(32)
}

/// Pixels one invocation of the apply pass handles.
const APPLY_SPAN: usize = 16;

/// `x` (and `skip`) normalised per image and group: `[.., C + C2]` of the element type of `x`.
///
/// # Panics
/// When shapes, groups or element types do not fit together.
pub fn group_norm(rec: &mut Recorder, op: &GroupNorm<'_>) -> Tensor {
    // Barriers are dear on software adapters: there one invocation adds up to 256 partials faster than 64 share them.
    let plan = Plan::new(op);
    let partials = plan.pixels.div_ceil(stats_span(plan.pixels)) * plan.width / op.groups;
    let lanes = if rec.context().caps().software && partials <= 256 { 1 } else { 64 };
    launch(rec, op, lanes)
}

/// `lanes`: invocations that combine the spans of one group.
fn launch(rec: &mut Recorder, op: &GroupNorm<'_>, lanes: usize) -> Tensor {
    let plan = Plan::new(op);
    let partials = stats(rec, op, &plan);
    let table = moments(rec, op, &plan, (&partials, lanes));
    apply(rec, op, &plan, &table)
}

fn stats(rec: &mut Recorder, op: &GroupNorm<'_>, plan: &Plan) -> Tensor {
    let (params, count) = plan.pass(stats_span(plan.pixels));
    let partials = rec.temp(&[plan.batch, params.spans as usize, 2, 4 * plan.quads()], Elem::F32);
    rec.launch(&Launch {
        kernel: &KERNEL_STATS,
        store: Store::of(op.x.elem(), rec.context()),
        overrides: &[("SKIP", f64::from(u8::from(op.skip.is_some())))],
        bind: &[op.x, op.skip.unwrap_or(op.x), &partials],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(count, 64, rec.context().caps().grid),
        flops: 4 * (plan.batch * plan.pixels * plan.width) as u64,
    });
    partials
}

fn moments(rec: &mut Recorder, op: &GroupNorm<'_>, plan: &Plan, (partials, lanes): (&Tensor, usize)) -> Tensor {
    let table = rec.temp(&[plan.batch, 2, 4 * plan.quads()], Elem::F32);
    let items = plan.batch * op.groups;
    let span = stats_span(plan.pixels);
    let params = MomentsParams {
        groups: op.groups as u32,
        group_width: (plan.width / op.groups) as u32,
        width: plan.width as u32,
        spans: plan.pixels.div_ceil(span) as u32,
        span: span as u32,
        pixels: plan.pixels as u32,
        eps: op.eps,
        items: items as u32,
    };
    rec.launch(&Launch {
        kernel: &KERNEL_MOMENTS,
        store: Store::of(op.x.elem(), rec.context()),
        overrides: &[("LANES", lanes as f64)],
        bind: &[partials, op.weight, &table],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(items, 64 / lanes, rec.context().caps().grid),
        flops: 6 * partials.shape().len() as u64,
    });
    table
}

fn apply(rec: &mut Recorder, op: &GroupNorm<'_>, plan: &Plan, table: &Tensor) -> Tensor {
    let (params, count) = plan.pass(APPLY_SPAN);
    let mut dims = op.x.dims().to_vec();
    let rank = dims.len();
    dims[rank - 1] = plan.width;
    let y = rec.temp(&dims, op.x.elem());
    let flag = |on: bool| f64::from(u8::from(on));
    rec.launch(&Launch {
        kernel: &KERNEL_APPLY,
        store: Store::of(op.x.elem(), rec.context()),
        overrides: &[("SKIP", flag(op.skip.is_some())), ("SILU", flag(op.silu))],
        bind: &[op.x, op.skip.unwrap_or(op.x), table, op.bias, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(count, 64, rec.context().caps().grid),
        flops: 3 * (plan.batch * plan.pixels * plan.width) as u64,
    });
    y
}
