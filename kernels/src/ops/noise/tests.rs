use super::oracle::philox;
use super::*;
use crate::check::{Draw, Variant, assert_close, variants};

fn random_key(draw: &mut Draw) -> NoiseKey {
    NoiseKey {
        seed: draw.bits(),
        trajectory: draw.below(4) as u32,
        purpose: draw.bits() as u32,
        step: draw.below(1000) as u32,
    }
}

fn run(variant: &Variant, dims: [usize; 4], key: NoiseKey, ids: &[u32]) -> Vec<f64> {
    let views = variant.ctx.upload_u32(ids, &[ids.len()]).unwrap();
    variant.run(|rec| noise(rec, &Noise { dims, key, views: &views }).0).unwrap()
}

/// Known answers of the Random123 distribution.
#[test]
fn philox_has_the_published_answers() {
    let cases = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([!0; 4], [!0; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, expected) in cases {
        assert_eq!(philox(counter, key), expected);
    }
}

#[test]
fn matches_the_definition_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(11);
        for case in 0..200 {
            let dims = [1 + draw.below(4), draw.dim(20), draw.dim(20), draw.dim(9)];
            let ids: Vec<u32> = (0..dims[0]).map(|_| draw.bits() as u32).collect();
            let key = random_key(&mut draw);
            let got = run(&variant, dims, key, &ids);
            let name = format!("{} case {case} {dims:?}", variant.name);
            // Rounding of f32 only; the project's bound for elementwise kernels is 1e-7.
            assert_close(&name, &got, &oracle::noise(dims, &key, &ids), 1e-12);
        }
    }
}

#[test]
fn every_number_is_exact_to_a_few_units_of_the_last_place() {
    let variant = &variants().unwrap()[0];
    let (dims, key) = ([1, 512, 512, 4], NoiseKey { seed: 5, ..NoiseKey::default() });
    let expected = oracle::noise(dims, &key, &[3]);
    for (i, (a, b)) in run(variant, dims, key, &[3]).iter().zip(&expected).enumerate() {
        // cos and sin are exact to 1e-7 absolutely, the radius (at most 5.9) relatively.
        assert!((a - b).abs() <= 3e-7 * b.abs().max(1.0), "element {i}: {a} instead of {b}");
    }
}

#[test]
fn a_view_draws_the_same_in_any_batch_and_a_replay_can_change_the_step() {
    for variant in variants().unwrap() {
        let (dims, key) = ([3, 5, 7, 3], NoiseKey { seed: 1 << 40, step: 2, ..NoiseKey::default() });
        let together = run(&variant, dims, key, &[9, 4, 1]);
        for (row, id) in [9, 4, 1].into_iter().enumerate() {
            let single = run(&variant, [1, 5, 7, 3], key, &[id]);
            assert_eq!(single, together[row * 105..(row + 1) * 105], "{} view {id}", variant.name);
        }
        let views = variant.ctx.upload_u32(&[9, 4, 1], &[3]).unwrap();
        let mut rec = Recorder::new(&variant.ctx);
        let (out, id) = noise(&mut rec, &Noise { dims, key: NoiseKey::default(), views: &views });
        let out = rec.keep(&out).unwrap();
        let mut recording = rec.finish().unwrap();
        recording.run().unwrap();
        recording.set_params(id, &params(dims, &key));
        recording.run().unwrap();
        let replayed: Vec<f64> = variant.ctx.read(&out).unwrap().into_iter().map(f64::from).collect();
        assert_eq!(replayed, together, "{}", variant.name);
    }
}

/// Mean, variance, skewness and kurtosis of 2^20 numbers, each within five standard errors, and no correlation between
/// neighbouring elements, views, steps, trajectories.
#[test]
fn numbers_are_standard_normal_and_independent() {
    let variant = &variants().unwrap()[0];
    let (dims, n) = ([1, 512, 512, 4], (1u32 << 20) as f64);
    let key = NoiseKey { seed: 42, step: 1, ..NoiseKey::default() };
    let base = run(variant, dims, key, &[0]);
    let moment = |power: i32| base.iter().map(|v| v.powi(power)).sum::<f64>() / n;
    for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let error = (moment(power) - expected).abs();
        assert!(error < 5.0 * f64::sqrt(variance / n), "moment {power} is off by {error}");
    }
    let others = [
        run(variant, dims, key, &[1]),
        run(variant, dims, NoiseKey { step: 2, ..key }, &[0]),
        run(variant, dims, NoiseKey { trajectory: 1, ..key }, &[0]),
        run(variant, dims, NoiseKey { seed: 43, ..key }, &[0]),
        [&base[1..], &base[..1]].concat(),
    ];
    for (i, other) in others.iter().enumerate() {
        let correlation = base.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / n;
        assert!(correlation.abs() < 5.0 / n.sqrt(), "stream {i}: correlation {correlation}");
    }
}
