// Counter-based normal noise: Philox 4x32-10 (Salmon et al. 2011) and Box-Muller, f32. Needs angles.wgsl.
// key = (seed lo, seed hi); counter = (element / 4, step, view, stream), stream = trajectory ^ purpose.
// u(x) = ((x >> 8) + 0.5) / 2^24; words (0, 1) give elements 0 (cos) and 1 (sin) of the block, words (2, 3) elements 2, 3:
// r = sqrt(-2 ln u_even), theta = 2 pi u_odd. The logarithm and the sine are our own polynomials: WGSL lets log be off by
// 2^-21 next to 1 and cos by 2^-11, and a seed must mean the same picture on every adapter (here: to about 3e-7 of r).

// a * b as (low, high) words from 16-bit halves; the middle sum is at most 2^32 - 1.
fn mul_wide(a: u32, b: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let cross = a0 * b1;
    let middle = ((a0 * b0) >> 16u) + (cross & 0xffffu) + a1 * b0;
    return vec2<u32>(a * b, a1 * b1 + (cross >> 16u) + (middle >> 16u));
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        let p = mul_wide(0xd2511f53u, c.x);
        let q = mul_wide(0xcd9e8d57u, c.z);
        c = vec4<u32>(q.y ^ c.y ^ k.x, q.x, p.y ^ c.w ^ k.y, p.x);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// -ln((n + 0.5) / 2^24) for n < 2^24. From sqrt(1/2) up the distance to 1 is taken before rounding, where it is exact.
fn neg_log_unit(n: u32) -> f32 {
    let bits = bitcast<i32>((f32(n) + 0.5) * 5.9604644775390625e-8);
    let near_one = n >= 11863284u;
    let exponent = select((bits - 0x3f3504f3) >> 23u, 0, near_one);
    let below = bitcast<f32>(bits - (exponent << 23u)) - 1.0;
    let above = (f32(i32(n) - 16777215) - 0.5) * 5.9604644775390625e-8;
    let f = select(below, above, near_one);
    let low = 0.333333164 + f * (-0.250008106 + f * (0.200022861 + f * -0.166245535));
    let high = 0.141811922 + f * (-0.131287545 + f * (0.128816471 + f * -0.0785961151));
    let f2 = f * f;
    return -(f32(exponent) * 0.693147182 + (f - 0.5 * f2 + f2 * f * (low + f2 * f2 * high)));
}

// cos and sin of 2 pi (n + 0.5) / 2^24: the quarter turn is split off in integers, so the rest is exact.
fn unit_circle(n: u32) -> vec2<f32> {
    let quarter = (n + 0x200000u) >> 22u;
    let rest = (f32(i32(n) - i32(quarter << 22u)) + 0.5) * 2.384185791015625e-7;
    return cos_sin_quarters(i32(quarter), rest);
}

// The four normals of one block.
fn normal_block(key: vec4<u32>, view: u32, block: u32) -> vec4<f32> {
    let n = philox(vec4<u32>(block, key.z, view, key.w), key.xy) >> vec4<u32>(8u);
    let r = sqrt(2.0 * vec2<f32>(neg_log_unit(n.x), neg_log_unit(n.z)));
    return vec4<f32>(r.x * unit_circle(n.y), r.y * unit_circle(n.w));
}

// Elements first .. first + lanes of a view, zero in the pad lanes after them. key = (seed lo, seed hi, step, stream).
fn noise4(key: vec4<u32>, view: u32, first: u32, lanes: u32) -> vec4<f32> {
    let block = first >> 2u;
    let shift = first & 3u;
    var z = normal_block(key, view, block);
    if (shift != 0u) {
        let next = normal_block(key, view, block + 1u);
        let one = vec4<f32>(z.yzw, next.x);
        let two = vec4<f32>(z.zw, next.xy);
        let three = vec4<f32>(z.w, next.xyz);
        z = select(three, select(two, one, shift == 1u), shift < 3u);
    }
    return select(vec4<f32>(0.0), z, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(lanes));
}
