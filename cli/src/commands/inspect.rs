//! `inspect`.

use serde_json::json;

use crate::args::{Global, InspectArgs};
use crate::exit::Failure;
use crate::output::{Embedded, GPano};

/// Tells what a file or directory holds.
pub fn run(global: &Global, args: &InspectArgs) -> anyhow::Result<()> {
    if args.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return picture(global, args);
    }
    let report = syncline_loader::inspect(&args.path)?;
    if global.json {
        println!("{}", json!({ "schema": 1, "event": "inspect", "report": report }));
    } else {
        print(&report, "");
    }
    match (report.problem, report.code) {
        (Some(message), code) => Err(Failure { code: code.map_or(3, |c| c.exit_code()), message }.into()),
        _ => Ok(()),
    }
}

fn print(report: &syncline_loader::Report, indent: &str) {
    println!("{indent}{}: {}", report.path, report.format);
    if let Some(family) = &report.family {
        println!("{indent}  looks like {family}");
    }
    let (parameters, bytes) = (report.parameters as f64 / 1e6, report.bytes as f64 / f64::from(1 << 20));
    println!("{indent}  {parameters:.2} M parameters, {bytes:.1} MiB");
    for row in &report.dtypes {
        println!("{indent}  {}: {} tensors, {} bytes", row.dtype, row.tensors, row.bytes);
    }
    for row in &report.nonfinite {
        println!("{indent}  {}: {} NaN or infinite values, the first at {}", row.name, row.count, row.first);
    }
    for part in report.components.values() {
        print(part, &format!("{indent}  "));
    }
}

fn picture(global: &Global, args: &InspectArgs) -> anyhow::Result<()> {
    let embedded = Embedded::read(&args.path)?;
    let panorama = embedded.xmp.as_deref().and_then(GPano::from_xmp);
    if global.json {
        let record: Option<serde_json::Value> = embedded.json.as_deref().and_then(|t| serde_json::from_str(t).ok());
        println!(
            "{}",
            json!({ "schema": 1, "event": "inspect", "parameters": embedded.parameters, "syncline": record,
                    "equirectangular": panorama.is_some() })
        );
        return Ok(());
    }
    match &embedded.parameters {
        Some(parameters) => println!("{parameters}"),
        None => println!("{}: no generation parameters", args.path.display()),
    }
    if let Some(p) = panorama {
        println!("360° panorama, {}x{}", p.full_width, p.full_height);
    }
    Ok(())
}
