// out[r B + b, p, :] = (scale x[b, p, :], cond[(r B + b) mod Bc, p, :]): the state R times over (guidance rows), each followed
// by further input channels (image latents of InstructPix2Pix, mask and latents of inpainting); zeros from row `shown` B on.
// Layout: x [B, h, w, C] f32; cond [Bc, h, w, Ce] elem4, Bc divides R B; out [R B, h, w, C + Ce] elem4.
// Bindings: 0 x, 1 cond (scratch and never read when COND is 0), 2 out.
// Grid: one invocation per 4-vector of out, workgroups of 64.
// Numerics: one product, rounded to the storage type.
struct Params {
    scale: f32, count: u32, out4: u32, x4: u32,
    cond4: u32, channels: u32, extra: u32, x_rows: u32,
    cond_rows: u32, shown_rows: u32, pad0: u32, pad1: u32,
}

override COND: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> cond: array<elem4>;
@group(0) @binding(2) var<storage, read_write> out: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// One channel of one pixel; channels of different origin share a 4-vector unless C is a multiple of 4.
fn lane(row: u32, channel: u32) -> f32 {
    if (channel < params.channels) {
        return params.scale * x[(row % params.x_rows) * params.x4 + channel / 4u][channel % 4u];
    }
    let c = channel - params.channels;
    if (c < params.extra && row < params.shown_rows) {
        return ld(cond[(row % params.cond_rows) * params.cond4 + c / 4u])[c % 4u];
    }
    return 0.0;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count) {
        return;
    }
    if (COND == 0u) {
        // One division of the index is enough when rows keep their length.
        out[i] = st(params.scale * x[i % (params.x_rows * params.x4)]);
        return;
    }
    let row = i / params.out4;
    let q = i % params.out4;
    let c = 4u * q;
    out[i] = st(vec4<f32>(lane(row, c), lane(row, c + 1u), lane(row, c + 2u), lane(row, c + 3u)));
}
