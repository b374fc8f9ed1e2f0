//! `inspect`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::args::{Global, InspectArgs};
use crate::console::{self, escaped};
use crate::exit::Failure;
use crate::output::{Embedded, GPano, GenerationParameters};

/// Says what a path holds; what cannot be used is told and fails with its code.
pub fn run(global: &Global, args: &InspectArgs) -> anyhow::Result<()> {
    if is_png(&args.path) {
        return picture(global, &args.path);
    }
    let report = syncline_loader::inspect(&args.path)?;
    if global.json {
        console::result(json!({ "schema": 1, "event": "inspect", "report": report }))?;
    } else {
        print(&report, "")?;
    }
    match (report.problem, report.code) {
        (Some(message), code) => Err(Failure { code: code.map_or(3, |c| c.exit_code()), message }.into()),
        _ => Ok(()),
    }
}

/// By content: a renamed checkpoint is no picture.
fn is_png(path: &Path) -> bool {
    let mut head = [0; 8];
    path.is_file()
        && File::open(path).and_then(|mut f| f.read_exact(&mut head)).is_ok()
        && &head == b"\x89PNG\r\n\x1a\n"
}

fn print(report: &syncline_loader::Report, indent: &str) -> anyhow::Result<()> {
    console::result(format_args!("{indent}{}: {}", escaped(&report.path), report.format))?;
    if let Some(family) = &report.family {
        console::result(format_args!("{indent}  looks like {family}"))?;
    }
    if report.parameters > 0 {
        let (parameters, bytes) = (report.parameters as f64 / 1e6, report.bytes as f64 / f64::from(1 << 20));
        console::result(format_args!("{indent}  {parameters:.2} M parameters, {bytes:.1} MiB"))?;
    }
    if let Some(prediction) = &report.prediction_type {
        console::result(format_args!("{indent}  predicts {prediction}"))?;
    }
    if report.expected_parameters > 0 {
        let size = |element: u64| report.expected_parameters as f64 * element as f64 / f64::from(1 << 30);
        console::result(format_args!(
            "{indent}  weights on the device: {:.2} GiB in f16, {:.2} GiB in f32",
            size(2),
            size(4)
        ))?;
    }
    for fact in &report.about {
        console::result(format_args!("{indent}  {}", escaped(fact)))?;
    }
    for row in &report.dtypes {
        console::result(format_args!("{indent}  {}: {} tensors, {} bytes", row.dtype, row.tensors, row.bytes))?;
    }
    for row in &report.nonfinite {
        let (name, count, first) = (&row.name, row.count, row.first);
        console::result(format_args!("{indent}  {name}: {count} NaN or infinite values, the first at {first}"))?;
    }
    if report.nonfinite_tensors > report.nonfinite.len() {
        console::result(format_args!("{indent}  {} tensors in all have such values", report.nonfinite_tensors))?;
    }
    report.components.values().try_for_each(|part| print(part, &format!("{indent}  ")))
}

fn picture(global: &Global, path: &Path) -> anyhow::Result<()> {
    let embedded = Embedded::read(path)?;
    let panorama = embedded.xmp.as_deref().and_then(GPano::from_xmp);
    if global.json {
        let record: Option<serde_json::Value> = embedded.json.as_deref().and_then(|t| serde_json::from_str(t).ok());
        // Pictures of other tools have only the text; its fields are as good.
        let fields = embedded.parameters.as_deref().and_then(|text| GenerationParameters::parse(text).ok());
        return console::result(json!({
            "schema": 1, "event": "inspect", "path": path, "parameters": embedded.parameters, "fields": fields,
            "syncline": record, "equirectangular": panorama.is_some(),
        }));
    }
    match &embedded.parameters {
        Some(parameters) => console::result(escaped(parameters))?,
        None => console::result(format_args!("{}: a PNG without generation parameters", path.display()))?,
    }
    if let Some(p) = panorama {
        console::result(format_args!("360° panorama, {}x{}", p.full_width, p.full_height))?;
    }
    Ok(())
}
