// Counts NaN and infinities by their bit pattern and finds the first. Floats cannot be trusted with this: WGSL lets an
// implementation assume that no NaN exists, and `x != x` is false for NaN on several.
// Layout: raw words. f32: one value a word, non-finite when all 8 exponent bits are set. f16: two values a word.
// Bindings: 0 words, 1 report { count, first } (first = 0xffffffff when there is none; set by the host before).
// Grid: one invocation per `per` words in strides of the whole grid, workgroups of 64.
struct Params { words: u32, half: u32, pad0: u32, pad1: u32 }
struct Report { count: atomic<u32>, first: atomic<u32>, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> report: Report;
@group(1) @binding(0) var<uniform> params: Params;

fn is_bad(bits: u32, mask: u32) -> u32 { return select(0u, 1u, (bits & mask) == mask); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let stride = groups.x * groups.y * 64u;
    var count = 0u;
    var first = 0xffffffffu;
    for (var i = linear_index(group, groups, local, 64u); i < params.words; i += stride) {
        let w = words[i];
        if (params.half != 0u) {
            let low = is_bad(w, 0x7c00u);
            let high = is_bad(w, 0x7c000000u);
            count += low + high;
            if (high != 0u) { first = min(first, 2u * i + 1u); }
            if (low != 0u) { first = min(first, 2u * i); }
        } else {
            let bad = is_bad(w, 0x7f800000u);
            count += bad;
            if (bad != 0u) { first = min(first, i); }
        }
    }
    if (count != 0u) {
        atomicAdd(&report.count, count);
        atomicMin(&report.first, first);
    }
}
