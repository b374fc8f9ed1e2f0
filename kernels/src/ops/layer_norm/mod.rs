//! Layer normalisation over the channels of a token.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::Tensor;

#[cfg(test)]
mod oracle;

/// `y = (x − mean) / √(var + eps) · weight + bias` over the last dimension.
pub const KERNEL: Kernel = Kernel {
    name: "layer_norm",
    source: include_str!("layer_norm.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("LANES", 1.0)], &[("LANES", 32.0)]],
};

/// Rows and channels of the models' layers, for tests and benches.
pub const CASES: &[(&str, usize, usize)] = &[
    ("sd21 64x64", 2 * 4096, 320),
    ("sd21 32x32", 2 * 1024, 640),
    ("sd21 16x16", 2 * 256, 1280),
    ("clip vit-h", 77, 1024),
    ("sdxl 64x64", 2 * 4096, 640),
    ("mini 8x8", 2 * 64, 64),
    ("mini 4x4", 2 * 16, 128),
];

/// Operands of [`layer_norm`].
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// `[.., C]`
    pub x: &'a Tensor,
    /// `[C]`, element type of `x`.
    pub weight: &'a Tensor,
    /// `[C]`, element type of `x`.
    pub bias: &'a Tensor,
    /// Added to the variance.
    pub eps: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    width: u32,
    eps: f32,
    pad: u32,
}

/// `x` normalised over its last dimension, same shape and element type.
///
/// # Panics
/// When weight or bias are not `[C]` of the element type of `x`.
pub fn layer_norm(rec: &mut Recorder, op: &LayerNorm<'_>) -> Tensor {
    let lanes = if rec.context().caps().software { 1 } else { 32 };
    launch(rec, op, lanes)
}

fn launch(rec: &mut Recorder, op: &LayerNorm<'_>, lanes: usize) -> Tensor {
    let (shape, elem) = (op.x.shape(), op.x.elem());
    let width = shape.last();
    for (name, tensor) in [("weight", op.weight), ("bias", op.bias)] {
        assert!(
            tensor.dims() == [width] && tensor.elem() == elem,
            "layer_norm: {name} {:?} {} for x {shape:?} {elem}",
            tensor.dims(),
            tensor.elem()
        );
    }
    assert!(shape.padded_len() / 4 <= u32::MAX as usize, "layer_norm: x {shape:?} is too large");
    let y = rec.temp(op.x.dims(), elem);
    let params = Params { rows: shape.rows() as u32, width: width as u32, eps: op.eps, pad: 0 };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(elem, rec.context()),
        overrides: &[("LANES", lanes as f64)],
        bind: &[op.x, op.weight, op.bias, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(shape.rows(), 64 / lanes, caps.grid),
        flops: 8 * shape.len() as u64,
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};

    struct Case {
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        values: [Vec<f64>; 3],
    }

    /// Rows of mean `mean` and standard deviation `std`.
    fn case(variant: &Variant, draw: &mut Draw, dims: &[usize], (mean, std): (f64, f64)) -> Case {
        let width = dims[dims.len() - 1];
        let raw: Vec<f64> = (0..dims.iter().product()).map(|_| mean + std * draw.normal()).collect();
        let (x, x_values) = variant.tensor(&raw, dims).unwrap();
        let (weight, w_values) = variant.normal(draw, &[width]).unwrap();
        let (bias, b_values) = variant.normal(draw, &[width]).unwrap();
        Case { x, weight, bias, values: [x_values, w_values, b_values] }
    }

    impl Case {
        fn run(&self, variant: &Variant, eps: f32, lanes: usize) -> Vec<f64> {
            let op = LayerNorm { x: &self.x, weight: &self.weight, bias: &self.bias, eps };
            variant.run(|rec| launch(rec, &op, lanes)).unwrap()
        }

        fn oracle(&self, eps: f32) -> Vec<f64> {
            let [x, weight, bias] = &self.values;
            oracle::layer_norm(x, weight, bias, f64::from(eps))
        }
    }

    #[test]
    fn matches_the_formula_on_random_shapes() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(11);
            for at in 0..200 {
                let dims = [1 + draw.below(3), draw.dim(70), draw.dim(200)];
                let case = case(&variant, &mut draw, &dims, (0.5, 2.0));
                let lanes = [1, 32][at % 2];
                let got = case.run(&variant, 1e-5, lanes);
                let name = format!("{} case {at} {dims:?} lanes {lanes}", variant.name);
                assert_close(&name, &got, &case.oracle(1e-5), variant.bound(F32_ELEMENTWISE));
            }
        }
    }

    #[test]
    fn eps_counts_when_the_variance_is_small() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(12);
            for (eps, other, lanes) in [(1e-5, 1e-6, 1), (1e-6, 1e-5, 32), (1e-5, 1e-12, 32)] {
                let case = case(&variant, &mut draw, &[5, 96], (0.0, 2e-3));
                let got = case.run(&variant, eps, lanes);
                assert_close(variant.name, &got, &case.oracle(eps), variant.bound(F32_ELEMENTWISE));
                let wrong = crate::check::nmse(&got, &case.oracle(other));
                assert!(wrong > 1e-2, "{}: eps {other} would pass for {eps}: {wrong}", variant.name);
            }
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        for variant in variants().unwrap().iter().filter(|v| v.elem == crate::tensor::Elem::F32) {
            let mut draw = Draw::new(13);
            for lanes in [1, 32] {
                // The mean itself is rounded to f32: 100 has an ulp of 7.6e-6, 1.5e-4 of this deviation.
                let case = case(variant, &mut draw, &[7, 131], (100.0, 0.05));
                let got = case.run(variant, 1e-5, lanes);
                assert_close(variant.name, &got, &case.oracle(1e-5), F32_ELEMENTWISE);
            }
        }
    }

    #[test]
    fn rows_do_not_see_each_other() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(14);
            let both = case(&variant, &mut draw, &[3, 37, 50], (0.0, 1.0));
            for lanes in [1, 32] {
                let all = both.run(&variant, 1e-5, lanes);
                for b in 0..3 {
                    let part = &both.values[0][b * 37 * 50..(b + 1) * 37 * 50];
                    let (x, _) = variant.tensor(part, &[1, 37, 50]).unwrap();
                    let op = LayerNorm { x: &x, weight: &both.weight, bias: &both.bias, eps: 1e-5 };
                    let single = variant.run(|rec| launch(rec, &op, lanes)).unwrap();
                    assert_eq!(single, all[b * 37 * 50..(b + 1) * 37 * 50], "{} lanes {lanes}", variant.name);
                }
            }
        }
    }
}
