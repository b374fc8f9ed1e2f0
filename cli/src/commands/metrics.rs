//! `metrics`.

mod edit;
pub mod set;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use syncline::metrics::mini::{Judge, Judgement};
use syncline::metrics::{Diversity, Equirect, MeasureOptions, PanoramaMeasures, Sample, SetMeasures, Summary};
use syncline::reproject::Raster;

use super::prompt_text;
use crate::args::{Global, MetricsArgs, MetricsCommand, MetricsPanoArgs};
use crate::console;
use crate::exit::Failure;
use crate::input::read_picture;
use crate::output::{Embedded, GenerationParameters};

/// Panoramas with a column of their own; of more only the mean is shown.
const COLUMNS: usize = 4;
/// Longest part of a file's name over its column.
const NAME: usize = 16;

/// Measures of pictures; they are the command's result.
pub fn run(global: &Global, args: &MetricsArgs) -> anyhow::Result<()> {
    match &args.command {
        MetricsCommand::Edit(args) => edit::run(global, args),
        MetricsCommand::Pano(args) => pano(global, args),
        MetricsCommand::Set(args) => set::run(global, args),
    }
}

fn pano(global: &Global, args: &MetricsPanoArgs) -> anyhow::Result<()> {
    let given = args.mini.as_deref().filter(|text| *text != "auto").map(prompt_text).transpose()?;
    let options = MeasureOptions {
        borders: &args.borders,
        latitude: args.latitude,
        views: args.views,
        fov: args.fov,
        view_side: args.view_size,
        ..MeasureOptions::default()
    };
    // Flags are refused before files are read.
    options.check()?;
    let mut prompts = Vec::new();
    let mut pictures = Vec::new();
    for path in &args.files {
        pictures.push(panorama(path)?);
        prompts.push(match (&args.mini, &given) {
            (None, _) => String::new(),
            (Some(_), Some(prompt)) => prompt.clone(),
            (Some(_), None) => own_prompt(path)?,
        });
    }
    let sample = |i: usize| {
        let (picture, prompt): (&Raster, &String) = (&pictures[i], &prompts[i]);
        Sample { prompt, canvas: Equirect { size: picture.size, rgb: &picture.rgb }, options, evaluations: 0 }
    };
    let samples: Vec<Sample<'_>> = (0..pictures.len()).map(sample).collect();
    let judge = args.mini.is_some().then(Judge::mini).transpose()?;
    let measures = SetMeasures::of(&samples, judge.as_ref())?;
    if global.json {
        return console::result(to_json(args, &prompts, &measures));
    }
    console::result(Table { files: &args.files, measures: &measures }.to_string().trim_end())
}

/// A picture that can be measured.
fn panorama(path: &Path) -> anyhow::Result<Raster> {
    let picture = read_picture(path)?.to_srgb().into_owned();
    match Equirect::checked(picture.size, &picture.rgb) {
        Ok(_) => Ok(picture),
        Err(e) => Err(Failure::input(format!("{}: {e}", path.display())).into()),
    }
}

/// The prompt that a picture says it was made from.
fn own_prompt(path: &Path) -> anyhow::Result<String> {
    let found = Embedded::read(path)?.parameters.and_then(|text| GenerationParameters::parse(&text).ok());
    found.map(|parameters| parameters.prompt).ok_or_else(|| {
        let message = "no prompt is stored in it; give one with --mini PROMPT";
        Failure::input(format!("{}: {message}", path.display())).into()
    })
}

fn to_json(args: &MetricsPanoArgs, prompts: &[String], measures: &SetMeasures) -> serde_json::Value {
    let pictures = args.files.iter().zip(prompts).zip(&measures.panoramas).map(|((path, prompt), measures)| {
        let prompt = args.mini.as_ref().map(|_| prompt);
        json!({ "path": path, "prompt": prompt, "measures": measures })
    });
    json!({
        "schema": 1, "event": "metrics", "kind": "pano", "panoramas": pictures.collect::<Vec<_>>(), "mean": measures.mean,
        "diversity": measures.diversity, "mini": measures.mini,
    })
}

/// A row for each measure, a column for each picture.
struct Table<'a> {
    files: &'a [PathBuf],
    measures: &'a SetMeasures,
}

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let panoramas = &self.measures.panoramas;
        let single = panoramas.len() <= COLUMNS;
        let mut names: Vec<String> =
            if single { self.files.iter().map(|path| short(path)).collect() } else { Vec::new() };
        let mut columns: Vec<Summary> = if single {
            panoramas.iter().map(|p| Summary::of(std::slice::from_ref::<PanoramaMeasures>(p), 0.0)).collect()
        } else {
            Vec::new()
        };
        if panoramas.len() > 1 {
            names.push(format!("mean of {}", panoramas.len()));
            columns.push(self.measures.mean);
        }
        writeln!(f, "{:<52}{}", "", names.iter().map(|n| format!(" {n:>NAME$}")).collect::<String>())?;
        for (name, value) in ROWS {
            write_row(f, name, columns.iter().map(value))?;
        }
        if single {
            write_borders(f, panoramas)?;
            write_poles(f, panoramas)?;
        }
        self.measures.diversity.iter().try_for_each(|d| write_diversity(f, d))?;
        self.measures.mini.iter().try_for_each(|m| write_mini(f, m))
    }
}

/// A measure's name and where it stands.
type Row = (&'static str, fn(&Summary) -> Option<f64>);

/// What every panorama has.
const ROWS: [Row; 17] = [
    ("covered share of the sphere", |s| Some(s.sphere_coverage)),
    ("rows that seams are measured on", |s| Some(s.seam_rows)),
    ("seam ratio, all lines (1: like its surroundings)", |s| seam(s, s.seam_ratio)),
    ("seam ratio, worst line", |s| seam(s, s.worst_seam_ratio)),
    ("seam ratio, wrap", |s| seam(s, s.wrap_ratio)),
    ("plain columns that change as much as the wrap", |s| seam(s, s.wrap_rank)),
    ("Discontinuity Score, wrap", |s| seam(s, s.wrap_discontinuity)),
    ("Discontinuity Score, lines without a seam", |s| s.discontinuity_elsewhere),
    ("poles: ring variance, pole / around", |s| s.pole_ring_ratio),
    ("poles: detail, pole / around", |s| s.pole_detail_ratio),
    ("poles: SSIM of rolled views, pole - around", |s| s.pole_roll_difference),
    ("whole views", |s| Some(s.views)),
    ("sharpness, mean |dx| (higher: sharper)", |s| detail(s, s.detail.sharpness)),
    ("variance of the Laplacian (higher: sharper)", |s| detail(s, s.detail.laplacian_variance)),
    ("detail energy, fine", |s| detail(s, s.detail.bands[0])),
    ("detail energy, middle", |s| detail(s, s.detail.bands[1])),
    ("detail energy, coarse", |s| detail(s, s.detail.bands[2])),
];

/// A number of seams, where rows were measured.
fn seam(summary: &Summary, value: f64) -> Option<f64> {
    (summary.seam_rows > 0.0).then_some(value)
}

/// A number of details, where a view was whole.
fn detail(summary: &Summary, value: f64) -> Option<f64> {
    (summary.views > 0.0).then_some(value)
}

/// The end of a long name says more than its beginning.
fn short(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = syncline_loader::escaped(&name, 200);
    let count = name.chars().count();
    if count <= NAME { name } else { format!("…{}", name.chars().skip(count + 1 - NAME).collect::<String>()) }
}

fn write_row(f: &mut impl Write, name: &str, values: impl Iterator<Item = Option<f64>>) -> std::fmt::Result {
    let cell = |value: Option<f64>| match value {
        None => format!(" {:>NAME$}", "-"),
        // Variances are small numbers.
        Some(v) if v != 0.0 && v.abs() < 1e-3 => format!(" {v:>NAME$.2e}"),
        Some(v) => format!(" {v:>NAME$.4}"),
    };
    writeln!(f, "{name:<52}{}", values.map(cell).collect::<String>())
}

fn write_borders(f: &mut impl Write, panoramas: &[PanoramaMeasures]) -> std::fmt::Result {
    for (i, border) in panoramas[0].seams.borders.iter().enumerate() {
        let ratio = panoramas.iter().map(|p| p.seams.borders.get(i).map(|b| b.ratio));
        write_row(f, &format!("seam ratio at {}°", border.azimuth), ratio)?;
    }
    Ok(())
}

fn write_poles(f: &mut impl Write, panoramas: &[PanoramaMeasures]) -> std::fmt::Result {
    let of = |up: bool| panoramas.iter().map(move |p| if up { p.zenith } else { p.nadir });
    for (name, up) in [("zenith", true), ("nadir", false)] {
        if of(up).any(|pole| pole.is_some()) {
            write_row(f, &format!("{name}: ring variance, pole / around"), of(up).map(|p| p.map(|p| p.ring_ratio)))?;
            write_row(f, &format!("{name}: detail, pole / around"), of(up).map(|p| p.map(|p| p.detail_ratio)))?;
        }
    }
    Ok(())
}

fn write_diversity(f: &mut impl Write, diversity: &Diversity) -> std::fmt::Result {
    writeln!(f, "\ndiversity, mean of {} pairs (higher: more different)", diversity.pairs)?;
    write_row(f, "  root mean squared difference", [Some(diversity.rms)].into_iter())?;
    write_row(f, "  1 - SSIM", [Some(diversity.ssim_distance)].into_iter())
}

fn write_mini(f: &mut impl Write, mini: &Judgement) -> std::fmt::Result {
    writeln!(f, "\nbuilt-in model's world, {} views", mini.views)?;
    let accuracy = [
        ("time", mini.accuracy.time),
        ("ground", mini.accuracy.ground),
        ("relief", mini.accuracy.relief),
        ("sky", mini.accuracy.sky),
        ("everything named", mini.accuracy.all),
    ];
    for (name, value) in accuracy {
        write_row(f, &format!("  shows the prompt's: {name}"), [value].into_iter())?;
    }
    let Some(truth) = &mini.against_truth else { return Ok(()) };
    let alike = if truth.matched.is_empty() { "any".to_owned() } else { format!("same {}", truth.matched.join(", ")) };
    writeln!(f, "  against {} true views ({alike})", truth.true_views)?;
    write_row(f, "  Fréchet distance (lower: nearer)", [Some(truth.frechet)].into_iter())?;
    write_row(f, "  the same of as many true panoramas", [truth.panorama_floor].into_iter())?;
    write_row(f, "  the same of as many true views of other worlds", [truth.frechet_floor].into_iter())?;
    write_row(f, "  kernel distance (lower: nearer)", [Some(truth.kernel)].into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(short(Path::new("a/meadow.png")), "meadow");
        assert_eq!(short(Path::new("panorama_of_a_meadow_12.png")), "…_of_a_meadow_12");
        assert_eq!(short(Path::new("x\u{1b}[2J.png")), "x\\u{1b}[2J");
    }

    #[test]
    fn rows_show_small_numbers_and_missing_ones() {
        let mut text = String::new();
        write_row(&mut text, "a", [Some(1.25), Some(3e-5), Some(0.0), None].into_iter()).unwrap();
        let cells: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(cells, ["a", "1.2500", "3.00e-5", "0.0000", "-"]);
    }
}
