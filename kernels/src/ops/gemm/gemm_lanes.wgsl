// y = activation(a · wᵀ + bias) + residual on software adapters, without workgroup memory; see lanes.wgsl for why.
// Layout and bindings: operands.wgsl.
// Grid: linear, one workgroup of 8 lanes for 8 * rows rows and `columns` columns (8 values and 8 gates for GEGLU).
// Numerics: f32 accumulation over k in ascending order, the same for every tile.
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(subgroup_invocation_id) lane: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let batch = place.x;
    let geglu = activation == GEGLU;
    let column = place.z * select(columns, 8u, geglu);
    let row = place.y * 8u * rows + lane;
    let begin = batch * params.m;
    let last = params.m - 1u;
    let a0 = (begin + min(row, last)) * params.k4;
    let a1 = (begin + min(row + 8u, last)) * params.k4;
    let a2 = (begin + min(row + 16u, last)) * params.k4;
    let a3 = (begin + min(row + 24u, last)) * params.k4;
    let w_low = weight_row(column + (lane & min(columns - 1u, 7u)), 0u, batch);
    let w_high = weight_row(column + lane + select(8u, 0u, geglu), u32(geglu), batch);
    var t = Tile();
    for (var k = 0u; k < params.k4; k += 1u) {
        var v = Rows(ld(a[a0 + k]), vec4<f32>(), vec4<f32>(), vec4<f32>());
        if (rows > 1u) { v.r1 = ld(a[a1 + k]); }
        if (rows > 2u) { v.r2 = ld(a[a2 + k]); v.r3 = ld(a[a3 + k]); }
        let low = ld(w[w_low + k]);
        var high = vec4<f32>();
        if (columns > 4u) { high = ld(w[w_high + k]); }
        tile_add(&t, v, low, high);
    }
    var sums = tile_sums(t);
    let quads = select(columns / 4u, 2u, geglu);
    for (var i = 0u; i < rows * quads; i += 1u) {
        let r = i / quads;
        let q = i % quads;
        finish(sums[4u * r + q], sums[4u * r + (q + 2u) % 4u], batch, row + 8u * r, column + 4u * q);
    }
}
