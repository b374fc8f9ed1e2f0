// y = softmax(q k^T / sqrt(D)) v per head, in one pass over the keys.
// Formula: running maximum m, sum l and accumulator of the streaming softmax (Milakov, Gimelshein 2018, 1805.02867; Dao et
// al. 2022, 2205.14135): for a tile of keys m' = max(m, scores), a = 2^(m - m'), p = 2^(score - m'),
// l = l a + sum p, o = o a + p v; y = o / l. Scores carry log2(e) / sqrt(D), folded into q.
// Layout: q, y [B, L, heads D], k, v [B, S, heads D], elem4; a head's D channels lie together.
// Bindings: 0 q, 1 k, 2 v, 3 y.
// Grid: x = blocks of 64 queries, y = heads, z = images; one invocation per query, its q and o in registers. All
// invocations read the same k and v: one load serves a whole subgroup, and no barrier or workgroup memory is needed.
// Numerics: f32; a large finite number stands for minus infinity. The order of the sum depends on S alone.
// Needs: ROW (4-vectors of the register arrays, at least D / 4) from an appended line.
override QUADS: u32 = 1u; // D / 4

const LOWEST: f32 = -3.0e38;

struct Params { queries: u32, keys: u32, heads: u32, causal: u32, scale: f32, pad0: u32, pad1: u32, pad2: u32 }

@group(0) @binding(0) var<storage, read> q: array<elem4>;
@group(0) @binding(1) var<storage, read> k: array<elem4>;
@group(0) @binding(2) var<storage, read> v: array<elem4>;
@group(0) @binding(3) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = group.x * 64u + local;
    if (row >= params.queries) { return; }
    let stride = params.heads * QUADS;
    let from_row = (group.z * params.queries + row) * stride + group.y * QUADS;
    let kv = group.z * params.keys * stride + group.y * QUADS;

    var query: array<vec4<f32>, ROW>;
    var out: array<vec4<f32>, ROW>;
    for (var d = 0u; d < QUADS; d += 1u) {
        query[d] = ld(q[from_row + d]) * params.scale;
        out[d] = vec4<f32>(0.0);
    }
    var top = LOWEST;
    var sum = 0.0;
    let visible = select(params.keys, min(row + 1u, params.keys), params.causal != 0u);
    for (var j = 0u; j < visible; j += 4u) {
        // Keys past the end repeat the last visible one and weigh nothing.
        let at = vec4<u32>(kv) + min(vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(visible - 1u)) * stride;
        var s0 = vec4<f32>(0.0);
        var s1 = vec4<f32>(0.0);
        var s2 = vec4<f32>(0.0);
        var s3 = vec4<f32>(0.0);
        for (var d = 0u; d < QUADS; d += 1u) {
            s0 += query[d] * ld(k[at.x + d]);
            s1 += query[d] * ld(k[at.y + d]);
            s2 += query[d] * ld(k[at.z + d]);
            s3 += query[d] * ld(k[at.w + d]);
        }
        let score = vec4<f32>((s0.x + s0.y) + (s0.z + s0.w), (s1.x + s1.y) + (s1.z + s1.w),
                              (s2.x + s2.y) + (s2.z + s2.w), (s3.x + s3.y) + (s3.z + s3.w));
        let highest = max(max(max(score.x, score.y), max(score.z, score.w)), top);
        let fade = exp2(top - highest);
        let inside = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(visible);
        let p = select(vec4<f32>(0.0), exp2(score - highest), inside);
        top = highest;
        sum = sum * fade + ((p.x + p.y) + (p.z + p.w));
        for (var d = 0u; d < QUADS; d += 1u) {
            out[d] = out[d] * fade + (p.x * ld(v[at.x + d]) + p.y * ld(v[at.y + d]))
                + (p.z * ld(v[at.z + d]) + p.w * ld(v[at.w + d]));
        }
    }
    for (var d = 0u; d < QUADS; d += 1u) {
        y[from_row + d] = st(out[d] / sum);
    }
}
