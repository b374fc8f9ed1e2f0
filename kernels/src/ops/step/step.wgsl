// One sampler step of every view:
//   m      = sum_r guidance[r] out[r]                     guided model output, r-major rows (classifier-free guidance: 1 - g, g)
//   clean  = clean_x x + clean_out m
//   x      = next_x x + next_out m + next_clean clean + next_prev_clean (old clean) + next_noise xi
// Source: the samplers as coefficients (DDIM, Euler, DPM++ 2M, DDPM are all linear); guidance of Ho & Salimans 2022.
// Layout: x, clean, noise [B, h, w, C] f32; out [R B, h, w, C] elem4.
// Bindings: 0 out, 1 noise, 2 views u32 [B], 3 x (in place), 4 clean (old in, new out). What NOISE switches off is bound to
// scratch and never read. Grid: one invocation per 4-vector of x, workgroups of 64.
// Numerics: f32. A factor of zero means "not read": the old clean estimate of a first step may be anything, NaN included.
// Needs philox.wgsl.
struct Params {
    key: vec4<u32>, guidance: vec4<f32>,
    clean_x: f32, clean_out: f32, next_x: f32, next_out: f32,
    next_clean: f32, next_prev_clean: f32, next_noise: f32,
    count: u32, c4: u32, channels: u32, pixels: u32, rows: u32,
}

// 0 none, 1 drawn by the host, 2 Philox.
override NOISE: u32 = 0u;

@group(0) @binding(0) var<storage, read> out: array<elem4>;
@group(0) @binding(1) var<storage, read> noise: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> views: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> clean: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

fn fresh_noise(i: u32) -> vec4<f32> {
    if (NOISE == 1u) {
        return noise[i];
    }
    if (NOISE == 2u) {
        let row = i / params.c4;
        let channel = 4u * (i % params.c4);
        let first = (row % params.pixels) * params.channels + channel;
        return noise4(params.key, views[row / params.pixels], first, params.channels - channel);
    }
    return vec4<f32>(0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count) {
        return;
    }
    var m = params.guidance[0] * ld(out[i]);
    for (var r = 1u; r < params.rows; r++) {
        m += params.guidance[r] * ld(out[r * params.count + i]);
    }
    let x0 = x[i];
    let estimate = params.clean_x * x0 + params.clean_out * m;
    var next = params.next_x * x0 + params.next_out * m + params.next_clean * estimate;
    if (params.next_prev_clean != 0.0) {
        next += params.next_prev_clean * clean[i];
    }
    if (NOISE != 0u && params.next_noise != 0.0) {
        next += params.next_noise * fresh_noise(i);
    }
    x[i] = next;
    clean[i] = estimate;
}
