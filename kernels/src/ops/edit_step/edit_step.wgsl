// One step of a coupled edit, of all source and target pairs:
//   D' = (d_own D + d_clean (clean_target - clean_source)) mask      difference of the two trajectories
//   S' = s_own S + s_known X + sigma xi                              the source's path, walked down as a bridge that ends at X
//   Z' = S' + gamma D'                                               the target's state
// Source: "Semantic editing with coupled SDEs" (Zhang and Scott 2025); with other factors its diffusion form, FlowEdit
// (Kulikov et al. 2024: fresh S each step) and DDS (Hertz et al. 2023: shared noise each step).
// Layout: state [2V, h, w, C] f32, rows of S, then rows of Z; clean likewise; known X, noise, difference D [V, h, w, C] f32; mask
// f32 [h, w], [V, h, w] or [V, h, w, 1].
// NOISE 0 none, 1 drawn by the host, 2 Philox; MASK 1: there is one. What they switch off is bound to scratch and never read.
// Bindings: 0 clean, 1 known, 2 mask, 3 noise, 4 views u32 [V], 5 state (in place), 6 difference (in place).
// Grid: one invocation per 4-vector of D, workgroups of 64.
// Numerics: f32. Estimates enter as a factor of their difference: equal ones give exactly 0, and with it Z' = S' to the bit. A
// factor of zero means "not read": what it stands before may hold anything, NaN included.
// Needs grid.wgsl, philox.wgsl, angles.wgsl.
struct Params {
    key: vec4<u32>,
    d_own: f32, d_clean: f32, s_own: f32, s_known: f32,
    sigma: f32, gamma: f32, mask_view: u32, mask_stride: u32,
    mask_step: u32, width: u32, count: u32, c4: u32,
    channels: u32, pixels: u32, pad0: u32, pad1: u32,
}

override NOISE: u32 = 0u;
override MASK: u32 = 0u;

@group(0) @binding(0) var<storage, read> clean: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> known: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read> noise: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> views: array<u32>;
@group(0) @binding(5) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> difference: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

fn free_share(row: u32) -> f32 {
    let pixel = row % params.pixels;
    let line = row / params.pixels * params.mask_view + pixel / params.width * params.mask_stride;
    return mask[line + pixel % params.width * params.mask_step];
}

fn next_difference(i: u32) -> vec4<f32> {
    var d = vec4<f32>(0.0);
    if (params.d_own != 0.0) {
        d = params.d_own * difference[i];
    }
    if (params.d_clean != 0.0) {
        d += params.d_clean * (clean[params.count + i] - clean[i]);
    }
    if (MASK == 1u) {
        d *= free_share(i / params.c4);
    }
    return d;
}

fn next_source(i: u32) -> vec4<f32> {
    var s = vec4<f32>(0.0);
    if (params.s_own != 0.0) {
        s = params.s_own * state[i];
    }
    if (params.s_known != 0.0) {
        s += params.s_known * known[i];
    }
    if (NOISE == 1u && params.sigma != 0.0) {
        s += params.sigma * noise[i];
    }
    if (NOISE == 2u && params.sigma != 0.0) {
        let row = i / params.c4;
        let channel = 4u * (i % params.c4);
        let element = (row % params.pixels) * params.channels + channel;
        s += params.sigma * noise4(params.key, views[row / params.pixels], element, params.channels - channel);
    }
    return s;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count) {
        return;
    }
    let d = next_difference(i);
    let s = next_source(i);
    difference[i] = d;
    state[i] = s;
    state[params.count + i] = s + params.gamma * d;
}
