// The roof of memory: y = x.
// Layout and bindings: 0 x, 1 y, as many elem4 each as there are invocations.
// Grid: linear, workgroups of 256. Numerics: exact.
@group(0) @binding(0) var<storage, read> x: array<elem4>;
@group(0) @binding(1) var<storage, read_write> y: array<elem4>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, 256u);
    y[i] = x[i];
}
