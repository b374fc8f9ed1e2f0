// Activations of torch: 0 none, 1 SiLU, 2 GELU (exact), 3 quick GELU, 4 GEGLU (two inputs, left to the kernel).
override activation: u32 = 0u;

// Abramowitz & Stegun 7.1.26, absolute error below 1.5e-7.
fn erf4(x: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - p * exp(-x * x));
}

fn gelu4(x: vec4<f32>) -> vec4<f32> { return 0.5 * x * (1.0 + erf4(x * 0.70710678)); }

fn activate(x: vec4<f32>) -> vec4<f32> {
    switch activation {
        case 1u: { return x / (1.0 + exp(-x)); }
        case 2u: { return gelu4(x); }
        case 3u: { return x / (1.0 + exp(-1.702 * x)); }
        default: { return x; }
    }
}
