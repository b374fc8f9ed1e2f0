//! Against the f64 oracle: shapes, causality, extreme scores, batches.

use super::*;
use crate::check::{Draw, F32_REDUCTION, Variant, assert_close, variants};

fn route(tiled: bool) -> Route {
    if tiled { Route::Tiled } else { Route::Registers }
}

struct Case {
    dims: [usize; 5],
    causal: bool,
    tensors: [Tensor; 3],
    values: [Vec<f64>; 3],
}

/// Normal operands; those of q and k times `gain`.
fn case(variant: &Variant, draw: &mut Draw, dims: [usize; 5], causal: bool, gain: f64) -> Case {
    let [batch, queries, keys, heads, size] = dims;
    let mut make = |length: usize, gain: f64| {
        let shape = [batch, length, heads * size];
        let raw: Vec<f64> = (0..shape.iter().product()).map(|_| gain * draw.normal()).collect();
        variant.tensor(&raw, &shape).unwrap()
    };
    let [(q, qs), (k, ks), (v, vs)] = [make(queries, gain), make(keys, gain), make(keys, 1.0)];
    Case { dims, causal, tensors: [q, k, v], values: [qs, ks, vs] }
}

impl Case {
    fn run(&self, variant: &Variant, tiled: bool) -> Vec<f64> {
        let [q, k, v] = &self.tensors;
        let op = Attention { q, k, v, heads: self.dims[3], causal: self.causal };
        variant.run(|rec| launch(rec, &op, route(tiled))).unwrap()
    }

    fn oracle(&self) -> Vec<f64> {
        let [q, k, v] = &self.values;
        oracle::attention(&oracle::Input { q, k, v, dims: self.dims, causal: self.causal })
    }

    /// By the register kernel (`false`), the tiled one (`true`), or both.
    fn check(&self, variant: &Variant, tiled: &[bool]) {
        let expected = self.oracle();
        for &tiled in tiled {
            let (dims, causal) = (self.dims, self.causal);
            let name = format!("{} [B, L, S, heads, D] {dims:?} causal {causal} tiled {tiled}", variant.name);
            assert_close(&name, &self.run(variant, tiled), &expected, variant.bound(F32_REDUCTION));
        }
    }
}

#[test]
fn matches_the_formula_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(51);
        for at in 0..200 {
            // The tiled kernel is compiled per head size, so it sees fewer of them.
            let tiled = at % 2 == 1;
            let size = if tiled {
                draw.pick(&[4, 16, 32, 40, 64, 64])
            } else {
                draw.pick(&[4, 8, 12, 16, 16, 24, 32, 32, 40, 48, 64, 64, 68, 80, 128, 160])
            };
            let heads = 1 + draw.below(3);
            let dims = [1 + draw.below(2), draw.dim(70), draw.dim(80), heads, size];
            case(&variant, &mut draw, dims, at % 8 < 2, 1.0).check(&variant, &[tiled]);
        }
    }
}

#[test]
fn wide_heads_and_edges() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(52);
        for dims in [
            [1, 1, 1, 1, 64],
            [2, 1, 77, 2, 64],
            [2, 77, 1, 3, 40],
            [1, 65, 127, 1, 512],
            [1, 37, 300, 2, 160],
            [2, 33, 7, 1, 512],
            [1, 9, 131, 1, 256],
            [1, 3, 5, 2, 164],
        ] {
            for causal in [false, true] {
                case(&variant, &mut draw, dims, causal, 1.0).check(&variant, &[false, true]);
            }
        }
    }
}

#[test]
fn extreme_scores_neither_overflow_nor_vanish() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(53);
        for size in [16, 64, 512] {
            // Products of 36 · 36 over D channels: scores beyond ±1e4 before the scale at D = 64 and above.
            let mut case = case(&variant, &mut draw, [1, 19, 37, 2, size], false, 36.0);
            // All scores of query 0 far below zero: q0 = -c · Σk would need luck, so its keys share a sign.
            let width = 2 * size;
            let mut k = case.values[1].clone();
            k.iter_mut().for_each(|v| *v = v.abs() + 1.0);
            let mut q = case.values[0].clone();
            q[..width].fill(-50.0);
            q[width..2 * width].fill(50.0);
            let shape = |length| [1, length, width];
            let (q, q_values) = variant.tensor(&q, &shape(19)).unwrap();
            let (k, k_values) = variant.tensor(&k, &shape(37)).unwrap();
            let dot: f64 = (0..size).map(|c| q_values[c] * k_values[c]).sum();
            assert!(size < 64 || dot < -1e4, "score {dot}");
            case.tensors[0] = q;
            case.tensors[1] = k;
            case.values[0] = q_values;
            case.values[1] = k_values;
            // The exponent's error is the score's: 1e5 · 2^-24 · a few = 2e-2 relative where two keys nearly tie. The
            // bound follows from that, not from the kernel: f16 storage has no part in it.
            let bound = variant.bound(1e-4);
            for tiled in [false, true] {
                let name = format!("{} D {size} tiled {tiled}", variant.name);
                assert_close(&name, &case.run(&variant, tiled), &case.oracle(), bound);
            }
        }
    }
}

#[test]
fn a_batch_gives_the_bytes_of_single_runs() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(54);
        for (heads, size, tiled) in [(3, 16, false), (2, 64, true), (2, 64, false), (1, 512, false), (1, 512, true)] {
            let dims = [3, 70, 41, heads, size];
            let case = case(&variant, &mut draw, dims, false, 1.0);
            let all = case.run(&variant, tiled);
            let width = heads * size;
            for b in 0..3 {
                let part = |values: &[f64], length: usize| {
                    let n = length * width;
                    variant.tensor(&values[b * n..(b + 1) * n], &[1, length, width]).unwrap().0
                };
                let [q, k, v] = [part(&case.values[0], 70), part(&case.values[1], 41), part(&case.values[2], 41)];
                let op = Attention { q: &q, k: &k, v: &v, heads, causal: false };
                let single = variant.run(|rec| launch(rec, &op, route(tiled))).unwrap();
                assert_eq!(single, all[b * 70 * width..(b + 1) * 70 * width], "{} image {b}", variant.name);
            }
        }
    }
}
