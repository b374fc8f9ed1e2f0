// x_k += push_k · mean over the other branches j of (clean_j - clean_k), for every branch k: each trajectory is moved toward what
// the others believe the clean picture to be (Coupled Diffusion Sampling, algorithm 1; push = lambda sqrt(1 - alpha_bar_next)).
// Simultaneous: clean estimates are only read. Views below `first` are left alone.
// Layout: x (in place), clean [P V, h, w, C] f32, branch after branch. Bindings: 0 clean, 1 x.
// Grid: one invocation per 4-vector of a branch, for all branches, workgroups of 64.
// Numerics: f32; differences are taken before anything is summed, so equal estimates are no push at all: x keeps its bits then, minus
// zero included, and with push 0. Needs grid.wgsl.
struct Params {
    push: array<vec4<f32>, 4>,
    share: f32,
    branches: u32, count: u32, first: u32,
}

@group(0) @binding(0) var<storage, read> clean: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 64u);
    if (i >= params.count || i < params.first) {
        return;
    }
    for (var k = 0u; k < params.branches; k++) {
        let push = params.push[k / 4u][k % 4u];
        let own = clean[k * params.count + i];
        var sum = vec4<f32>(0.0);
        for (var j = 0u; j < params.branches; j++) {
            if (j != k) {
                sum += clean[j * params.count + i] - own;
            }
        }
        let change = push * (params.share * sum);
        if (push != 0.0) {
            let old = x[k * params.count + i];
            x[k * params.count + i] = select(old + change, old, change == vec4<f32>(0.0));
        }
    }
}
