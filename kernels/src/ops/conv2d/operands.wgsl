// What both kernels of conv2d share: bindings, sampling, epilogue.
// Layout: x [batch, h, w, c], skip [batch, h, w, s] (a second source instead of a concatenation, c % 4 == 0 then),
//   w [n, kh, kw, c + s], y [batch, ho, wo, n], each last dimension padded to 4.
// Padding is zero or circular per axis. `up` = 1 enlarges the image 2x (nearest) before the window moves over it; `trim_*`
// = 1 leaves the last enlarged row or column out.
// Bindings: 0 x, 1 skip, 2 w, 3 bias, 4 time embedding [batch, n], 5 residual (any buffer when absent), 6 y.
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32,
    c4: u32, s4: u32, n: u32, taps: u32,
    stride: u32, pad: u32, up: u32, wrap_x: u32,
    wrap_y: u32, has_bias: u32, has_time: u32, has_residual: u32,
    rows: u32, column_tiles: u32, row_tiles: u32, tiles: u32,
    rows_first: u32, trim_y: u32, trim_x: u32, split: u32,
}

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read> skip: array<elem4>;
@group(0) @binding(2) var<storage, read> w: array<elem4>;
@group(0) @binding(3) var<storage, read> bias: array<elem4>;
@group(0) @binding(4) var<storage, read> time: array<elem4>;
@group(0) @binding(5) var<storage, read> residual: array<elem4>;
@group(0) @binding(6) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// (row tile, column tile) of a workgroup. The operand that is cheaper to read again varies fastest. Rows are the output
// pixels of all images, one after the other.
fn tile_place(tile: u32) -> vec2<u32> {
    let rows_first = params.rows_first != 0u;
    let place = divide(tile, select(params.column_tiles, params.row_tiles, rows_first));
    return select(place.xy, place.yx, rows_first);
}

// Where the weights of a column begin. Columns past the end repeat the last.
fn weight_row(column: u32) -> u32 {
    return min(column, params.n - 1u) * (params.taps * params.taps * (params.c4 + params.s4));
}

// (image, row, column) of an output pixel; the last one for those past the end.
fn pixel_place(at: u32) -> vec3<u32> {
    let image = divide(min(at, params.rows - 1u), params.out_height * params.out_width);
    return vec3<u32>(image.x, divide(image.y, params.out_width));
}

// Source coordinate of a tap on one axis of `full` enlarged rows or columns, or -1 in the zero padding.
fn tap_source(at: u32, tap: u32, full: i32, wrap: u32) -> i32 {
    var p = i32(at * params.stride + tap) - i32(params.pad);
    if (wrap != 0u) { p = select(select(p, p + full, p < 0), p - full, p >= full); }
    return select(p >> params.up, -1, p < 0 || p >= full);
}

// The pixel that a tap reads, and whether it lies inside the image.
struct Tap { pixel: u32, inside: bool }

fn tap_at(place: vec3<u32>, ty: u32, tx: u32) -> Tap {
    let row = tap_source(place.y, ty, i32((params.height << params.up) - params.trim_y), params.wrap_y);
    let column = tap_source(place.z, tx, i32((params.width << params.up) - params.trim_x), params.wrap_x);
    let inside = row >= 0 && column >= 0;
    let pixel = (place.x * params.height + u32(row)) * params.width + u32(column);
    return Tap(select(0u, pixel, inside), inside);
}

fn finish(sum: vec4<f32>, image: u32, row: u32, column: u32) {
    if (row >= params.rows || column >= params.n) { return; }
    let n4 = (params.n + 3u) >> 2u;
    let c = column >> 2u;
    let at = row * n4 + c;
    var v = sum;
    if (params.has_bias != 0u) { v += ld(bias[c]); }
    if (params.has_time != 0u) { v += ld(time[image * n4 + c]); }
    v = activate(v);
    if (params.has_residual != 0u) { v += ld(residual[at]); }
    let lanes = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u);
    y[at] = st(select(vec4<f32>(), v, lanes < vec4<u32>(params.n)));
}
