use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};
use crate::ops::gemm::oracle::activate;
use crate::tensor::Elem;

#[test]
fn parts_are_added_and_finished() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(81);
        for case in 0..200 {
            let (splits, images, image_rows, n) = (1 + draw.below(6), 1 + draw.below(3), draw.dim(20), draw.dim(70));
            let rows = images * image_rows;
            let activation = draw.pick(&[Activation::None, Activation::Silu]);
            let values: Vec<f64> = (0..splits * rows * n).map(|_| draw.normal()).collect();
            let (partials, pv) = variant.tensor_as(&values, &[splits, rows, n], Elem::F32).unwrap();
            let (bias, bv) = variant.normal(&mut draw, &[n]).unwrap();
            let (time, tv) = variant.normal(&mut draw, &[images, n]).unwrap();
            let (residual, rv) = variant.normal(&mut draw, &[rows, n]).unwrap();
            let has = draw.bits();
            let flag = |bit: u64| f64::from(u8::from(has & bit != 0));
            let op = SplitSum {
                partials: &partials,
                bias: (has & 1 != 0).then_some(&bias),
                time_embedding: (has & 2 != 0).then_some(&time),
                residual: (has & 4 != 0).then_some(&residual),
                activation,
                image_rows,
            };
            let got = variant.run(|rec| {
                let y = rec.temp(&[rows, n], variant.elem);
                split_sum(rec, &op, &y);
                y
            });
            let expected: Vec<f64> = (0..rows * n)
                .map(|at| {
                    let (row, c) = (at / n, at % n);
                    let sum: f64 = (0..splits).map(|s| pv[s * rows * n + at]).sum();
                    let sum = sum + flag(1) * bv[c] + flag(2) * tv[row / image_rows * n + c];
                    activate(sum, activation) + flag(4) * rv[at]
                })
                .collect();
            assert_close(
                &format!("{} case {case}", variant.name),
                &got.unwrap(),
                &expected,
                variant.bound(F32_ELEMENTWISE),
            );
        }
    }
}
