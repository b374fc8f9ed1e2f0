// A register tile for software adapters (llvmpipe), where a load from a buffer costs about 9 instructions per lane
// and element even when all lanes read the same address, while a broadcast costs one. Lane i of 8 holds rows
// i, 8 + i, 16 + i, 24 + i and loads weights i and 8 + i of up to 16 columns, which are then broadcast.
// Needs: subgroups of at least 8, workgroups of 8.
override rows: u32 = 4u; // per lane: 1, 2 or 4
override columns: u32 = 16u; // 4 or 16

// Sums of row r and columns 4c..4c+3 are `s<r><c>`.
struct Tile {
    s00: vec4<f32>, s01: vec4<f32>, s02: vec4<f32>, s03: vec4<f32>,
    s10: vec4<f32>, s11: vec4<f32>, s12: vec4<f32>, s13: vec4<f32>,
    s20: vec4<f32>, s21: vec4<f32>, s22: vec4<f32>, s23: vec4<f32>,
    s30: vec4<f32>, s31: vec4<f32>, s32: vec4<f32>, s33: vec4<f32>,
}

// The sums as an array, row by row: one copy of the epilogue for all of them, not sixteen, is what compiles fast.
fn tile_sums(t: Tile) -> array<vec4<f32>, 16> {
    return array<vec4<f32>, 16>(t.s00, t.s01, t.s02, t.s03, t.s10, t.s11, t.s12, t.s13,
                                t.s20, t.s21, t.s22, t.s23, t.s30, t.s31, t.s32, t.s33);
}

// Four rows of the left side at four neighbouring k.
struct Rows { r0: vec4<f32>, r1: vec4<f32>, r2: vec4<f32>, r3: vec4<f32> }

// Adds four products along k, in ascending order, to one row's four columns.
fn dot4(sum: vec4<f32>, v: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {
    let x = fma(v.xxxx, vec4<f32>(w0.x, w1.x, w2.x, w3.x), sum);
    let y = fma(v.yyyy, vec4<f32>(w0.y, w1.y, w2.y, w3.y), x);
    let z = fma(v.zzzz, vec4<f32>(w0.z, w1.z, w2.z, w3.z), y);
    return fma(v.wwww, vec4<f32>(w0.w, w1.w, w2.w, w3.w), z);
}

fn tile_add(t: ptr<function, Tile>, v: Rows, low: vec4<f32>, high: vec4<f32>) {
    let a0 = subgroupBroadcast(low, 0u);
    let a1 = subgroupBroadcast(low, 1u);
    let a2 = subgroupBroadcast(low, 2u);
    let a3 = subgroupBroadcast(low, 3u);
    (*t).s00 = dot4((*t).s00, v.r0, a0, a1, a2, a3);
    if (rows > 1u) { (*t).s10 = dot4((*t).s10, v.r1, a0, a1, a2, a3); }
    if (rows > 2u) { (*t).s20 = dot4((*t).s20, v.r2, a0, a1, a2, a3); }
    if (rows > 2u) { (*t).s30 = dot4((*t).s30, v.r3, a0, a1, a2, a3); }
    if (columns > 4u) {
        let b0 = subgroupBroadcast(low, 4u);
        let b1 = subgroupBroadcast(low, 5u);
        let b2 = subgroupBroadcast(low, 6u);
        let b3 = subgroupBroadcast(low, 7u);
        (*t).s01 = dot4((*t).s01, v.r0, b0, b1, b2, b3);
        if (rows > 1u) { (*t).s11 = dot4((*t).s11, v.r1, b0, b1, b2, b3); }
        if (rows > 2u) { (*t).s21 = dot4((*t).s21, v.r2, b0, b1, b2, b3); }
        if (rows > 2u) { (*t).s31 = dot4((*t).s31, v.r3, b0, b1, b2, b3); }
        let c0 = subgroupBroadcast(high, 0u);
        let c1 = subgroupBroadcast(high, 1u);
        let c2 = subgroupBroadcast(high, 2u);
        let c3 = subgroupBroadcast(high, 3u);
        (*t).s02 = dot4((*t).s02, v.r0, c0, c1, c2, c3);
        if (rows > 1u) { (*t).s12 = dot4((*t).s12, v.r1, c0, c1, c2, c3); }
        if (rows > 2u) { (*t).s22 = dot4((*t).s22, v.r2, c0, c1, c2, c3); }
        if (rows > 2u) { (*t).s32 = dot4((*t).s32, v.r3, c0, c1, c2, c3); }
        let d0 = subgroupBroadcast(high, 4u);
        let d1 = subgroupBroadcast(high, 5u);
        let d2 = subgroupBroadcast(high, 6u);
        let d3 = subgroupBroadcast(high, 7u);
        (*t).s03 = dot4((*t).s03, v.r0, d0, d1, d2, d3);
        if (rows > 1u) { (*t).s13 = dot4((*t).s13, v.r1, d0, d1, d2, d3); }
        if (rows > 2u) { (*t).s23 = dot4((*t).s23, v.r2, d0, d1, d2, d3); }
        if (rows > 2u) { (*t).s33 = dot4((*t).s33, v.r3, d0, d1, d2, d3); }
    }
}
