//! Every tile against the oracles of the operations, where the adapter has cooperative matrices.

use super::*;
use crate::check::{Draw, F16, Variant, assert_close, variants};
use crate::ops::attention::oracle as attention_oracle;
use crate::ops::attention::{Attention, Route as AttentionRoute, launch};
use crate::ops::conv2d::Conv2d;
use crate::ops::gemm::oracle::Product;
use crate::ops::gemm::{Activation, Gemm, Route};
use crate::tensor::Elem;

/// The f16 variant of an adapter with matrices.
fn variant() -> Option<Variant> {
    let found = variants().unwrap().into_iter().find(|v| v.elem == Elem::F16 && v.ctx.caps().matrix > 0);
    if found.is_none() {
        println!("no cooperative matrices here");
    }
    found
}

fn values(draw: &mut Draw, count: usize, scale: f64) -> Vec<f64> {
    (0..count).map(|_| scale * draw.normal()).collect()
}

#[test]
fn products_of_every_tile() {
    let Some(variant) = variant() else { return };
    for kernels in tiles(variant.ctx.caps().matrix).iter().filter(|k| k.fits(&variant.ctx.caps(), true)) {
        let mut draw = Draw::new(71);
        for case in 0..40 {
            // Two activations: each is a shader to compile.
            let activation = draw.pick(&[Activation::None, Activation::Geglu]);
            let (batch, m, n, k) = (1 + draw.below(3), draw.dim(150), draw.dim(140), draw.dim(200));
            let k = if kernels.tile.wide { k.next_multiple_of(8) } else { k };
            let rows = if activation == Activation::Geglu { 2 * n.next_multiple_of(4) } else { n };
            let n = if activation == Activation::Geglu { rows / 2 } else { rows };
            let w_batch = if draw.bits() & 3 == 0 { batch } else { 1 };
            let product = Product { batch, w_batch, m, rows, k, activation };
            let (a, av) = variant.normal(&mut draw, &[batch, m, k]).unwrap();
            let w_dims = if w_batch > 1 { vec![w_batch, rows, k] } else { vec![rows, k] };
            let (w, wv) =
                variant.tensor(&values(&mut draw, w_batch * rows * k, (k as f64).powf(-0.5)), &w_dims).unwrap();
            let (bias, bv) = variant.normal(&mut draw, &[rows]).unwrap();
            let (residual, rv) = variant.normal(&mut draw, &[batch, m, n]).unwrap();
            let expected = crate::ops::gemm::oracle::gemm(product, &av, &wv, Some(&bv), Some(&rv));
            let op = Gemm { a: &a, w: &w, bias: Some(&bias), residual: Some(&residual), activation };
            let got = variant.run(|rec| gemm::gemm_by(rec, &op, Route::matrix(kernels))).unwrap();
            assert_close(&format!("{:?} case {case} {product:?}", kernels.tile), &got, &expected, F16);
        }
    }
}

#[test]
fn every_tile_gives_the_same_bytes() {
    let Some(variant) = variant() else { return };
    let mut draw = Draw::new(72);
    let (a, _) = variant.normal(&mut draw, &[2, 150, 328]).unwrap();
    let (w, _) = variant.normal(&mut draw, &[136, 328]).unwrap();
    let (x, _) = variant.normal(&mut draw, &[2, 9, 11, 40]).unwrap();
    let (filter, _) = variant.normal(&mut draw, &[72, 3, 3, 40]).unwrap();
    let mut first: Option<[Vec<f64>; 2]> = None;
    for kernels in tiles(variant.ctx.caps().matrix).iter().filter(|k| k.fits(&variant.ctx.caps(), true)) {
        let product = variant.run(|rec| gemm::gemm_by(rec, &Gemm::new(&a, &w), Route::matrix(kernels))).unwrap();
        let map = variant.run(|rec| conv2d::conv2d_by(rec, &Conv2d::new(&x, &filter), Route::matrix(kernels))).unwrap();
        let got = [product, map];
        assert!(first.get_or_insert_with(|| got.clone()) == &got, "{:?} differs", kernels.tile);
    }
}

#[test]
fn attention_by_matrices() {
    let Some(variant) = variant() else { return };
    let mut draw = Draw::new(73);
    for case in 0..30 {
        let [batch, queries, keys, heads, size] =
            [1 + draw.below(2), draw.dim(150), draw.dim(200), 1 + draw.below(3), ATTENTION_SIZE];
        let causal = draw.bits() & 3 == 0;
        // Large scores now and then: later blocks raise the maximum and the sums must be rescaled.
        let gain = draw.pick(&[1.0, 3.0, 8.0]);
        let mut make = |length: usize, gain: f64| {
            let shape = [batch, length, heads * size];
            let raw = values(&mut draw, shape.iter().product(), gain);
            variant.tensor(&raw, &shape).unwrap()
        };
        let [(q, qs), (k, ks), (v, vs)] = [make(queries, gain), make(keys, gain), make(keys, 1.0)];
        let op = Attention { q: &q, k: &k, v: &v, heads, causal };
        let got = variant.run(|rec| launch(rec, &op, AttentionRoute::Matrix)).unwrap();
        let dims = [batch, queries, keys, heads, size];
        let input = attention_oracle::Input { q: &qs, k: &ks, v: &vs, dims, causal };
        let name = format!("case {case} [B, L, S, heads, D] {dims:?} causal {causal} gain {gain}");
        assert_close(&name, &got, &attention_oracle::attention(&input), F16);
    }
}

#[test]
fn scores_that_keep_rising() {
    let Some(variant) = variant() else { return };
    let (length, size) = (300, ATTENTION_SIZE);
    let mut draw = Draw::new(74);
    let raw = values(&mut draw, length * size, 1.0);
    // The score of key j is j / 4 for every query: each block beats the one before by 16.
    let ones = vec![1.0; length * size];
    let rising: Vec<f64> = (0..length * size).map(|i| (i / size) as f64 / 32.0).collect();
    let (q, qs) = variant.tensor(&ones, &[1, length, size]).unwrap();
    let (k, ks) = variant.tensor(&rising, &[1, length, size]).unwrap();
    let (v, vs) = variant.tensor(&raw, &[1, length, size]).unwrap();
    for causal in [false, true] {
        let op = Attention { q: &q, k: &k, v: &v, heads: 1, causal };
        let got = variant.run(|rec| launch(rec, &op, AttentionRoute::Matrix)).unwrap();
        let dims = [1, length, length, 1, size];
        let input = attention_oracle::Input { q: &qs, k: &ks, v: &vs, dims, causal };
        assert_close(&format!("causal {causal}"), &got, &attention_oracle::attention(&input), F16);
    }
}

#[test]
fn split_sums() {
    let Some(variant) = variant() else { return };
    let mut draw = Draw::new(75);
    let (images, m, n, k) = (3, 20, 24, 64 * 33);
    let (_, av) = variant.normal(&mut draw, &[images, m, k]).unwrap();
    let (a, _) = variant.tensor(&av, &[images, m, k]).unwrap();
    let (one, _) = variant.tensor(&av[m * k..2 * m * k], &[1, m, k]).unwrap();
    let (w, wv) = variant.tensor(&values(&mut draw, n * k, (k as f64).powf(-0.5)), &[n, k]).unwrap();
    let (bias, bv) = variant.normal(&mut draw, &[n]).unwrap();
    let (residual, rv) = variant.normal(&mut draw, &[images, m, n]).unwrap();
    let product = Product { batch: images, w_batch: 1, m, rows: n, k, activation: Activation::Silu };
    let expected = crate::ops::gemm::oracle::gemm(product, &av, &wv, Some(&bv), Some(&rv));
    let (x, xv) = variant.normal(&mut draw, &[2, 5, 6, 192]).unwrap();
    let (second, _) = variant.tensor(&xv[xv.len() / 2..], &[1, 5, 6, 192]).unwrap();
    let (skip, sv) = variant.normal(&mut draw, &[2, 5, 6, 64]).unwrap();
    let (second_skip, _) = variant.tensor(&sv[sv.len() / 2..], &[1, 5, 6, 64]).unwrap();
    let (filter, _) = variant.tensor(&values(&mut draw, n * 9 * 256, 0.02), &[n, 3, 3, 256]).unwrap();
    let (time, _) = variant.normal(&mut draw, &[2, n]).unwrap();
    let map = Conv2d { skip: Some(&skip), bias: Some(&bias), ..Conv2d::new(&x, &filter) };
    let map = Conv2d { time_embedding: Some(&time), activation: Activation::Silu, ..map };
    let tiled = variant.run(|rec| conv2d::conv2d_by(rec, &map, Route::TILED)).unwrap();
    let mut first: Option<[Vec<f64>; 2]> = None;
    for kernels in tiles(variant.ctx.caps().matrix).iter().filter(|k| k.fits(&variant.ctx.caps(), true)) {
        let route = Route::matrix(kernels);
        let op = Gemm { a: &a, w: &w, bias: Some(&bias), residual: Some(&residual), activation: Activation::Silu };
        let got = variant.run(|rec| gemm::gemm_by(rec, &op, route)).unwrap();
        assert_close(&format!("{:?}", kernels.tile), &got, &expected, F16);
        let plain = |a| Gemm::new(a, &w);
        let all = variant.run(|rec| gemm::gemm_by(rec, &plain(&a), route)).unwrap();
        let single = variant.run(|rec| gemm::gemm_by(rec, &plain(&one), route)).unwrap();
        assert_eq!(single, all[m * n..2 * m * n], "{:?}: image 1", kernels.tile);
        let found = variant.run(|rec| conv2d::conv2d_by(rec, &map, route)).unwrap();
        assert_close(&format!("{:?} convolution", kernels.tile), &found, &tiled, F16);
        let bare = Conv2d { skip: Some(&second_skip), ..Conv2d::new(&second, &filter) };
        let pair = Conv2d { skip: Some(&skip), ..Conv2d::new(&x, &filter) };
        let [single, both] = [&bare, &pair].map(|op| variant.run(|rec| conv2d::conv2d_by(rec, op, route)).unwrap());
        assert_eq!(single, both[both.len() / 2..], "{:?}: image 1 of a convolution", kernels.tile);
        let got = [all, both];
        assert!(first.get_or_insert_with(|| got.clone()) == &got, "{:?} differs", kernels.tile);
    }
}

#[test]
fn tuned_tiles_change_no_bit() {
    let Some(variant) = variant() else { return };
    // The context of the suite may be of another tier: matrices are asked for by route.
    let ctx = &variant.ctx;
    let mut draw = Draw::new(76);
    let (a, _) = variant.normal(&mut draw, &[2, 20, 64 * 33]).unwrap();
    let (w, _) = variant.normal(&mut draw, &[24, 64 * 33]).unwrap();
    let (short, _) = variant.normal(&mut draw, &[2, 20, 44]).unwrap();
    let (thin, _) = variant.normal(&mut draw, &[24, 44]).unwrap();
    let (x, _) = variant.normal(&mut draw, &[2, 5, 6, 256]).unwrap();
    let (filter, _) = variant.normal(&mut draw, &[24, 3, 3, 256]).unwrap();
    let record = |tile: &'static Kernels| {
        let mut rec = crate::gpu::Recorder::new(ctx);
        let route = Route::matrix(tile);
        let narrow = &tiles(ctx.caps().matrix)[0];
        let values = [
            gemm::gemm_by(&mut rec, &Gemm::new(&a, &w), route),
            gemm::gemm_by(&mut rec, &Gemm::new(&short, &thin), Route::matrix(narrow)),
            conv2d::conv2d_by(&mut rec, &Conv2d::new(&x, &filter), route),
        ];
        let kept = values.map(|value| rec.keep(&value).unwrap());
        (rec.finish().unwrap(), kept)
    };
    let (mut recording, kept) = record(&tiles(ctx.caps().matrix)[0]);
    recording.run().unwrap();
    let before = kept.each_ref().map(|tensor| ctx.read(tensor).unwrap());
    let found = super::tune::measure(ctx, &[&recording]).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    for tuned in &found {
        let tile = &tiles(ctx.caps().matrix)[tuned.best];
        assert!(tuned.us[tuned.best].is_finite() && ctx.tile(&tuned.key) == Some(tuned.best));
        let wide = tuned.key.3 != 44;
        assert!(wide || !tile.tile.wide, "{tuned:?}");
        if wide {
            let (mut again, kept) = record(tile);
            again.run().unwrap();
            assert_eq!(kept.each_ref().map(|tensor| ctx.read(tensor).unwrap()), before);
        }
    }
    ctx.verify_guards().unwrap();
}
