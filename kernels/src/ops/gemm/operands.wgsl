// What both kernels of gemm share: bindings, weight rows, epilogue.
// Layout: a [batch, m, 4 k4], w [batch or 1, n, 4 k4] row-major as torch stores it, y [batch, m, n padded to 4].
// GEGLU (diffusers' ff.net.0.proj): w has 2n rows, values then gates; y = value · gelu(gate); n % 4 == 0.
// Bindings: 0 a, 1 w, 2 bias (any buffer when absent), 3 residual (likewise), 4 y.
struct Params {
    m: u32, n: u32, k4: u32, column_tiles: u32,
    row_tiles: u32, tiles: u32, rows_first: u32, w_batch: u32,
    has_bias: u32, has_residual: u32, split: u32, pad1: u32,
}

const GEGLU: u32 = 4u;

@group(0) @binding(0) var<storage, read> a: array<elem4>;
@group(0) @binding(1) var<storage, read> w: array<elem4>;
@group(0) @binding(2) var<storage, read> bias: array<elem4>;
@group(0) @binding(3) var<storage, read> residual: array<elem4>;
@group(0) @binding(4) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// (batch, row tile, column tile) of a workgroup. The operand that is cheaper to read again varies fastest.
fn tile_place(tile: u32) -> vec3<u32> {
    let batch = divide(tile, params.row_tiles * params.column_tiles);
    let rows_first = params.rows_first != 0u;
    let place = divide(batch.y, select(params.column_tiles, params.row_tiles, rows_first));
    return vec3<u32>(batch.x, select(place.xy, place.yx, rows_first));
}

// Where weight row `column` of the values (part 0) or gates (part 1) begins. Columns past the end repeat the last.
fn weight_row(column: u32, part: u32, batch: u32) -> u32 {
    return (min(column, params.n - 1u) + part * params.n + batch * params.w_batch) * params.k4;
}

// `gate` is used by GEGLU alone.
fn finish(value: vec4<f32>, gate: vec4<f32>, batch: u32, row: u32, column: u32) {
    if (row >= params.m || column >= params.n) { return; }
    let at = (batch * params.m + row) * ((params.n + 3u) >> 2u) + (column >> 2u);
    var v = value;
    var g = gate;
    if (params.has_bias != 0u) {
        v += ld(bias[column >> 2u]);
        if (activation == GEGLU) { g += ld(bias[(column + params.n) >> 2u]); }
    }
    if (activation == GEGLU) { v *= gelu4(g); } else { v = activate(v); }
    if (params.has_residual != 0u) { v += ld(residual[at]); }
    let lanes = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u);
    y[at] = st(select(vec4<f32>(), v, lanes < vec4<u32>(params.n)));
}
