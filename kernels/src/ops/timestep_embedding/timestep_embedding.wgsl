// Sinusoidal embedding of timesteps (diffusers get_timestep_embedding; Vaswani et al. 2017, 1706.03762, section 3.5):
//   y[b] = [sin(t_b f_i)] ++ [cos(t_b f_i)],  f_i = max_period^(-i / (dim / 2 - freq_shift)), halves swapped by FLIP.
// Layout: t [B] f32, y [B, dim] elem4; an odd dim ends in a zero, pad lanes are zero.
// Bindings: 0 t, 1 y.
// Grid: one invocation per 4-vector of y, workgroups of 64.
// Numerics: angles are turns in 0.32 fixed point, so t f_i is reduced to one turn by integer overflow, exactly; WGSL
// promises 2^-11 for sin and cos inside [-pi, pi] and nothing outside, so an own polynomial follows on an eighth of a
// turn. f_i / 2 pi = coarse[i / 32] fine[i % 32], tables of the host in f64. Error below 3e-6 at t = 1000.
// Needs: t finite and not negative.
struct Params { count: u32, half: u32, quads: u32, flip: u32, pad0: u32, pad1: u32, pad2: u32, pad3: u32,
                table: array<vec4<u32>, 14> }

@group(0) @binding(0) var<storage, read> t: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<elem4>;
@group(1) @binding(0) var<uniform> params: Params;

// High word of the 64-bit product.
fn mul_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let mid = a1 * b0 + (low >> 16u);
    let mid2 = a0 * b1 + (mid & 0xffffu);
    return a1 * b1 + (mid >> 16u) + (mid2 >> 16u);
}

fn entry(i: u32) -> u32 { return params.table[i / 4u][i % 4u]; }

// sin of `turns` / 2^32 turns.
fn sin_turns(turns: u32) -> f32 {
    // The nearest quarter turn and the rest in [-pi/4, pi/4].
    let quarter = (turns + 0x20000000u) >> 30u;
    let rest = f32(bitcast<i32>(turns - (quarter << 30u))) * 1.4629180792671596e-9; // 2 pi / 2^32
    let r2 = rest * rest;
    // Taylor polynomials; the first terms left out are r^9/9! = 3e-7 and r^10/10! = 2.5e-8 at pi/4.
    let s = rest * (1.0 + r2 * (-0.16666667 + r2 * (0.008333334 + r2 * (-0.00019841270 + r2 * 2.7557319e-6))));
    let c = 1.0 + r2 * (-0.5 + r2 * (0.041666668 + r2 * (-0.0013888889 + r2 * 2.4801587e-5)));
    let value = select(s, c, (quarter & 1u) != 0u);
    return select(value, -value, (quarter & 2u) != 0u);
}

fn element(column: u32, whole: u32, part: u32) -> f32 {
    if (column >= 2u * params.half) { return 0.0; }
    let second = column >= params.half;
    let i = select(column, column - params.half, second);
    let f = mul_high(entry(i / 32u), entry(24u + i % 32u));
    let turns = whole * f + mul_high(part, f);
    // cos x = sin(x + a quarter turn)
    return sin_turns(turns + select(0u, 0x40000000u, second != (params.flip != 0u)));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let at = linear_index(group, groups, local, 64u);
    if (at >= params.count) { return; }
    let time = t[at / params.quads];
    let whole = u32(time);
    let part = u32((time - f32(whole)) * 4294967296.0);
    let c = (at % params.quads) * 4u;
    y[at] = st(vec4<f32>(element(c, whole, part), element(c + 1u, whole, part),
                         element(c + 2u, whole, part), element(c + 3u, whole, part)));
}
