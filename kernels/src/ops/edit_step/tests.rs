use super::oracle::Inputs;
use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::noise;

fn random_scalars(draw: &mut Draw) -> EditScalars {
    let mut number = || draw.normal() as f32;
    EditScalars {
        d_own: number(),
        d_clean: number(),
        s_own: number(),
        s_known: number(),
        sigma: number(),
        gamma: number(),
        key: NoiseKey { seed: 78, trajectory: 0, purpose: 1 << 24, step: 5 },
    }
}

/// Runs once and returns (states, differences).
fn run(variant: &Variant, edit: &EditStep<'_>) -> (Vec<f64>, Vec<f64>) {
    let state = variant.run(|rec| {
        edit_step(rec, edit);
        edit.state.clone()
    });
    let read = |tensor: &Tensor| variant.ctx.read(tensor).unwrap().into_iter().map(f64::from).collect();
    (state.unwrap(), read(edit.difference))
}

fn float32() -> Vec<Variant> {
    variants().unwrap().into_iter().filter(|v| v.elem == Elem::F32).collect()
}

#[test]
fn matches_the_oracle_on_random_shapes() {
    for variant in float32() {
        let mut draw = Draw::new(31);
        for case in 0..210 {
            let dims = [1 + draw.below(4), draw.dim(20), draw.dim(20), draw.dim(9)];
            let pairs = [2 * dims[0], dims[1], dims[2], dims[3]];
            let (noise_mode, mask_mode) = (case % 3, case / 3 % 4);
            let scalars = random_scalars(&mut draw);
            let (state, state0) = variant.normal(&mut draw, &pairs).unwrap();
            let (clean, clean0) = variant.normal(&mut draw, &pairs).unwrap();
            let (known, known0) = variant.normal(&mut draw, &dims).unwrap();
            let (difference, difference0) = variant.normal(&mut draw, &dims).unwrap();
            let (drawn, drawn0) = variant.normal(&mut draw, &dims).unwrap();
            let projected = [dims[0], dims[1], dims[2], 1];
            let mask_dims = [&dims[1..3], &dims[..3], &projected[..]][mask_mode % 3];
            let values: Vec<f64> = (0..mask_dims.iter().product()).map(|_| draw.below(2) as f64).collect();
            let mask = (mask_mode < 3).then(|| variant.tensor(&values, mask_dims).unwrap().0);
            let free: Vec<f64> = (0..difference0.len()).map(|i| values[i / dims[3] % values.len()]).collect();
            let ids: Vec<u32> = (0..dims[0]).map(|_| draw.below(100) as u32).collect();
            let views = variant.ctx.upload_u32(&ids, &[ids.len()]).unwrap();
            let keyed = noise::oracle::noise(dims, &scalars.key, &ids);
            let inputs = Inputs {
                state: &state0,
                clean: &clean0,
                known: &known0,
                difference: &difference0,
                mask: mask.is_some().then_some(&free[..]),
                noise: [None, Some(&drawn0[..]), Some(&keyed[..])][noise_mode],
            };
            let expected = oracle::edit_step(&inputs, &scalars);
            let noise = [StepNoise::None, StepNoise::Drawn(&drawn), StepNoise::Keyed(&views)][noise_mode];
            let mask = mask.as_ref();
            let options =
                EditStep { state: &state, clean: &clean, known: &known, difference: &difference, mask, noise, scalars };
            let got = run(&variant, &options);
            let name = format!("{} case {case} {dims:?} mask {:?}", variant.name, mask.map(Tensor::dims));
            assert_close(&format!("{name} state"), &got.0, &expected.0, F32_ELEMENTWISE);
            assert_close(&format!("{name} difference"), &got.1, &expected.1, F32_ELEMENTWISE);
        }
    }
}

#[test]
fn what_has_factor_zero_is_not_read() {
    for variant in float32() {
        let (dims, pairs) = ([1, 2, 3, 4], [2, 2, 3, 4]);
        // Fresh memory of a guarded context is NaN.
        let fresh = |dims: &[usize]| variant.ctx.tensor(dims, Elem::F32).unwrap();
        let (state, clean, difference, drawn) = (fresh(&pairs), fresh(&pairs), fresh(&dims), fresh(&dims));
        let known = variant.tensor(&[2.5; 24], &dims).unwrap().0;
        let scalars = EditScalars { s_known: 1.0, gamma: 1.0, ..EditScalars::default() };
        let noise = StepNoise::Drawn(&drawn);
        let options = EditStep {
            state: &state,
            clean: &clean,
            known: &known,
            difference: &difference,
            mask: None,
            noise,
            scalars,
        };
        assert_eq!(run(&variant, &options), (vec![2.5; 48], vec![0.0; 24]), "{}", variant.name);
    }
}

/// Whatever the factors: equal estimates give a difference of exactly 0, and a target that is the source to the bit.
#[test]
fn equal_estimates_give_exactly_nothing() {
    for variant in float32() {
        let mut draw = Draw::new(6);
        let (dims, pairs) = ([2, 7, 5, 3], [4, 7, 5, 3]);
        let (known, _) = variant.normal(&mut draw, &dims).unwrap();
        let half: Vec<f64> = (0..210).map(|_| 100.0 * draw.normal()).collect();
        let clean = variant.tensor(&[half.clone(), half].concat(), &pairs).unwrap().0;
        let (state, _) = variant.normal(&mut draw, &pairs).unwrap();
        let difference = variant.tensor(&[0.0; 210], &dims).unwrap().0;
        let views = variant.ctx.upload_u32(&[3, 9], &[2]).unwrap();
        let noise = StepNoise::Keyed(&views);
        let scalars = random_scalars(&mut draw);
        let options = EditStep {
            state: &state,
            clean: &clean,
            known: &known,
            difference: &difference,
            mask: None,
            noise,
            scalars,
        };
        let (states, differences) = run(&variant, &options);
        assert!(differences.iter().all(|d| *d == 0.0), "{}", variant.name);
        let (source, target) = states.split_at(210);
        assert!(source.iter().zip(target).all(|(s, z)| s.to_bits() == z.to_bits()), "{}", variant.name);
    }
}

#[test]
fn a_batch_equals_single_pairs_to_the_byte() {
    for variant in float32() {
        let mut draw = Draw::new(5);
        let (dims, per_view) = ([3usize, 5, 4, 3], 60);
        let scalars = random_scalars(&mut draw);
        let numbers: Vec<f64> = (0..6 * 3 * per_view).map(|_| draw.normal()).collect();
        let rows = |block: usize, range: &std::ops::Range<usize>| {
            numbers[block * 3 * per_view..][range.start * per_view..range.end * per_view].to_vec()
        };
        let part = |range: std::ops::Range<usize>| {
            let [dims, pairs] = [1, 2].map(|k| [k * range.len(), dims[1], dims[2], dims[3]]);
            let both = |a: usize| [rows(a, &range), rows(a + 1, &range)].concat();
            let state = variant.tensor(&both(0), &pairs).unwrap().0;
            let clean = variant.tensor(&both(2), &pairs).unwrap().0;
            let known = variant.tensor(&rows(4, &range), &dims).unwrap().0;
            let difference = variant.tensor(&rows(5, &range), &dims).unwrap().0;
            let ids: Vec<u32> = range.clone().map(|v| v as u32).collect();
            let views = variant.ctx.upload_u32(&ids, &[ids.len()]).unwrap();
            let noise = StepNoise::Keyed(&views);
            let options = EditStep {
                state: &state,
                clean: &clean,
                known: &known,
                difference: &difference,
                mask: None,
                noise,
                scalars,
            };
            let (states, differences) = run(&variant, &options);
            (states[range.len() * per_view..].to_vec(), differences)
        };
        let together = part(0..3);
        let apart: Vec<_> = (0..3).map(|v| part(v..v + 1)).collect();
        let targets: Vec<f64> = apart.iter().flat_map(|p| p.0.clone()).collect();
        let differences: Vec<f64> = apart.iter().flat_map(|p| p.1.clone()).collect();
        assert_eq!(together, (targets, differences), "{}", variant.name);
    }
}
