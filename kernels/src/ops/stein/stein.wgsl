// Stein variational gradient of B particles with a Gaussian kernel (Liu and Wang 2016, in the form of collaborative score
// distillation, Kim et al. 2023, with the sign of the authors' code, which repels under descent):
//   out_i = scale sum_j K_ij (delta_j - (2/h) (X_i - X_j)),  K_ij = exp(-D_ij / h),  h = median(D) / log
//   delta_j = sum_k share_kj (target_kj - source_kj) over the prompts k
// SOURCE 0: sources are estimates. SOURCE 1: sources are clean values y, and what is subtracted is the noise in particle kj,
// (X_kj - signal y_kj) / sigma. SHARES 0: one prompt, whose share is 1. COUPLED 0: K_ij = 1 where i = j and 0 elsewhere.
// The median is the rank-th of the pairs' distances, found exactly: its bits, one by one, by counting what lies below. RANK_NONE
// and a median of zero (equal particles, or one) mean K = 1 and no repulsion.
// Layout: distances [B (B - 1) / 2] as distances.wgsl has them, particles and targets [P B, h, w, C] prompt by prompt, of which the
// kernel compares the first B; sources like targets or [B, h, w, C]; shares [P B]; out [B, h, w, C]. All f32.
// Bindings: 0 distances, 1 particles, 2 targets, 3 sources, 4 shares (scratch when SHARES is 0), 5 out, 6 report { count, first }.
// Grid: x: workgroups of 64 elem4 of a particle; y: slabs of 32 particles, in tiles of 8. K of a tile and 64 partners at a time is
// in workgroup memory.
// Numerics: f32, partners in order. Values that are not finite are counted in the report and left out (zero), as in `finite`.
// Rejected: a median per tile instead of per slab (64 particles: +75 % of the arithmetic), D twice for both orders of a pair.
struct Params {
    count: u32, quads: u32, prompts: u32, source_rows: u32,
    rank: u32, pairs: u32, scale: f32, log: f32,
    signal: f32, inverse_sigma: f32, pad0: u32, pad1: u32,
}
struct Report { count: atomic<u32>, first: atomic<u32>, pad0: u32, pad1: u32 }

override COUPLED: u32 = 1u;
override SOURCE: u32 = 0u;
override SHARES: u32 = 0u;

const RANK_NONE: u32 = 0xffffffffu;
const TILE: u32 = 8u;
const SLAB: u32 = 32u;
const CHUNK: u32 = 64u;

@group(0) @binding(0) var<storage, read> distances: array<f32>;
@group(0) @binding(1) var<storage, read> particles: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> targets: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> sources: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> shares: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> report: Report;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> below: array<atomic<u32>, 32>;
var<workgroup> similar: array<f32, 512>;

// The distance of this rank: the largest number of which no more than `rank` distances lie below. Bits of positive floats
// order as they do.
fn median(local: u32) -> f32 {
    if (local < 32u) {
        atomicStore(&below[local], 0u);
    }
    workgroupBarrier();
    var bits = 0u;
    for (var bit = 0u; bit < 31u; bit++) {
        let trial = bits | (1u << (30u - bit));
        var mine = 0u;
        for (var k = local; k < params.pairs; k += 64u) {
            mine += select(0u, 1u, bitcast<u32>(distances[k]) < trial);
        }
        atomicAdd(&below[bit], mine);
        workgroupBarrier();
        if (atomicLoad(&below[bit]) <= params.rank) {
            bits = trial;
        }
    }
    return bitcast<f32>(bits);
}

fn distance_of(i: u32, j: u32) -> f32 {
    let low = min(i, j);
    let high = max(i, j);
    // One particle has no pair; equal indices are answered before.
    return distances[low * (2u * params.count - low - 1u) / 2u + high - low - 1u];
}

fn delta(j: u32, q: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var k = 0u; k < params.prompts; k++) {
        let row = k * params.count + j;
        let at = row * params.quads + q;
        var source = sources[(k * params.source_rows + j) * params.quads + q];
        if (SOURCE == 1u) {
            source = params.inverse_sigma * (particles[at] - params.signal * source);
        }
        var share = 1.0;
        if (SHARES == 1u) {
            share = shares[row];
        }
        sum += share * (targets[at] - source);
    }
    return sum;
}

fn write(i: u32, q: u32, sum: vec4<f32>) {
    let at = i * params.quads + q;
    var value = params.scale * sum;
    let bad = (bitcast<vec4<u32>>(value) & vec4<u32>(0x7f800000u)) == vec4<u32>(0x7f800000u);
    if (any(bad)) {
        atomicAdd(&report.count, dot(vec4<u32>(1u), select(vec4<u32>(0u), vec4<u32>(1u), bad)));
        atomicMin(&report.first, 4u * at + select(select(select(3u, 2u, bad.z), 1u, bad.y), 0u, bad.x));
        value = select(value, vec4<f32>(0.0), bad);
    }
    out[at] = value;
}

// K of a tile's particles and a chunk of partners. Equal particles are at distance zero whether they are one or two.
fn fill(first: u32, chunk: u32, inverse: f32, local: u32) {
    for (var k = local; k < TILE * CHUNK; k += 64u) {
        let i = first + k / CHUNK;
        let j = chunk + k % CHUNK;
        var value = 1.0;
        if (i < params.count && j < params.count && i != j && inverse > 0.0) {
            value = exp(-inverse * distance_of(i, j));
        }
        similar[k] = value;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let q = group.x * 64u + local;
    let inside = q < params.quads;
    let last = min((group.y + 1u) * SLAB, params.count);
    if (COUPLED == 0u) {
        for (var i = group.y * SLAB; i < last && inside; i++) {
            write(i, q, delta(i, q));
        }
        return;
    }
    var inverse = 0.0;
    if (params.rank != RANK_NONE) {
        let middle = median(local);
        // Below the normal numbers, 1/h is as infinite as for zero.
        if (middle > 1e-30 && bitcast<u32>(middle) < 0x7f800000u) {
            inverse = params.log / middle;
        }
    }
    for (var first = group.y * SLAB; first < last; first += TILE) {
        var own: array<vec4<f32>, 8>;
        var sums: array<vec4<f32>, 8>;
        for (var t = 0u; t < TILE; t++) {
            sums[t] = vec4<f32>(0.0);
            own[t] = vec4<f32>(0.0);
            if (inside && first + t < params.count) {
                own[t] = particles[(first + t) * params.quads + q];
            }
        }
        for (var chunk = 0u; chunk < params.count; chunk += CHUNK) {
            workgroupBarrier();
            fill(first, chunk, inverse, local);
            workgroupBarrier();
            for (var j = chunk; inside && j < min(chunk + CHUNK, params.count); j++) {
                let d = delta(j, q);
                let x = particles[j * params.quads + q];
                for (var t = 0u; t < TILE; t++) {
                    sums[t] += similar[t * CHUNK + j - chunk] * (d - 2.0 * inverse * (own[t] - x));
                }
            }
        }
        for (var t = 0u; t < TILE; t++) {
            if (inside && first + t < params.count) {
                write(first + t, q, sums[t]);
            }
        }
    }
}
