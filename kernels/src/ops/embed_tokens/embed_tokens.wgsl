// y[b, l] = table[ids[b, l]] + positions[l]: token and position embedding of a CLIP text encoder.
// Layout: ids [B, L] padded to `row` words a line; the table is up to four tensors of consecutive rows (a vocabulary may
// exceed one binding), f32 or f16 by HALF whatever elem4 is; positions [P, C], y [B, L, C] elem4.
// Bindings: 0 ids, 1-4 table, 5 positions, 6 y. Bindings of absent table parts repeat the first.
// Grid: one invocation per 4-vector of y, workgroups of 64.
// Numerics: one f32 addition. Needs: every id below the number of rows.
override HALF: bool = false;

struct Params { count: u32, quads: u32, length: u32, row: u32, ends: vec4<u32> }

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table0: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> table1: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> table2: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> table3: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read> positions: array<elem4>;
@group(0) @binding(6) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// Eight bytes: two f32, or four f16.
fn pair(id: u32, at: u32, width: u32) -> vec2<u32> {
    if (id < params.ends.x) { return table0[id * width + at]; }
    if (id < params.ends.y) { return table1[(id - params.ends.x) * width + at]; }
    if (id < params.ends.z) { return table2[(id - params.ends.y) * width + at]; }
    return table3[(id - params.ends.z) * width + at];
}

fn embedding(id: u32, q: u32) -> vec4<f32> {
    if (HALF) {
        let v = pair(id, q, params.quads);
        return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
    }
    let low = pair(id, 2u * q, 2u * params.quads);
    let high = pair(id, 2u * q + 1u, 2u * params.quads);
    return bitcast<vec4<f32>>(vec4<u32>(low, high));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let at = linear_index(group, groups, local, 64u);
    if (at >= params.count) { return; }
    let q = at % params.quads;
    let token = at / params.quads;
    let l = token % params.length;
    let id = ids[token / params.length * params.row + l];
    y[at] = st(embedding(id, q) + ld(positions[l * params.quads + q]));
}
