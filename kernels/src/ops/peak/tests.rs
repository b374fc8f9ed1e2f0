use half::f16;

use super::*;
use crate::check::{Draw, assert_close, variants};

#[test]
fn chains_are_what_they_say() {
    for variant in variants().unwrap() {
        if variant.elem == Elem::F16 && !variant.ctx.caps().shader_f16 {
            continue;
        }
        let x = seeds(&variant.ctx, variant.elem).unwrap();
        let got = variant.run(|rec| fma(rec, &x, 1, 3)).unwrap();
        let seed = |i: usize, lane: usize| ((i * 4 + lane) as f64 - 15.5) / 64.0;
        let expected: Vec<f64> = (0..1024)
            .map(|i| {
                let (local, lane) = (i / 4, i % 4);
                let (m, c) = (seed(local % 8, lane), seed(local / 8 % 8, lane));
                (0..8).map(|s| (0..12).fold(seed(s, lane), |v, _| v * m + c)).sum()
            })
            .collect();
        assert_close(variant.name, &got, &expected, variant.bound(1e-10));
    }
}

#[test]
fn a_copy_is_a_copy() {
    for variant in variants().unwrap() {
        let (x, values) = variant.normal(&mut Draw::new(5), &[512, 4]).unwrap();
        assert_eq!(variant.run(|rec| copy(rec, &x)).unwrap(), values);
    }
}

#[test]
fn matrices_are_multiplied() {
    let variant = variants().unwrap().remove(0);
    let side = variant.ctx.caps().matrix as usize;
    if side == 0 {
        println!("no cooperative matrices here");
        return;
    }
    let values: Vec<f32> = (0..6 * side * side).map(|i| ((i * 37 % 65) as f32 - 32.0) / 64.0).collect();
    assert!(values.iter().all(|v| f16::from_f32(*v).to_f32() == *v));
    let x = variant.ctx.upload(&values, &[6, side, side], Elem::F16).unwrap();
    let got = variant.run(|rec| matrix(rec, &x, 2, 3)).unwrap();
    let at = |m: usize, i: usize, j: usize| f64::from(values[(m * side + i) * side + j]);
    // The left ones lie row by row, the right ones column by column.
    let product = |i: usize, j: usize| -> f64 {
        let pairs = (0..4).flat_map(|a| [(a, 4), (a, 5)]);
        pairs.map(|(a, b)| (0..side).map(|k| 3.0 * at(a, i, k) * at(b, j, k)).sum::<f64>()).sum()
    };
    let expected: Vec<f64> = (0..got.len()).map(|i| product(i / side % side, i % side)).collect();
    assert_close("matrices", &got, &expected, 1e-10);
}
