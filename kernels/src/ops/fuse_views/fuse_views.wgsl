// z(texel) = sum_v w_v clamp(gain view_v(texel) + offset, lo, hi) / sum_v w_v over the views whose used field holds the texel;
// canvas = (1 - blend) canvas + blend z where there is one, unchanged elsewhere; coverage = sum_v w_v.
// A gather per canvas texel in the order of the views: WGSL has no float atomics, and so the result is deterministic.
// WEIGHT 0 count: 1. 1 feather: rises from the border of the used field to 1 at `feather` of the way to its middle.
// 2 cosine: cos(angle to the view's axis)^exponent. 3 winner: the largest cosine^exponent alone; the first wins a tie.
// No weight is below 1e-4, so that "covered" does not depend on the mode.
// REGIONS 1: the weight of a view of region r >= 0 is multiplied by regions[r, texel]; where that is 0 it does not show it.
// Layout: views [V, h, w, C] elem4; canvas [Hc, Wc, C] f32; coverage [Hc, Wc] and regions [R, Hc, Wc] f32, rows padded to 4.
// Bindings: 0 views, 1 words f32 [V, 20], 2 regions (scratch when REGIONS is 0), 3 coverage, then the canvas, in place:
// canvas.wgsl or bands.wgsl.
// Grid: tiles of 8 x 8 texels (rows padded to 4), z the 4-vector of a texel. Two dimensions for locality and because every
// integer division of an index is dear on CPU adapters (a linear grid with seven of them took 1.5 times as long on lavapipe).
// Numerics: f32. Needs angles.wgsl, views.wgsl, panorama.wgsl, windows.wgsl, torus.wgsl.
struct Params {
    gain: f32, offset: f32, lo: f32, hi: f32,
    blend: f32, feather: f32, exponent: f32, views: u32,
    pad0: u32, c4: u32, channels: u32, width: u32,
    height: u32, canvas_width: u32, canvas_height: u32, padded_width: u32,
}

override WEIGHT: u32 = 0u;
override BILINEAR: u32 = 0u;
override REGIONS: u32 = 0u;

@group(0) @binding(0) var<storage, read> views: array<elem4>;
@group(0) @binding(1) var<storage, read> words: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> regions: array<f32>;
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

fn weight(seen: Seen) -> f32 {
    if (WEIGHT == 0u) {
        return 1.0;
    }
    if (WEIGHT == 1u) {
        return clamp(seen.depth / params.feather, 1e-4, 1.0);
    }
    return max(pow(seen.cosine, params.exponent), 1e-4);
}

fn region_weight(view: u32, column: u32, row: u32) -> f32 {
    let region = region_of(view);
    if (REGIONS == 0u || region < 0) {
        return 1.0;
    }
    let at = (u32(region) * params.canvas_height + row) * params.padded_width + column;
    // A region that is none has no texels.
    if (at >= arrayLength(&regions)) {
        return 0.0;
    }
    return regions[at];
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
    let whole = vec2<u32>(params.canvas_width, params.canvas_height);
    let point = texel_point(vec2<i32>(id.xy), vec2<i32>(whole));
    let size = vec2<f32>(vec2<u32>(params.width, params.height));
    var sum = vec4<f32>(0.0);
    var total = 0.0;
    for (var view = 0u; view < params.views; view++) {
        let seen = seen_at(view, point, size, vec2<f32>(whole));
        if (seen.inside) {
            let w = weight(seen) * region_weight(view, column, row);
            if (WEIGHT == 3u) {
                if (w > total) {
                    total = w;
                    sum = w * sample_view(view, seen.position, q);
                }
            } else if (w > 0.0) {
                total += w;
                sum += w * sample_view(view, seen.position, q);
            }
        }
    }
    if (q == 0u) {
        coverage[row * params.padded_width + column] = total;
    }
    if (total > 0.0) {
        let lanes = vec4<u32>(4u * q) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.channels);
        let z = select(vec4<f32>(0.0), sum / total, lanes);
        // A canvas that is replaced is not read: it may hold anything.
        if (params.blend == 1.0) {
            store_texel(id, z);
        } else {
            store_texel(id, mix(load_texel(id), z, params.blend));
        }
    }
}
