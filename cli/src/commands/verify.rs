//! `verify`.

use serde_json::json;
use syncline_loader::ModelSource;

use crate::args::{Global, Precision, VerifyArgs};
use crate::device;
use crate::exit::Failure;

/// Compares every expected tensor of a golden directory; succeeds only when all agree.
pub fn run(global: &Global, args: &VerifyArgs) -> anyhow::Result<()> {
    let source = ModelSource::open(&args.dir)?;
    let ctx = device::open(&args.device)?;
    // "auto" means the reference's own precision here.
    let elem = match args.device.precision {
        Precision::Auto => device::elem(Precision::F32, &ctx),
        precision => device::elem(precision, &ctx),
    };
    let report = syncline::verify::verify(&ctx, &source, elem)?;
    let ok = report.ok(args.allow_skipped);
    if global.json {
        println!("{}", json!(report.to_json(args.allow_skipped)));
    } else {
        print!("{report}");
    }
    if ok {
        return Ok(());
    }
    let message = format!("{} does not agree with the reference; see the table", args.dir.display());
    Err(Failure { code: 8, message }.into())
}
