// Eight neighbouring halves as two loads of four: any row length that is a multiple of four.
struct Eight { low: vec4<f16>, high: vec4<f16> }
fn low_half(v: Eight) -> vec4<f16> { return v.low; }
fn high_half(v: Eight) -> vec4<f16> { return v.high; }

//: block gemm_fetch
fn fetch_left(row: u32, k: u32, last: u32) -> Eight {
    if (!tail) { return Eight(a[row + k], a[row + k + 1u]); }
    // Past the end the left side is zero, and the weights repeat the end of their row.
    return Eight(select(vec4<f16>(), a[row + min(k, last)], k <= last),
                 select(vec4<f16>(), a[row + min(k + 1u, last)], k < last));
}
fn fetch_right(row: u32, k: u32, last: u32) -> Eight {
    if (!tail) { return Eight(w[row + k], w[row + k + 1u]); }
    return Eight(w[row + min(k, last)], w[row + min(k + 1u, last)]);
}
//: end

//: block conv2d_fetch
fn source_at(tap: Tap, c: u32) -> vec4<f16> {
    if (two_sources && c >= params.c4) { return skip[tap.pixel * params.s4 + c - params.c4]; }
    return x[tap.pixel * params.c4 + c];
}
fn fetch_left(tap: Tap, c: u32, last: u32) -> Eight {
    if (!tap.inside || (tail && c > last)) { return Eight(); }
    if (!tail) { return Eight(source_at(tap, c), source_at(tap, c + 1u)); }
    return Eight(source_at(tap, c), select(vec4<f16>(), source_at(tap, min(c + 1u, last)), c < last));
}
fn fetch_right(row: u32, c: u32, last: u32) -> Eight {
    if (!tail) { return Eight(w[row + c], w[row + c + 1u]); }
    return Eight(w[row + min(c, last)], w[row + min(c + 1u, last)]);
}
//: end
