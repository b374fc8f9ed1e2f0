//! Against the f64 oracle: shapes, eps, large means, batches.

use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, nmse, variants};

/// Pixels and channels of a case.
#[derive(Clone, Debug)]
struct Dims {
    batch: usize,
    pixels: [usize; 2],
    widths: [usize; 2],
    groups: usize,
}

struct Case {
    dims: Dims,
    sources: Vec<Vec<f64>>,
    tensors: Vec<Tensor>,
    weight: (Tensor, Vec<f64>),
    bias: (Tensor, Vec<f64>),
}

fn case(variant: &Variant, draw: &mut Draw, dims: Dims, (mean, std): (f64, f64)) -> Case {
    let (mut sources, mut tensors) = (Vec::new(), Vec::new());
    for &width in dims.widths.iter().filter(|&&w| w > 0) {
        let shape = [dims.batch, dims.pixels[0], dims.pixels[1], width];
        let raw: Vec<f64> = (0..shape.iter().product()).map(|_| mean + std * draw.normal()).collect();
        let (tensor, values) = variant.tensor(&raw, &shape).unwrap();
        sources.push(values);
        tensors.push(tensor);
    }
    let width = dims.widths.iter().sum();
    let weight = variant.normal(draw, &[width]).unwrap();
    let bias = variant.normal(draw, &[width]).unwrap();
    Case { dims, sources, tensors, weight, bias }
}

impl Case {
    fn op(&self, eps: f32, silu: bool) -> GroupNorm<'_> {
        GroupNorm {
            x: &self.tensors[0],
            skip: self.tensors.get(1),
            weight: &self.weight.0,
            bias: &self.bias.0,
            groups: self.dims.groups,
            eps,
            silu,
        }
    }

    fn run(&self, variant: &Variant, (eps, silu): (f32, bool), lanes: usize) -> Vec<f64> {
        variant.run(|rec| launch(rec, &self.op(eps, silu), lanes)).unwrap()
    }

    fn oracle(&self, eps: f64, silu: bool) -> Vec<f64> {
        let widths = self.dims.widths;
        let rows = self.sources[0].len() / widths[0];
        let mut x = Vec::new();
        for row in 0..rows {
            for (values, width) in self.sources.iter().zip(widths) {
                x.extend_from_slice(&values[row * width..(row + 1) * width]);
            }
        }
        oracle::group_norm(&oracle::Input {
            x: &x,
            weight: &self.weight.1,
            bias: &self.bias.1,
            batch: self.dims.batch,
            groups: self.dims.groups,
            eps,
            silu,
        })
    }
}

fn random_dims(draw: &mut Draw, at: usize) -> Dims {
    let pixels = [draw.dim(17), draw.dim(17)];
    let batch = 1 + draw.below(3);
    let group_width = draw.pick(&[1, 2, 3, 5, 8, 10, 40, 60]);
    let groups = 1 + draw.below(6);
    let width = group_width * groups;
    // Every other case has a skip, where the channels allow one: groups straddle the boundary at random.
    let widths = if at.is_multiple_of(2) && width.is_multiple_of(4) && width >= 8 {
        let first = 4 * (1 + draw.below(width / 4 - 1));
        [first, width - first]
    } else {
        [width, 0]
    };
    Dims { batch, pixels, widths, groups }
}

#[test]
fn matches_the_formula_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(21);
        let mut skips = 0;
        for at in 0..200 {
            let dims = random_dims(&mut draw, at);
            let case = case(&variant, &mut draw, dims, (0.3, 1.5));
            skips += case.tensors.len() - 1;
            let silu = at % 3 == 0;
            let lanes = [1, 64][at / 2 % 2];
            let got = case.run(&variant, (1e-5, silu), lanes);
            let name = format!("{} case {at} {:?} silu {silu} lanes {lanes}", variant.name, case.dims);
            assert_close(&name, &got, &case.oracle(f64::from(1e-5f32), silu), variant.bound(F32_ELEMENTWISE));
        }
        assert!(skips > 30, "only {skips} cases had a skip");
    }
}

#[test]
fn tokens_and_many_spans() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(22);
        // 40·41 pixels: 52 spans of the statistics pass, the last of 8; 17·41·… covers odd apply spans.
        for (pixels, widths, groups) in [([40, 41], [12, 0], 4), ([1, 697], [8, 16], 3), ([130, 130], [4, 0], 2)] {
            let case = case(&variant, &mut draw, Dims { batch: 2, pixels, widths, groups }, (-1.0, 3.0));
            for lanes in [1, 64] {
                let got = case.run(&variant, (1e-6, true), lanes);
                assert_close(variant.name, &got, &case.oracle(1e-6, true), variant.bound(F32_ELEMENTWISE));
            }
        }
        let case =
            case(&variant, &mut draw, Dims { batch: 2, pixels: [1, 77], widths: [30, 0], groups: 3 }, (0.0, 1.0));
        let x = case.tensors[0].reshape(&[2, 77, 30]);
        let got = variant.run(|rec| group_norm(rec, &GroupNorm { x: &x, ..case.op(1e-6, false) })).unwrap();
        assert_close(variant.name, &got, &case.oracle(1e-6, false), variant.bound(F32_ELEMENTWISE));
    }
}

#[test]
fn eps_counts_when_the_variance_is_small() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(23);
        for (eps, other, lanes) in [(1e-5, 1e-6, 1), (1e-6, 1e-5, 64), (1e-6, 1e-12, 1)] {
            let dims = Dims { batch: 2, pixels: [9, 9], widths: [24, 0], groups: 4 };
            let case = case(&variant, &mut draw, dims, (0.0, 1e-3));
            let got = case.run(&variant, (eps, false), lanes);
            assert_close(variant.name, &got, &case.oracle(f64::from(eps), false), variant.bound(F32_ELEMENTWISE));
            let wrong = nmse(&got, &case.oracle(other, false));
            assert!(wrong > 1e-2, "{}: eps {other} would pass for {eps}: {wrong}", variant.name);
        }
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(24);
        // The mean itself is rounded to f32: 100 has an ulp of 7.6e-6, 1.5e-4 of this deviation.
        let dims = Dims { batch: 1, pixels: [33, 40], widths: [12, 8], groups: 2 };
        let case = case(variant, &mut draw, dims, (100.0, 0.05));
        for lanes in [1, 64] {
            let got = case.run(variant, (1e-6, false), lanes);
            assert_close(variant.name, &got, &case.oracle(1e-6, false), F32_ELEMENTWISE);
        }
    }
}

#[test]
fn a_batch_gives_the_bytes_of_single_runs() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(25);
        let dims = Dims { batch: 3, pixels: [19, 21], widths: [20, 12], groups: 4 };
        let case = case(&variant, &mut draw, dims, (0.0, 1.0));
        let [all, many] = [1, 64].map(|lanes| case.run(&variant, (1e-5, true), lanes));
        let per_image = all.len() / 3;
        for b in 0..3 {
            let part = |source: usize, width: usize| {
                let n = 19 * 21 * width;
                variant.tensor(&case.sources[source][b * n..(b + 1) * n], &[1, 19, 21, width]).unwrap().0
            };
            let (x, skip) = (part(0, 20), part(1, 12));
            let op = GroupNorm { x: &x, skip: Some(&skip), ..case.op(1e-5, true) };
            for (lanes, all) in [(1, &all), (64, &many)] {
                let single = variant.run(|rec| launch(rec, &op, lanes)).unwrap();
                assert_eq!(single, all[b * per_image..(b + 1) * per_image], "{} image {b}", variant.name);
            }
        }
    }
}
