// D_ij = |X_i - X_j|^2 of every pair of particles i < j, the distances of a Stein kernel.
// Layout: particles [B', h, w, C] f32, B' >= B; distances [B (B - 1) / 2] f32, pairs (0,1), (0,2), .., (1,2), ...
// Bindings: 0 particles, 1 distances.
// Grid: (B - 1) x (B - 1) workgroups of 64, one a pair; those of j <= i have nothing to do.
// Numerics: f32. Each invocation adds its squares in blocks of 16, blocks to a total, and one adds the 64 totals in eights: no
// chain is long, and the order follows the particle's own size. Pad lanes of particles are zero and add nothing.
struct Params { count: u32, quads: u32, pairs: u32, pad0: u32 }

@group(0) @binding(0) var<storage, read> particles: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> distances: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> totals: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = group.y;
    let j = group.x + 1u;
    if (j <= i) {
        return;
    }
    var total = vec4<f32>(0.0);
    for (var first = local; first < params.quads; first += 1024u) {
        var block = vec4<f32>(0.0);
        for (var q = first; q < min(first + 1024u, params.quads); q += 64u) {
            let d = particles[i * params.quads + q] - particles[j * params.quads + q];
            block += d * d;
        }
        total += block;
    }
    totals[local] = (total.x + total.y) + (total.z + total.w);
    workgroupBarrier();
    if (local > 0u) {
        return;
    }
    var sum = 0.0;
    for (var block = 0u; block < 64u; block += 8u) {
        var eight = 0.0;
        for (var k = block; k < block + 8u; k++) {
            eight += totals[k];
        }
        sum += eight;
    }
    distances[i * (2u * params.count - i - 1u) / 2u + j - i - 1u] = sum;
    if (j == 1u) {
        // Pad lanes.
        for (var k = params.pairs; k % 4u != 0u; k++) {
            distances[k] = 0.0;
        }
    }
}
