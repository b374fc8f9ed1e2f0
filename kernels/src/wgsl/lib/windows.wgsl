// Windows of a flat canvas: canvas position = middle + scale (p - half the view), in pixels of the nominal canvas. Words as in
// views.wgsl: 0, 1 the middle, 2, 3 canvas pixels per view pixel. Whole and half positions are exact. Where the canvas wraps a
// texel belongs to the periodic image of the window whose middle is nearest, so a view shows it at most once.
fn window_position(view: u32, p: vec2<f32>, size: vec2<f32>, canvas: vec2<f32>) -> vec2<f32> {
    let place = words[5u * view];
    let nominal = words[5u * view + 3u].xy;
    let whole = words[5u * view + 4u].yz;
    let at = (place.xy + place.zw * (p * ratio(nominal, size) - 0.5 * nominal)) * ratio(canvas, whole);
    return select(at, at - canvas * floor(at / canvas), wrap_of(view));
}

fn window_seen(view: u32, texel: vec2<f32>, size: vec2<f32>, canvas: vec2<f32>) -> Seen {
    let place = words[5u * view];
    let field = words[5u * view + 3u];
    let whole = words[5u * view + 4u].yz;
    let away = texel * ratio(whole, canvas) - place.xy;
    let plane = select(away, away - whole * round(away / whole), wrap_of(view)) / place.zw;
    let share = plane / field.zw;
    let depth = 1.0 - max(abs(share.x), abs(share.y));
    let position = (plane + 0.5 * field.xy) * ratio(size, field.xy);
    // Words of nothing (all zero) show nothing.
    let inside = field.z > 0.0 && all(abs(plane) <= field.zw);
    return Seen(inside, depth, inverseSqrt(1.0 + dot(share, share)), position);
}
