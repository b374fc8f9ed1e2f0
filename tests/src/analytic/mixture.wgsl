// The noise (or v) estimate of the ideal denoiser of a Gaussian mixture, element by element: with x = a clean + s xi and clean ~
// sum_k w_k N(m_k, d_k²),
//   eps = s sum_k r_k (x - a m_k) / (a² d_k² + s²),  r_k proportional to w_k N(x; a m_k, a² d_k² + s²).
// A component is (weight, mean, deviation, slope), its mean is mean + slope · channel. With `reach` not 0 the model looks at
// x + reach · (its right neighbour within the view): no closed form, but views that overlap disagree at their borders.
// Layout: sample, out [R B, h, w, C] f32; components [R, K, 4]; levels [T, 4] (a, s, ..) by timestep.
// Bindings: 0 sample, 1 timesteps, 2 levels, 3 components, 4 out. Grid: one invocation per 4-vector.
struct Params { count: u32, c4: u32, channels: u32, width: u32, pixels: u32, batch: u32, kinds: u32, v: u32, reach: f32, p0: f32, p1: f32, p2: f32 }

@group(0) @binding(0) var<storage, read> sample: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> timesteps: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> components: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

fn estimate(x: f32, channel: f32, row: u32, level: vec2<f32>) -> f32 {
    var largest = -1e30;
    for (var k = 0u; k < params.kinds; k++) {
        largest = max(largest, log_share(x, channel, components[row * params.kinds + k], level));
    }
    var total = 0.0;
    var eps = 0.0;
    for (var k = 0u; k < params.kinds; k++) {
        let part = components[row * params.kinds + k];
        let r = exp(log_share(x, channel, part, level) - largest);
        let variance = level.x * level.x * part.z * part.z + level.y * level.y;
        total += r;
        eps += r * level.y * (x - level.x * (part.y + part.w * channel)) / variance;
    }
    return eps / total;
}

fn log_share(x: f32, channel: f32, part: vec4<f32>, level: vec2<f32>) -> f32 {
    let variance = level.x * level.x * part.z * part.z + level.y * level.y;
    let d = x - level.x * (part.y + part.w * channel);
    return log(part.x) - 0.5 * log(variance) - 0.5 * d * d / variance;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i >= params.count) {
        return;
    }
    let pixel = (i / params.c4) % params.pixels;
    let image = i / params.c4 / params.pixels;
    let level = levels[u32(timesteps[image])].xy;
    let last = pixel % params.width + 1u == params.width;
    let neighbour = select(i + params.c4, i, last);
    let x = sample[i] + params.reach * sample[neighbour];
    var result = vec4<f32>(0.0);
    for (var lane = 0u; lane < 4u; lane++) {
        let channel = 4u * (i % params.c4) + lane;
        if (channel < params.channels) {
            let eps = estimate(x[lane], f32(channel), image / params.batch, level);
            let clean = (x[lane] - level.y * eps) / level.x;
            result[lane] = select(eps, level.x * eps - level.y * clean, params.v == 1u);
        }
    }
    out[i] = result;
}
