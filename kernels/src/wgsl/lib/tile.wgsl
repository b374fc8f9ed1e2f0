// A 64 x 64 tile of a product in workgroup memory, 16 k at a time, by 128 invocations. Invocation (tx, ty) of 8 x 16
// owns rows ty, ty + 16, ty + 32, ty + 48 and columns 4tx..4tx+3 and 32+4tx..32+4tx+3.
// 4 + 8 loads of 4-vectors from workgroup memory feed 128 multiply-adds; neighbours read neighbouring addresses.
// Workgroup memory: 8 KiB.

// [k / 4][row] and [k / 4][column half][column % 4][column % 32 / 4], four k in each vector.
var<workgroup> left: array<vec4<f32>, 256>;
var<workgroup> right: array<vec4<f32>, 256>;

// Sums of the rows in order; `a` the first four columns, `b` the last four.
struct Tile {
    a0: vec4<f32>, a1: vec4<f32>, a2: vec4<f32>, a3: vec4<f32>,
    b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>,
}

// The sums as an array, `a` before `b` in each row: one copy of the epilogue for all of them.
fn tile_sums(t: Tile) -> array<vec4<f32>, 8> {
    return array<vec4<f32>, 8>(t.a0, t.b0, t.a1, t.b1, t.a2, t.b2, t.a3, t.b3);
}

// Where column `c` (0..63) of the tile lies in `right`.
fn right_place(c: u32) -> u32 { return (c & 32u) + (c & 3u) * 8u + ((c & 31u) >> 2u); }

// Adds four products along k, in ascending order, to one row's four columns.
fn dot4(sum: vec4<f32>, v: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {
    let x = fma(v.xxxx, vec4<f32>(w0.x, w1.x, w2.x, w3.x), sum);
    let y = fma(v.yyyy, vec4<f32>(w0.y, w1.y, w2.y, w3.y), x);
    let z = fma(v.zzzz, vec4<f32>(w0.z, w1.z, w2.z, w3.z), y);
    return fma(v.wwww, vec4<f32>(w0.w, w1.w, w2.w, w3.w), z);
}

fn tile_quarter(t: ptr<function, Tile>, row: u32, column: u32) {
    let v0 = left[row];
    let v1 = left[row + 16u];
    let v2 = left[row + 32u];
    let v3 = left[row + 48u];
    let w0 = right[column];
    let w1 = right[column + 8u];
    let w2 = right[column + 16u];
    let w3 = right[column + 24u];
    (*t).a0 = dot4((*t).a0, v0, w0, w1, w2, w3);
    (*t).a1 = dot4((*t).a1, v1, w0, w1, w2, w3);
    (*t).a2 = dot4((*t).a2, v2, w0, w1, w2, w3);
    (*t).a3 = dot4((*t).a3, v3, w0, w1, w2, w3);
    let u0 = right[column + 32u];
    let u1 = right[column + 40u];
    let u2 = right[column + 48u];
    let u3 = right[column + 56u];
    (*t).b0 = dot4((*t).b0, v0, u0, u1, u2, u3);
    (*t).b1 = dot4((*t).b1, v1, u0, u1, u2, u3);
    (*t).b2 = dot4((*t).b2, v2, u0, u1, u2, u3);
    (*t).b3 = dot4((*t).b3, v3, u0, u1, u2, u3);
}

// The 16 k that are in workgroup memory. Unrolled by hand: Metal and HLSL get no unrolled loops from naga.
fn tile_add(t: ptr<function, Tile>, tx: u32, ty: u32) {
    tile_quarter(t, ty, tx);
    tile_quarter(t, 64u + ty, 64u + tx);
    tile_quarter(t, 128u + ty, 128u + tx);
    tile_quarter(t, 192u + ty, 192u + tx);
}
