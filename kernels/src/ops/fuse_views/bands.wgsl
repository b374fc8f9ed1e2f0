// The canvas of `fuse_views` in four bands of equally many rows, for canvases larger than a binding; id = (column, row, 4-vector).
@group(0) @binding(4) var<storage, read_write> band0: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> band1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> band2: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> band3: array<vec4<f32>>;

fn place(id: vec3<u32>) -> u32 {
    return ((id.y % (params.canvas_height / 4u)) * params.canvas_width + id.x) * params.c4 + id.z;
}

fn load_texel(id: vec3<u32>) -> vec4<f32> {
    let i = place(id);
    switch (id.y / (params.canvas_height / 4u)) {
        case 0u: { return band0[i]; }
        case 1u: { return band1[i]; }
        case 2u: { return band2[i]; }
        default: { return band3[i]; }
    }
}

fn store_texel(id: vec3<u32>, value: vec4<f32>) {
    let i = place(id);
    switch (id.y / (params.canvas_height / 4u)) {
        case 0u: { band0[i] = value; }
        case 1u: { band1[i] = value; }
        case 2u: { band2[i] = value; }
        default: { band3[i] = value; }
    }
}
