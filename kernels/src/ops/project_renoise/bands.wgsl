// The canvas of `project_renoise` in four bands of equally many rows, for canvases larger than a binding. A view's pixels lie
// close together, so nearly all invocations of a workgroup take the same branch.
@group(0) @binding(2) var<storage, read> band0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> band1: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> band2: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> band3: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<elem4>;

fn load_texel(t: vec2<u32>, q: u32) -> vec4<f32> {
    let rows = params.canvas_height / 4u;
    let i = ((t.y % rows) * params.canvas_width + t.x) * params.c4 + q;
    switch (t.y / rows) {
        case 0u: { return band0[i]; }
        case 1u: { return band1[i]; }
        case 2u: { return band2[i]; }
        default: { return band3[i]; }
    }
}

// Not used: a canvas that is the views needs no bands.
fn load_element(i: u32) -> vec4<f32> {
    return band0[i];
}
