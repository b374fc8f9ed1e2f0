// A torus's surface: canvas rows are the angle around the tube (theta), columns the angle around the axis (phi), both wrapping;
// X = (phi / 2 pi + 1/2) W, Y = (theta / 2 pi + 1/2) H. Needs angles.wgsl; words as in views.wgsl: 0, 1 the middle (phi, theta),
// 2 the ratio r of the outer to the inner radius, 3, 4 the spans of phi and theta, all angles in turns.
// A view pixel at fractions (x, y) in -1/2..1/2 (StochSync, Yeo et al. 2025): theta = middle + span y,
// phi = middle + span x 2 r / (r + 1 + (r - 1) cos theta): a view is as wide on the inner side as on the outer.
fn torus_stretch(cos_theta: f32, r: f32) -> f32 {
    return 2.0 * r / (r + 1.0 + (r - 1.0) * cos_theta);
}

fn torus_position(view: u32, p: vec2<f32>, size: vec2<f32>, canvas: vec2<f32>) -> vec2<f32> {
    let place = words[5u * view];
    let plane = p / size - 0.5;
    let theta = place.y + words[5u * view + 1u].x * plane.y;
    let phi = place.x + place.w * plane.x * torus_stretch(cos_sin_turns(theta).x, place.z);
    let turns = vec2<f32>(phi, theta) + 0.5;
    return (turns - floor(turns)) * canvas;
}

// phi and theta in turns, and cos theta.
fn torus_point(texel: vec2<i32>, canvas: vec2<i32>) -> vec3<f32> {
    let n = 2 * texel + 1 - canvas;
    let turns = 0.5 * vec2<f32>(n) / vec2<f32>(canvas);
    return vec3<f32>(turns, cos_sin_ratio(2 * n.y, canvas.y).x);
}

fn torus_seen(view: u32, point: vec3<f32>, size: vec2<f32>) -> Seen {
    let place = words[5u * view];
    let used = words[5u * view + 3u].zw;
    let away = point.xy - place.xy;
    let span = vec2<f32>(place.w * torus_stretch(point.z, place.z), words[5u * view + 1u].x);
    let plane = (away - round(away)) / span;
    let share = plane / used;
    let depth = 1.0 - max(abs(share.x), abs(share.y));
    // Words of nothing (all zero) show nothing.
    let inside = used.x > 0.0 && all(abs(plane) <= used);
    return Seen(inside, depth, inverseSqrt(1.0 + dot(share, share)), (plane + 0.5) * size);
}
