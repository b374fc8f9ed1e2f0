// y = activation(a · wᵀ + bias) + residual, torch's Linear; batched products of activations alike.
// Layout and bindings: operands.wgsl. Tile: tile.wgsl.
// Grid: linear, one workgroup of 128 for 64 rows and 64 columns (32 values and their 32 gates for GEGLU).
// Numerics: f32 accumulation over k in ascending order.
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let batch = place.x;
    let geglu = activation == GEGLU;
    let row = place.y * 64u;
    let column = place.z * select(64u, 32u, geglu);
    // Each invocation brings two rows and two columns at one of the four k quarters.
    let quarter = local & 3u;
    let mine = local >> 2u;
    let last = params.m - 1u;
    let a0 = (batch * params.m + min(row + mine, last)) * params.k4;
    let a1 = (batch * params.m + min(row + mine + 32u, last)) * params.k4;
    let w0 = weight_row(column + mine, 0u, batch);
    let w1 = weight_row(column + mine + select(32u, 0u, geglu), u32(geglu), batch);
    let put_a = quarter * 64u + mine;
    let put_w = quarter * 64u + right_place(mine);
    let tx = local & 7u;
    let ty = local >> 3u;
    var t = Tile();
    for (var k = 0u; k < params.k4; k += 4u) {
        let at = min(k + quarter, params.k4 - 1u);
        // Past the end the left side is zero, and the weights repeat the end of their row.
        let inside = k + quarter < params.k4;
        left[put_a] = select(vec4<f32>(), ld(a[a0 + at]), inside);
        left[put_a + 32u] = select(vec4<f32>(), ld(a[a1 + at]), inside);
        right[put_w] = ld(w[w0 + at]);
        right[put_w + 32u] = ld(w[w1 + at]);
        workgroupBarrier();
        tile_add(&t, tx, ty);
        workgroupBarrier();
    }
    var sums = tile_sums(t);
    for (var r = 0u; r < 4u; r += 1u) {
        finish(sums[2u * r], sums[2u * r + 1u], batch, row + ty + 16u * r, column + 4u * tx);
        if (!geglu) { finish(sums[2u * r + 1u], vec4<f32>(), batch, row + ty + 16u * r, column + 4u * tx + 32u); }
    }
}
