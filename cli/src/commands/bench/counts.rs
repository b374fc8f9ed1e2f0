//! `bench counts`: what the plans hold, recorded without a GPU.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use syncline::bench::Networks;
use syncline::kernels::gpu::{Backends, Context, ContextOptions, Recording};
use syncline::kernels::tensor::Elem;
use syncline_loader::Family;

use crate::args::Global;
use crate::console;

fn row(name: &str, recording: &Recording) -> Value {
    let cost = recording.cost();
    let pipelines: BTreeSet<String> =
        recording.inspect().map(|d| format!("{:p} {:?} {:?}", d.kernel, d.store, d.overrides)).collect();
    json!({
        "name": name, "dispatches": recording.len(), "flops": cost.flops, "bytes": cost.bytes,
        "peak_bytes": recording.slot_bytes(), "pipelines": pipelines.len(),
    })
}

/// Records the networks on no GPU at all and prints one row each.
pub fn run(global: &Global) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (family, name, side) in [(Family::Sd2, "sd21", 64), (Family::Sdxl, "sdxl", 128)] {
        let ctx = Context::new(&ContextOptions { backends: Backends::Noop, ..ContextOptions::default() })?;
        let networks = Networks::new(&ctx, family, Elem::F16)?;
        let unet = networks.unet()?;
        for batch in [2, 10] {
            let (recording, _) = networks.record_unet(&unet, batch, [side, side])?;
            rows.push(row(&format!("{name}-unet-{side}x{side}-b{batch}"), &recording));
        }
        drop(unet);
        let (recording, _) = networks.record_decode(&networks.vae()?, 1, [side, side])?;
        rows.push(row(&format!("{name}-vae-decode-{side}x{side}"), &recording));
    }
    if global.json {
        return console::result(json!({ "schema": 1, "event": "counts", "rows": rows }));
    }
    rows.iter().try_for_each(console::result)
}
