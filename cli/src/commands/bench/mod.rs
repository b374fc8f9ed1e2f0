//! `bench`: the adapter's roof, and how near the networks come to it.

mod counts;
mod table;

use serde_json::{Value, json};
use syncline::bench::{Networks, Spot, Timing, check_ops, time};
use syncline::kernels::gpu::{Context, Recording};
use syncline::kernels::ops::matrix::{Tuned, tune};
use syncline::kernels::ops::peak::{Peak, measure};
use syncline::kernels::tensor::Elem;
use syncline::models::{AutoencoderKl, UNet2DConditionModel};

use crate::args::{BenchArgs, BenchCommand, BenchModelArgs, BenchRunArgs, Global};
use crate::exit::Failure;
use crate::{console, device};

/// Largest accepted error over the root mean square of the expected values: half a unit of f16 storage at four times that.
const ACCEPTED: f64 = 4e-3;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Unet,
    Decoder,
}

/// A network on the device.
enum Model {
    Unet(Box<UNet2DConditionModel>),
    Decoder(Box<AutoencoderKl>),
}

impl Model {
    fn load(networks: &Networks, which: Network) -> anyhow::Result<Self> {
        Ok(match which {
            Network::Unet => Model::Unet(Box::new(networks.unet()?)),
            Network::Decoder => Model::Decoder(Box::new(networks.vae()?)),
        })
    }

    fn record(&self, networks: &Networks, batch: usize, size: [usize; 2]) -> anyhow::Result<Recording> {
        Ok(match self {
            Model::Unet(unet) => networks.record_unet(unet, batch, size)?.0,
            Model::Decoder(vae) => networks.record_decode(vae, batch, size)?.0,
        })
    }
}

/// Measures what the arguments name.
pub fn run(global: &Global, args: &BenchArgs) -> anyhow::Result<()> {
    match &args.what {
        BenchCommand::Peak(args) => peak(global, args),
        BenchCommand::Unet(args) => models(global, args, &[Network::Unet], false),
        BenchCommand::Vae(args) => models(global, args, &[Network::Decoder], false),
        BenchCommand::Ops(args) => models(global, args, &[Network::Unet, Network::Decoder], true),
        BenchCommand::Counts => counts::run(global),
    }
}

fn adapter(ctx: &Context) -> Value {
    let (a, caps) = (ctx.adapter(), ctx.caps());
    json!({
        "name": a.name, "driver": a.driver, "backend": a.backend, "kind": a.kind, "tier": ctx.tier().to_string(),
        "shader_f16": caps.shader_f16, "subgroup_size": [a.subgroup_size.0, a.subgroup_size.1], "matrix": caps.matrix,
    })
}

fn open(global: &Global, args: &BenchRunArgs) -> anyhow::Result<(Context, Elem, Peak)> {
    let ctx = device::open(&args.adapter)?;
    let elem = device::elem(args.precision, &ctx);
    if !global.json {
        let a = ctx.adapter();
        let line = format!("{} ({}), {}, tier {}, {elem} storage", a.name, a.driver, a.backend, ctx.tier());
        console::result(line)?;
    }
    let peak = measure(&ctx)?;
    if !global.json {
        console::result(table::peak(&peak))?;
    }
    Ok((ctx, elem, peak))
}

fn peak_json(peak: &Peak) -> Value {
    json!({
        "f32_flops": peak.f32_flops, "f16_flops": peak.f16_flops, "matrix_flops": peak.matrix_flops,
        "copy_bytes": peak.copy_bytes,
    })
}

fn peak(global: &Global, args: &BenchRunArgs) -> anyhow::Result<()> {
    let (ctx, _, peak) = open(global, args)?;
    if global.json {
        let event = json!({ "schema": 1, "event": "bench", "adapter": adapter(&ctx), "peak": peak_json(&peak) });
        console::result(event)?;
    }
    Ok(())
}

fn models(global: &Global, args: &BenchModelArgs, which: &[Network], every_op: bool) -> anyhow::Result<()> {
    let (ctx, elem, peak) = open(global, &args.run)?;
    let networks = Networks::new(&ctx, args.family.family(), elem)?;
    let family = args.family.name();
    let own = if matches!(args.family, crate::args::FamilyName::Sdxl) { 128 } else { 64 };
    let side = args.latent.unwrap_or(own);
    let mut rows = Vec::new();
    for network in which {
        let model = Model::load(&networks, *network)?;
        for &batch in &args.batch {
            let record = || model.record(&networks, batch, [side, side]);
            let mut recording = record()?;
            let mut tuned = Vec::new();
            if args.tune {
                tuned = tune(&ctx, &[&recording])?;
                recording = record()?;
            }
            let name = if *network == Network::Unet { "UNet" } else { "VAE decoder" };
            let title = format!("{family} {name} {side}x{side} batch {batch} {elem}");
            let spots = if args.check || every_op { check(&ctx, &recording)? } else { Vec::new() };
            let timing = time(&mut recording, usize::from(args.run.runs))?;
            if !global.json {
                console::result(table::network(&title, &timing, &peak, &spots, every_op))?;
                if every_op {
                    tuned.iter().try_for_each(|t| console::result(table::tuned(t)))?;
                }
            }
            let mut row = row(&title, batch, side, &timing, &spots);
            row["tiles"] = tuned.iter().map(tile_json).collect();
            rows.push(row);
        }
    }
    if global.json {
        let event = json!({
            "schema": 1, "event": "bench", "adapter": adapter(&ctx), "peak": peak_json(&peak), "rows": rows,
        });
        console::result(event)?;
    }
    Ok(())
}

fn row(title: &str, batch: usize, side: usize, timing: &Timing, spots: &[Spot]) -> Value {
    let checked: Vec<Value> = spots.iter().map(|s| json!({ "name": s.name, "error": s.error })).collect();
    json!({ "name": title, "batch": batch, "latent": side, "timing": timing, "checked": checked })
}

fn tile_json(t: &Tuned) -> Value {
    let (op, rows, columns, terms) = t.key;
    json!({ "op": op, "rows": rows, "columns": columns, "terms": terms, "best": t.best, "us": t.us })
}

fn check(ctx: &Context, recording: &Recording) -> anyhow::Result<Vec<Spot>> {
    let spots = check_ops(ctx, recording)?;
    if let Some(bad) = spots.iter().find(|s| s.error.is_nan() || s.error > ACCEPTED) {
        let message = format!("{} is off by {:.1e} of its root mean square; nothing was timed", bad.name, bad.error);
        return Err(Failure { code: 8, message }.into());
    }
    Ok(spots)
}
