// y = activation(x * w + bias + time embedding) + residual: 1x1 and 3x3 convolutions as an implicit product.
// Layout: x [batch, h, w, c], skip [batch, h, w, s] (a second source instead of a concatenation, c % 4 == 0 then),
//   w [n, kh, kw, c + s], y [batch, ho, wo, n], each last dimension padded to 4.
// Padding is zero or circular per axis. `up` = 1 enlarges the image 2x (nearest) before the window moves over it.
// Bindings: 0 x, 1 skip, 2 w, 3 bias, 4 time embedding [batch, n], 5 residual (any buffer when absent), 6 y.
// Grid: linear; column tiles of 16 fastest, then row tiles of 64 output pixels, then batch. Each invocation owns one
//   pixel and 16 columns: neighbours share the weights, whose loads are uniform.
// Numerics: f32 accumulation in ascending order of (tap row, tap column, channel).
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32,
    c4: u32, s4: u32, n: u32, taps: u32,
    stride: u32, pad: u32, up: u32, wrap_x: u32,
    wrap_y: u32, has_bias: u32, has_time: u32, has_residual: u32,
    activation: u32, column_tiles: u32, row_tiles: u32, tiles: u32,
}

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read> skip: array<elem4>;
@group(0) @binding(2) var<storage, read> w: array<elem4>;
@group(0) @binding(3) var<storage, read> bias: array<elem4>;
@group(0) @binding(4) var<storage, read> time: array<elem4>;
@group(0) @binding(5) var<storage, read> residual: array<elem4>;
@group(0) @binding(6) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// Weight rows of four neighbouring columns, as offsets into w. Columns past the end repeat the last one.
fn weight_rows(column: u32) -> vec4<u32> {
    let rows = min(vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
    return rows * (params.taps * params.taps * (params.c4 + params.s4));
}

fn accumulate(sum: vec4<f32>, v: vec4<f32>, o: vec4<u32>, k: u32) -> vec4<f32> {
    let w0 = ld(w[o.x + k]);
    let w1 = ld(w[o.y + k]);
    let w2 = ld(w[o.z + k]);
    let w3 = ld(w[o.w + k]);
    let s0 = fma(v.xxxx, vec4<f32>(w0.x, w1.x, w2.x, w3.x), sum);
    let s1 = fma(v.yyyy, vec4<f32>(w0.y, w1.y, w2.y, w3.y), s0);
    let s2 = fma(v.zzzz, vec4<f32>(w0.z, w1.z, w2.z, w3.z), s1);
    return fma(v.wwww, vec4<f32>(w0.w, w1.w, w2.w, w3.w), s2);
}

// Source coordinate of a tap on one axis, or -1 in the zero padding.
fn tap_source(at: u32, tap: u32, size: u32, wrap: u32) -> i32 {
    let full = i32(size << params.up);
    var p = i32(at * params.stride + tap) - i32(params.pad);
    if (wrap != 0u) { p = select(select(p, p + full, p < 0), p - full, p >= full); }
    return select(p >> params.up, -1, p < 0 || p >= full);
}

fn finish(sum: vec4<f32>, batch: u32, pixel: u32, column: u32) {
    if (column >= params.n) { return; }
    let n4 = (params.n + 3u) >> 2u;
    let c = column >> 2u;
    let at = (batch * params.out_height * params.out_width + pixel) * n4 + c;
    var v = sum;
    if (params.has_bias != 0u) { v += ld(bias[c]); }
    if (params.has_time != 0u) { v += ld(time[batch * n4 + c]); }
    v = activate(v, params.activation);
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
    let pixel = (above % params.row_tiles) * 64u + local;
    let inside = pixel < params.out_height * params.out_width;
    let used = select(0u, pixel, inside);
    let row = used / params.out_width;
    let column = used % params.out_width;
    let c0 = (tile % params.column_tiles) * 16u;
    let o0 = weight_rows(c0);
    let o1 = weight_rows(c0 + 4u);
    let o2 = weight_rows(c0 + 8u);
    let o3 = weight_rows(c0 + 12u);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var k = 0u;
    for (var ty = 0u; ty < params.taps; ty += 1u) {
        let sy = tap_source(row, ty, params.height, params.wrap_y);
        for (var tx = 0u; tx < params.taps; tx += 1u) {
            let sx = tap_source(column, tx, params.width, params.wrap_x);
            let valid = sy >= 0 && sx >= 0;
            let mask = select(0.0, 1.0, valid);
            let source = select(0u, (batch * params.height + u32(sy)) * params.width + u32(sx), valid);
            for (var c = 0u; c < params.c4; c += 1u) {
                let v = mask * ld(x[source * params.c4 + c]);
                s0 = accumulate(s0, v, o0, k);
                s1 = accumulate(s1, v, o1, k);
                s2 = accumulate(s2, v, o2, k);
                s3 = accumulate(s3, v, o3, k);
                k += 1u;
            }
            for (var c = 0u; c < params.s4; c += 1u) {
                let v = mask * ld(skip[source * params.s4 + c]);
                s0 = accumulate(s0, v, o0, k);
                s1 = accumulate(s1, v, o1, k);
                s2 = accumulate(s2, v, o2, k);
                s3 = accumulate(s3, v, o3, k);
                k += 1u;
            }
        }
    }
    if (!inside) { return; }
    finish(s0, batch, pixel, c0);
    finish(s1, batch, pixel, c0 + 4u);
    finish(s2, batch, pixel, c0 + 8u);
    finish(s3, batch, pixel, c0 + 12u);
}
