//! Weights as a pure function of (seed, component, tensor name, index): full-size models for parity tests without files.
//!
//! ```text
//! key    = mix(fnv(component + "/" + name) + (seed + 1) * G)          all integers modulo 2^64
//! bits_i = mix(key + (i + 1) * G) >> 40                              24 bits
//! u_i    = (2 bits_i + 1 - 2^24) / 2^24                              exact in f64, uniform in (-1, 1)
//! w_i    = f32(offset + scale * u_i)                                 then rounded to the storage type
//! ```
//! `mix` is the splitmix64 finaliser (Steele, Lea and Flood 2014), `fnv` is FNV-1a. tests/golden/ holds values
//! that the reference implementation printed, and whole models.

use half::{bf16, f16};

use crate::tensor::{Dtype, HostTensor};

const G: u64 = 0x9e37_79b9_7f4a_7c15;
/// Below this many elements a thread costs more than it saves.
const PARALLEL_FROM: usize = 1 << 18;

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Offset and scale of a tensor: activations keep about unit variance through every layer.
fn offset_and_scale(name: &str, shape: &[usize]) -> (f64, f64) {
    // ControlNet's "zero" convolutions would hide every error behind them if they were zero.
    const ZERO_CONVS: [&str; 3] =
        ["controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out"];
    if name.ends_with("bias") {
        (0.0, 0.1)
    } else if shape.len() == 1 {
        (1.0, 0.2)
    } else if name.contains("token_embedding") {
        (0.0, 0.5)
    } else if name.contains("position_embedding") {
        (0.0, 0.25)
    } else {
        let gain = if ZERO_CONVS.iter().any(|prefix| name.starts_with(prefix)) { 0.5 } else { 1.0 };
        let fan_in: usize = shape.iter().skip(1).product();
        (0.0, gain * (3.0 / fan_in as f64).sqrt())
    }
}

/// The tensor of this name and shape, in the storage type `store` (F32, F16 or BF16; anything else is taken as F32).
pub fn tensor(seed: u64, component: &str, name: &str, shape: &[usize], store: Dtype) -> HostTensor {
    let key = mix(fnv(&format!("{component}/{name}")).wrapping_add(seed.wrapping_add(1).wrapping_mul(G)));
    let (offset, scale) = offset_and_scale(name, shape);
    let value = |i: usize| {
        let bits = mix(key.wrapping_add((i as u64 + 1).wrapping_mul(G))) >> 40;
        let u = (2.0 * bits as f64 + (1.0 - 16_777_216.0)) / 16_777_216.0;
        (offset + scale * u) as f32
    };
    let count = shape.iter().product();
    let (dtype, bytes) = match store {
        Dtype::F16 => (Dtype::F16, fill(count, |i| f16::from_f32(value(i)).to_le_bytes())),
        Dtype::BF16 => (Dtype::BF16, fill(count, |i| bf16::from_f32(value(i)).to_le_bytes())),
        _ => (Dtype::F32, fill(count, |i| value(i).to_le_bytes())),
    };
    HostTensor::from_bytes(dtype, shape, bytes)
}

fn fill<const N: usize>(count: usize, value: impl Fn(usize) -> [u8; N] + Sync) -> Vec<u8> {
    let mut bytes = vec![0; count * N];
    let elements = bytes.as_chunks_mut::<N>().0;
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(16);
    let run = |start: usize, part: &mut [[u8; N]]| {
        for (i, slot) in part.iter_mut().enumerate() {
            *slot = value(start + i);
        }
    };
    if count < PARALLEL_FROM || threads == 1 {
        run(0, elements);
        return bytes;
    }
    let chunk = count.div_ceil(threads);
    std::thread::scope(|scope| {
        for (t, part) in elements.chunks_mut(chunk).enumerate() {
            scope.spawn(move || run(t * chunk, part));
        }
    });
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_reference_bit_for_bit() {
        #[derive(serde::Deserialize)]
        struct File {
            vectors: Vec<Vector>,
        }
        #[derive(serde::Deserialize)]
        struct Vector {
            seed: u64,
            component: String,
            name: String,
            shape: Vec<usize>,
            first_second_last_f32_bits: [String; 3],
            checksum: String,
        }
        let file: File = serde_json::from_str(include_str!("../../tests/golden/weight_vectors.json")).unwrap();
        assert!(file.vectors.len() >= 6);
        for Vector { seed, component, name, shape, first_second_last_f32_bits: samples, checksum } in file.vectors {
            let w = tensor(seed, &component, &name, &shape, Dtype::F32).to_f32();
            let hex = |v: f32| format!("{:08x}", v.to_bits());
            assert_eq!([hex(w[0]), hex(w[1]), hex(w[w.len() - 1])], samples, "{name}");
            let sum = w
                .iter()
                .enumerate()
                .fold(0u64, |a, (i, v)| a.wrapping_add(u64::from(v.to_bits()).wrapping_mul(2 * i as u64 + 1)));
            assert_eq!(format!("{sum:016x}"), checksum, "{name}");
        }
    }

    #[test]
    fn storage_types_round_the_same_values() {
        let wide = tensor(1, "unet", "conv_in.weight", &[4, 4, 3, 3], Dtype::F32).to_f32();
        let narrow = tensor(1, "unet", "conv_in.weight", &[4, 4, 3, 3], Dtype::F16);
        assert_eq!(narrow.dtype, Dtype::F16);
        assert!(wide.iter().zip(narrow.to_f32()).all(|(w, n)| f16::from_f32(*w).to_f32() == n));
        let brain = tensor(1, "unet", "conv_in.weight", &[4, 4, 3, 3], Dtype::BF16).to_f32();
        assert!(wide.iter().zip(brain).all(|(w, n)| bf16::from_f32(*w).to_f32() == n));
    }
}
