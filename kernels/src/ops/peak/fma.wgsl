// The roof of plain arithmetic: y = sums of fused multiply-adds over registers, in the stored type itself.
// Layout and bindings: 0 x [8] elem4 (seeds), 1 y, one elem4 per invocation.
// Grid: linear, workgroups of 256. Each invocation does 32 fused multiply-adds of 4-vectors per round in 8 chains.
// Numerics: the stored type (f32 or f16) throughout; results are small and finite for seeds below 1/2.
struct Params { rounds: u32, pad0: u32, pad1: u32, pad2: u32 }

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let m = x[local & 7u];
    let c = x[(local >> 3u) & 7u];
    var s0 = x[0];
    var s1 = x[1];
    var s2 = x[2];
    var s3 = x[3];
    var s4 = x[4];
    var s5 = x[5];
    var s6 = x[6];
    var s7 = x[7];
    for (var i = 0u; i < params.rounds; i += 1u) {
        s0 = fma(s0, m, c); s1 = fma(s1, m, c); s2 = fma(s2, m, c); s3 = fma(s3, m, c);
        s4 = fma(s4, m, c); s5 = fma(s5, m, c); s6 = fma(s6, m, c); s7 = fma(s7, m, c);
        s0 = fma(s0, m, c); s1 = fma(s1, m, c); s2 = fma(s2, m, c); s3 = fma(s3, m, c);
        s4 = fma(s4, m, c); s5 = fma(s5, m, c); s6 = fma(s6, m, c); s7 = fma(s7, m, c);
        s0 = fma(s0, m, c); s1 = fma(s1, m, c); s2 = fma(s2, m, c); s3 = fma(s3, m, c);
        s4 = fma(s4, m, c); s5 = fma(s5, m, c); s6 = fma(s6, m, c); s7 = fma(s7, m, c);
        s0 = fma(s0, m, c); s1 = fma(s1, m, c); s2 = fma(s2, m, c); s3 = fma(s3, m, c);
        s4 = fma(s4, m, c); s5 = fma(s5, m, c); s6 = fma(s6, m, c); s7 = fma(s7, m, c);
    }
    y[linear_index(group, groups, local, 256u)] = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
}
