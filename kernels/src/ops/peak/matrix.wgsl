// The roof of cooperative matrices: y = sums of products of register-resident fragments, f16 factors and f32 sums.
// Layout: x f16 [6, side, side], y f32 [subgroups of the grid, side, side].
// Bindings: 0 x, 1 y.
// Grid: x only, workgroups of 256 invocations. Eight products per round and subgroup.
// Numerics: f32 sums. Needs: cooperative matrices, subgroups of 32 that fill the workgroup in order.
struct Params { rounds: u32, side: u32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> x: array<f16>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_id) subgroup: u32,
        @builtin(num_subgroups) subgroups: u32) {
    let side = params.side;
    let size = side * side;
    // Indices and strides of fragments must have names: naga's SPIR-V writer does not evaluate them in place.
    let at0 = 0u;
    let at1 = size;
    let at2 = 2u * size;
    let at3 = 3u * size;
    let at4 = 4u * size;
    let at5 = 5u * size;
    let a0 = coopLoadT<Left>(&x[at0], side);
    let a1 = coopLoadT<Left>(&x[at1], side);
    let a2 = coopLoadT<Left>(&x[at2], side);
    let a3 = coopLoadT<Left>(&x[at3], side);
    let b0 = coopLoad<Right>(&x[at4], side);
    let b1 = coopLoad<Right>(&x[at5], side);
    var s0 = Sum();
    var s1 = Sum();
    var s2 = Sum();
    var s3 = Sum();
    var s4 = Sum();
    var s5 = Sum();
    var s6 = Sum();
    var s7 = Sum();
    for (var i = 0u; i < params.rounds; i += 1u) {
        s0 = coopMultiplyAdd(a0, b0, s0);
        s1 = coopMultiplyAdd(a0, b1, s1);
        s2 = coopMultiplyAdd(a1, b0, s2);
        s3 = coopMultiplyAdd(a1, b1, s3);
        s4 = coopMultiplyAdd(a2, b0, s4);
        s5 = coopMultiplyAdd(a2, b1, s5);
        s6 = coopMultiplyAdd(a3, b0, s6);
        s7 = coopMultiplyAdd(a3, b1, s7);
    }
    let at = (group.x * subgroups + subgroup) * size;
    let sum = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
    coopStoreT(sum, &y[at], side);
}
