//! `--report`: the same edit by every method, measured side by side.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use syncline::jobs::EditTexts;
use syncline::metrics::EditMeasures;
use syncline::metrics::mini::{Judge, Prompted, VIEW_SIDE};
use syncline::pipeline::StableDiffusion;
use syncline::reproject::{Edges, Raster, resize};

use super::{Edit, Edited, Source, rivals};
use crate::console;
use crate::output::{Picture, ReportFiles, ReportPage, Table};

/// One method's row.
struct Row {
    name: &'static str,
    edited: Edited,
    measures: EditMeasures,
    /// Share of the target's words that the built-in world's classifier sees.
    accuracy: Option<f64>,
}

/// Runs all other methods, measures and writes; returns the paths.
pub(super) fn write(
    edit: &Edit<'_>,
    model: &Arc<StableDiffusion>,
    source: &mut Source,
    (files, edited): (&ReportFiles, &Edited),
) -> anyhow::Result<Vec<PathBuf>> {
    let judge = if edit.args.device.model.is_none() { Some(Judge::mini()?) } else { None };
    let mut rows = Vec::new();
    let first = Edited { picture: edited.picture.clone(), ..*edited };
    rows.push(row(edit, source, judge.as_ref(), (edit.method(), first)));
    for rival in rivals(edit.args.method.method) {
        if !edit.global.quiet && !edit.global.json {
            console::note(format_args!("{}", rival.name()));
        }
        let edited = edit.sample(model, source, rival)?;
        rows.push(row(edit, source, judge.as_ref(), (rival.name(), edited)));
    }
    if !edit.global.quiet {
        console::note(table(&rows).trim_end());
    }
    let json = json!({
        "schema": 1, "command": "edit", "texts": texts(edit), "seed": edit.seed, "settings": format!("{:?}", edit.settings),
        "measured": "each result against the source picture, inside and outside of the mask",
        "not_measured": NOT_MEASURED,
        "methods": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    let given = source.given().picture.clone();
    Ok(files.write(&json, || page(edit, model, &rows, given))?)
}

/// What would need weights that nobody has given.
pub const NOT_MEASURED: &str =
    "CLIP, DINO and LPIPS need networks that are not part of this program and were not given; they are left out";

fn texts(edit: &Edit<'_>) -> Value {
    match &edit.texts {
        EditTexts::Prompts { source, targets, negative } => {
            json!({ "source": source, "target": targets.concat(), "negative": negative })
        }
        EditTexts::Instructions { instructions, .. } => json!({ "instruction": instructions.concat() }),
    }
}

fn row(edit: &Edit<'_>, source: &Source, judge: Option<&Judge>, (name, edited): (&'static str, Edited)) -> Row {
    let given = source.given();
    let measures = EditMeasures::of(&edited.picture.rgb, &given.picture.rgb, given.picture.size, given.mask.as_deref());
    let target = match &edit.texts {
        EditTexts::Prompts { targets, .. } => targets.concat(),
        EditTexts::Instructions { .. } => String::new(),
    };
    let accuracy = judge.and_then(|judge| accuracy(judge, &edited.picture, &target));
    Row { name, edited, measures, accuracy }
}

/// Share of what a prompt names that the built-in world's classifier sees in a picture; none where it names nothing.
pub fn accuracy(judge: &Judge, picture: &Raster, prompt: &str) -> Option<f64> {
    let view = resize(picture, [VIEW_SIDE; 2], Edges::Clamp).rgb;
    let judged = judge.judge(&[Prompted { prompt: prompt.to_owned(), views: vec![view] }]);
    let heads = [judged.accuracy.time, judged.accuracy.ground, judged.accuracy.relief, judged.accuracy.sky];
    let named: Vec<f64> = heads.into_iter().flatten().collect();
    (!named.is_empty()).then(|| named.iter().sum::<f64>() / named.len() as f64)
}

impl Row {
    fn json(&self) -> Value {
        json!({ "method": self.name, "evaluations": self.edited.evaluations, "seconds": self.edited.seconds,
                "against_source": self.measures, "target_words_seen": self.accuracy })
    }

    fn cells(&self) -> Vec<String> {
        let m = &self.measures;
        let outside = m.outside.unwrap_or(m.whole);
        let number = |value: Option<f64>, digits: usize| match value {
            Some(value) if value.is_finite() => format!("{value:.digits$}"),
            Some(_) => "\u{221e}".to_owned(),
            None => "-".to_owned(),
        };
        vec![
            number(Some(outside.psnr), 2),
            number(outside.ssim, 4),
            number(Some(outside.l1), 4),
            number(m.inside.map(|inside| inside.l1), 4),
            number(Some(m.relative_sharpness), 3),
            number(self.accuracy, 2),
            self.edited.evaluations.to_string(),
            format!("{:.1}", self.edited.seconds),
        ]
    }
}

const COLUMNS: [&str; 9] = [
    "",
    "PSNR outside",
    "SSIM outside",
    "L1 outside",
    "L1 inside",
    "sharpness",
    "words seen",
    "evaluations",
    "seconds",
];

fn table(rows: &[Row]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{:<16}", "");
    for name in &COLUMNS[1..] {
        let _ = write!(text, " {name:>13}");
    }
    text.push('\n');
    for row in rows {
        let _ = write!(text, "{:<16}", row.name);
        for cell in row.cells() {
            let _ = write!(text, " {cell:>13}");
        }
        text.push('\n');
    }
    text
}

fn page(edit: &Edit<'_>, model: &StableDiffusion, rows: &[Row], source: Raster) -> ReportPage {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let setting = |name: &str, value: &str| owned(&[name, value]);
    let measures = Table {
        caption: "Against the source picture".to_owned(),
        columns: owned(&COLUMNS),
        rows: rows.iter().map(|row| [vec![row.name.to_owned()], row.cells()].concat()).collect(),
    };
    let text = texts(edit);
    let word = |key: &str| text[key].as_str().unwrap_or_default().to_owned();
    let settings = Table {
        caption: "Settings".to_owned(),
        columns: owned(&["", "value"]),
        rows: vec![
            setting("source prompt", &word("source")),
            setting("target prompt", &word("target")),
            setting("seed", &edit.seed.to_string()),
            setting("model", &model.label),
            setting("settings", &format!("{:?}", edit.settings)),
            setting("adapter", &model.ctx.adapter().name),
        ],
    };
    let pictures = rows.iter().map(|row| (row.name.to_owned(), Picture::srgb(row.edited.picture.clone())));
    ReportPage {
        title: format!("Edit: {}", word("target")),
        summary: format!(
            "Every method made the same edit with the same seed. \"Outside\" is what the mask keeps, or without one the whole \
             picture: what is kept there is put back from the source only where a mask says so. {NOT_MEASURED}."
        ),
        pictures: std::iter::once(("The source".to_owned(), Picture::srgb(source))).chain(pictures).collect(),
        tables: vec![measures, settings],
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
    }
}
