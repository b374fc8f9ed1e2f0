// For attention.wgsl: a 4-vector of four keys (key_lane.x and the next, the last one repeated) and of their values.
fn keys4(at: u32, key_lane: vec2<u32>, stride: u32) -> mat4x4<f32> {
    let keys = min(vec4<u32>(key_lane.x) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.keys - 1u)) * stride + at;
    return mat4x4<f32>(ld(k[keys.x]), ld(k[keys.y]), ld(k[keys.z]), ld(k[keys.w]));
}

fn values4(at: u32, key_lane: vec2<u32>, stride: u32) -> mat4x4<f32> {
    let keys = min(vec4<u32>(key_lane.x) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.keys - 1u)) * stride + at;
    return mat4x4<f32>(ld(v[keys.x]), ld(v[keys.y]), ld(v[keys.z]), ld(v[keys.w]));
}
