// y = activation(a · wᵀ + bias) + residual for rows that are alone: time embeddings and the layers behind them.
// Layout and bindings: operands.wgsl. No GEGLU, no batched weights.
// Grid: linear, one workgroup of 64 for one row and 4 columns: all of them read weights at once.
// Numerics: f32; each invocation adds every 64th 4-vector in order, then a fixed tree.
var<workgroup> parts: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let row = place.y;
    let column = 4u * place.z;
    let start = row * params.k4;
    let w0 = weight_row(column, 0u, 0u);
    let w1 = weight_row(column + 1u, 0u, 0u);
    let w2 = weight_row(column + 2u, 0u, 0u);
    let w3 = weight_row(column + 3u, 0u, 0u);
    var sum = vec4<f32>();
    for (var k = local; k < params.k4; k += 64u) {
        let v = ld(a[start + k]);
        sum += vec4<f32>(dot(v, ld(w[w0 + k])), dot(v, ld(w[w1 + k])), dot(v, ld(w[w2 + k])), dot(v, ld(w[w3 + k])));
    }
    parts[local] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (local < half) { parts[local] += parts[local + half]; }
        workgroupBarrier();
    }
    if (local == 0u) { finish(parts[0], vec4<f32>(), 0u, row, column); }
}
