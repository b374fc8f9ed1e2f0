// Linear index of an invocation in a grid made by linear_grid: workgroups of `size` invocations, folded into y.
fn linear_index(group: vec3<u32>, groups: vec3<u32>, local: u32, size: u32) -> u32 {
    return (group.y * groups.x + group.x) * size + local;
}
