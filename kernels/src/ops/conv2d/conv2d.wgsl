// y = activation(x * w + bias + time embedding) + residual: 1x1 and 3x3 convolutions as an implicit product.
// Layout and bindings: operands.wgsl. Tile: tile.wgsl.
// Grid: linear, one workgroup of 128 for 64 output pixels and 64 channels.
// Numerics: f32 accumulation in ascending order of (tap row, tap column, channel).
fn source_at(tap: Tap, c: u32, inside: bool) -> vec4<f32> {
    if (!inside) { return vec4<f32>(); }
    if (c < params.c4) { return x_at(tap, c); }
    return skip_at(tap, c - params.c4);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let row = place.x * 64u;
    let column = place.y * 64u;
    // Each invocation brings two pixels and two columns at one of the four channel quarters.
    let quarter = local & 3u;
    let mine = local >> 2u;
    let p0 = pixel_place(row + mine);
    let p1 = pixel_place(row + mine + 32u);
    let depth = params.c4 + params.s4;
    var w0 = weight_row(column + mine);
    var w1 = weight_row(column + mine + 32u);
    let put_x = quarter * 64u + mine;
    let put_w = quarter * 64u + right_place(mine);
    let mx = local & 7u;
    let my = local >> 3u;
    var t = Tile();
    var ty = 0u;
    var tx = 0u;
    while (ty < params.taps) {
        let t0 = tap_at(p0, ty, tx);
        let t1 = tap_at(p1, ty, tx);
        for (var c = 0u; c < depth; c += 4u) {
            let at = min(c + quarter, depth - 1u);
            // Past the end the left side is zero, and the weights repeat the end of the tap.
            let inside = c + quarter < depth;
            left[put_x] = source_at(t0, at, inside);
            left[put_x + 32u] = source_at(t1, at, inside);
            right[put_w] = ld(w[w0 + at]);
            right[put_w + 32u] = ld(w[w1 + at]);
            workgroupBarrier();
            tile_add(&t, mx, my);
            workgroupBarrier();
        }
        w0 += depth;
        w1 += depth;
        tx += 1u;
        ty += select(0u, 1u, tx == params.taps);
        tx = select(tx, 0u, tx == params.taps);
    }
    var sums = tile_sums(t);
    for (var i = 0u; i < 8u; i += 1u) {
        let at = row + my + 16u * (i / 2u);
        finish(sums[i], pixel_place(at).x, at, column + 4u * mx + 32u * (i % 2u));
    }
}
