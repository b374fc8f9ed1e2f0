// As four.wgsl, one load for all four: each invocation loads the vector of one key, subgroup broadcasts hand it round.
// Needs: subgroups of at least 4, filled in the order of the workgroup (llvmpipe: 8).
fn keys4(at: u32, key_lane: vec2<u32>, stride: u32) -> mat4x4<f32> {
    let one = ld(k[at + min(key_lane.x + key_lane.y % 4u, params.keys - 1u) * stride]);
    return mat4x4<f32>(subgroupBroadcast(one, 0u), subgroupBroadcast(one, 1u),
                       subgroupBroadcast(one, 2u), subgroupBroadcast(one, 3u));
}

fn values4(at: u32, key_lane: vec2<u32>, stride: u32) -> mat4x4<f32> {
    let one = ld(v[at + min(key_lane.x + key_lane.y % 4u, params.keys - 1u) * stride]);
    return mat4x4<f32>(subgroupBroadcast(one, 0u), subgroupBroadcast(one, 1u),
                       subgroupBroadcast(one, 2u), subgroupBroadcast(one, 3u));
}
