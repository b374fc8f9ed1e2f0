// From the partials of a group to its mean and 1 / sqrt(var + eps) * weight, one value per channel.
// Formula: with r the mean of the first partial, mean = r + sum n_k (mean_k - r) / N (differences, so that no large sum
// is formed), M2 = sum M2_k + sum n_k (mean_k - mean)^2 over all spans and channels k of the group.
// Layout: partials [B, spans, 2, quads] vec4<f32> read by component; table [B, 2, quads] as scalars: mean, scale.
// Bindings: 0 partials, 1 weight [C] (elem4), 2 table.
// Grid: LANES invocations per (image, group), workgroups of 64. LANES = 1 needs no barrier (software adapters).
// Numerics: f32; each invocation adds its items in order, then a fixed tree: independent of the batch.
override LANES: u32 = 1u;

struct Params {
    groups: u32, group_width: u32, width: u32, spans: u32,
    span: u32, pixels: u32, eps: f32, items: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<elem4>;
@group(0) @binding(2) var<storage, read_write> table: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

// Sum over the LANES invocations of a group, the same tree for every group.
fn total(value: f32, local: u32) -> f32 {
    if (LANES == 1u) { return value; }
    workgroupBarrier();
    sums[local] = value;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if (local % LANES < step) { sums[local] += sums[local + step]; }
        workgroupBarrier();
    }
    return sums[local - local % LANES];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let wanted = linear_index(workgroup, workgroups, local, 64u) / LANES;
    // Groups past the end are computed as the last one and not stored: barriers need every invocation.
    let at = min(wanted, params.items - 1u);
    let lane = local % LANES;
    let image = at / params.groups;
    let first = (at % params.groups) * params.group_width;
    let row = (params.width + 3u) / 4u * 4u;
    let count = params.spans * params.group_width;
    let base = image * params.spans * 2u * row + first;
    let start = partials[base];

    var shift = 0.0;
    for (var k = lane; k < count; k += LANES) {
        let s = k / params.group_width;
        let n = f32(min(params.span, params.pixels - s * params.span));
        shift += n * (partials[base + s * 2u * row + k % params.group_width] - start);
    }
    let inverse = 1.0 / (f32(params.pixels) * f32(params.group_width));
    let mean = start + total(shift, local) * inverse;

    var m2 = 0.0;
    for (var k = lane; k < count; k += LANES) {
        let s = k / params.group_width;
        let n = f32(min(params.span, params.pixels - s * params.span));
        let from_row = base + s * 2u * row + k % params.group_width;
        let d = partials[from_row] - mean;
        m2 += partials[from_row + row] + n * d * d;
    }
    let scale = inverseSqrt(total(m2, local) * inverse + params.eps);

    if (wanted >= params.items) { return; }
    let to = image * 2u * row + first;
    for (var k = lane; k < params.group_width; k += LANES) {
        let c = first + k;
        table[to + k] = mean;
        table[to + row + k] = scale * ld(weight[c / 4u])[c % 4u];
    }
    // The pad lanes of the row: zero scale and mean keep the pad lanes of the result zero.
    if (lane == 0u && first + params.group_width == params.width) {
        for (var k = params.group_width; k < row - first; k += 1u) {
            table[to + k] = 0.0;
            table[to + row + k] = 0.0;
        }
    }
}
