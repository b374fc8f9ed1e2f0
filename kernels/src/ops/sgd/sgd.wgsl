// Gradient descent without momentum on a canvas, from the sums of `scatter_views`, which are cleared:
//   canvas -= rate sum / 2^20, with HITS divided by hits / 2^20: the mean over the views that saw a texel
// A texel that no view saw is not written. A sum of 2^10 or more is out of the range that is safe and counted in the report, as in
// `finite`; the texel stays.
// Layout: sums i32 [Hc, Wc, C] and hits i32 [Hc, Wc] in units of 2^-20; canvas [Hc, Wc, C] f32. All updated in place.
// Bindings: 0 sums, 1 hits (scratch when HITS is 0), 2 report { count, first }, 3 canvas.
// Grid: tiles of 8 x 8 texels; one invocation takes all channels of a texel, whose hits it clears. Numerics: f32; pad lanes have
// zero sums and stay zero.
struct Params { rate: f32, c4: u32, width: u32, height: u32, padded_width: u32, pad0: u32, pad1: u32, pad2: u32 }
struct Report { count: atomic<u32>, first: atomic<u32>, pad0: u32, pad1: u32 }

override HITS: u32 = 0u;

@group(0) @binding(0) var<storage, read_write> sums: array<vec4<i32>>;
@group(0) @binding(1) var<storage, read_write> hits: array<i32>;
@group(0) @binding(2) var<storage, read_write> report: Report;
@group(0) @binding(3) var<storage, read_write> canvas: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width || id.y >= params.height) {
        return;
    }
    var divisor = 1048576.0;
    var seen = true;
    if (HITS == 1u) {
        let h = id.y * params.padded_width + id.x;
        let hit = hits[h];
        seen = hit > 0;
        divisor = f32(max(hit, 1));
        hits[h] = 0;
    }
    let first = (id.y * params.width + id.x) * params.c4;
    for (var i = first; i < first + params.c4; i++) {
        let sum = sums[i];
        let bad = (sum >= vec4<i32>(1 << 30u)) | (sum <= vec4<i32>(-(1 << 30u)));
        if (any(bad)) {
            atomicAdd(&report.count, dot(vec4<u32>(1u), select(vec4<u32>(0u), vec4<u32>(1u), bad)));
            atomicMin(&report.first, 4u * i + select(select(select(3u, 2u, bad.z), 1u, bad.y), 0u, bad.x));
        } else if (seen) {
            // Divided before the rate, so that a mean of equal values is that value.
            canvas[i] -= params.rate * (vec4<f32>(sum) / divisor);
        }
        sums[i] = vec4<i32>(0);
    }
}
