// y = activation(x * w + bias + time embedding) + residual on software adapters, without workgroup memory; see
// lanes.wgsl for why. Layout and bindings: operands.wgsl.
// Grid: linear, one workgroup of 8 lanes for 8 * rows output pixels and `columns` channels.
// Numerics: f32 accumulation in ascending order of (tap row, tap column, channel), the same for every tile.
override two_sources: bool = false;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(subgroup_invocation_id) lane: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let column = place.y * columns;
    let row = place.x * 8u * rows + lane;
    let p0 = pixel_place(row);
    let p1 = pixel_place(row + 8u);
    let p2 = pixel_place(row + 16u);
    let p3 = pixel_place(row + 24u);
    var low_at = weight_row(column + (lane & min(columns - 1u, 7u)));
    var high_at = weight_row(column + 8u + lane);
    var t = Tile();
    var ty = 0u;
    var tx = 0u;
    while (ty < params.taps) {
        let t0 = tap_at(p0, ty, tx);
        let t1 = tap_at(p1, ty, tx);
        let t2 = tap_at(p2, ty, tx);
        let t3 = tap_at(p3, ty, tx);
        for (var c = 0u; c < params.c4; c += 1u) {
            var v = Rows(x_at(t0, c), vec4<f32>(), vec4<f32>(), vec4<f32>());
            if (rows > 1u) { v.r1 = x_at(t1, c); }
            if (rows > 2u) { v.r2 = x_at(t2, c); v.r3 = x_at(t3, c); }
            let low = ld(w[low_at + c]);
            var high = vec4<f32>();
            if (columns > 4u) { high = ld(w[high_at + c]); }
            tile_add(&t, v, low, high);
        }
        low_at += params.c4;
        high_at += params.c4;
        if (two_sources) {
            for (var c = 0u; c < params.s4; c += 1u) {
                var v = Rows(skip_at(t0, c), vec4<f32>(), vec4<f32>(), vec4<f32>());
                if (rows > 1u) { v.r1 = skip_at(t1, c); }
                if (rows > 2u) { v.r2 = skip_at(t2, c); v.r3 = skip_at(t3, c); }
                let low = ld(w[low_at + c]);
                var high = vec4<f32>();
                if (columns > 4u) { high = ld(w[high_at + c]); }
                tile_add(&t, v, low, high);
            }
            low_at += params.s4;
            high_at += params.s4;
        }
        tx += 1u;
        ty += select(0u, 1u, tx == params.taps);
        tx = select(tx, 0u, tx == params.taps);
    }
    var sums = tile_sums(t);
    var images = array<u32, 4>(p0.x, p1.x, p2.x, p3.x);
    let quads = columns / 4u;
    for (var i = 0u; i < rows * quads; i += 1u) {
        let r = i / quads;
        let q = i % quads;
        finish(sums[4u * r + q], images[r], row + 8u * r, column + 4u * q);
    }
}
