//! `metrics edit`: an edited picture against its source, and against the true edit where it is known.

use std::path::Path;

use serde_json::json;
use syncline::metrics::mini::Judge;
use syncline::metrics::{EditMeasures, Nearness};
use syncline::reproject::Raster;

use crate::args::{Global, MetricsEditArgs};
use crate::commands::edit::{NOT_MEASURED, accuracy};
use crate::commands::inpaint::free_mask;
use crate::commands::prompt_text;
use crate::console;
use crate::exit::Failure;
use crate::input::read_picture;

/// Smallest side that sharpness is measured on.
const LEAST: usize = 3;

/// Measures; they are the command's result.
pub fn run(global: &Global, args: &MetricsEditArgs) -> anyhow::Result<()> {
    let prompt = args.target_prompt.as_deref().map(prompt_text).transpose()?;
    let source = read(&args.source)?;
    let result = read(&args.result)?;
    same_size(&result, &source, [&args.result, &args.source])?;
    let mask = args.mask.as_deref().map(|mask| free_mask(mask, source.size, &args.source)).transpose()?;
    let truth = args.truth.as_deref().map(read).transpose()?;
    if let (Some(truth), Some(path)) = (&truth, &args.truth) {
        same_size(truth, &source, [path, &args.source])?;
    }
    let measure = |other: &Raster| EditMeasures::of(&result.rgb, &other.rgb, source.size, mask.as_deref());
    let (to_source, to_truth) = (measure(&source), truth.as_ref().map(measure));
    let seen = prompt.as_ref().map(|prompt| words(&result, prompt)).transpose()?;
    if global.json {
        return console::result(json!({
            "schema": 1, "event": "metrics", "kind": "edit", "source": args.source, "result": args.result,
            "against_source": to_source, "against_truth": to_truth, "target_words_seen": seen,
            "not_measured": NOT_MEASURED,
        }));
    }
    let mut text = table("against the source", &to_source);
    if let Some(measures) = &to_truth {
        text += &table("\nagainst the true edit", measures);
    }
    text += &format!(
        "\n{:<28} {:>10.4}\n{:<28} {:>10.4}\n",
        "sharpness, mean |dx|", to_source.detail.sharpness, "  over the source's", to_source.relative_sharpness
    );
    if let Some(seen) = seen {
        text += &format!("{:<28} {seen:>10.4}\n", "target's words seen");
    }
    console::result(format!("{text}\n{NOT_MEASURED}."))
}

fn read(path: &Path) -> anyhow::Result<Raster> {
    let picture = read_picture(path)?.to_srgb().into_owned();
    if picture.size.iter().any(|n| *n < LEAST) {
        let [height, width] = picture.size;
        let message = format!("{}: found {width}x{height} pixels, expected at least {LEAST} a side", path.display());
        return Err(Failure::input(message).into());
    }
    Ok(picture)
}

fn same_size(a: &Raster, b: &Raster, [path, other]: [&Path; 2]) -> anyhow::Result<()> {
    if a.size == b.size {
        return Ok(());
    }
    let ([height, width], [h, w]) = (a.size, b.size);
    let message = format!(
        "{}: found {width}x{height} pixels, expected {w}x{h} as {}; edits keep the size of their picture",
        path.display(),
        other.display()
    );
    Err(Failure::input(message).into())
}

/// What the built-in world's classifier sees of a prompt.
fn words(picture: &Raster, prompt: &str) -> anyhow::Result<f64> {
    accuracy(&Judge::mini()?, picture, prompt).ok_or_else(|| {
        Failure::usage(format!(
            "target prompt {prompt:?}: found no word of the built-in model's world, expected times, grounds, reliefs or skies \
             such as \"green meadow at night\": other worlds need a classifier that is not part of this program"
        ))
        .into()
    })
}

/// A measure's name and where it stands.
type Row = (&'static str, fn(&Nearness) -> Option<f64>);

fn table(title: &str, measures: &EditMeasures) -> String {
    let mut text = format!("{title:<28} {:>10} {:>10} {:>10}\n", "whole", "inside", "outside");
    let parts = [Some(measures.whole), measures.inside, measures.outside];
    let rows: [Row; 5] = [
        ("  share of the pixels", |n| Some(n.share)),
        ("  mean |difference|", |n| Some(n.l1)),
        ("  root mean square", |n| Some(n.l2)),
        ("  PSNR in dB", |n| Some(n.psnr)),
        ("  SSIM", |n| n.ssim),
    ];
    for (name, value) in rows {
        let cell = |part: &Option<Nearness>| match part.as_ref().and_then(value) {
            Some(v) if v.is_finite() => format!(" {v:>10.4}"),
            Some(_) => format!(" {:>10}", "equal"),
            None => format!(" {:>10}", "-"),
        };
        text += &format!("{name:<28}{}\n", parts.iter().map(cell).collect::<String>());
    }
    text
}
