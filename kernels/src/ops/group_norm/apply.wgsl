// y = (x - mean) * scale + bias, then optionally silu(y) = y / (1 + exp(-y)).
// Layout: [x | skip] along C as in stats.wgsl; table [B, 2, quads] vec4<f32>: mean, scale; y [B, pixels, quads].
// Bindings: 0 x, 1 skip (x again when there is none), 2 table, 3 bias, 4 y.
// Grid: one invocation per (span of pixels, quad), workgroups of 64; table and bias are read once per span.
// Numerics: f32; x - mean is formed before scaling, so a large mean does not cancel afterwards.
struct Params { count: u32, pixels: u32, quads_x: u32, quads_skip: u32, spans: u32, span: u32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read> skip: array<elem4>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<elem4>;
@group(0) @binding(4) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

override SKIP: bool = false;
override SILU: bool = false;

fn activate(v: vec4<f32>) -> vec4<f32> {
    if (SILU) {
        // exp is kept below overflow; silu(-80) is zero in f32 either way.
        return v / (1.0 + exp(min(-v, vec4<f32>(80.0))));
    }
    return v;
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
    let mean = table[image * 2u * quads + q];
    let scale = table[(image * 2u + 1u) * quads + q];
    let shift = ld(bias[q]);
    let to = image * params.pixels * quads + q;
    if (SKIP && q >= params.quads_x) {
        let base = image * params.pixels * params.quads_skip + q - params.quads_x;
        for (var p = begin; p < end; p += 1u) {
            y[to + p * quads] = st(activate((ld(skip[base + p * params.quads_skip]) - mean) * scale + shift));
        }
    } else {
        let base = image * params.pixels * params.quads_x + q;
        for (var p = begin; p < end; p += 1u) {
            y[to + p * quads] = st(activate((ld(x[base + p * params.quads_x]) - mean) * scale + shift));
        }
    }
}
