// y = softmax(q k^T / sqrt(D)) v per head: the formula of attention.wgsl for adapters with real workgroup memory.
// Layout: q, y [B, L, heads D], k, v [B, S, heads D], elem4; a head's D channels lie together.
// Bindings: 0 q, 1 k, 2 v, 3 y.
// Grid: x = blocks of 8 GROUPS queries, y = heads, z = images. Workgroups of LANES = GROUPS * D / 4: an invocation owns
// 8 queries x 4 channels of the result in registers, so D = 512 needs no more of them than D = 16.
// Per block of 256 / GROUPS keys: scores into workgroup memory in tiles of 4 queries x 2 keys, maximum per query, powers,
// then p v. Workgroup memory: 8 KiB of scores, 0.5 KiB of maxima.
// Numerics: f32; a large finite number stands for minus infinity. The order of the sum depends on S and D alone.
override LANES: u32 = 64u;
override GROUPS: u32 = 8u;

const LOWEST: f32 = -3.0e38;

struct Params { queries: u32, keys: u32, heads: u32, causal: u32, scale: f32, quads: u32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> q: array<elem4>;
@group(0) @binding(1) var<storage, read> k: array<elem4>;
@group(0) @binding(2) var<storage, read> v: array<elem4>;
@group(0) @binding(3) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// [key][query / 4]: four queries of a key are one vector.
var<workgroup> weight: array<vec4<f32>, 512>;
var<workgroup> top: array<vec4<f32>, 16>;
var<workgroup> fade: array<vec4<f32>, 16>;

// 1 where query `row + lane` may see `key`.
fn visible(row: u32, key: u32) -> vec4<bool> {
    let seen = vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u);
    return vec4<bool>(key < params.keys) & (vec4<bool>(params.causal == 0u) | (vec4<u32>(key) <= seen));
}

// Scores of 4 queries and 2 keys.
fn scores(image: vec2<u32>, row: u32, key: u32, stride: u32, to: u32) {
    let rows = min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.queries - 1u)) * stride + image.x;
    let keys = min(vec2<u32>(key, key + 1u), vec2<u32>(params.keys - 1u)) * stride + image.y;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    for (var d = 0u; d < params.quads; d += 1u) {
        let q0 = ld(q[rows.x + d]);
        let q1 = ld(q[rows.y + d]);
        let q2 = ld(q[rows.z + d]);
        let q3 = ld(q[rows.w + d]);
        let k0 = ld(k[keys.x + d]);
        let k1 = ld(k[keys.y + d]);
        s0 += vec4<f32>(dot(q0, k0), dot(q1, k0), dot(q2, k0), dot(q3, k0));
        s1 += vec4<f32>(dot(q0, k1), dot(q1, k1), dot(q2, k1), dot(q3, k1));
    }
    weight[to] = select(vec4<f32>(LOWEST), s0 * params.scale, visible(row, key));
    weight[to + 2u * GROUPS] = select(vec4<f32>(LOWEST), s1 * params.scale, visible(row, key + 1u));
}

fn store(row: u32, at: u32, stride: u32, value: vec4<f32>) {
    if (row < params.queries) { y[at + row * stride] = st(value); }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let stride = params.heads * params.quads;
    let image = vec2<u32>(params.queries, params.keys) * group.z * stride + group.y * params.quads;
    let quarters = 2u * GROUPS; // 4-vectors of queries
    let first = group.x * 8u * GROUPS;
    let block = 256u / GROUPS;
    var end = params.keys;
    if (params.causal != 0u) { end = min(end, first + 8u * GROUPS); }
    let column = local % params.quads;
    let mine = local / params.quads * 2u;

    var o0 = vec4<f32>();
    var o1 = vec4<f32>();
    var o2 = vec4<f32>();
    var o3 = vec4<f32>();
    var o4 = vec4<f32>();
    var o5 = vec4<f32>();
    var o6 = vec4<f32>();
    var o7 = vec4<f32>();
    var low_sum = vec4<f32>();
    var high_sum = vec4<f32>();
    for (var i = local; i < quarters; i += LANES) { top[i] = vec4<f32>(LOWEST); }

    for (var start = 0u; start < end; start += block) {
        let count = min(block, end - start);
        workgroupBarrier();
        // 256 tiles, those of one pair of keys side by side.
        for (var i = local; i < (count + 1u) / 2u * quarters; i += LANES) {
            let pair = i / quarters * 2u;
            scores(image, first + i % quarters * 4u, start + pair, stride, pair * quarters + i % quarters);
        }
        workgroupBarrier();
        for (var i = local; i < quarters; i += LANES) {
            var high = top[i];
            for (var key = 0u; key < count; key += 1u) { high = max(high, weight[key * quarters + i]); }
            fade[i] = exp2(top[i] - high);
            top[i] = high;
        }
        workgroupBarrier();
        for (var i = local; i < count * quarters; i += LANES) { weight[i] = exp2(weight[i] - top[i % quarters]); }
        workgroupBarrier();
        let low_fade = fade[mine];
        let high_fade = fade[mine + 1u];
        o0 *= low_fade.x;
        o1 *= low_fade.y;
        o2 *= low_fade.z;
        o3 *= low_fade.w;
        o4 *= high_fade.x;
        o5 *= high_fade.y;
        o6 *= high_fade.z;
        o7 *= high_fade.w;
        low_sum *= low_fade;
        high_sum *= high_fade;
        for (var key = 0u; key < count; key += 1u) {
            let value = ld(v[image.y + (start + key) * stride + column]);
            let low = weight[key * quarters + mine];
            let high = weight[key * quarters + mine + 1u];
            low_sum += low;
            high_sum += high;
            o0 += low.x * value;
            o1 += low.y * value;
            o2 += low.z * value;
            o3 += low.w * value;
            o4 += high.x * value;
            o5 += high.y * value;
            o6 += high.z * value;
            o7 += high.w * value;
        }
    }
    let row = first + mine * 4u;
    let at = image.x + column;
    store(row, at, stride, o0 / low_sum.x);
    store(row + 1u, at, stride, o1 / low_sum.y);
    store(row + 2u, at, stride, o2 / low_sum.z);
    store(row + 3u, at, stride, o3 / low_sum.w);
    store(row + 4u, at, stride, o4 / high_sum.x);
    store(row + 5u, at, stride, o5 / high_sum.y);
    store(row + 6u, at, stride, o6 / high_sum.z);
    store(row + 7u, at, stride, o7 / high_sum.w);
}
