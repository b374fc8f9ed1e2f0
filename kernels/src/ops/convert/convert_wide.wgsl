// y = scale * x from the storage type `elem4` to f32. See convert.wgsl.
struct Params { count: u32, scale: f32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i < params.count) {
        y[i] = ld(x[i]) * params.scale;
    }
}
