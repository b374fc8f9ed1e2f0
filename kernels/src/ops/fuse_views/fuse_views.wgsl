// z(texel) = sum_v w_v clamp(gain view_v(texel) + offset, lo, hi) / sum_v w_v over the views whose used field holds the texel;
// canvas = (1 - blend) canvas + blend z where there is one, unchanged elsewhere; coverage = sum_v w_v.
// A gather per canvas texel in the order of the views: WGSL has no float atomics, and so the result is deterministic.
// WEIGHT 0 count: 1. 1 feather: rises from the border of the used field to 1 at `feather` of the way to its middle.
// 2 cosine: cos(angle to the optical axis)^exponent. 3 winner: the largest cosine^exponent alone; the first wins a tie.
// No weight is below 1e-4, so that "covered" does not depend on the mode.
// Layout: views [V, h, w, C] elem4; canvas [Hc, Wc, C] f32 equirectangular; coverage [Hc, Wc] f32, rows padded to 4.
// Bindings: 0 views, 1 cameras f32 [V, 16], 2 canvas (in place), 3 coverage.
// Grid: tiles of 8 x 8 texels (rows padded to 4), z the 4-vector of a texel. Two dimensions for locality and because every
// integer division of an index is dear on CPU adapters (a linear grid with seven of them took 1.5 times as long on lavapipe).
// Numerics: f32. Needs angles.wgsl, panorama.wgsl.
struct Params {
    gain: f32, offset: f32, lo: f32, hi: f32,
    blend: f32, feather: f32, exponent: f32, views: u32,
    pad0: u32, c4: u32, channels: u32, width: u32,
    height: u32, canvas_width: u32, canvas_height: u32, padded_width: u32,
}

override WEIGHT: u32 = 0u;
override BILINEAR: u32 = 0u;

@group(0) @binding(0) var<storage, read> views: array<elem4>;
@group(0) @binding(1) var<storage, read> cameras: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> canvas: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> coverage: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn pixel(view: u32, at: vec2<i32>, q: u32) -> vec4<f32> {
    let size = vec2<u32>(params.width, params.height);
    let p = vec2<u32>(clamp(at, vec2<i32>(0), vec2<i32>(size) - 1));
    let value = ld(views[((view * size.y + p.y) * size.x + p.x) * params.c4 + q]);
    let scaled = params.gain * value + params.offset;
    // clamp would turn NaN into a number and infinity into a pixel; a failed decoder must stay visible.
    let finite = (bitcast<vec4<u32>>(scaled) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
    return select(scaled, clamp(scaled, vec4<f32>(params.lo), vec4<f32>(params.hi)), finite);
}

fn sample_view(view: u32, position: vec2<f32>, q: u32) -> vec4<f32> {
    if (BILINEAR == 0u) {
        return pixel(view, vec2<i32>(floor(position)), q);
    }
    let corner = floor(position - 0.5);
    let f = position - 0.5 - corner;
    let at = vec2<i32>(corner);
    let top = mix(pixel(view, at, q), pixel(view, at + vec2<i32>(1, 0), q), f.x);
    let bottom = mix(pixel(view, at + vec2<i32>(0, 1), q), pixel(view, at + vec2<i32>(1, 1), q), f.x);
    return mix(top, bottom, f.y);
}

// `tangent` inside the used field; `cosine` of the angle to the optical axis.
fn weight(cam: Camera, tangent: vec2<f32>, cosine: f32) -> f32 {
    if (WEIGHT == 0u) {
        return 1.0;
    }
    if (WEIGHT == 1u) {
        let depth = (cam.used - abs(tangent)) / cam.used;
        return clamp(min(depth.x, depth.y) / params.feather, 1e-4, 1.0);
    }
    return max(pow(cosine, params.exponent), 1e-4);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x;
    let row = id.y;
    let q = id.z;
    if (column >= params.padded_width || row >= params.canvas_height) {
        return;
    }
    if (column >= params.canvas_width) {
        if (q == 0u) {
            coverage[row * params.padded_width + column] = 0.0;
        }
        return;
    }
    let ray = equirect_ray(vec2<i32>(vec2<u32>(column, row)),
        vec2<i32>(vec2<u32>(params.canvas_width, params.canvas_height)));
    let size = vec2<f32>(vec2<u32>(params.width, params.height));
    var sum = vec4<f32>(0.0);
    var total = 0.0;
    for (var view = 0u; view < params.views; view++) {
        let cam = camera_of(view);
        let d = to_camera(cam, ray);
        // The ray has unit length: d.z is the cosine.
        if (d.z > 1e-6 && all(abs(d.xy) <= cam.used * d.z)) {
            let tangent = d.xy / d.z;
            let w = weight(cam, tangent, d.z);
            if (WEIGHT == 3u) {
                if (w > total) {
                    total = w;
                    sum = w * sample_view(view, view_position(cam, tangent, size), q);
                }
            } else {
                total += w;
                sum += w * sample_view(view, view_position(cam, tangent, size), q);
            }
        }
    }
    if (q == 0u) {
        coverage[row * params.padded_width + column] = total;
    }
    if (total > 0.0) {
        let at = (row * params.canvas_width + column) * params.c4 + q;
        let lanes = vec4<u32>(4u * q) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.channels);
        let z = select(vec4<f32>(0.0), sum / total, lanes);
        // A canvas that is replaced is not read: it may hold anything.
        if (params.blend == 1.0) {
            canvas[at] = z;
        } else {
            canvas[at] = mix(canvas[at], z, params.blend);
        }
    }
}
