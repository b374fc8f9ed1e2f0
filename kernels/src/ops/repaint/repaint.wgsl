// Keeps a region of the state on the trajectory of known values while the rest is free:
//   x = x                                 where mask >= threshold
//   x = signal known + sigma xi           elsewhere, xi ~ N(0, 1) from the Philox stream of the view
// Source: RePaint (Lugmayr et al. 2022, Alg. 1 line 8); StochSync's seam removal (official code).
// Layout: x (in place), known [B, h, w, C] f32; mask [h, w] f32, the same for all views, or
// [B, h, w] (w padded to 4 in memory), or [B, h, w, 1] (a 4-vector each).
// Bindings: 0 known, 1 mask, 2 views u32 [B], 3 x. Grid: one invocation per 4-vector of x, workgroups of 64.
// Numerics: f32. Needs grid.wgsl, philox.wgsl, angles.wgsl.
struct Params {
    key: vec4<u32>,
    threshold: f32, signal: f32, sigma: f32, width: u32,
    mask_stride: u32, count: u32, c4: u32, channels: u32,
    pixels: u32, mask_view: u32, mask_step: u32, pad0: u32,
}

@group(0) @binding(0) var<storage, read> known: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read> views: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count) {
        return;
    }
    let row = i / params.c4;
    let pixel = row % params.pixels;
    let line = row / params.pixels * params.mask_view + pixel / params.width * params.mask_stride;
    let at = line + pixel % params.width * params.mask_step;
    if (mask[at] >= params.threshold) {
        return;
    }
    let channel = 4u * (i % params.c4);
    let xi = noise4(params.key, views[row / params.pixels], pixel * params.channels + channel, params.channels - channel);
    x[i] = params.signal * known[i] + params.sigma * xi;
}
