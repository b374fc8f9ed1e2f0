//! `metrics set`.

use serde_json::json;
use syncline::metrics::{Appearance, PictureSetMeasures, PictureSetMeter};

use crate::args::{Global, MetricsSetArgs};
use crate::console;
use crate::exit::Failure;
use crate::input::{PictureSet, SetKind, SetOptions};

/// What these measures are not.
pub const WITHOUT_NETWORKS: &str = "CLIP, DINO and LPIPS scores need those networks' weights; none are shipped and none can be given yet, so \
     none are shown. Flicker is measured without warping: motion counts too, compare it with the source's.";

/// Measures of a set of pictures.
pub fn run(global: &Global, args: &MetricsSetArgs) -> anyhow::Result<()> {
    let options = SetOptions { size: args.size, matrix: args.matrix, gaps: args.gaps };
    let set = PictureSet::open(&args.set, &options)?;
    let source = args.source.as_deref().map(|path| PictureSet::open(path, &options)).transpose()?;
    let measures = measure(&set, source.as_ref())?;
    if global.json {
        return console::result(to_json(&set, source.as_ref(), &measures));
    }
    console::result(table(&measures).trim_end())?;
    console::note(format_args!("\n{WITHOUT_NETWORKS}"));
    Ok(())
}

/// Reads both sets once, a picture at a time.
///
/// # Errors
/// With code 3 and the numbers when they do not go together.
pub fn measure(set: &PictureSet, source: Option<&PictureSet>) -> anyhow::Result<PictureSetMeasures> {
    let size = set.one_size()?;
    if size.iter().any(|n| *n < 3) {
        let message = format!("{}: found {}x{} pixels, expected at least 3x3", set.source.display(), size[1], size[0]);
        return Err(Failure::input(message).into());
    }
    if let Some(source) = source {
        let (ours, theirs) = (set.len(), source.len());
        if ours != theirs {
            let message = format!(
                "{} has {ours} pictures and {} has {theirs}; give the source of each picture",
                set.source.display(),
                source.source.display()
            );
            return Err(Failure::input(message).into());
        }
        let other = source.one_size()?;
        if other != size {
            let message = format!(
                "pictures of {} are {}x{}, their sources in {} are {}x{}; give sources of the same size",
                set.source.display(),
                size[1],
                size[0],
                source.source.display(),
                other[1],
                other[0]
            );
            return Err(Failure::input(message).into());
        }
    }
    let mut meter = PictureSetMeter::new(size, source.is_some());
    for i in 0..set.len() {
        let original = source.map(|source| source.raster(i)).transpose()?;
        meter.push(&set.raster(i)?.rgb, original.as_ref().map(|raster| &raster.rgb[..]));
    }
    let mut measures = meter.finish();
    // Photos have no order in time.
    if matches!(set.kind, SetKind::Scene(_)) {
        measures.pictures.motion = None;
        (measures.frame_difference, measures.added_flicker) = (None, None);
        measures.source.iter_mut().for_each(|source| source.motion = None);
    }
    Ok(measures)
}

fn to_json(set: &PictureSet, source: Option<&PictureSet>, measures: &PictureSetMeasures) -> serde_json::Value {
    let source_name = |i: usize| source.map(|source| &source.names[i]);
    let pictures: Vec<_> = (0..set.len())
        .map(|i| json!({ "name": set.names[i], "source": source_name(i), "fidelity": measures.each.get(i) }))
        .collect();
    let mut value = json!({
        "schema": 1, "event": "metrics", "kind": "set", "set": set.source, "source_set": source.map(|s| &s.source),
        "measures": measures, "pictures": pictures, "not_measured": WITHOUT_NETWORKS,
    });
    // They stand beside their names.
    if let Some(measures) = value["measures"].as_object_mut() {
        measures.remove("each");
    }
    value
}

/// A measure's name, and its value for the pictures and their sources.
pub type Row = (&'static str, Option<f64>, Option<f64>);

/// All rows that a set has.
pub fn rows(measures: &PictureSetMeasures) -> Vec<Row> {
    let (own, source) = (&measures.pictures, measures.source.as_ref());
    let both = |name: &'static str, f: fn(&Appearance) -> Option<f64>| (name, f(own), source.and_then(f));
    let mut rows: Vec<Row> = Vec::new();
    if let Some(fidelity) = &measures.fidelity {
        rows.push(("PSNR to the source, dB (inf: equal)", Some(fidelity.psnr), None));
        rows.push(("SSIM to the source", fidelity.ssim, None));
        rows.push(("L1 to the source, mean |difference|", Some(fidelity.l1), None));
        rows.push(("L2 to the source, root mean square", Some(fidelity.l2), None));
    }
    rows.push(both("change from picture to picture, mean |S(t) - S(t-1)|", |a| a.motion.map(|m| m.difference)));
    rows.push(both("flicker, mean |second difference| in time", |a| a.motion.and_then(|m| m.flicker)));
    if source.is_some() {
        rows.push(("flicker less the source's", measures.added_flicker, None));
        rows.push(("changes that the source does not have", measures.frame_difference, None));
    }
    rows.push(both("spread of mean colours, L*a*b*", |a| Some(a.colour_spread.lab)));
    rows.push(both("spread of mean colours, linear RGB", |a| Some(a.colour_spread.linear)));
    rows.push(both("sharpness, mean |dx| (higher: sharper)", |a| Some(a.detail.sharpness)));
    rows.push(both("variance of the Laplacian (higher: sharper)", |a| Some(a.detail.laplacian_variance)));
    rows.push(both("detail energy, fine", |a| Some(a.detail.bands[0])));
    rows
}

/// A number of a table.
pub fn cell(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(v) if v != 0.0 && v.abs() < 1e-3 => format!("{v:.2e}"),
        Some(v) => format!("{v:.4}"),
    }
}

fn table(measures: &PictureSetMeasures) -> String {
    let [height, width] = measures.size;
    let sourced = measures.source.is_some();
    let line = |name: &str, own: &str, source: &str| {
        if sourced { format!("{name:<56} {own:>12} {source:>12}\n") } else { format!("{name:<56} {own:>12}\n") }
    };
    let mut text = line(&format!("{} pictures of {width}x{height}", measures.count), "set", "source");
    for (name, own, source) in rows(measures) {
        text += &line(name, &cell(own), &cell(source));
    }
    text
}
