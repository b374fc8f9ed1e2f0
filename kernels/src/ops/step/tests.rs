use super::oracle::Inputs;
use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::noise;

fn random_scalars(draw: &mut Draw) -> StepScalars {
    let mut number = || draw.normal() as f32;
    StepScalars {
        guidance: [number(), number(), number(), number()],
        clean_x: number(),
        clean_out: number(),
        next_x: number(),
        next_out: number(),
        next_clean: number(),
        next_prev_clean: number(),
        next_noise: number(),
        key: NoiseKey { seed: 77, trajectory: 1, purpose: 5 << 16, step: 3 },
    }
}

/// Runs once and returns (x, clean).
fn run(variant: &Variant, s: &Step<'_>) -> (Vec<f64>, Vec<f64>) {
    let x = variant.run(|rec| {
        step(rec, s);
        s.x.clone()
    });
    let clean = variant.ctx.read(s.clean).unwrap().into_iter().map(f64::from).collect();
    (x.unwrap(), clean)
}

#[test]
fn matches_the_oracle_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(21);
        for case in 0..200 {
            let dims = [1 + draw.below(4), draw.dim(20), draw.dim(20), draw.dim(9)];
            let (rows, noise_mode) = (1 + case % MAX_ROWS, case / 4 % 3);
            let scalars = random_scalars(&mut draw);
            let float = |draw: &mut Draw| {
                let values: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
                variant.tensor_as(&values, &dims, Elem::F32).unwrap()
            };
            let (x, x0) = float(&mut draw);
            let (clean, clean0) = float(&mut draw);
            let (drawn, drawn0) = float(&mut draw);
            let (out, out0) = variant.normal(&mut draw, &[rows * dims[0], dims[1], dims[2], dims[3]]).unwrap();
            let ids: Vec<u32> = (0..dims[0]).map(|_| draw.below(100) as u32).collect();
            let views = variant.ctx.upload_u32(&ids, &[ids.len()]).unwrap();
            let noise = [StepNoise::None, StepNoise::Drawn(&drawn), StepNoise::Keyed(&views)][noise_mode];
            let keyed = noise::oracle::noise(dims, &scalars.key, &ids);
            let noise0 = [None, Some(&drawn0[..]), Some(&keyed[..])][noise_mode];
            let input = Inputs { x: &x0, out: &out0, clean: &clean0, noise: noise0 };
            let (expected_x, expected_clean) = oracle::step(&input, &scalars);
            let got = run(&variant, &Step { x: &x, out: &out, clean: &clean, noise, scalars });
            let name = format!("{} case {case} {dims:?} rows {rows}", variant.name);
            // x and clean are f32 in every variant and the oracle starts from the stored output: f32 bound throughout.
            assert_close(&format!("{name} x"), &got.0, &expected_x, F32_ELEMENTWISE);
            assert_close(&format!("{name} clean"), &got.1, &expected_clean, F32_ELEMENTWISE);
        }
    }
}

#[test]
fn what_has_factor_zero_is_not_read() {
    for variant in variants().unwrap() {
        let dims = [1, 2, 3, 4];
        let (x, _) = variant.tensor_as(&[1.0; 24], &dims, Elem::F32).unwrap();
        let (out, _) = variant.tensor(&[2.0; 24], &dims).unwrap();
        // Fresh memory of a guarded context is NaN.
        let clean = variant.ctx.tensor(&dims, Elem::F32).unwrap();
        let nan = variant.ctx.tensor(&dims, Elem::F32).unwrap();
        let scalars =
            StepScalars { guidance: [1.0, 0.0, 0.0, 0.0], clean_out: 0.5, next_clean: 3.0, ..StepScalars::default() };
        let noise = StepNoise::Drawn(&nan);
        let got = run(&variant, &Step { x: &x, out: &out, clean: &clean, noise, scalars });
        assert_eq!(got, (vec![3.0; 24], vec![1.0; 24]), "{}", variant.name);
    }
}

#[test]
fn a_replay_takes_new_scalars() {
    let variant = &variants().unwrap()[0];
    let dims = [1, 1, 2, 4];
    let (x, _) = variant.tensor(&[0.0; 8], &dims).unwrap();
    let (out, _) = variant.tensor(&[1.0; 8], &dims).unwrap();
    let (clean, _) = variant.tensor(&[0.0; 8], &dims).unwrap();
    let base =
        StepScalars { guidance: [1.0, 0.0, 0.0, 0.0], clean_out: 1.0, next_clean: 1.0, ..StepScalars::default() };
    let mut rec = Recorder::new(&variant.ctx);
    let id = step(&mut rec, &Step { x: &x, out: &out, clean: &clean, noise: StepNoise::None, scalars: base });
    let mut recording = rec.finish().unwrap();
    for (clean_out, expected) in [(1.0, 1.0), (0.25, 0.25), (-3.0, -3.0)] {
        recording.set_params(id, &params(&dims, 1, &StepScalars { clean_out, ..base }));
        recording.run().unwrap();
        assert_eq!(variant.ctx.read(&x).unwrap(), [expected; 8]);
        assert_eq!(variant.ctx.read(&clean).unwrap(), [expected; 8]);
    }
}

#[test]
fn a_batch_equals_single_steps_to_the_byte() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(5);
        let (dims, single) = ([3, 5, 4, 3], [1, 5, 4, 3]);
        let per_view = 60;
        let scalars = random_scalars(&mut draw);
        let numbers: Vec<f64> = (0..9 * per_view).map(|_| draw.normal()).collect();
        let (x0, clean0, out0) =
            (&numbers[..3 * per_view], &numbers[3 * per_view..6 * per_view], &numbers[6 * per_view..]);
        let at = |values: &[f64], dims: &[usize]| variant.tensor_as(values, dims, Elem::F32).unwrap().0;
        let run_part = |first: usize, dims: [usize; 4]| {
            let range = first * per_view..(first + dims[0]) * per_view;
            let x = at(&x0[range.clone()], &dims);
            let clean = at(&clean0[range.clone()], &dims);
            let out = variant.tensor(&out0[range], &dims).unwrap().0;
            let ids: Vec<u32> = (first..first + dims[0]).map(|v| v as u32).collect();
            let views = variant.ctx.upload_u32(&ids, &[ids.len()]).unwrap();
            let noise = StepNoise::Keyed(&views);
            run(&variant, &Step { x: &x, out: &out, clean: &clean, noise, scalars }).0
        };
        let together = run_part(0, dims);
        let apart: Vec<f64> = (0..3).flat_map(|v| run_part(v, single)).collect();
        assert_eq!(together, apart, "{}", variant.name);
    }
}
