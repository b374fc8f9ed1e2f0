//! The fastest tile of each product of a recording, by measurement.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::tiles;
use crate::gpu::{Context, Recorder, Recording, Result, Tier, TileKey};
use crate::ops::conv2d;
use crate::ops::gemm;

/// Dispatches of one tile in a row; the fastest counts.
const REPEATS: usize = 4;
/// How long the adapter works before anything counts: clocks follow the load slowly.
const WARM_UP: Duration = Duration::from_millis(1500);

/// What was found for one product.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The product.
    pub key: TileKey,
    /// Index of the fastest tile.
    pub best: usize,
    /// Microseconds by tile.
    pub us: Vec<f64>,
}

/// Measures every tile on every distinct product and convolution of `recordings` and remembers the fastest in the context:
/// recordings made afterwards use them. Nothing to do where matrices are not used.
///
/// # Errors
/// When memory or the device fails.
pub fn tune(ctx: &Context, recordings: &[&Recording]) -> Result<Vec<Tuned>> {
    if ctx.tier() == Tier::Matrix { measure(ctx, recordings) } else { Ok(Vec::new()) }
}

/// As [`tune`] in any tier.
pub(super) fn measure(ctx: &Context, recordings: &[&Recording]) -> Result<Vec<Tuned>> {
    let caps = ctx.caps();
    let set = tiles(caps.matrix);
    let mut trials: BTreeMap<TileKey, (Vec<Option<usize>>, Recording)> = BTreeMap::new();
    for d in recordings.iter().flat_map(|recording| recording.inspect()) {
        let (key, wide) = match d.kernel.name {
            "gemm_matrix" | "gemm_part" => (gemm::tile_key(&d), d.bind[0].shape().last().is_multiple_of(8)),
            "conv2d_matrix" | "conv2d_part" => (conv2d::tile_key(&d), conv2d::is_wide(&d)),
            _ => continue,
        };
        if trials.contains_key(&key) {
            continue;
        }
        let mut rec = Recorder::new(ctx);
        let mut order = Vec::new();
        for (at, kernels) in set.iter().enumerate() {
            if !kernels.fits(&caps, wide) {
                continue;
            }
            for _ in 0..REPEATS {
                match key.0 {
                    "gemm" => gemm::repeat(&mut rec, &d, kernels),
                    _ => conv2d::repeat(&mut rec, &d, kernels),
                }
                // A split product ends in a sum of its parts, which is not what is measured.
                order.push(Some(at));
                order.resize(rec.len(), None);
            }
        }
        trials.insert(key, (order, rec.finish()?));
    }
    let begin = Instant::now();
    while begin.elapsed() < WARM_UP && !trials.is_empty() {
        trials.values_mut().try_for_each(|(_, recording)| recording.run())?;
    }
    let mut found = Vec::new();
    for (key, (order, mut recording)) in trials {
        let mut us = vec![f64::INFINITY; set.len()];
        for _ in 0..2 {
            for (time, at) in recording.profile()?.iter().zip(&order) {
                if let Some(at) = *at {
                    us[at] = us[at].min(time.ns / 1e3);
                }
            }
        }
        let best = (0..us.len()).min_by(|a, b| us[*a].total_cmp(&us[*b])).unwrap_or(0);
        ctx.set_tile(key, best);
        found.push(Tuned { key, best, us });
    }
    Ok(found)
}
