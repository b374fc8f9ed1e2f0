//! The tables of an ablation, beside the paper's numbers, and which of its orderings hold.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::json;
use syncline::methods::ablation::Row;
use syncline::metrics::mini::Judge;

use super::measure::{RowMeasures, Stat, measure};
use super::{paths, read_run};
use crate::args::{AblationArgs, Global};
use crate::console;
use crate::output::{Embedded, Rgb8, Target, contact_sheet};

/// Measures everything and writes `ablation.json`, `ablation.md` and `ablation.png`.
pub fn write(
    global: &Global,
    args: &AblationArgs,
    rows: &[Row],
    prompts: &[String],
    built_in: bool,
) -> anyhow::Result<Vec<PathBuf>> {
    let judge = if built_in { Some(Judge::mini()?) } else { None };
    let mut measured = Vec::new();
    for row in rows {
        if !global.quiet && !global.json {
            console::note(format_args!("measuring row {}", row.name));
        }
        measured.extend(measure(args, row, prompts, judge.as_ref())?);
    }
    let claims = claims(&measured);
    let text = markdown(args, prompts, &measured, &claims);
    if !global.quiet && !global.json {
        console::note(text.trim_end());
    }
    let target = |name: &str| Target::check(&args.output.join(name), true);
    let claims: Vec<_> = claims.iter().map(|c| json!({ "claim": c.text, "holds": c.holds })).collect();
    let json = json!({ "schema": 1, "prompts": prompts, "seeds": args.seeds, "rows": measured, "claims": claims });
    let json = serde_json::to_string_pretty(&json)?;
    let mut written = vec![
        target("ablation.md")?.write(|w| w.write_all(text.as_bytes()))?,
        target("ablation.json")?.write(|w| writeln!(w, "{json}"))?,
    ];
    if let Some(sheet) = sheet(args, rows)? {
        written.push(target("ablation.png")?.write_png(&sheet, &Embedded::default())?);
    }
    Ok(written)
}

/// A sentence about the rows.
struct Claim {
    text: String,
    /// `None`: the difference is within two standard errors.
    holds: Option<bool>,
}

/// b − a with its standard error: runs of the same prompt and seed are compared with each other.
fn frechet_difference(a: &RowMeasures, b: &RowMeasures) -> Option<Stat> {
    let whole = b.frechet?.mean - a.frechet?.mean;
    let pairs = a.frechet_without.iter().zip(&b.frechet_without);
    (a.runs == b.runs).then(|| Stat::jackknife(whole, &pairs.map(|(a, b)| b - a).collect::<Vec<_>>()))
}

fn seam_difference(a: &RowMeasures, b: &RowMeasures) -> Option<Stat> {
    let pairs = a.seam_ratios.iter().zip(&b.seam_ratios);
    (a.runs == b.runs).then(|| Stat::of(&pairs.map(|(a, b)| b - a).collect::<Vec<_>>()))
}

/// The paper's orderings.
fn claims(rows: &[RowMeasures]) -> Vec<Claim> {
    let of = |name: &str| rows.iter().find(|row| row.name == name);
    let mut claims = Vec::new();
    let mut less = |what: &str, [a, b]: [&str; 2], difference: fn(&RowMeasures, &RowMeasures) -> Option<Stat>| {
        let Some(Stat { mean, error }) = of(a).zip(of(b)).and_then(|(a, b)| difference(a, b)) else { return };
        let holds = if mean.abs() <= 2.0 * error { None } else { Some(mean > 0.0) };
        claims.push(Claim { text: format!("{what}: {a} is below {b} by {mean:.3} ± {error:.3}"), holds });
    };
    for other in ["1", "2", "3", "4", "5", "sds", "sdi", "ism"] {
        less("Fréchet distance, all three switches are best", ["6", other], frechet_difference);
    }
    less("Fréchet distance, maximum stochasticity alone hurts", ["1", "2"], frechet_difference);
    less("Fréchet distance, fixed views hurt", ["6", "4"], frechet_difference);
    less("seam ratio, one-step synchronisation leaves seams", ["6", "1"], seam_difference);
    less("seam ratio, coupling removes seams", ["6", "independent"], seam_difference);
    less("seam ratio, the preset removes them", ["preset", "independent"], seam_difference);
    claims
}

fn stat(value: Option<Stat>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |s| format!("{:.digits$} ± {:.digits$}", s.mean, s.error))
}

fn markdown(args: &AblationArgs, prompts: &[String], rows: &[RowMeasures], claims: &[Claim]) -> String {
    let mut text = String::new();
    let mut line = |content: String| {
        text.push_str(&content);
        text.push('\n');
    };
    line(format!("{} prompts × {} seeds. Mean ± standard error over the runs.\n", prompts.len(), args.seeds.len()));
    line(
        "| row | what | max σ | multi-step | apart | runs | Fréchet ↓ | accuracy ↑ | seam ratio ↓ | across borders ↓ | \
         wrap discontinuity ↓ | sharpness ↑ | diversity | evaluations | s | FID (paper, SD-2.1) |"
            .into(),
    );
    line("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|".into());
    for row in rows {
        let mut cells = format!("| {} | {} |", row.name, row.title);
        for i in 0..3 {
            let mark = row.switches.map_or("", |switches| if switches[i] { "✓" } else { "✗" });
            // Writing to a string cannot fail.
            let _ = write!(cells, " {mark} |");
        }
        let diversity = row.diversity.map_or_else(|| "-".to_owned(), |d| format!("{:.3}", d.rms));
        let paper = row.paper.map_or_else(|| "-".to_owned(), |p| format!("{:.1}", p[0]));
        let [frechet, accuracy] = [stat(row.frechet, 3), stat(row.accuracy, 3)];
        let [ratio, seam] = [stat(Some(row.seam_ratio), 2), stat(Some(row.seam), 4)];
        let [wrap, sharp] = [stat(Some(row.discontinuity), 2), stat(Some(row.sharpness), 4)];
        let (runs, evaluations, seconds) = (row.runs, row.evaluations, row.seconds);
        let _ = write!(cells, " {runs} | {frechet} | {accuracy} | {ratio} | {seam} | {wrap} | {sharp} |");
        let _ = write!(cells, " {diversity} | {evaluations:.0} | {seconds:.0} | {paper} |");
        line(cells);
    }
    if let Some(floor) = rows.iter().find_map(|row| row.frechet_floor) {
        line(format!("\nFréchet distance of as many true panoramas: {floor:.3}."));
    }
    line("\nWhat the paper says, and what this run says:\n".into());
    for claim in claims {
        let verdict = match claim.holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "undecided (within two standard errors)",
        };
        line(format!("- {}: **{verdict}**", claim.text));
    }
    text
}

/// The first prompt's first seed of every row, the covered band only.
fn sheet(args: &AblationArgs, rows: &[Row]) -> anyhow::Result<Option<Rgb8>> {
    let Some(seed) = args.seeds.first() else { return Ok(None) };
    let mut bands = Vec::new();
    for row in rows {
        let [picture, _] = paths(args, row, 0, *seed);
        if picture.is_file() {
            let raster = read_run(&picture)?;
            let [height, width] = raster.size;
            let (top, rows) = (height * 3 / 10, height * 4 / 10);
            bands.push(Rgb8::from_unit(width, rows, &raster.rgb[top * width * 3..(top + rows) * width * 3])?);
        }
    }
    Ok((!bands.is_empty()).then(|| contact_sheet(&bands, 2, 4)))
}
