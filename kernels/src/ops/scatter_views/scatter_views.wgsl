// sum(texel) += sum over views and pixels of weight(texel, pixel) gain view(pixel): the adjoint of `project_renoise`'s gather, with
// its positions and its nearest or bilinear weights; hits(texel) += sum of weight(texel, pixel).
// WGSL has no float atomics, and float sums would depend on the order: every contribution is rounded to a multiple of 2^-20 and
// added as an integer, so the result is the same to the bit whatever the order. Exact while |sum| < 2^11 at the end; partial sums
// may wrap. A contribution that is not finite or reaches 2^10 is left out and counted in the report, as in `finite`.
// Layout: views [V, h, w, C] elem4; sums i32 [Hc, Wc, C] and hits i32 [Hc, Wc], both padded as tensors are, in units of 2^-20.
// Bindings: 0 views, 1 words f32 [V, 20], 2 sums, 3 hits (scratch when HITS is 0), 4 report { count, first }.
// Grid: tiles of 8 x 8 pixels, z the view and within it the 4-vector of a pixel.
// Needs angles.wgsl, views.wgsl, panorama.wgsl, windows.wgsl, torus.wgsl.
struct Params {
    gain: f32, c4: u32, channels: u32, width: u32,
    height: u32, canvas_width: u32, canvas_height: u32, padded_width: u32,
}
struct Report { count: atomic<u32>, first: atomic<u32>, pad0: u32, pad1: u32 }

override BILINEAR: u32 = 0u;
override HITS: u32 = 0u;

@group(0) @binding(0) var<storage, read> views: array<elem4>;
@group(0) @binding(1) var<storage, read> words: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<atomic<i32>>;
@group(0) @binding(3) var<storage, read_write> hits: array<atomic<i32>>;
@group(0) @binding(4) var<storage, read_write> report: Report;
@group(1) @binding(0) var<uniform> params: Params;

fn fixed(v: f32) -> i32 {
    return i32(round(v * 1048576.0));
}

fn add(at: vec2<i32>, wrap: vec2<bool>, value: vec4<f32>, share: f32, q: u32) {
    let t = texel_index(at, vec2<i32>(vec2<u32>(params.canvas_width, params.canvas_height)), wrap);
    let first = 4u * ((t.y * params.canvas_width + t.x) * params.c4 + q);
    for (var lane = 0u; lane < min(4u, params.channels - 4u * q); lane++) {
        atomicAdd(&sums[first + lane], fixed(share * value[lane]));
    }
    if (HITS == 1u && q == 0u) {
        atomicAdd(&hits[t.y * params.padded_width + t.x], fixed(share));
    }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width || id.y >= params.height) {
        return;
    }
    let view = id.z / params.c4;
    let q = id.z % params.c4;
    let i = ((view * params.height + id.y) * params.width + id.x) * params.c4 + q;
    var value = params.gain * ld(views[i]);
    // By bits: the exponent of 2^10 is 137; infinity and NaN have larger ones.
    let bad = (bitcast<vec4<u32>>(value) & vec4<u32>(0x7f800000u)) >= vec4<u32>(137u << 23u);
    if (any(bad)) {
        atomicAdd(&report.count, dot(vec4<u32>(1u), select(vec4<u32>(0u), vec4<u32>(1u), bad)));
        atomicMin(&report.first, 4u * i + select(select(select(3u, 2u, bad.z), 1u, bad.y), 0u, bad.x));
        value = select(value, vec4<f32>(0.0), bad);
    }
    let size = vec2<f32>(vec2<u32>(params.width, params.height));
    let whole = vec2<f32>(vec2<u32>(params.canvas_width, params.canvas_height));
    let position = canvas_position(view, vec2<f32>(id.xy) + 0.5, size, whole);
    let wrap = wrap_of(view);
    if (BILINEAR == 0u) {
        add(vec2<i32>(floor(position)), wrap, value, 1.0, q);
        return;
    }
    let corner = floor(position - 0.5);
    let f = position - 0.5 - corner;
    let at = vec2<i32>(corner);
    add(at, wrap, value, (1.0 - f.x) * (1.0 - f.y), q);
    add(at + vec2<i32>(1, 0), wrap, value, f.x * (1.0 - f.y), q);
    add(at + vec2<i32>(0, 1), wrap, value, (1.0 - f.x) * f.y, q);
    add(at + vec2<i32>(1, 1), wrap, value, f.x * f.y, q);
}
