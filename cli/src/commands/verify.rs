//! `verify`.

use serde_json::json;
use syncline::verify::{TensorResult, VerifyOptions};
use syncline_loader::ModelSource;

use crate::args::{Global, Precision, VerifyArgs};
use crate::exit::Failure;
use crate::{console, device};

/// Compares every expected tensor of a golden directory; succeeds only when all agree.
pub fn run(global: &Global, args: &VerifyArgs) -> anyhow::Result<()> {
    let source = device::source_options(ModelSource::open(&args.dir)?, &args.device);
    let source = device::with_extras(source, &args.device.extras)?;
    let ctx = device::open(&args.device.adapter)?;
    // Auto means the reference's own precision here.
    let elem = match args.device.precision {
        Precision::Auto => device::elem(Precision::F32, &ctx),
        precision => device::elem(precision, &ctx),
    };
    let options = VerifyOptions { elem, allow_skipped: args.allow_skipped };
    let mut shown = Ok(());
    let report = syncline::verify::verify(&ctx, &source, &options, |result| {
        if !global.json && shown.is_ok() {
            shown = console::result(row(result));
        }
    })?;
    shown?;
    if global.json {
        console::result(json!({ "schema": 1, "event": "verify", "report": report }))?;
    } else {
        for name in &report.skipped {
            console::result(format_args!("{name:<44} skipped: nothing here computes it"))?;
        }
        let passed = report.tensors.iter().filter(|t| t.ok).count();
        let (all, skipped) = (report.tensors.len(), report.skipped.len());
        console::result(format_args!("{passed} of {all} tensors agree, {skipped} skipped"))?;
        if let Some(worst) = &report.worst {
            console::result(format_args!("worst: {} (relative L2 {:.1e})", worst.name, worst.rel_l2))?;
        }
    }
    if report.ok {
        return Ok(());
    }
    let message = format!("{} does not agree with the reference; see the table above", args.dir.display());
    Err(Failure { code: 8, message }.into())
}

fn row(t: &TensorResult) -> String {
    let verdict = if t.ok { "ok" } else { "WRONG" };
    match t.psnr_db {
        Some(psnr) => format!("{:<44} {psnr:>7.1} dB (at least {:.0})  {verdict}", t.name, t.tolerance),
        None => format!(
            "{:<44} rel L2 {:.1e} (at most {:.0e}), max |diff| {:.1e}  {verdict}",
            t.name, t.rel_l2, t.tolerance, t.max_abs
        ),
    }
}
