use super::oracle::Product;
use super::*;
use crate::check::{Draw, F32_REDUCTION, Variant, assert_close, variants};

const ACTIVATIONS: [Activation; 5] =
    [Activation::None, Activation::Silu, Activation::Gelu, Activation::QuickGelu, Activation::Geglu];

/// Tensors of a random product and what the oracle says of it.
struct Problem {
    a: Tensor,
    w: Tensor,
    bias: Option<Tensor>,
    residual: Option<Tensor>,
    expected: Vec<f64>,
    product: Product,
}

impl Problem {
    fn new(variant: &Variant, draw: &mut Draw, product: Product) -> Self {
        let Product { batch, w_batch, m, rows, k, activation } = product;
        let scale = (k as f64).sqrt().recip();
        let n = if activation == Activation::Geglu { rows / 2 } else { rows };
        let (a, av) = variant.normal(draw, &[batch, m, k]).unwrap();
        let w_dims = if w_batch > 1 { vec![w_batch, rows, k] } else { vec![rows, k] };
        let weights: Vec<f64> = (0..w_batch * rows * k).map(|_| scale * draw.normal()).collect();
        let (w, wv) = variant.tensor(&weights, &w_dims).unwrap();
        let bias = (draw.bits() & 1 == 0).then(|| variant.normal(draw, &[rows]).unwrap());
        let residual = (draw.bits() & 1 == 0).then(|| variant.normal(draw, &[batch, m, n]).unwrap());
        let values = |t: &Option<(Tensor, Vec<f64>)>| t.as_ref().map(|t| t.1.clone());
        let expected = oracle::gemm(product, &av, &wv, values(&bias).as_deref(), values(&residual).as_deref());
        Self { a, w, bias: bias.map(|b| b.0), residual: residual.map(|r| r.0), expected, product }
    }

    fn gemm(&self) -> Gemm<'_> {
        Gemm {
            a: &self.a,
            w: &self.w,
            bias: self.bias.as_ref(),
            residual: self.residual.as_ref(),
            activation: self.product.activation,
        }
    }
}

/// Every activation on small tiles, two on large ones: each pair is a shader to compile.
fn random_product(draw: &mut Draw) -> Product {
    let m = draw.dim(140);
    let activation = if m > 8 { draw.pick(&[Activation::None, Activation::Geglu]) } else { draw.pick(&ACTIVATIONS) };
    let batch = 1 + draw.below(3);
    let w_batch = if draw.bits() & 3 == 0 { batch } else { 1 };
    let n = draw.dim(70);
    let rows = if activation == Activation::Geglu { 2 * n.next_multiple_of(4) } else { n };
    Product { batch, w_batch, m, rows, k: draw.dim(140), activation }
}

#[test]
fn matches_the_oracle_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(11);
        for case in 0..200 {
            let product = random_product(&mut draw);
            let problem = Problem::new(&variant, &mut draw, product);
            let got = variant.run(|rec| gemm(rec, &problem.gemm())).unwrap();
            let name = format!("{} case {case} {product:?}", variant.name);
            assert_close(&name, &got, &problem.expected, variant.bound(F32_REDUCTION));
        }
    }
}

#[test]
fn rows_of_a_batch_equal_single_runs_to_the_byte() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(12);
        for _ in 0..20 {
            let (m, n, k) = (draw.dim(90), draw.dim(70), draw.dim(140));
            let (_, av) = variant.normal(&mut draw, &[3, m, k]).unwrap();
            let (w, _) = variant.normal(&mut draw, &[n, k]).unwrap();
            let (a, _) = variant.tensor(&av, &[3, m, k]).unwrap();
            let all = variant.run(|rec| gemm(rec, &Gemm::new(&a, &w))).unwrap();
            for b in 0..3 {
                let (one, _) = variant.tensor(&av[b * m * k..][..m * k], &[1, m, k]).unwrap();
                let single = variant.run(|rec| gemm(rec, &Gemm::new(&one, &w))).unwrap();
                assert_eq!(single, &all[b * m * n..][..m * n], "{} {m}x{n}x{k} image {b}", variant.name);
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_tile() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(13);
        let (n, k) = (37, 130);
        let (w, _) = variant.normal(&mut draw, &[n, k]).unwrap();
        let (_, values) = variant.normal(&mut draw, &[64, k]).unwrap();
        let run = |m: usize| {
            let (a, _) = variant.tensor(&values[..m * k], &[1, m, k]).unwrap();
            variant.run(|rec| gemm(rec, &Gemm::new(&a, &w))).unwrap()
        };
        let all = run(64);
        for m in [1, 8, 13, 16, 20] {
            assert_eq!(run(m), &all[..m * n], "{} {m} rows", variant.name);
        }
    }
}

#[test]
fn many_tiles() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(14);
        let product = Product { batch: 1, w_batch: 1, m: 30_011, rows: 19, k: 4, activation: Activation::None };
        let problem = Problem::new(&variant, &mut draw, product);
        let got = variant.run(|rec| gemm(rec, &problem.gemm())).unwrap();
        assert_close(variant.name, &got, &problem.expected, variant.bound(F32_REDUCTION));
    }
}

#[test]
fn rows_alone_match_the_oracle() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(15);
        for case in 0..200 {
            let activation = draw.pick(&ACTIVATIONS[..4]);
            let (m, rows, k) = (1 + draw.below(5), draw.dim(70), draw.dim(140) * (1 + 8 * draw.below(2)));
            let product = Product { batch: 1, w_batch: 1, m, rows, k, activation };
            let problem = Problem::new(&variant, &mut draw, product);
            let got = variant.run(|rec| gemm_by(rec, &problem.gemm(), Route::VECTOR)).unwrap();
            let name = format!("{} case {case} {product:?}", variant.name);
            assert_close(&name, &got, &problem.expected, variant.bound(F32_REDUCTION));
        }
    }
}
