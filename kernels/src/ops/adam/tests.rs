use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::finite::{self, Found};

const UNIT: f64 = crate::ops::scatter_views::UNIT;

struct State {
    canvas: Tensor,
    moments: [Tensor; 2],
    sums: Tensor,
    hits: Tensor,
    report: Tensor,
}

impl State {
    fn new(variant: &Variant, dims: &[usize], canvas: &[f64]) -> Self {
        let float = |values: &[f64]| variant.tensor_as(values, dims, Elem::F32).unwrap().0;
        let zeros = vec![0.0; canvas.len()];
        let integers = |dims: &[usize]| crate::ops::scatter_views::new_sums(&variant.ctx, dims).unwrap();
        Self {
            canvas: float(canvas),
            moments: [float(&zeros), float(&zeros)],
            sums: integers(dims),
            hits: integers(&dims[..2]),
            report: finite::new_report(&variant.ctx).unwrap(),
        }
    }

    fn step(&self, variant: &Variant, divide: bool, scalars: AdamScalars) -> Vec<f64> {
        let [m, v] = &self.moments;
        let hits = divide.then_some(&self.hits);
        let (canvas, moments, sums, report) = (&self.canvas, [m, v], &self.sums, &self.report);
        variant
            .run(|rec| {
                adam(rec, &Adam { canvas, moments, sums, hits, report, scalars });
                canvas.clone()
            })
            .unwrap()
    }
}

#[test]
fn matches_the_oracle_over_several_steps_and_clears_the_sums() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(81);
        for case in 0..200 {
            let dims = [draw.dim(17), draw.dim(17), draw.dim(9)];
            let count: usize = dims.iter().product();
            let texels = dims[0] * dims[1];
            let start: Vec<f64> = (0..count).map(|_| f64::from(draw.normal() as f32)).collect();
            let state = State::new(variant, &dims, &start);
            let (mut canvas, mut m, mut v) = (start, vec![0.0; count], vec![0.0; count]);
            let divide = case % 2 == 1;
            for step in 1..=3 {
                let sums: Vec<i32> = (0..count).map(|_| (draw.normal() * UNIT) as i32).collect();
                // A third of the texels is hit by nothing.
                let hit = |draw: &mut Draw| if draw.below(3) == 0 { 0 } else { 1 + draw.below(4 << 20) as u32 };
                let hits: Vec<u32> = (0..texels).map(|_| hit(&mut draw)).collect();
                let bits: Vec<u32> = sums.iter().map(|v| *v as u32).collect();
                variant.ctx.write_u32(&state.sums, &bits).unwrap();
                variant.ctx.write_u32(&state.hits, &hits).unwrap();
                let betas = draw.pick(&[[0.9, 0.999], [0.9, 0.99], [0.0, 0.0]]);
                let scalars = AdamScalars { rate: 0.05, betas, epsilon: 1e-5, step, scale: 0.25 };
                let got = state.step(variant, divide, scalars);
                let gradient = |i: usize| {
                    let hits = f64::from(hits[i / dims[2]]) / UNIT;
                    let sum = 0.25 * f64::from(sums[i]) / UNIT;
                    if !divide {
                        sum
                    } else if hits > 0.0 {
                        sum / hits
                    } else {
                        0.0
                    }
                };
                let gradients: Vec<f64> = (0..count).map(gradient).collect();
                adam_oracle([&mut canvas, &mut m, &mut v], &gradients, &scalars);
                let name = format!("{} case {case} {dims:?} step {step}", variant.name);
                assert_close(&name, &got, &canvas, F32_ELEMENTWISE);
                assert!(variant.ctx.read_u32(&state.sums).unwrap().iter().all(|v| *v == 0), "{name}: sums");
                let left = variant.ctx.read_u32(&state.hits).unwrap();
                assert_eq!(left, if divide { vec![0; texels] } else { hits }, "{name}: hits");
            }
            assert_eq!(finite::take_report(&variant.ctx, &state.report).unwrap().count, 0);
        }
    }
}

/// The first step of Adam moves every coordinate by the learning rate against its gradient, whatever the gradient's size.
#[test]
fn the_first_step_is_the_learning_rate() {
    let variant = &variants().unwrap()[0];
    let state = State::new(variant, &[2, 2, 1], &[0.0; 4]);
    let sums = [1 << 20, -(1 << 10), 1 << 29, 0].map(|v: i32| v as u32);
    variant.ctx.write_u32(&state.sums, &sums).unwrap();
    let got = state.step(variant, false, AdamScalars { rate: 0.125, ..AdamScalars::default() });
    for (value, expected) in got.iter().zip([-0.125, 0.125, -0.125, 0.0]) {
        assert!((value - expected).abs() < 1e-5, "{got:?}");
    }
}

#[test]
fn sums_out_of_range_are_reported() {
    let variant = &variants().unwrap()[0];
    let state = State::new(variant, &[1, 2, 3], &[0.0; 6]);
    let sums = [0, (1 << 30) - 1, 1 << 30, i32::MIN, 5, -(1 << 30) + 1].map(|v: i32| v as u32);
    variant.ctx.write_u32(&state.sums, &sums).unwrap();
    state.step(variant, false, AdamScalars::default());
    assert_eq!(finite::take_report(&variant.ctx, &state.report).unwrap(), Found { count: 2, first: 2 });
}

/// A quadratic is minimised: what scatter and Adam are for.
#[test]
fn a_recording_replayed_with_the_next_step_converges() {
    let variant = &variants().unwrap()[0];
    let state = State::new(variant, &[3, 5, 4], &[0.0; 60]);
    let targets: Vec<f32> = (0..60).map(|i| 0.1 * i as f32 - 2.0).collect();
    let [m, v] = &state.moments;
    let (canvas, moments, sums, report) = (&state.canvas, [m, v], &state.sums, &state.report);
    let mut rec = Recorder::new(&variant.ctx);
    let id = adam(&mut rec, &Adam { canvas, moments, sums, hits: None, report, scalars: AdamScalars::default() });
    let mut recording = rec.finish().unwrap();
    for step in 1..=200 {
        let now = variant.ctx.read(canvas).unwrap();
        let gradients: Vec<u32> =
            now.iter().zip(&targets).map(|(z, t)| (f64::from(z - t) * UNIT).round() as i32 as u32).collect();
        variant.ctx.write_u32(sums, &gradients).unwrap();
        recording.set_params(id, &params(canvas.dims(), &AdamScalars { step, ..AdamScalars::default() }));
        recording.run().unwrap();
    }
    let left = variant.ctx.read(canvas).unwrap();
    assert!(left.iter().zip(&targets).all(|(z, t)| (z - t).abs() < 0.05), "{left:?}");
}
