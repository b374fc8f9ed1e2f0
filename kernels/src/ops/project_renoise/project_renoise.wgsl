// out[v, y, x, :] = signal (gain canvas(position of pixel (y, x) of view v) + offset) + sigma xi: gather a view from the canvas
// and noise it to a level in one dispatch. Clean values are gathered, never noisy ones.
// SPACE 0: the canvas is the views themselves, [V, h, w, C] (renoise encoded latents); else [Hc, Wc, C], see views.wgsl.
// Layout: canvas f32; out [V, h, w, C] elem4. xi: element of view views[v], as in `noise`.
// Bindings: 0 words f32 [V, 20] (scratch when SPACE is 0), 1 views u32 [V], then canvas and out: canvas.wgsl or bands.wgsl.
// Grid: tiles of 8 x 8 pixels, z the view and within it the 4-vector of a pixel.
// Numerics: f32; positions to 1e-3 texel at 8192 x 4096. Where the canvas does not wrap, its border is continued.
// Needs philox.wgsl, angles.wgsl, views.wgsl, panorama.wgsl, windows.wgsl, torus.wgsl.
struct Params {
    key: vec4<u32>,
    signal: f32, sigma: f32, gain: f32, offset: f32,
    pad0: u32, c4: u32, channels: u32, width: u32,
    height: u32, canvas_width: u32, canvas_height: u32, pad1: u32,
}

// 0 nearest, 1 bilinear.
override BILINEAR: u32 = 0u;

@group(0) @binding(0) var<storage, read> words: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> views: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

fn texel(at: vec2<i32>, wrap: vec2<bool>, q: u32) -> vec4<f32> {
    let t = texel_index(at, vec2<i32>(vec2<u32>(params.canvas_width, params.canvas_height)), wrap);
    return load_texel(t, q);
}

fn sample_canvas(position: vec2<f32>, wrap: vec2<bool>, q: u32) -> vec4<f32> {
    if (BILINEAR == 0u) {
        return texel(vec2<i32>(floor(position)), wrap, q);
    }
    let corner = floor(position - 0.5);
    let f = position - 0.5 - corner;
    let at = vec2<i32>(corner);
    let top = mix(texel(at, wrap, q), texel(at + vec2<i32>(1, 0), wrap, q), f.x);
    let bottom = mix(texel(at + vec2<i32>(0, 1), wrap, q), texel(at + vec2<i32>(1, 1), wrap, q), f.x);
    return mix(top, bottom, f.y);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width || id.y >= params.height) {
        return;
    }
    let view = id.z / params.c4;
    let q = id.z % params.c4;
    let channel = 4u * q;
    let pixel = id.y * params.width + id.x;
    let i = (view * params.width * params.height + pixel) * params.c4 + q;
    var value: vec4<f32>;
    if (SPACE == 0u) {
        value = load_element(i);
    } else {
        let size = vec2<f32>(vec2<u32>(params.width, params.height));
        let whole = vec2<f32>(vec2<u32>(params.canvas_width, params.canvas_height));
        value = sample_canvas(canvas_position(view, vec2<f32>(id.xy) + 0.5, size, whole), wrap_of(view), q);
    }
    value = params.signal * (params.gain * value + params.offset);
    if (params.sigma != 0.0) {
        value += params.sigma * noise4(params.key, views[view], pixel * params.channels + channel, params.channels - channel);
    }
    // The offset reaches the pad lanes, too; they are zero by contract.
    let lanes = vec4<u32>(channel) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.channels);
    out[i] = st(select(vec4<f32>(0.0), value, lanes));
}
