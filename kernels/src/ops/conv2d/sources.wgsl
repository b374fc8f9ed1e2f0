// Four channels of what a tap reads, zero outside the image.
fn x_at(tap: Tap, c: u32) -> vec4<f32> {
    return select(vec4<f32>(), ld(x[tap.pixel * params.c4 + c]), tap.inside);
}

fn skip_at(tap: Tap, c: u32) -> vec4<f32> {
    return select(vec4<f32>(), ld(skip[tap.pixel * params.s4 + c]), tap.inside);
}
