// Angles to the last bits on every adapter: WGSL only promises 2^-11 for cos and 4096 ulp for atan2, which is two texels of
// an 8192-wide panorama. Polynomials are minimax fits of our own; errors below 1e-8 before rounding.

// (cos, sin) of (quarter + rest) quarter turns, rest in -0.5..0.5.
fn cos_sin_quarters(quarter: i32, rest: f32) -> vec2<f32> {
    let z = rest * rest;
    let s = rest * (1.57079625 + z * (-0.645962954 + z * (0.0796759054 + z * -0.00459228922)));
    let c = 1.0 + z * (-1.23370051 + z * (0.253669232 + z * (-0.0208602883 + z * 0.000904021668)));
    let turned = select(vec2<f32>(c, s), vec2<f32>(-s, c), (quarter & 1) == 1);
    return select(turned, -turned, (quarter & 2) == 2);
}

// (cos, sin) of n / d quarter turns, d > 0. Which quarter is a matter of rounding; the rest is exact, in integers below 2^24.
fn cos_sin_ratio(n: i32, d: i32) -> vec2<f32> {
    let quarter = i32(floor(f32(n) / f32(d) + 0.5));
    return cos_sin_quarters(quarter, f32(n - quarter * d) / f32(d));
}

// (cos, sin) of an angle in turns, of magnitude below 1e6.
fn cos_sin_turns(turns: f32) -> vec2<f32> {
    let quarter = round(4.0 * turns);
    return cos_sin_quarters(i32(quarter), 4.0 * turns - quarter);
}

// The angle of (x, y) from the x axis towards y, in turns, -0.5..0.5; 0 for the null vector.
fn atan2_turns(y: f32, x: f32) -> f32 {
    let ax = abs(x);
    let ay = abs(y);
    let large = max(ax, ay);
    let small = min(ax, ay);
    // Beyond tan(pi / 8) the angle is counted from the diagonal.
    let diagonal = small > 0.414213562 * large;
    let n = select(small, small - large, diagonal);
    let d = select(large, small + large, diagonal);
    let a = n / max(d, 1e-30);
    let z = a * a;
    let t = a * (0.159154922 + z * (-0.0530498512 + z * (0.0317704566 + z * (-0.0218914654 + z * 0.0123099359))));
    let octant = t + select(0.0, 0.125, diagonal);
    let quadrant = select(octant, 0.25 - octant, ay > ax);
    let half = select(quadrant, 0.5 - quadrant, x < 0.0);
    return select(half, -half, y < 0.0);
}
