// Where views lie in a canvas: the same two questions for every space, in one convention for both directions.
//   canvas_position(view, p, ...): the canvas position of pixel position p of a view.
//   texel_point(texel, ...) and seen_at(view, point, ...): where the centre of a canvas texel lies in a view.
// Pixel and texel centres are at + 0.5. Needs angles.wgsl, panorama.wgsl, windows.wgsl, torus.wgsl and a binding
// `words: array<vec4<f32>>`, five vectors a view (see ops/views):
//   Numbers 0 to 11 belong to the space; 12, 13 the view's size and 14, 15 half the field in use, in units of the space;
//   16 the region (-1: none); 17, 18 the canvas's size in the units of the view's numbers; 19 wrap: 1 columns + 2 rows.
// Sizes in words are nominal: kernels scale them to the tensors' own, so the same words serve pixels and latents.
// SPACE 0: none, the canvas is the views. 1: windows of a flat canvas. 2: pinhole cameras and 3: equi-angular faces of an
// equirectangular canvas. 4: torus.
override SPACE: u32 = 0u;

// A texel in a view: inside the field in use; `depth` from its border (0) to its middle (1); `cosine` of the angle to its axis
// (flat views: of a camera with a field of 90 degrees); `position` in pixels.
struct Seen { inside: bool, depth: f32, cosine: f32, position: vec2<f32> }

// a / b, exactly 1 where they are equal: division may be off by 2.5 ulp, and whole positions should stay whole.
fn ratio(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return select(a / b, vec2<f32>(1.0), a == b);
}

// Whether the columns (x) and rows (y) of the view's canvas wrap around.
fn wrap_of(view: u32) -> vec2<bool> {
    let bits = words[5u * view + 4u].w;
    return vec2<bool>(bits == 1.0 || bits == 3.0, bits >= 2.0);
}

fn region_of(view: u32) -> i32 {
    return i32(words[5u * view + 4u].x);
}

// Canvas position, in texels, of pixel position p of a view that is `size` pixels large. Where the canvas wraps it may lie
// up to rounding outside; where it does not, anywhere.
fn canvas_position(view: u32, p: vec2<f32>, size: vec2<f32>, canvas: vec2<f32>) -> vec2<f32> {
    if (SPACE == 1u) {
        return window_position(view, p, size, canvas);
    } else if (SPACE == 4u) {
        return torus_position(view, p, size, canvas);
    }
    let cam = camera_of(view);
    let plane = (p * ratio(cam.size, size) - cam.principal) / cam.focal;
    if (SPACE == 3u) {
        return equirect_position(to_world(cam, face_direction(plane)), canvas);
    }
    return equirect_position(to_world(cam, vec3<f32>(plane, 1.0)), canvas);
}

// What seen_at needs of a texel, the same for all views: a direction, a position in the flat canvas, or the torus's angles.
fn texel_point(texel: vec2<i32>, canvas: vec2<i32>) -> vec3<f32> {
    if (SPACE == 1u) {
        return vec3<f32>(vec2<f32>(texel) + 0.5, 0.0);
    } else if (SPACE == 4u) {
        return torus_point(texel, canvas);
    }
    return equirect_ray(texel, canvas);
}

fn seen_at(view: u32, point: vec3<f32>, size: vec2<f32>, canvas: vec2<f32>) -> Seen {
    if (SPACE == 1u) {
        return window_seen(view, point.xy, size, canvas);
    } else if (SPACE == 4u) {
        return torus_seen(view, point, size);
    }
    let cam = camera_of(view);
    // The ray has unit length: d.z is the cosine.
    let d = to_camera(cam, point);
    let inside = d.z > 1e-6 && all(abs(d.xy) <= cam.used * d.z);
    if (!inside) {
        return Seen(false, 0.0, 0.0, vec2<f32>(0.0));
    }
    let tangent = d.xy / d.z;
    var plane = tangent;
    if (SPACE == 3u) {
        plane = vec2<f32>(atan2_turns(d.x, d.z), atan2_turns(d.y, d.z));
    }
    let depth = (cam.used - abs(tangent)) / cam.used;
    return Seen(true, min(depth.x, depth.y), d.z, (plane * cam.focal + cam.principal) * ratio(size, cam.size));
}

// i wrapped into 0..n from -n..2n, and never outside whatever i is.
fn wrap_index(i: i32, n: i32) -> i32 {
    return clamp(select(select(i, i - n, i >= n), i + n, i < 0), 0, n - 1);
}

// The texel (column, row) at an integer position: wrapped where the canvas wraps, else the nearest there is.
fn texel_index(at: vec2<i32>, canvas: vec2<i32>, wrap: vec2<bool>) -> vec2<u32> {
    let wrapped = vec2<i32>(wrap_index(at.x, canvas.x), wrap_index(at.y, canvas.y));
    return vec2<u32>(select(clamp(at, vec2<i32>(0), canvas - 1), wrapped, wrap));
}
