// target = own target + a first + b second + sigma xi, xi ~ N(0, 1) from the Philox stream of each view.
// What canvas methods do between two evaluations: noise a clean view to a level, follow a fused estimate, take a residual.
// Layout: target (in place), first, second [B, h, w, C] f32. TERMS 0, 1, 2: how many of first and second are read; what is
// not read is bound to scratch. NOISE 1: xi is drawn. Bindings: 0 first, 1 second, 2 views u32 [B], 3 target.
// Grid: one invocation per 4-vector of target, workgroups of 64.
// Numerics: f32. With own = 0 the target is not read: it may hold anything, NaN included. With b = -a the terms are taken as
// a (first - second): equal terms cancel exactly, which a first + b second does not where products are contracted into sums.
// Needs grid.wgsl, philox.wgsl, angles.wgsl.
struct Params {
    key: vec4<u32>,
    own: f32, a: f32, b: f32, sigma: f32,
    count: u32, c4: u32, channels: u32, pixels: u32,
}

override TERMS: u32 = 0u;
override NOISE: u32 = 0u;

@group(0) @binding(0) var<storage, read> first: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> second: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> views: array<u32>;
@group(0) @binding(3) var<storage, read_write> target_: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count) {
        return;
    }
    var value = vec4<f32>(0.0);
    if (params.own != 0.0) {
        value = params.own * target_[i];
    }
    if (TERMS == 2u && params.b == -params.a) {
        value += params.a * (first[i] - second[i]);
    } else {
        if (TERMS >= 1u) {
            value += params.a * first[i];
        }
        if (TERMS == 2u) {
            value += params.b * second[i];
        }
    }
    if (NOISE == 1u) {
        let row = i / params.c4;
        let channel = 4u * (i % params.c4);
        let element = (row % params.pixels) * params.channels + channel;
        value += params.sigma * noise4(params.key, views[row / params.pixels], element, params.channels - channel);
    }
    target_[i] = value;
}
