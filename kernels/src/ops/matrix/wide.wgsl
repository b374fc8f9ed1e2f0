// Eight neighbouring halves as one load of 16 bytes: rows in multiples of eight. The conversion is exact; naga has no
// bitcast from words to halves.
alias Eight = vec4<u32>;
fn halves(v: vec2<u32>) -> vec4<f16> { return vec4<f16>(vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y))); }
fn low_half(v: Eight) -> vec4<f16> { return halves(v.xy); }
fn high_half(v: Eight) -> vec4<f16> { return halves(v.zw); }

//: block gemm_fetch
fn fetch_left(row: u32, k: u32, last: u32) -> Eight {
    if (!tail) { return a[(row + k) / 2u]; }
    // Past the end the left side is zero, and the weights repeat the end of their row.
    return select(vec4<u32>(), a[(row + min(k, last)) / 2u], k <= last);
}
fn fetch_right(row: u32, k: u32, last: u32) -> Eight {
    if (!tail) { return w[(row + k) / 2u]; }
    return w[(row + min(k, last)) / 2u];
}
//: end

//: block conv2d_fetch
fn fetch_left(tap: Tap, c: u32, last: u32) -> Eight {
    if (!tap.inside || (tail && c > last)) { return Eight(); }
    if (two_sources && c >= params.c4) { return skip[(tap.pixel * params.s4 + c - params.c4) / 2u]; }
    return x[(tap.pixel * params.c4 + c) / 2u];
}
fn fetch_right(row: u32, c: u32, last: u32) -> Eight {
    if (!tail) { return w[(row + c) / 2u]; }
    return w[(row + min(c, last)) / 2u];
}
//: end
