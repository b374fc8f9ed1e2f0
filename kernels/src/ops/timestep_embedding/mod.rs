//! Sinusoidal timestep embedding, as diffusers' `get_timestep_embedding`.

use std::f64::consts::TAU;

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

#[cfg(test)]
mod oracle;

/// Sines and cosines of `t · max_period^(−i / (dim/2 − freq_shift))`.
pub const KERNEL: Kernel = Kernel {
    name: "timestep_embedding",
    source: include_str!("timestep_embedding.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[]],
};

/// `(name, B, dim)` of the models.
pub const CASES: &[(&str, usize, usize)] = &[("sd21", 2, 320), ("sdxl time_ids", 12, 256), ("mini", 2, 48)];

/// Options of [`timestep_embedding`], named as in diffusers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimestepEmbedding {
    /// Channels of the result, 2 to 1536; an odd one ends in a zero.
    pub dim: usize,
    /// Cosines first (SD models) instead of sines first.
    pub flip_sin_to_cos: bool,
    /// Subtracted from `dim / 2` in the exponent's denominator.
    pub freq_shift: f64,
    /// Longest period, in units of `t` / 2π.
    pub max_period: f64,
    /// Element type of the result.
    pub elem: Elem,
}

impl Default for TimestepEmbedding {
    fn default() -> Self {
        Self { dim: 320, flip_sin_to_cos: true, freq_shift: 0.0, max_period: 10000.0, elem: Elem::F32 }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count: u32,
    half: u32,
    quads: u32,
    flip: u32,
    pad: [u32; 4],
    coarse: [u32; COARSE],
    fine: [u32; FINE],
}

const COARSE: usize = 24;
const FINE: usize = 32;

/// A factor in (0, 1) as 0.32 fixed point; 1 becomes the largest value below.
fn fixed(value: f64) -> u32 {
    // The cast saturates, which is what 1.0 needs.
    (value * 4_294_967_296.0).round() as u32
}

/// The `dim` sines and cosines of each timestep of `t`: `[B, dim]`.
///
/// `t` holds finite values ≥ 0; the error grows with `t` and stays below 3e-6 up to 1000.
///
/// # Panics
/// When `t` is not a resident `[B]` f32 tensor or `dim` is outside 2..=1536.
pub fn timestep_embedding(rec: &mut Recorder, t: &Tensor, op: &TimestepEmbedding) -> Tensor {
    let half = op.dim / 2;
    assert!(
        t.dims().len() == 1 && t.elem() == Elem::F32,
        "timestep_embedding: t {:?} {} is not [B] f32",
        t.dims(),
        t.elem()
    );
    assert!(
        (1..=COARSE * FINE).contains(&half),
        "timestep_embedding: dim {} outside 2..={}",
        op.dim,
        2 * COARSE * FINE
    );
    assert!(
        op.max_period >= 1.0 && op.freq_shift < half as f64,
        "timestep_embedding: max_period {}, freq_shift {}",
        op.max_period,
        op.freq_shift
    );
    let batch = t.shape().last();
    let y = rec.temp(&[batch, op.dim], op.elem);
    let quads = y.shape().padded_last() / 4;
    let frequency = |i: usize| (-op.max_period.ln() * i as f64 / (half as f64 - op.freq_shift)).exp();
    let params = Params {
        count: (batch * quads) as u32,
        half: half as u32,
        quads: quads as u32,
        flip: u32::from(op.flip_sin_to_cos),
        pad: [0; 4],
        coarse: std::array::from_fn(|i| fixed(frequency(i * FINE) / TAU)),
        fine: std::array::from_fn(|i| fixed(frequency(i))),
    };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(op.elem, rec.context()),
        overrides: &[],
        bind: &[t, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(batch * quads, 64, caps.grid),
        flops: 20 * (batch * op.dim) as u64,
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};

    #[test]
    fn matches_the_formula_on_random_shapes() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(31);
            for case in 0..200 {
                let batch = 1 + draw.below(9);
                let op = TimestepEmbedding {
                    dim: if case == 0 { 1536 } else { 2 + draw.dim(340) },
                    flip_sin_to_cos: draw.below(2) == 0,
                    freq_shift: draw.pick(&[0.0, 0.0, 0.5]),
                    max_period: draw.pick(&[10000.0, 10000.0, 300.0]),
                    elem: variant.elem,
                };
                // Whole timesteps as the schedulers give them, and fractions as continuous ones do.
                let whole = draw.below(2) == 0;
                let times: Vec<f64> =
                    (0..batch).map(|_| draw.unit() * 1000.0).map(|t| if whole { t.round() } else { t }).collect();
                let (t, times) = variant.tensor_as(&times, &[batch], Elem::F32).unwrap();
                let got = variant.run(|rec| timestep_embedding(rec, &t, &op)).unwrap();
                let expected = oracle::timestep_embedding(&times, &op);
                assert_close(&format!("{} {op:?}", variant.name), &got, &expected, variant.bound(F32_ELEMENTWISE));
                if variant.elem == Elem::F32 {
                    let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(worst < 3e-6, "{op:?} at {times:?}: {worst}");
                }
            }
        }
    }

    #[test]
    fn zero_is_exact() {
        for variant in variants().unwrap() {
            let (t, _) = variant.tensor_as(&[0.0], &[1], Elem::F32).unwrap();
            let op = TimestepEmbedding { dim: 8, elem: variant.elem, ..TimestepEmbedding::default() };
            let got = variant.run(|rec| timestep_embedding(rec, &t, &op)).unwrap();
            assert_eq!(got, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], "{}", variant.name);
        }
    }
}
