use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};

#[test]
fn matches_the_oracle() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(23);
        for case in 0..210 {
            let dims = [draw.dim(4), draw.dim(17), draw.dim(33), draw.dim(9)];
            let (target, targets) = variant.normal(&mut draw, &dims).unwrap();
            let (first, firsts) = variant.normal(&mut draw, &dims).unwrap();
            let (second, seconds) = variant.normal(&mut draw, &dims).unwrap();
            let ids: Vec<u32> = (0..dims[0]).map(|_| draw.below(50) as u32).collect();
            let views = variant.ctx.upload_u32(&ids, &[dims[0]]).unwrap();
            let key = NoiseKey { seed: draw.bits(), trajectory: 1, purpose: 2 << 24, step: draw.below(99) as u32 };
            let (terms, noisy) = (case % 3, case % 2 == 1);
            let own = if case % 5 == 0 { 0.0 } else { 0.7 };
            let scalars = MixScalars { own, a: -1.3, b: 0.4, sigma: 0.9, key };
            let got = variant
                .run(|rec| {
                    let noise = noisy.then_some(&views);
                    mix(rec, &Mix { target: &target, terms: &[&first, &second][..terms], noise, scalars });
                    target.clone()
                })
                .unwrap();
            let used = |factor: f32, yes: bool| if yes { f64::from(factor) } else { 0.0 };
            let factors = [f64::from(own), used(-1.3, terms > 0), used(0.4, terms > 1), used(0.9, noisy)];
            let expected = oracle::mix(dims, [&targets, &firsts, &seconds], factors, &ids, &key);
            assert_close(&format!("{} {case} {dims:?}", variant.name), &got, &expected, F32_ELEMENTWISE);
        }
    }
}

/// What is left of the target is its own bits, whatever the factor: branches that agree must not move each other.
#[test]
fn equal_terms_with_opposite_factors_cancel_exactly() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(5);
        let dims = [2, 7, 11, 4];
        let (target, targets) = variant.normal(&mut draw, &dims).unwrap();
        let (first, firsts) = variant.normal(&mut draw, &dims).unwrap();
        let values: Vec<f32> = firsts.iter().map(|v| *v as f32).collect();
        let second = variant.ctx.upload(&values, &dims, Elem::F32).unwrap();
        let scalars = MixScalars { own: 1.0, a: 0.123_456_7, b: -0.123_456_7, ..MixScalars::default() };
        let got = variant
            .run(|rec| {
                mix(rec, &Mix { target: &target, terms: &[&first, &second], noise: None, scalars });
                target.clone()
            })
            .unwrap();
        assert!(got.iter().zip(&targets).all(|(a, b)| a == b), "{}", variant.name);
    }
}

#[test]
fn a_target_without_a_share_is_not_read() {
    let variant = &variants().unwrap()[0];
    let dims = [1, 3, 5, 4];
    let (target, _) = variant.tensor(&[f64::NAN; 60], &dims).unwrap();
    let (first, firsts) = variant.normal(&mut Draw::new(1), &dims).unwrap();
    let scalars = MixScalars { a: 1.0, ..MixScalars::default() };
    let got = variant
        .run(|rec| {
            mix(rec, &Mix { target: &target, terms: &[&first], noise: None, scalars });
            target.clone()
        })
        .unwrap();
    assert_close("nan target", &got, &firsts, 1e-12);
}
