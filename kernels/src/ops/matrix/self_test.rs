//! Whether this adapter's matrices multiply right: a driver that miscompiles them says nothing.

use super::{ATTENTION_SIZE, tiles};
use crate::check::{Draw, nmse};
use crate::gpu::{Context, Recorder, Result};
use crate::ops::attention::{self, Attention};
use crate::ops::conv2d::{self, Conv2d};
use crate::ops::gemm::{self, Activation, Gemm, Route};
use crate::tensor::{Elem, Tensor};

/// Both results are of f32 sums, rounded to f16 once.
const BOUND: f64 = 1e-5;
/// Set to anything, the test fails: how the way back to ordinary kernels is tested where matrices work.
const FAULT: &str = "SYNCLINE_MATRIX_FAULT";

fn normal(ctx: &Context, draw: &mut Draw, dims: &[usize], scale: f64) -> Result<Tensor> {
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| (scale * draw.normal()) as f32).collect();
    ctx.upload(&values, dims, Elem::F16)
}

/// The normalised error of the first result against the second.
fn error(ctx: &Context, record: impl FnOnce(&mut Recorder) -> [Tensor; 2]) -> Result<f64> {
    let mut rec = Recorder::new(ctx);
    let pair = record(&mut rec);
    let kept = [rec.keep(&pair[0])?, rec.keep(&pair[1])?];
    rec.finish()?.run()?;
    let wide = |tensor: &Tensor| ctx.read(tensor).map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
    let (found, expected) = (wide(&kept[0])?, wide(&kept[1])?);
    let finite = found.iter().all(|v| v.is_finite());
    Ok(if finite { nmse(&found, &expected) } else { f64::INFINITY })
}

/// A long product on many tiles, a convolution with borders and an attention with several blocks, each against the kernel
/// without matrices.
fn errors(ctx: &Context) -> Result<[f64; 3]> {
    // Fresh values every time: a cached wrong answer cannot be right twice.
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    let mut draw = Draw::new(seed);
    let software = ctx.caps().software;
    let set = tiles(ctx.caps().matrix);
    let tile = set.iter().find(|k| k.tile.size == [64, 64]).unwrap_or(&set[0]);
    let route = Route::matrix(tile);
    // 64 steps through workgroup memory; on software adapters, which pay for each, a few.
    let (m, k, side) = if software { (64, 8 * tile.tile.depth, 8) } else { (1024, 64 * tile.tile.depth, 32) };
    let (a, w) =
        (normal(ctx, &mut draw, &[1, m, k], 1.0)?, normal(ctx, &mut draw, &[136, k], 1.0 / (k as f64).sqrt())?);
    let product = error(ctx, |rec| {
        let op = Gemm { activation: Activation::Geglu, ..Gemm::new(&a, &w) };
        [route, Route::TILED].map(|route| gemm::gemm_by(rec, &op, route))
    })?;
    let (x, w) = (normal(ctx, &mut draw, &[2, side, side, 40], 1.0)?, normal(ctx, &mut draw, &[72, 3, 3, 40], 0.05)?);
    let convolution =
        error(ctx, |rec| [route, Route::TILED].map(|route| conv2d::conv2d_by(rec, &Conv2d::new(&x, &w), route)))?;
    let mut tokens = |length| normal(ctx, &mut draw, &[2, length, 2 * ATTENTION_SIZE], 2.0);
    let keys = if software { 70 } else { 64 * ATTENTION_SIZE };
    let (q, k, v) = (tokens(77)?, tokens(keys)?, tokens(keys)?);
    let op = Attention { q: &q, k: &k, v: &v, heads: 2, causal: false };
    let attention = error(ctx, |rec| {
        [attention::Route::Matrix, attention::Route::Tiled].map(|route| attention::launch(rec, &op, route))
    })?;
    Ok([product, convolution, attention])
}

/// Runs the test; says in the log when it fails.
pub(crate) fn self_test(ctx: &Context) -> bool {
    let fault = std::env::var_os(FAULT).is_some();
    match errors(ctx) {
        Ok(found) if found.iter().all(|e| *e <= BOUND) && !fault => true,
        Ok(found) => {
            let name = &ctx.adapter().name;
            tracing::warn!("cooperative matrices of {name} give wrong results ({found:?}); slower kernels are used");
            false
        }
        Err(e) => {
            tracing::warn!("cooperative matrices of {} cannot be used ({e}); slower kernels are", ctx.adapter().name);
            false
        }
    }
}
