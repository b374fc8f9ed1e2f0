//! Linking without a text preprocessor.
//!
//! The head says what an element is. It stays on line 1, so line numbers in shader errors are those of the .wgsl file.
//! It gives every kernel the same three words: `elem4` (four stored elements), `ld(elem4) -> vec4<f32>` and
//! `st(vec4<f32>) -> elem4`; all arithmetic is f32.

use crate::gpu::{Kernel, Store};

/// Who compiles the source. Only the directives differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// naga, that is wgpu: `enable subgroups;` is a parse error there, the device feature is enough.
    Naga,
    /// A standard WebGPU implementation (Dawn): extensions must be enabled by name.
    WebGpu,
}

const F32: &str = "alias elem4 = vec4<f32>; fn ld(v: elem4) -> vec4<f32> { return v; } \
    fn st(v: vec4<f32>) -> elem4 { return v; } ";

const F16: &str = "alias elem4 = vec4<f16>; fn ld(v: elem4) -> vec4<f32> { return vec4<f32>(v); } \
    fn st(v: vec4<f32>) -> elem4 { return vec4<f16>(v); } ";

// pack2x16float of a value beyond f16 is indeterminate in WGSL, so overflow and NaN are turned into infinity by their
// bits (65520 = 0x477ff000 rounds up to infinity): a silent wrong number would pass the finite check.
const F16_PACKED: &str = "alias elem4 = vec2<u32>; \
    fn ld(v: elem4) -> vec4<f32> { return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y)); } \
    fn st_lane(v: f32, bits: u32) -> u32 { let b = bitcast<u32>(v); \
    return select(bits & 0xffffu, 0x7c00u | ((b >> 16u) & 0x8000u), (b & 0x7fffffffu) >= 0x477ff000u); } \
    fn st(v: vec4<f32>) -> elem4 { let c = clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)); \
    let p = vec2<u32>(pack2x16float(c.xy), pack2x16float(c.zw)); \
    return vec2<u32>(st_lane(v.x, p.x) | (st_lane(v.y, p.x >> 16u) << 16u), \
    st_lane(v.z, p.y) | (st_lane(v.w, p.y >> 16u) << 16u)); } ";

/// The one-line head for a storage type.
#[must_use]
pub fn head(store: Store, subgroups: bool, consumer: Consumer) -> String {
    let mut head = String::new();
    if matches!(store, Store::F16 | Store::F16Matrix) {
        head.push_str("enable f16; ");
    }
    if store == Store::F16Matrix {
        head.push_str("enable wgpu_cooperative_matrix; ");
    }
    if subgroups && consumer == Consumer::WebGpu {
        head.push_str("enable subgroups; ");
    }
    head.push_str(match store {
        Store::F32 => F32,
        Store::F16 | Store::F16Matrix => F16,
        Store::F16Packed => F16_PACKED,
    });
    head
}

/// The complete source of a kernel variant.
#[must_use]
pub fn link(kernel: &Kernel, store: Store, consumer: Consumer) -> String {
    let mut source = head(store, kernel.subgroups, consumer);
    source.push_str(kernel.source);
    for lib in kernel.libs {
        source.push('\n');
        source.push_str(lib);
    }
    source
}
