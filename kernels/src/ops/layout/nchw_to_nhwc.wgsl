// y[b, i, j, c] = x[b, c, i, j]: planes (files, reference noise) to pixels.
// Layout: x [B, C, h, w], rows padded to 4 columns; y [B, h, w, C], pixels padded to 4 channels.
// Bindings: 0 x, 1 y. Grid: one invocation per block of 4 columns x 4 channels, workgroups of 64.
// Numerics: exact.
struct Params { count: u32, c4: u32, w4: u32, channels: u32, height: u32, width: u32, pad0: u32, pad1: u32 }

@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let block = linear_index(group, groups, local, 64u);
    if (block >= params.count) {
        return;
    }
    let q = block % params.c4;
    let column = (block / params.c4) % params.w4;
    let line = block / (params.c4 * params.w4);
    let image = line / params.height;
    let i = line % params.height;
    var lanes = mat4x4<f32>();
    for (var k = 0u; k < 4u; k++) {
        let channel = 4u * q + k;
        if (channel < params.channels) {
            lanes[k] = ld(x[((image * params.channels + channel) * params.height + i) * params.w4 + column]);
        }
    }
    let pixels = transpose(lanes);
    for (var k = 0u; k < 4u; k++) {
        let j = 4u * column + k;
        if (j < params.width) {
            y[(line * params.width + j) * params.c4 + q] = st(pixels[k]);
        }
    }
}
