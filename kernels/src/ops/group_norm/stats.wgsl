// Statistics of a span of pixels for four channels: mean and sum of squared deviations (M2).
// Formula: blocks of 8 values exactly about their own mean, joined by Chan, Golub, LeVeque 1979 (eq. 2.1):
//   d = mean_b - mean_a;  mean += d n_b / n;  M2 += M2_b + d^2 n_a n_b / n.
// No sum of squares is ever formed, so a large mean with a tiny variance keeps its digits.
// Layout: the concatenation [x | skip] along C, elem4 each; quads = 4-channel columns of both, quads_x those of x.
// Bindings: 0 x, 1 skip (x again when there is none), 2 partials [B, spans, 2, C] vec4<f32>: mean, M2.
// Grid: one invocation per (span, quad), spans of all images in a row, workgroups of 64.
// Numerics: f32. The spans depend on the image's own size only.
struct Params { count: u32, pixels: u32, quads_x: u32, quads_skip: u32, spans: u32, span: u32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read> skip: array<elem4>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

override SKIP: bool = false;

struct Column { base: u32, stride: u32, second: bool }

fn value(column: Column, pixel: u32) -> vec4<f32> {
    let at = column.base + pixel * column.stride;
    if (SKIP && column.second) { return ld(skip[at]); }
    return ld(x[at]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count) { return; }
    let quads = params.quads_x + params.quads_skip;
    let q = i % quads;
    let image = i / quads / params.spans;
    let begin = (i / quads % params.spans) * params.span;
    let end = min(begin + params.span, params.pixels);
    var column = Column(image * params.pixels * params.quads_x + q, params.quads_x, false);
    if (SKIP && q >= params.quads_x) {
        column = Column(image * params.pixels * params.quads_skip + q - params.quads_x, params.quads_skip, true);
    }

    var mean = vec4<f32>(0.0);
    var m2 = vec4<f32>(0.0);
    var n = 0.0;
    var p = begin;
    for (; p + 8u <= end; p += 8u) {
        let v0 = value(column, p);
        let v1 = value(column, p + 1u);
        let v2 = value(column, p + 2u);
        let v3 = value(column, p + 3u);
        let v4 = value(column, p + 4u);
        let v5 = value(column, p + 5u);
        let v6 = value(column, p + 6u);
        let v7 = value(column, p + 7u);
        let mean_b = (((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))) * 0.125;
        let d0 = v0 - mean_b;
        let d1 = v1 - mean_b;
        let d2 = v2 - mean_b;
        let d3 = v3 - mean_b;
        let d4 = v4 - mean_b;
        let d5 = v5 - mean_b;
        let d6 = v6 - mean_b;
        let d7 = v7 - mean_b;
        let m2_b = ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)) + ((d4 * d4 + d5 * d5) + (d6 * d6 + d7 * d7));
        let d = mean_b - mean;
        let part = 8.0 / (n + 8.0);
        mean += d * part;
        m2 += m2_b + d * d * (n * part);
        n += 8.0;
    }
    for (; p < end; p += 1u) {
        let d = value(column, p) - mean;
        let part = 1.0 / (n + 1.0);
        mean += d * part;
        m2 += d * d * (n * part);
        n += 1.0;
    }
    let at = (i / quads) * 2u * quads + q;
    partials[at] = mean;
    partials[at + quads] = m2;
}
