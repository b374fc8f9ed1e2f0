// out[b, p, c] = element p C + c of the standard normal stream of view views[b] (definition: philox.wgsl).
// Layout: out [B, h, w, C] f32. One number depends on (seed, trajectory, purpose, step, view, element) only, never on the batch.
// Bindings: 0 views u32 [B]; 1 out. Grid: one invocation per 4-vector, workgroups of 64.
// Numerics: f32; differs from the f64 definition by about 3e-7 of the value.
struct Params { key: vec4<u32>, count: u32, c4: u32, channels: u32, pixels: u32 }

@group(0) @binding(0) var<storage, read> views: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i < params.count) {
        let row = i / params.c4;
        let channel = 4u * (i % params.c4);
        let first = (row % params.pixels) * params.channels + channel;
        out[i] = noise4(params.key, views[row / params.pixels], first, params.channels - channel);
    }
}
