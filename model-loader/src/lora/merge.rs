//! `W + Σ w · α/r · B A`, in f64, rounded once.

use crate::error::{Detail, LoadError, Result};
use crate::tensor::HostTensor;

/// Below this many products a tensor is merged on one thread.
const SMALL: usize = 1 << 20;

/// One low-rank product.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Name of `B` as the file spells it.
    pub name: String,
    /// `A`, `[r, in]`, `[r, in, kh, kw]` or, with a kernel between, `[r, in, 1, 1]`.
    pub down: HostTensor,
    /// `B`, `[out, r]` or `[out, r, 1, 1]`.
    pub up: HostTensor,
    /// The kernel between them, `[r, r, kh, kw]`.
    pub mid: Option<HostTensor>,
    /// α / r.
    pub scale: f64,
    /// A number that belongs to the contents, for an order that does not depend on the caller's.
    pub digest: u64,
}

/// A product and how much of it is added.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The file it came from.
    pub label: String,
    /// The product.
    pub layer: std::sync::Arc<Layer>,
    /// The user's weight.
    pub weight: f64,
}

/// A product as two dense matrices: `up [out, r]`, `down [r, inner]`.
struct Dense {
    factor: f64,
    rank: usize,
    up: Vec<f64>,
    down: Vec<f64>,
}

/// `base` with all of `deltas` added, as f32: one rounding here, and another only where the device stores less.
///
/// The sum is taken in an order that follows from the contents, so additions commute to the bit.
///
/// # Errors
/// When a product has not the shape of the tensor.
pub fn merged(base: &HostTensor, path: &str, deltas: &[Delta]) -> Result<HostTensor> {
    let rows = base.shape.first().copied().unwrap_or(1);
    let inner = base.len().checked_div(rows).unwrap_or(0);
    let mut sorted: Vec<&Delta> = deltas.iter().collect();
    sorted.sort_by_key(|delta| (delta.layer.digest, delta.weight.to_bits()));
    let dense = sorted.iter().map(|delta| dense(delta, path, base, (rows, inner))).collect::<Result<Vec<_>>>()?;
    let mut values = base.to_f32();
    let work = values.len() * dense.iter().map(|d| d.rank).sum::<usize>();
    let threads = if work < SMALL { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let per_thread = rows.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (part, chunk) in values.chunks_mut((per_thread * inner).max(1)).enumerate() {
            let dense = &dense;
            let mut add = move || add_rows(chunk, part * per_thread, inner, dense);
            if threads == 1 {
                add();
            } else {
                scope.spawn(add);
            }
        }
    });
    Ok(HostTensor::from_f32(base.shape.clone(), &values))
}

/// Adds to consecutive rows, the first of which is row `first` of the tensor.
fn add_rows(values: &mut [f32], first: usize, inner: usize, dense: &[Dense]) {
    let mut sum = vec![0.0f64; inner];
    let mut product = vec![0.0f64; inner];
    for (row, values) in values.chunks_mut(inner.max(1)).enumerate() {
        for (sum, value) in sum.iter_mut().zip(values.iter()) {
            *sum = f64::from(*value);
        }
        for d in dense {
            product.fill(0.0);
            let up = d.up.chunks(d.rank).nth(first + row).unwrap_or(&[]);
            for (b, a) in up.iter().zip(d.down.chunks(inner.max(1))) {
                product.iter_mut().zip(a).for_each(|(p, a)| *p += b * a);
            }
            sum.iter_mut().zip(&product).for_each(|(s, p)| *s += d.factor * p);
        }
        values.iter_mut().zip(&sum).for_each(|(value, sum)| *value = *sum as f32);
    }
}

fn dense(delta: &Delta, path: &str, base: &HostTensor, (rows, inner): (usize, usize)) -> Result<Dense> {
    let layer = &delta.layer;
    let wide = |tensor: &HostTensor| tensor.to_f32().into_iter().map(f64::from).collect::<Vec<f64>>();
    let rank = layer.down.shape.first().copied().unwrap_or(0);
    let down = match &layer.mid {
        None => wide(&layer.down),
        Some(mid) => between(&wide(mid), &wide(&layer.down), rank),
    };
    if rank == 0 || layer.up.len() != rows * rank || down.len() != rank * inner {
        let detail = Detail::new(&delta.label, "a layer of the LoRA has another shape than the model's tensor");
        let mid = layer.mid.as_ref().map_or(String::new(), |mid| format!(" · {:?}", mid.shape));
        let found = format!("{:?}{mid} · {:?} for {path}", layer.up.shape, layer.down.shape);
        let detail = detail.item(&layer.name).found(found).expected(format!("a product of shape {:?}", base.shape));
        return Err(LoadError::WrongShape(Box::new(detail.next(format!("syncline inspect {}", delta.label)))));
    }
    Ok(Dense { factor: delta.weight * layer.scale, rank, up: wide(&layer.up), down })
}

/// `Σ_q mid[p, q, k] · down[q, i]` as `[r, in, k]`: the two inner maps of a decomposed convolution as one.
fn between(mid: &[f64], down: &[f64], rank: usize) -> Vec<f64> {
    let (kernel, inputs) = (mid.len() / (rank * rank).max(1), down.len() / rank.max(1));
    let mut out = vec![0.0; rank * inputs * kernel];
    for (out, mid) in out.chunks_mut((inputs * kernel).max(1)).zip(mid.chunks((rank * kernel).max(1))) {
        for (mid, down) in mid.chunks(kernel.max(1)).zip(down.chunks(inputs.max(1))) {
            for (out, d) in out.chunks_mut(kernel.max(1)).zip(down) {
                out.iter_mut().zip(mid).for_each(|(out, m)| *out += m * d);
            }
        }
    }
    out
}
