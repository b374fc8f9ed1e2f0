// y = activation(a · wᵀ + bias) + residual, torch's Linear; batched products of activations alike.
// Layout: a [batch, m, 4 k4], w [batch or 1, n, 4 k4] row-major as torch stores it, y [batch, m, n padded to 4].
// GEGLU (diffusers' ff.net.0.proj): w has 2n rows, values then gates; y = value · gelu(gate).
// Bindings: 0 a, 1 w, 2 bias (any buffer when absent), 3 residual (likewise), 4 y.
// Grid: linear; column tiles fastest, then row tiles of 64, then batch. Each invocation owns one row and `columns`
//   columns: neighbours share the weights, whose loads are uniform, and read rows of their own.
// Numerics: f32 accumulation over k in ascending order, whatever the tile.
struct Params {
    m: u32, n: u32, k4: u32, column_tiles: u32, row_tiles: u32, tiles: u32, w_batch: u32,
    has_bias: u32, has_residual: u32, activation: u32, geglu: u32, pad: u32,
}

@group(0) @binding(0) var<storage, read> a: array<elem4>;
@group(0) @binding(1) var<storage, read> w: array<elem4>;
@group(0) @binding(2) var<storage, read> bias: array<elem4>;
@group(0) @binding(3) var<storage, read> residual: array<elem4>;
@group(0) @binding(4) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// Weight rows of four neighbouring columns, as offsets into w. Columns past the end repeat the last one.
fn weight_rows(column: u32, part: u32, batch: u32) -> vec4<u32> {
    let rows = min(vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u)) + part * params.n;
    return (rows + batch * params.w_batch) * params.k4;
}

fn accumulate(sum: vec4<f32>, v: vec4<f32>, o: vec4<u32>, k: u32) -> vec4<f32> {
    let w0 = ld(w[o.x + k]);
    let w1 = ld(w[o.y + k]);
    let w2 = ld(w[o.z + k]);
    let w3 = ld(w[o.w + k]);
    let x = fma(v.xxxx, vec4<f32>(w0.x, w1.x, w2.x, w3.x), sum);
    let y = fma(v.yyyy, vec4<f32>(w0.y, w1.y, w2.y, w3.y), x);
    let z = fma(v.zzzz, vec4<f32>(w0.z, w1.z, w2.z, w3.z), y);
    return fma(v.wwww, vec4<f32>(w0.w, w1.w, w2.w, w3.w), z);
}

fn biased(sum: vec4<f32>, column: u32, part: u32) -> vec4<f32> {
    if (params.has_bias == 0u) { return sum; }
    if (part == 0u || (params.n & 3u) == 0u) { return sum + ld(bias[(column + part * params.n) >> 2u]); }
    // Gates start inside a 4-vector.
    let first = column + params.n;
    let last = (2u * params.n - 1u) >> 2u;
    let low = ld(bias[min(first >> 2u, last)]);
    let high = ld(bias[min((first >> 2u) + 1u, last)]);
    switch first & 3u {
        case 1u: { return sum + vec4<f32>(low.yzw, high.x); }
        case 2u: { return sum + vec4<f32>(low.zw, high.xy); }
        default: { return sum + vec4<f32>(low.w, high.xyz); }
    }
}

fn finish(value: vec4<f32>, row: u32, column: u32) {
    if (column >= params.n) { return; }
    let at = row * ((params.n + 3u) >> 2u) + (column >> 2u);
    var v = value;
    if (params.has_residual != 0u) { v += ld(residual[at]); }
    let lanes = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u);
    y[at] = st(select(vec4<f32>(), v, lanes < vec4<u32>(params.n)));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let above = tile / params.column_tiles;
    let batch = above / params.row_tiles;
    let row = (above % params.row_tiles) * 64u + local;
    let source = (batch * params.m + min(row, params.m - 1u)) * params.k4;
    let geglu = params.geglu != 0u;
    let c0 = (tile % params.column_tiles) * select(16u, 8u, geglu);
    let c1 = c0 + 4u;
    let c2 = select(c0 + 8u, c0, geglu);
    let c3 = c2 + 4u;
    let o0 = weight_rows(c0, 0u, batch);
    let o1 = weight_rows(c1, 0u, batch);
    let o2 = weight_rows(c2, params.geglu, batch);
    let o3 = weight_rows(c3, params.geglu, batch);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = 0u; k < params.k4; k += 1u) {
        let v = ld(a[source + k]);
        s0 = accumulate(s0, v, o0, k);
        s1 = accumulate(s1, v, o1, k);
        s2 = accumulate(s2, v, o2, k);
        s3 = accumulate(s3, v, o3, k);
    }
    if (row >= params.m) { return; }
    let target_row = batch * params.m + row;
    if (geglu) {
        finish(biased(s0, c0, 0u) * gelu4(biased(s2, c2, 1u)), target_row, c0);
        if (c1 < params.n) { finish(biased(s1, c1, 0u) * gelu4(biased(s3, c3, 1u)), target_row, c1); }
        return;
    }
    finish(activate(biased(s0, c0, 0u), params.activation), target_row, c0);
    if (c1 < params.n) { finish(activate(biased(s1, c1, 0u), params.activation), target_row, c1); }
    if (c2 < params.n) { finish(activate(biased(s2, c2, 0u), params.activation), target_row, c2); }
    if (c3 < params.n) { finish(activate(biased(s3, c3, 0u), params.activation), target_row, c3); }
}
