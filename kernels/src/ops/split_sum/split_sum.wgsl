// y = activation(sum over s of partials[s] + bias + time embedding) + residual: the end of products whose sum was split.
// Layout: partials [splits, rows, n4] vec4<f32>, bias [n], time [images, n], residual and y [rows, n], elem4 each.
// Bindings: 0 partials, 1 bias, 2 time, 3 residual (any buffer when absent), 4 y.
// Grid: linear, one invocation per 4-vector, workgroups of 64. Numerics: f32, parts in order.
struct Params {
    rows: u32, n: u32, splits: u32, image_rows: u32,
    has_bias: u32, has_time: u32, has_residual: u32, count: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> bias: array<elem4>;
@group(0) @binding(2) var<storage, read> time: array<elem4>;
@group(0) @binding(3) var<storage, read> residual: array<elem4>;
@group(0) @binding(4) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let at = linear_index(group, groups, local, 64u);
    if (at >= params.count) { return; }
    let n4 = (params.n + 3u) / 4u;
    let row = at / n4;
    let c = at % n4;
    var v = partials[at];
    for (var s = 1u; s < params.splits; s += 1u) { v += partials[s * params.count + at]; }
    if (params.has_bias != 0u) { v += ld(bias[c]); }
    if (params.has_time != 0u) { v += ld(time[row / params.image_rows * n4 + c]); }
    v = activate(v);
    if (params.has_residual != 0u) { v += ld(residual[at]); }
    let lanes = vec4<u32>(4u * c) + vec4<u32>(0u, 1u, 2u, 3u);
    y[at] = st(select(vec4<f32>(), v, lanes < vec4<u32>(params.n)));
}
