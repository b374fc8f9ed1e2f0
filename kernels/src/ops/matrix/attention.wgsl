// y = softmax(q k^T / sqrt(D)) v per head by cooperative matrices. Layout and bindings: ../attention/tiled.wgsl.
// Grid: x = blocks of ROWS queries, y = heads, z = images. Each subgroup owns GROUPS x SIDE queries: their q and their
// sums over v stay in registers as fragments. Per block of KEYS keys: scores by fragments, through workgroup memory to
// lanes (ROW_LANES for each query) for maximum and powers, powers as f16 through workgroup memory back to fragments.
// Fragments cannot be scaled by rows, so sums keep the scale of an earlier maximum until a score exceeds it by more than
// 8 (powers up to 256 lose nothing in f16); then, for the whole workgroup and seldom after the first block, they take
// the way through workgroup memory to be scaled.
// Numerics: f16 factors, f32 scores and sums; which blocks are rescaled depends on the queries of the block alone.
// Needs: cooperative matrices, subgroups of LANES in the order of the workgroup.
const STRIDE: u32 = SIZE / 4u + 2u;
const POWERS_STRIDE: u32 = KEYS / 4u + 2u;
const STRIP_STRIDE: u32 = KEYS / 4u + 2u;
const ROW_LANES: u32 = LANES / SIDE;
const PAIRS: u32 = SIZE / 8u;
const ROWS: u32 = SUBGROUPS * GROUPS * SIDE;
const LOWEST: f32 = -1.0e30;
const SLACK: f32 = 8.0;

struct Params { queries: u32, keys: u32, heads: u32, causal: u32, scale: f32, quads: u32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> q: array<elem4>;
@group(0) @binding(1) var<storage, read> k: array<elem4>;
@group(0) @binding(2) var<storage, read> v: array<elem4>;
@group(0) @binding(3) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> keys: array<vec4<f16>, KEYS * STRIDE>;
var<workgroup> values: array<vec4<f16>, KEYS * STRIDE>;
var<workgroup> powers: array<vec4<f16>, ROWS * POWERS_STRIDE>;
var<workgroup> strips: array<vec4<f32>, SUBGROUPS * SIDE * STRIP_STRIDE>;
var<workgroup> rescale: u32;

fn highest(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
    let stride = params.heads * (SIZE / 4u);
    let head = group.y * (SIZE / 4u);
    let to_q = group.z * params.queries * stride + head;
    let to_k = group.z * params.keys * stride + head;
    let first = group.x * ROWS;
    let rows_of = subgroup * GROUPS * SIDE;
    let row = lane / ROW_LANES;
    let part = lane % ROW_LANES;
    let strip = subgroup * SIDE * STRIP_STRIDE;
    let strip_row = strip + row * STRIP_STRIDE + part;
    // Queries to fragments, by way of the powers' memory.
    for (var i = lane; i < GROUPS * SIDE * (SIZE / 4u); i += LANES) {
        let r = i / (SIZE / 4u);
        let c = i % (SIZE / 4u);
        powers[(rows_of + r) * POWERS_STRIDE + c] = q[to_q + min(first + rows_of + r, params.queries - 1u) * stride + c];
    }
    subgroupBarrier();
    //: for g in GROUPS
    //: for k in SIZE / SIDE
    let at_q$g_$k = (rows_of + $gu * SIDE) * POWERS_STRIDE + $ku * SIDE / 4u;
    let q$g_$k = coopLoadT<Left>(&powers[at_q$g_$k], POWERS_STRIDE);
    //: end
    //: for j in SIZE / SIDE
    var o$g_$j = Sum();
    //: end
    var top$g = LOWEST;
    var sum$g = 0.0;
    //: end
    if (local == 0u) { rescale = 0u; }
    // The first block to workgroup memory.
    //: for i in LOADS
    let key$i = local / PAIRS + $iu * (THREADS / PAIRS);
    let put$i = key$i * STRIDE + 2u * (local % PAIRS);
    let from$i = to_k + 2u * (local % PAIRS);
    let start$i = from$i + min(key$i, params.keys - 1u) * stride;
    var k$ia = k[start$i];
    var k$ib = k[start$i + 1u];
    var v$ia = v[start$i];
    var v$ib = v[start$i + 1u];
    keys[put$i] = k$ia;
    keys[put$i + 1u] = k$ib;
    values[put$i] = v$ia;
    values[put$i + 1u] = v$ib;
    //: end
    workgroupBarrier();
    var end = params.keys;
    if (params.causal != 0u) { end = min(end, first + ROWS); }
    for (var start = 0u; start < end; start += KEYS) {
        // The next block on its way in registers.
        //: for i in LOADS
        {
            let next = from$i + min(start + KEYS + key$i, params.keys - 1u) * stride;
            k$ia = k[next];
            k$ib = k[next + 1u];
            v$ia = v[next];
            v$ib = v[next + 1u];
        }
        //: end
        //: for g in GROUPS
        //: for j in KEYS / SIDE
        var s$g_$j = Sum();
        //: end
        //: end
        //: for k in SIZE / SIDE
        //: for j in KEYS / SIDE
        {
            let at = $ju * SIDE * STRIDE + $ku * SIDE / 4u;
            let b = coopLoad<Right>(&keys[at], STRIDE);
            //: for g in GROUPS
            s$g_$j = coopMultiplyAdd(q$g_$k, b, s$g_$j);
            //: end
        }
        //: end
        //: end
        var up = false;
        //: for g in GROUPS
        //: for j in KEYS / SIDE
        {
            let at = strip + $ju * SIDE / 4u;
            coopStoreT(s$g_$j, &strips[at], STRIP_STRIDE);
        }
        //: end
        subgroupBarrier();
        //: for n in VECTORS
        var e$g_$n = strips[strip_row + $nu * ROW_LANES] * params.scale;
        //: end
        if (start + KEYS > params.keys || params.causal != 0u) {
            let seen = select(params.keys - 1u, min(params.keys - 1u, first + rows_of + $gu * SIDE + row), params.causal != 0u);
            //: for n in VECTORS
            {
                let key = start + 4u * ($nu * ROW_LANES + part);
                let at = vec4<u32>(key, key + 1u, key + 2u, key + 3u);
                e$g_$n = select(vec4<f32>(LOWEST), e$g_$n, at <= vec4<u32>(seen));
            }
            //: end
        }
        var high$g = LOWEST;
        //: for n in VECTORS
        high$g = max(high$g, highest(e$g_$n));
        //: end
        if (ROW_LANES == 2u) { high$g = max(high$g, subgroupShuffleXor(high$g, 1u)); }
        up = up || high$g > top$g + SLACK;
        subgroupBarrier();
        //: end
        if (up) { rescale = 1u; }
        // Also: everybody is done with the keys, and the values are there.
        if (workgroupUniformLoad(&rescale) != 0u) {
            //: use scale
        }
        if (local == 0u) { rescale = 0u; }
        //: for g in GROUPS
        //: for n in VECTORS
        {
            let p = exp2(e$g_$n - vec4<f32>(top$g));
            sum$g += p.x + p.y + p.z + p.w;
            powers[(rows_of + $gu * SIDE + row) * POWERS_STRIDE + $nu * ROW_LANES + part] = vec4<f16>(p);
        }
        //: end
        //: end
        //: for i in LOADS
        keys[put$i] = k$ia;
        keys[put$i + 1u] = k$ib;
        //: end
        subgroupBarrier();
        //: for k in KEYS / SIDE
        {
            //: for g in GROUPS
            let at_p$g = (rows_of + $gu * SIDE) * POWERS_STRIDE + $ku * SIDE / 4u;
            let p$g = coopLoadT<Left>(&powers[at_p$g], POWERS_STRIDE);
            //: end
            //: for j in SIZE / SIDE
            {
                let at = $ku * SIDE * STRIDE + $ju * SIDE / 4u;
                let b = coopLoadT<Right>(&values[at], STRIDE);
                //: for g in GROUPS
                o$g_$j = coopMultiplyAdd(p$g, b, o$g_$j);
                //: end
            }
            //: end
        }
        //: end
        workgroupBarrier();
        //: for i in LOADS
        values[put$i] = v$ia;
        values[put$i + 1u] = v$ib;
        //: end
    }
    //: use finish
}

//: block scale
            //: for g in GROUPS
            {
                let high = max(top$g, high$g);
                let fade = exp2(top$g - high);
                top$g = high;
                sum$g *= fade;
                //: for j in SIZE / SIDE
                {
                    let at = strip + $ju * SIDE / 4u;
                    coopStoreT(o$g_$j, &strips[at], STRIP_STRIDE);
                }
                //: end
                subgroupBarrier();
                for (var n = 0u; n < SIZE / 4u; n += ROW_LANES) { strips[strip_row + n] *= fade; }
                subgroupBarrier();
                //: for j in SIZE / SIDE
                let at$j = strip + $ju * SIDE / 4u;
                o$g_$j = coopLoadT<Sum>(&strips[at$j], STRIP_STRIDE);
                //: end
                subgroupBarrier();
            }
            //: end
//: end

//: block finish
    //: for g in GROUPS
    if (ROW_LANES == 2u) { sum$g += subgroupShuffleXor(sum$g, 1u); }
    //: for j in SIZE / SIDE
    {
        let at = strip + $ju * SIDE / 4u;
        coopStoreT(o$g_$j, &strips[at], STRIP_STRIDE);
    }
    //: end
    subgroupBarrier();
    let row$g = first + rows_of + $gu * SIDE + row;
    if (row$g < params.queries) {
        for (var n = 0u; n < SIZE / 4u; n += ROW_LANES) {
            y[to_q + row$g * stride + n + part] = st(strips[strip_row + n] / sum$g);
        }
    }
    subgroupBarrier();
    //: end
//: end
