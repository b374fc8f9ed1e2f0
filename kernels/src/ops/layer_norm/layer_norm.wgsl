// y = (x - mean) / sqrt(var + eps) * weight + bias over the last dimension (Ba, Kiros, Hinton 2016, arXiv 1607.06450;
// biased variance as in torch.nn.LayerNorm).
// Layout: x, y [rows, C], weight, bias [C], elem4. Pad lanes of weight and bias are zero, so those of y are.
// Bindings: 0 x, 1 weight, 2 bias, 3 y.
// Grid: LANES invocations per row, workgroups of 64.
// Numerics: f32; the variance is a second pass over the row about the mean, so a large mean costs no digits.
// Needs: nothing. LANES = 1 uses neither barriers nor workgroup memory (software adapters); more lanes read coalesced.
override LANES: u32 = 1u;

struct Params { rows: u32, width: u32, eps: f32, pad0: u32 }

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read> weight: array<elem4>;
@group(0) @binding(2) var<storage, read> bias: array<elem4>;
@group(0) @binding(3) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> partial: array<f32, 64>;

// Sum over the LANES invocations of a row, the same tree for every row.
fn row_sum(value: f32, local: u32) -> f32 {
    if (LANES == 1u) { return value; }
    workgroupBarrier();
    partial[local] = value;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if (local % LANES < step) { partial[local] += partial[local + step]; }
        workgroupBarrier();
    }
    return partial[local - local % LANES];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let wanted = linear_index(group, groups, local, 64u) / LANES;
    // Rows past the end are computed as the last one and not stored: barriers need every invocation.
    let row = min(wanted, params.rows - 1u);
    let quads = (params.width + 3u) / 4u;
    let base = row * quads;
    let lane = local % LANES;
    let inverse = 1.0 / f32(params.width);

    var sum = vec4<f32>(0.0);
    for (var q = lane; q < quads; q += LANES) { sum += ld(x[base + q]); }
    let mean = row_sum((sum.x + sum.y) + (sum.z + sum.w), local) * inverse;

    var square = vec4<f32>(0.0);
    for (var q = lane; q < quads; q += LANES) {
        let inside = vec4<u32>(4u * q) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.width);
        let d = select(vec4<f32>(0.0), ld(x[base + q]) - mean, inside);
        square += d * d;
    }
    let variance = row_sum((square.x + square.y) + (square.z + square.w), local) * inverse;
    let scale = inverseSqrt(variance + params.eps);

    if (wanted < params.rows) {
        for (var q = lane; q < quads; q += LANES) {
            y[base + q] = st((ld(x[base + q]) - mean) * (scale * ld(weight[q])) + ld(bias[q]));
        }
    }
}
