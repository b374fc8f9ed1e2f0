//! `--report`: the result's measures beside those of independent views.

use std::path::PathBuf;

use serde_json::{Value, json};
use syncline::jobs::{CanvasReport, CanvasResult, ReportGeometry};
use syncline::metrics::{Edges, edges, sharpness};
use syncline::reproject::Raster;

use super::{Canvas, Scene};
use crate::console;
use crate::output::{Embedded, Picture, ReportFiles, ReportPage, Rgb8, Sphere, Table, Target};

/// What is measured.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Panoramas of level views.
    Panorama {
        /// Azimuths in degrees of the borders between views.
        borders: Vec<f64>,
        /// Field in degrees of a view, and what of it is used.
        fov: [f64; 2],
    },
    /// Canvases whose edges meet, or not.
    Edges,
}

/// A measure's name, its value of the result and of the baseline.
type Row = (&'static str, f64, f64);

/// Measures of both.
struct Measures {
    rows: Vec<Row>,
    coupled: Value,
    independent: Value,
}

/// Draws the baseline, measures both and writes what was asked for; returns the paths.
pub(super) fn write(
    canvas: &Canvas<'_>,
    scene: &Scene,
    files: &ReportFiles,
    (result, sphere): (&CanvasResult, Option<&Sphere>),
    layout: &Layout,
) -> anyhow::Result<Vec<PathBuf>> {
    let (method, baseline) = canvas.sample_baseline(scene)?;
    let mut written = vec![write_baseline(canvas, &baseline)?];
    let measures = match layout {
        Layout::Panorama { borders, fov } => panorama(scene, (result, &baseline), borders, *fov),
        Layout::Edges => flat(result, &baseline),
    };
    if !canvas.global.quiet {
        console::note(table(&measures.rows).trim_end());
    }
    let mut json = json!({
        "schema": 1, "prompt": canvas.args.prompt.prompt, "method": scene.method.switches(),
        "baseline": method.switches(), "coupled": measures.coupled, "independent": measures.independent,
    });
    if let (Some(m), Layout::Panorama { fov: [fov, used_fov], .. }) = (scene.method.stochsync(), layout) {
        json["seams"] = json!({ "blending_steps": m.seam_removal_steps, "fov": fov, "used_fov": used_fov,
                                "feather": m.feather });
    }
    let result = match sphere {
        Some(Sphere::Panorama(picture)) => picture.clone(),
        _ => super::write::picture(result),
    };
    let make = || page(canvas, scene, &measures.rows, (result, &baseline));
    written.extend(files.write(&json, make)?);
    Ok(written)
}

/// The first set of independent views as hard tiles, beside the output: `name_independent.png`.
fn write_baseline(canvas: &Canvas<'_>, result: &CanvasResult) -> anyhow::Result<PathBuf> {
    let output = &canvas.args.prompt.output;
    let stem = output.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let path = output.with_file_name(format!("{stem}_independent.png"));
    let [height, width] = result.size;
    let picture = Rgb8::from_unit(width, height, &result.sets[0].0)?;
    Ok(Target::check(&path, canvas.args.prompt.force)?.write_png(&picture, &Embedded::default())?)
}

fn panorama(
    scene: &Scene,
    (result, baseline): (&CanvasResult, &CanvasResult),
    borders: &[f64],
    [fov, used_fov]: [f64; 2],
) -> Measures {
    // Rows that every view covers over its whole width, less a fifth at their upper and lower border.
    let half = (0.5 * used_fov).to_radians();
    let latitude = 0.8 * (half.tan() * half.cos()).atan().to_degrees();
    let inner = half.tan() / (0.5 * fov).to_radians().tan();
    let side = result.view_size[0] as f64;
    let margin = ((1.0 - inner) * 0.5 * side).ceil() as usize + 1;
    let geometry = ReportGeometry { borders, latitude, margin };
    let of = |result| CanvasReport::new(result, scene.space.as_ref(), &geometry);
    let (c, i) = (of(result), of(baseline));
    let disagreement = |report: &CanvasReport| report.disagreement.unwrap_or(f64::NAN);
    let rows = vec![
        ("disagreement of the two sets, mean |A - B|", disagreement(&c), disagreement(&i)),
        ("hard tiles: across borders", c.hard_tiles.border, i.hard_tiles.border),
        ("hard tiles: elsewhere", c.hard_tiles.elsewhere, i.hard_tiles.elsewhere),
        ("hard tiles: seam ratio", c.hard_tiles.ratio, i.hard_tiles.ratio),
        ("result: across borders", c.seam.border, i.seam.border),
        ("result: elsewhere", c.seam.elsewhere, i.seam.elsewhere),
        ("result: seam ratio", c.seam.ratio, i.seam.ratio),
        ("sharpness of the result, mean |dx|", c.sharpness, i.sharpness),
        ("sharpness of generated views, mean |dx|", c.view_sharpness, i.view_sharpness),
        ("coverage", c.coverage, i.coverage),
        ("network evaluations", c.evaluations as f64, i.evaluations as f64),
    ];
    Measures { rows, coupled: json!(c), independent: json!(i) }
}

fn flat(result: &CanvasResult, baseline: &CanvasResult) -> Measures {
    let of = |result: &CanvasResult| (edges(&result.rgb, result.size), sharpness(&result.rgb, result.size, 0));
    let ((c, c_sharp), (i, i_sharp)) = (of(result), of(baseline));
    let rows = vec![
        ("left and right edge: difference", c.x.border, i.x.border),
        ("left and right edge: ratio to elsewhere", c.x.ratio, i.x.ratio),
        ("upper and lower edge: difference", c.y.border, i.y.border),
        ("upper and lower edge: ratio to elsewhere", c.y.ratio, i.y.ratio),
        ("sharpness, mean |dx|", c_sharp, i_sharp),
        ("network evaluations", result.evaluations as f64, baseline.evaluations as f64),
    ];
    let json = |edges: Edges, sharpness: f64, result: &CanvasResult| json!({ "edges": edges, "sharpness": sharpness, "evaluations": result.evaluations });
    Measures { rows, coupled: json(c, c_sharp, result), independent: json(i, i_sharp, baseline) }
}

fn page(canvas: &Canvas<'_>, scene: &Scene, rows: &[Row], (result, baseline): (Picture, &CanvasResult)) -> ReportPage {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let measures = Table {
        caption: "Measures".to_owned(),
        columns: texts(&["", "coupled", "independent views"]),
        rows: rows.iter().map(|(name, a, b)| texts(&[name, &format!("{a:.4}"), &format!("{b:.4}")])).collect(),
    };
    let setting = |name: &str, value: &str| texts(&[name, value]);
    let settings = Table {
        caption: "Settings".to_owned(),
        columns: texts(&["", "value"]),
        rows: vec![
            setting("prompt", &scene.prompts.prompt),
            setting("negative prompt", &scene.prompts.negative),
            setting("seed", &canvas.seed.to_string()),
            setting("model", &canvas.model.label),
            setting("preset", scene.method.preset.name()),
            setting("method", &scene.method.switches()),
            setting("adapter", &canvas.model.ctx.adapter().name),
        ],
    };
    let independent = Picture::srgb(Raster::new(baseline.size, baseline.sets[0].0.clone()));
    let mut name = canvas.command.to_owned();
    name[..1].make_ascii_uppercase();
    ReportPage {
        title: format!("{name}: {}", scene.prompts.prompt),
        summary: "Differences are in units of RGB 0 to 1; a seam ratio of 1 means that borders of views look like \
                  the rest of the picture."
            .to_owned(),
        pictures: vec![
            ("Coupled views: the result".to_owned(), result),
            ("Independent views as hard tiles: the baseline".to_owned(), independent),
        ],
        tables: vec![measures, settings],
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
    }
}

fn table(rows: &[Row]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{:<44} {:>10} {:>12}\n", "", "coupled", "independent");
    for (name, a, b) in rows {
        let _ = writeln!(text, "{name:<44} {a:>10.4} {b:>12.4}");
    }
    text
}
