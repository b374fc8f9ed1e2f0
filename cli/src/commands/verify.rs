//! `verify`.

use syncline::verify::{TensorResult, VerifyOptions};
use syncline_loader::ModelSource;

use crate::args::{Global, Precision, VerifyArgs};
use crate::device;
use crate::exit::Failure;

/// Compares every expected tensor of a golden directory; succeeds only when all agree.
pub fn run(global: &Global, args: &VerifyArgs) -> anyhow::Result<()> {
    let source = ModelSource::open(&args.dir)?;
    let ctx = device::open(&args.device)?;
    // Auto means the reference's own precision here.
    let elem = match args.device.precision {
        Precision::Auto => device::elem(Precision::F32, &ctx),
        precision => device::elem(precision, &ctx),
    };
    let options = VerifyOptions { elem, allow_skipped: args.allow_skipped };
    let report = syncline::verify::verify(&ctx, &source, &options, |result| {
        if !global.json {
            print(result);
        }
    })?;
    if global.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        for name in &report.skipped {
            println!("{name:<44} skipped: nothing here computes it");
        }
        let passed = report.tensors.iter().filter(|t| t.ok).count();
        println!("{passed} of {} tensors agree, {} skipped", report.tensors.len(), report.skipped.len());
        if let Some(worst) = &report.worst {
            println!("worst: {} (relative L2 {:.1e})", worst.name, worst.rel_l2);
        }
    }
    if report.ok {
        return Ok(());
    }
    let message = format!("{} does not agree with the reference; see the table above", args.dir.display());
    Err(Failure { code: 8, message }.into())
}

fn print(t: &TensorResult) {
    let verdict = if t.ok { "ok" } else { "WRONG" };
    match t.psnr_db {
        Some(psnr) => println!("{:<44} {psnr:>7.1} dB (at least {:.0})  {verdict}", t.name, t.tolerance),
        None => println!(
            "{:<44} rel L2 {:.1e} (at most {:.0e}), max |diff| {:.1e}  {verdict}",
            t.name, t.rel_l2, t.tolerance, t.max_abs
        ),
    }
}
