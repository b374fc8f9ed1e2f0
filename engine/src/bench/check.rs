//! Products, convolutions and attention of a recording on random values, some results compared with plain f64 sums.

use std::collections::BTreeSet;

use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, DispatchView, Recorder, Recording};
use syncline_kernels::ops::attention::{Attention, attention};
use syncline_kernels::ops::conv2d::{Conv2d, conv2d};
use syncline_kernels::ops::gemm::{Activation, Gemm, gemm};
use syncline_kernels::tensor::{Elem, Tensor};

use super::describe;
use crate::error::Result;

/// Values compared of each kind.
const VALUES: usize = 96;

/// A kind of dispatch and its largest error.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Kernel and shapes, as [`describe`] says.
    pub name: String,
    /// Largest difference over the root mean square of the expected values.
    pub error: f64,
}

struct Data {
    values: Vec<f32>,
    tensor: Tensor,
}

/// Multiples of 1/64, which f16 holds exactly; `scale` a power of two.
fn data(ctx: &Context, draw: &mut Draw, dims: &[usize], elem: Elem, scale: f32) -> Result<Data> {
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|_| scale * (draw.bits() % 129) as f32 / 64.0 - scale).collect();
    let tensor = ctx.upload(&values, dims, elem)?;
    Ok(Data { values, tensor })
}

/// A power of two near `1 / sqrt(terms)`: sums stay of order one.
fn shrink(terms: usize) -> f32 {
    (-(terms as f32).log2() / 2.0).round().exp2()
}

/// Every distinct product, convolution and attention of `recording`.
///
/// # Errors
/// When memory or the device fails.
pub fn check_ops(ctx: &Context, recording: &Recording) -> Result<Vec<Spot>> {
    let (mut seen, mut list, mut draw) = (BTreeSet::new(), Vec::new(), Draw::new(77));
    for d in recording.inspect() {
        let name = describe(&d);
        if !seen.insert(name.clone()) {
            continue;
        }
        let error = match d.kernel.name.split('_').next() {
            Some("gemm") => check_gemm(ctx, &d, &mut draw)?,
            Some("conv2d") => check_conv2d(ctx, &d, &mut draw)?,
            Some("attention") => check_attention(ctx, &d, &mut draw)?,
            _ => continue,
        };
        list.push(Spot { name, error });
    }
    Ok(list)
}

fn run(ctx: &Context, record: impl FnOnce(&mut Recorder) -> Tensor) -> Result<Vec<f32>> {
    let mut rec = Recorder::new(ctx);
    let y = record(&mut rec);
    let y = rec.keep(&y)?;
    rec.finish()?.run()?;
    Ok(ctx.read(&y)?)
}

/// Largest error over root mean square of [`VALUES`] places.
fn compare(draw: &mut Draw, got: &[f32], expected: impl Fn(usize) -> f64) -> f64 {
    let (mut worst, mut squares) = (0f64, 0f64);
    for i in 0..VALUES {
        // The corners always.
        let at = if i == 0 { got.len() - 1 } else { draw.below(got.len()) };
        let wanted = expected(at);
        let error = (f64::from(got[at]) - wanted).abs();
        worst = if error.is_finite() { worst.max(error) } else { f64::INFINITY };
        squares += wanted * wanted;
    }
    worst / (squares / VALUES as f64).sqrt().max(1e-30)
}

fn gelu(x: f64) -> f64 {
    // The distribution function by its series; arguments here are small.
    let (mut term, mut sum) = (x, x);
    for k in 1..60 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    x * (0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt())
}

fn check_gemm(ctx: &Context, d: &DispatchView<'_>, draw: &mut Draw) -> Result<f64> {
    let (elem, a_dims, w_dims) = (d.bind[0].elem(), d.bind[0].dims(), d.bind[1].dims());
    let (k, rows, n) = (a_dims[a_dims.len() - 1], w_dims[w_dims.len() - 2], d.bind[d.bind.len() - 1].shape().last());
    let geglu = rows == 2 * n;
    let a = data(ctx, draw, a_dims, elem, 1.0)?;
    let w = data(ctx, draw, w_dims, elem, shrink(k))?;
    let activation = if geglu { Activation::Geglu } else { Activation::None };
    let got = run(ctx, |rec| gemm(rec, &Gemm { activation, ..Gemm::new(&a.tensor, &w.tensor) }))?;
    let image_rows = a_dims[a_dims.len() - 2];
    let dot = |row: usize, column: usize| -> f64 {
        let batch = if w_dims.len() == 3 { row / image_rows * rows } else { 0 };
        let (left, right) = (&a.values[row * k..][..k], &w.values[(batch + column) * k..][..k]);
        left.iter().zip(right).map(|(a, w)| f64::from(*a) * f64::from(*w)).sum()
    };
    Ok(compare(draw, &got, |at| {
        let (row, column) = (at / n, at % n);
        if geglu { dot(row, column) * gelu(dot(row, n + column)) } else { dot(row, column) }
    }))
}

fn check_conv2d(ctx: &Context, d: &DispatchView<'_>, draw: &mut Draw) -> Result<f64> {
    let (elem, x_dims, w_dims) = (d.bind[0].elem(), d.bind[0].dims(), d.bind[2].dims());
    let (&[images, h, w, c], &[out, taps, _, depth]) = (x_dims, w_dims) else { return Ok(f64::INFINITY) };
    // Parts of a sum lie one behind the other; the maps of these models are enlarged or shrunk on both axes.
    let pixels = d.bind[d.bind.len() - 1].shape().rows() / d.grid[2] as usize / images;
    let (upsample, stride) = (pixels == 4 * h * w, if 4 * pixels == h * w { 2 } else { 1 });
    let y_dims = [images, (h << usize::from(upsample)) / stride, (w << usize::from(upsample)) / stride];
    let skip = depth - c;
    let x = data(ctx, draw, x_dims, elem, 1.0)?;
    let second = data(ctx, draw, &[x_dims[0], h, w, skip.max(1)], elem, 1.0)?;
    let weights = data(ctx, draw, w_dims, elem, shrink(depth * taps * taps))?;
    let op = Conv2d { upsample, stride, ..Conv2d::new(&x.tensor, &weights.tensor) };
    let op = Conv2d { skip: (skip > 0).then_some(&second.tensor), ..op };
    let got = run(ctx, |rec| conv2d(rec, &op))?;
    let scale = usize::from(upsample);
    Ok(compare(draw, &got, |at| {
        let (n, pixel) = (at % out, at / out);
        let (column, row, image) = (pixel % y_dims[2], pixel / y_dims[2] % y_dims[1], pixel / y_dims[2] / y_dims[1]);
        let mut sum = 0.0;
        for tap in 0..taps * taps {
            // Wraps below zero, and is then beyond the size.
            let r = (row * stride + tap / taps).wrapping_sub(taps / 2);
            let q = (column * stride + tap % taps).wrapping_sub(taps / 2);
            if r >= h << scale || q >= w << scale {
                continue;
            }
            let source = (image * h + (r >> scale)) * w + (q >> scale);
            let filter = &weights.values[(n * taps * taps + tap) * depth..][..depth];
            let first = x.values[source * c..][..c].iter().zip(filter);
            let rest = second.values[source * skip..][..skip].iter().zip(&filter[c..]);
            sum += first.chain(rest).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
        }
        sum
    }))
}

fn check_attention(ctx: &Context, d: &DispatchView<'_>, draw: &mut Draw) -> Result<f64> {
    let (elem, q_dims, k_dims) = (d.bind[0].elem(), d.bind[0].dims(), d.bind[1].dims());
    let (&[_, queries, width], &[_, keys, _]) = (q_dims, k_dims) else { return Ok(f64::INFINITY) };
    // Third and fourth number of the kernel's params.
    let word = |i: usize| u32::from_le_bytes([d.params[i], d.params[i + 1], d.params[i + 2], d.params[i + 3]]) as usize;
    let (heads, causal) = (word(8), word(12) != 0);
    let [q, k, v] = [q_dims, k_dims, k_dims].map(|dims| data(ctx, draw, dims, elem, 2.0));
    let (q, k, v) = (q?, k?, v?);
    let op = Attention { q: &q.tensor, k: &k.tensor, v: &v.tensor, heads, causal };
    let got = run(ctx, |rec| attention(rec, &op))?;
    let size = width / heads;
    Ok(compare(draw, &got, |at| {
        let (column, row, image) = (at % width, at / width % queries, at / width / queries);
        let head = column / size * size;
        let key = |j: usize| (image * keys + j) * width;
        let query = &q.values[at - column + head..][..size];
        let (mut sum, mut total) = (0f64, 0f64);
        for j in 0..if causal { row + 1 } else { keys } {
            let pairs = query.iter().zip(&k.values[key(j) + head..][..size]);
            let score: f64 = pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            let weight = (score / (size as f64).sqrt()).exp();
            sum += weight * f64::from(v.values[key(j) + column]);
            total += weight;
        }
        sum / total
    }))
}
