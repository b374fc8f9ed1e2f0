use super::oracle::{Problem, Values};
use super::*;
use crate::check::{Draw, F32_REDUCTION, Variant, assert_close, variants};

/// Uploaded tensors of a problem.
struct Tensors {
    x: Tensor,
    skip: Option<Tensor>,
    w: Tensor,
    bias: Option<Tensor>,
    time: Option<Tensor>,
    residual: Option<Tensor>,
}

impl Tensors {
    fn conv<'a>(&'a self, p: &Problem) -> Conv2d<'a> {
        Conv2d {
            x: &self.x,
            skip: self.skip.as_ref(),
            w: &self.w,
            bias: self.bias.as_ref(),
            time_embedding: self.time.as_ref(),
            residual: self.residual.as_ref(),
            activation: p.activation,
            stride: p.stride,
            padding: p.padding,
            wrap: p.wrap,
            upsample: p.upsample,
            trim: p.trim,
        }
    }
}

fn random_problem(draw: &mut Draw) -> Problem {
    let s = if draw.bits() & 3 == 0 { draw.dim(20) } else { 0 };
    let c = draw.dim(36);
    let taps = draw.pick(&[1, 3, 3]);
    let asymmetric = taps == 3 && draw.bits() & 3 == 0;
    let upsample = draw.bits() & 3 == 0;
    Problem {
        batch: 1 + draw.below(3),
        height: 2 + draw.below(9),
        width: 2 + draw.below(13),
        c: if s > 0 { c.next_multiple_of(4) } else { c },
        s,
        n: draw.dim(40),
        taps,
        stride: draw.pick(&[1, 1, 2]),
        padding: if asymmetric { Padding::AsymmetricEnd } else { Padding::Same },
        wrap: Wrap { x: draw.bits() & 3 == 0, y: draw.bits() & 3 == 0 },
        upsample,
        trim: [0; 2].map(|_| upsample && draw.bits() & 1 == 0),
        // Each pair of activation and number of sources is a shader to compile.
        activation: if s > 0 { Activation::None } else { draw.pick(&[Activation::None, Activation::Silu]) },
    }
}

fn upload(variant: &Variant, draw: &mut Draw, p: &Problem) -> (Tensors, Values) {
    let scale = ((p.taps * p.taps * (p.c + p.s)) as f64).sqrt().recip();
    let mut normal = |dims: &[usize], scale: f64| {
        let values: Vec<f64> = (0..dims.iter().product()).map(|_| scale * draw.normal()).collect();
        variant.tensor(&values, dims).unwrap()
    };
    let image = [p.batch, p.height, p.width];
    let (x, xv) = normal(&[image[0], image[1], image[2], p.c], 1.0);
    let skip = (p.s > 0).then(|| normal(&[image[0], image[1], image[2], p.s], 1.0));
    let (w, wv) = normal(&[p.n, p.taps, p.taps, p.c + p.s], scale);
    let (bias, time) = (normal(&[p.n], 1.0), normal(&[p.batch, p.n], 1.0));
    let dims = {
        let probe = Conv2d { skip: skip.as_ref().map(|s| &s.0), ..Conv2d::new(&x, &w) };
        sizes(&Conv2d { stride: p.stride, padding: p.padding, upsample: p.upsample, trim: p.trim, ..probe }).dims()
    };
    let residual = normal(&dims, 1.0);
    let chosen = draw.bits();
    let take = |bit: u64, t: (Tensor, Vec<f64>)| if chosen & bit != 0 { (Some(t.0), Some(t.1)) } else { (None, None) };
    let (bias, bias_values) = take(1, bias);
    let (time, time_values) = take(2, time);
    let (residual, residual_values) = take(4, residual);
    let (skip, skip_values) = skip.map_or((None, Vec::new()), |(t, v)| (Some(t), v));
    let values =
        Values { x: xv, skip: skip_values, w: wv, bias: bias_values, time: time_values, residual: residual_values };
    (Tensors { x, skip, w, bias, time, residual }, values)
}

#[test]
fn matches_the_oracle_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(21);
        for case in 0..200 {
            let problem = random_problem(&mut draw);
            let (tensors, values) = upload(&variant, &mut draw, &problem);
            let (expected, height, width) = problem.solve(&values);
            let conv = tensors.conv(&problem);
            assert_eq!(sizes(&conv).dims(), [problem.batch, height, width, problem.n], "{problem:?}");
            let got = variant.run(|rec| conv2d(rec, &conv)).unwrap();
            let name = format!("{} case {case} {problem:?}", variant.name);
            assert_close(&name, &got, &expected, variant.bound(F32_REDUCTION));
        }
    }
}

#[test]
fn images_of_a_batch_equal_single_runs_to_the_byte() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(22);
        for _ in 0..20 {
            let problem = Problem { batch: 3, ..random_problem(&mut draw) };
            let (all, values) = upload(&variant, &mut draw, &problem);
            let batch = variant.run(|rec| conv2d(rec, &all.conv(&problem))).unwrap();
            let part = |t: &Option<Tensor>, v: &[f64], b: usize| -> Option<Tensor> {
                let t = t.as_ref()?;
                let dims = [&[1], &t.dims()[1..]].concat();
                Some(variant.tensor(&v[b * v.len() / 3..][..v.len() / 3], &dims).unwrap().0)
            };
            for b in 0..3 {
                let one = Tensors {
                    x: part(&Some(all.x.clone()), &values.x, b).unwrap(),
                    skip: part(&all.skip, &values.skip, b),
                    w: all.w.clone(),
                    bias: all.bias.clone(),
                    time: part(&all.time, values.time.as_deref().unwrap_or(&[]), b),
                    residual: part(&all.residual, values.residual.as_deref().unwrap_or(&[]), b),
                };
                let single = variant.run(|rec| conv2d(rec, &one.conv(&problem))).unwrap();
                assert_eq!(
                    single,
                    &batch[b * single.len()..][..single.len()],
                    "{} {problem:?} image {b}",
                    variant.name
                );
            }
        }
    }
}

#[test]
fn many_tiles() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(23);
        let problem = Problem {
            batch: 2,
            height: 131,
            width: 113,
            c: 3,
            s: 0,
            n: 5,
            taps: 3,
            stride: 1,
            padding: Padding::Same,
            wrap: Wrap { x: true, y: false },
            upsample: false,
            trim: [false; 2],
            activation: Activation::None,
        };
        let (tensors, values) = upload(&variant, &mut draw, &problem);
        let got = variant.run(|rec| conv2d(rec, &tensors.conv(&problem))).unwrap();
        assert_close(variant.name, &got, &problem.solve(&values).0, variant.bound(F32_REDUCTION));
    }
}
