//! `inspect`.

use serde_json::json;

use crate::args::{Global, InspectArgs};
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
        print!("{report}");
    }
    if let Some(problem) = report.failure() {
        return Err(problem.into());
    }
    Ok(())
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
