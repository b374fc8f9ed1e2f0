// From the partials of a group to its mean and 1 / sqrt(var + eps) * weight, one value per channel.
// Formula: with r the mean of the first partial, mean = r + sum n_k (mean_k - r) / N (differences, so that no large sum
// is formed), M2 = sum M2_k + sum n_k (mean_k - mean)^2 over all spans and channels k of the group.
// Layout: partials [B, spans, 2, quads] vec4<f32> read by component; table [B, 2, quads] as scalars: mean, scale.
// Bindings: 0 partials, 1 weight [C] (elem4), 2 table.
// Grid: one workgroup of 64 per (image, group).
// Numerics: f32; each invocation adds its items in order, then a fixed tree: independent of the batch.
struct Params {
    groups: u32, group_width: u32, width: u32, spans: u32,
    span: u32, pixels: u32, eps: f32, items: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<elem4>;
@group(0) @binding(2) var<storage, read_write> table: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

fn total(value: f32, local: u32) -> f32 {
    workgroupBarrier();
    sums[local] = value;
    workgroupBarrier();
    for (var step = 32u; step > 0u; step /= 2u) {
        if (local < step) { sums[local] += sums[local + step]; }
        workgroupBarrier();
    }
    return sums[0];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let at = workgroup.y * workgroups.x + workgroup.x;
    if (at >= params.items) { return; }
    let image = at / params.groups;
    let first = (at % params.groups) * params.group_width;
    let row = (params.width + 3u) / 4u * 4u;
    let count = params.spans * params.group_width;
    let base = image * params.spans * 2u * row + first;
    let start = partials[base];

    var shift = 0.0;
    for (var k = local; k < count; k += 64u) {
        let s = k / params.group_width;
        let n = f32(min(params.span, params.pixels - s * params.span));
        shift += n * (partials[base + s * 2u * row + k % params.group_width] - start);
    }
    let inverse = 1.0 / (f32(params.pixels) * f32(params.group_width));
    let mean = start + total(shift, local) * inverse;

    var m2 = 0.0;
    for (var k = local; k < count; k += 64u) {
        let s = k / params.group_width;
        let n = f32(min(params.span, params.pixels - s * params.span));
        let from_row = base + s * 2u * row + k % params.group_width;
        let d = partials[from_row] - mean;
        m2 += partials[from_row + row] + n * d * d;
    }
    let scale = inverseSqrt(total(m2, local) * inverse + params.eps);

    let to = image * 2u * row + first;
    for (var k = local; k < params.group_width; k += 64u) {
        let c = first + k;
        table[to + k] = mean;
        table[to + row + k] = scale * ld(weight[c / 4u])[c % 4u];
    }
    // The pad lanes of the row: zero scale and mean keep the pad lanes of the result zero.
    if (first + params.group_width == params.width && local < row - params.width) {
        table[to + params.group_width + local] = 0.0;
        table[to + row + params.group_width + local] = 0.0;
    }
}
