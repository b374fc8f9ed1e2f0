use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::finite::{self, Found};
use crate::ops::scatter_views::new_sums;

const UNIT: f64 = crate::ops::scatter_views::UNIT;

struct State {
    canvas: Tensor,
    sums: Tensor,
    hits: Tensor,
    report: Tensor,
}

impl State {
    fn new(variant: &Variant, dims: &[usize], canvas: &[f64]) -> Self {
        Self {
            canvas: variant.tensor_as(canvas, dims, Elem::F32).unwrap().0,
            sums: new_sums(&variant.ctx, dims).unwrap(),
            hits: new_sums(&variant.ctx, &dims[..2]).unwrap(),
            report: finite::new_report(&variant.ctx).unwrap(),
        }
    }

    fn step(&self, variant: &Variant, (sums, hits): (&[i32], &[u32]), divide: bool, rate: f64) -> Vec<f64> {
        let bits: Vec<u32> = sums.iter().map(|v| *v as u32).collect();
        variant.ctx.write_u32(&self.sums, &bits).unwrap();
        variant.ctx.write_u32(&self.hits, hits).unwrap();
        let (canvas, sums, report) = (&self.canvas, &self.sums, &self.report);
        let hits = divide.then_some(&self.hits);
        variant
            .run(|rec| {
                sgd(rec, &Sgd { canvas, sums, hits, report, rate });
                canvas.clone()
            })
            .unwrap()
    }
}

#[test]
fn matches_the_oracle_and_clears_the_sums() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(91);
        for case in 0..220 {
            let dims = [draw.dim(17), draw.dim(17), draw.dim(9)];
            let (count, texels) = (dims.iter().product(), dims[0] * dims[1]);
            let start: Vec<f64> = (0..count).map(|_| f64::from(draw.normal() as f32)).collect();
            let state = State::new(variant, &dims, &start);
            let sums: Vec<i32> = (0..count).map(|_| (3.0 * draw.normal() * UNIT) as i32).collect();
            let hit = |draw: &mut Draw| if draw.below(3) == 0 { 0 } else { 1 + draw.below(4 << 20) as u32 };
            let hits: Vec<u32> = (0..texels).map(|_| hit(&mut draw)).collect();
            let divide = case % 2 == 1;
            // The smallest hits make steps of 2^20: of a size with the canvas they are not.
            let rate = if divide { 1e-3 } else { 0.5 };
            let got = state.step(variant, (&sums, &hits), divide, rate);
            let unit = |v: f64| v / UNIT;
            let (sums, unit_hits): (Vec<f64>, Vec<f64>) = (
                sums.iter().map(|v| unit(f64::from(*v))).collect(),
                hits.iter().map(|v| unit(f64::from(*v))).collect(),
            );
            let expected = oracle::sgd(&start, &sums, divide.then_some(&unit_hits[..]), rate);
            let name = format!("{} case {case} {dims:?}", variant.name);
            assert_close(&name, &got, &expected, F32_ELEMENTWISE);
            if divide {
                let unseen = (0..count).filter(|i| hits[i / dims[2]] == 0);
                for i in unseen {
                    assert_eq!(got[i].to_bits(), start[i].to_bits(), "{name}: unseen {i} moved");
                }
            }
            assert!(variant.ctx.read_u32(&state.sums).unwrap().iter().all(|v| *v == 0), "{name}: sums");
            let left = variant.ctx.read_u32(&state.hits).unwrap();
            assert_eq!(left, if divide { vec![0; texels] } else { hits }, "{name}: hits");
            assert_eq!(finite::take_report(&variant.ctx, &state.report).unwrap().count, 0);
        }
    }
}

/// However many views saw a texel, a constant gradient moves it by that constant.
#[test]
fn a_mean_of_equal_gradients_is_that_gradient() {
    let variant = &variants().unwrap()[0];
    let state = State::new(variant, &[1, 7, 2], &[0.0; 14]);
    let views = [0, 1, 2, 3, 5, 7, 100];
    let sums: Vec<i32> = views.iter().flat_map(|n| [n * 786_432, n * -262_144]).collect();
    let hits: Vec<u32> = views.iter().map(|n| *n as u32 * (1 << 20)).collect();
    let got = state.step(variant, (&sums, &hits), true, 1.0);
    for (n, texel) in views.iter().zip(got.chunks(2)) {
        let expected = if *n == 0 { [0.0; 2] } else { [-0.75, 0.25] };
        assert_eq!(texel, expected, "{n} views");
    }
}

#[test]
fn sums_out_of_range_are_reported_and_left_out() {
    let variant = &variants().unwrap()[0];
    let state = State::new(variant, &[1, 2, 3], &[1.0; 6]);
    let got = state.step(variant, (&[0, (1 << 30) - 1, 5, i32::MIN, 5, -(1 << 30) + 1], &[0; 2]), false, 1.0);
    assert_eq!(finite::take_report(&variant.ctx, &state.report).unwrap(), Found { count: 1, first: 4 });
    assert_eq!(got[3..], [1.0; 3]);
    assert!(got[1] < -1000.0);
}
