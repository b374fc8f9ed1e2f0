// The canvas of `project_renoise` in one binding.
@group(0) @binding(2) var<storage, read> canvas: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<elem4>;

fn load_texel(t: vec2<u32>, q: u32) -> vec4<f32> {
    return canvas[(t.y * params.canvas_width + t.x) * params.c4 + q];
}

fn load_element(i: u32) -> vec4<f32> {
    return canvas[i];
}
