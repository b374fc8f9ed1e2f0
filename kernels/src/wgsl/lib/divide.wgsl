// n / d and n % d for n < 2^24 with a quotient below 2^21, by a float estimate: WGSL's division is within 2.5 ULP, that
// is 0.63 here, so the estimate is at most one off. Integer division of vectors is done lane by lane on CPUs and takes
// tens of instructions on GPUs.
fn divide(n: u32, d: u32) -> vec2<u32> {
    let estimate = u32(f32(n) / f32(d));
    let low = select(estimate, estimate - 1u, estimate * d > n);
    let quotient = select(low, low + 1u, n - low * d >= d);
    return vec2<u32>(quotient, n - quotient * d);
}
