// The canvas of `fuse_views` in one binding; id = (column, row, 4-vector).
@group(0) @binding(4) var<storage, read_write> canvas: array<vec4<f32>>;

fn load_texel(id: vec3<u32>) -> vec4<f32> {
    return canvas[(id.y * params.canvas_width + id.x) * params.c4 + id.z];
}

fn store_texel(id: vec3<u32>, value: vec4<f32>) {
    canvas[(id.y * params.canvas_width + id.x) * params.c4 + id.z] = value;
}
