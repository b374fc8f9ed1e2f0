// y = x in another storage type, or scaled: y[i] = scale * x[i], round to nearest.
// Layout: any shape, 4-vectors. `elem4` is the storage type on the f16 side; the f32 side is vec4<f32>.
// Bindings: 0 x (f32), 1 y (elem4) when narrowing; the launcher of the widening direction is convert_wide.
// Grid: one invocation per 4-vector, workgroups of 64.
struct Params { count: u32, scale: f32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i < params.count) {
        y[i] = st(x[i] * params.scale);
    }
}
