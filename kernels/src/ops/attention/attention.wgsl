// y = softmax(q k^T / sqrt(D)) v per head, in one pass over the keys.
// Formula: running maximum m, sum l and accumulator of the streaming softmax (Milakov, Gimelshein 2018, 1805.02867; Dao et
// al. 2022, 2205.14135): for a block of keys m' = max(m, scores), a = 2^(m - m'), p = 2^(score - m'),
// l = l a + sum p, o = o a + p v; y = o / l. Scores carry log2(e) / sqrt(D), folded into q.
// Layout: q, y [B, L, heads D], k, v [B, S, heads D], elem4; a head's D channels lie together.
// Bindings: 0 q, 1 k, 2 v, 3 y.
// Grid: x = blocks of LANES * ROWS queries, y = heads, z = images; each invocation owns ROWS queries, LANES apart.
// For software adapters: no barrier, no workgroup memory. A load costs about 20 vector multiply-adds there, so each
// 4-vector of k and v serves ROWS queries. The private arrays are indexed at run time on purpose: loops over `a` have no
// constant trip count, because unrolled they compile for a minute and run no faster.
// Numerics: f32; a large finite number stands for minus infinity. The order of the sum depends on S alone.
// Needs: keys4 and values4, the same 4-vector of four keys, from four.wgsl or four_lanes.wgsl; ROWS, and ROW (4-vectors of a query, at least D / 4), from an appended line.
const LOWEST: f32 = -3.0e38;
const LANES = 8u;
// 4-vectors of scores per query between two updates of the accumulator.
const BLOCK = 8u;

struct Params { queries: u32, keys: u32, heads: u32, causal: u32, scale: f32, quads: u32, pad0: u32, pad1: u32 }
@group(0) @binding(0) var<storage, read> q: array<elem4>;
@group(0) @binding(1) var<storage, read> k: array<elem4>;
@group(0) @binding(2) var<storage, read> v: array<elem4>;
@group(0) @binding(3) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

fn largest(v: vec4<f32>) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn total(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let stride = params.heads * params.quads;
    let block = group.x * LANES * ROWS;
    let first = block + local;
    let image = group.z * params.queries * stride + group.y * params.quads;
    let head = group.z * params.keys * stride + group.y * params.quads;
    let last = params.keys - 1u;
    var end = params.keys;
    if (params.causal != 0u) { end = min(end, block + LANES * ROWS); }

    var query: array<array<vec4<f32>, ROWS>, ROW>;
    var out: array<array<vec4<f32>, ROWS>, ROW>;
    var top: array<f32, ROWS>;
    var sum: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r += 1u) {
        let from_row = image + min(first + r * LANES, params.queries - 1u) * stride;
        for (var a = from_row; a < from_row + params.quads; a += 1u) {
            query[a - from_row][r] = ld(q[a]) * params.scale;
            out[a - from_row][r] = vec4<f32>();
        }
        top[r] = LOWEST;
        sum[r] = 0.0;
    }
    var weight: array<array<vec4<f32>, ROWS>, BLOCK>;
    for (var start = 0u; start < end; start += 4u * BLOCK) {
        let stop = min(start + 4u * BLOCK, end);
        var high: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r += 1u) { high[r] = top[r]; }
        for (var j = start; j < stop; j += 4u) {
            var s: array<vec4<f32>, ROWS>;
            for (var r = 0u; r < ROWS; r += 1u) { s[r] = vec4<f32>(); }
            for (var a = head; a < head + params.quads; a += 1u) {
                let d = a - head;
                let four = keys4(a, vec2<u32>(j, local), stride);
                for (var r = 0u; r < ROWS; r += 1u) {
                    let x = query[d][r];
                    s[r] += vec4<f32>(dot(x, four[0]), dot(x, four[1]), dot(x, four[2]), dot(x, four[3]));
                }
            }
            // Keys past the end repeat the last one and, like those hidden from a query, weigh nothing.
            let keys = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u);
            for (var r = 0u; r < ROWS; r += 1u) {
                let seen = select(last, min(first + r * LANES, last), params.causal != 0u);
                let score = select(vec4<f32>(LOWEST), s[r], keys <= vec4<u32>(seen));
                high[r] = max(largest(score), high[r]);
                weight[(j - start) / 4u][r] = score;
            }
        }
        var fade: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r += 1u) {
            fade[r] = exp2(top[r] - high[r]);
            top[r] = high[r];
            sum[r] *= fade[r];
        }
        for (var j = start; j < stop; j += 4u) {
            for (var r = 0u; r < ROWS; r += 1u) {
                let p = exp2(weight[(j - start) / 4u][r] - high[r]);
                weight[(j - start) / 4u][r] = p;
                sum[r] += total(p);
            }
        }
        for (var a = head; a < head + params.quads; a += 1u) {
            let d = a - head;
            var part: array<vec4<f32>, ROWS>;
            for (var r = 0u; r < ROWS; r += 1u) { part[r] = out[d][r] * fade[r]; }
            for (var j = start; j < stop; j += 4u) {
                let four = values4(a, vec2<u32>(j, local), stride);
                for (var r = 0u; r < ROWS; r += 1u) {
                    let p = weight[(j - start) / 4u][r];
                    part[r] = fma(p.wwww, four[3], fma(p.zzzz, four[2], fma(p.yyyy, four[1], fma(p.xxxx, four[0], part[r]))));
                }
            }
            for (var r = 0u; r < ROWS; r += 1u) { out[d][r] = part[r]; }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        let row = first + r * LANES;
        let to = image + row * stride;
        if (row < params.queries) {
            for (var a = to; a < to + params.quads; a += 1u) { y[a] = st(out[a - to][r] / sum[r]); }
        }
    }
}
