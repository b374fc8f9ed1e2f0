//! `--report` of `pair`: alignment and prompts, beside independent pictures and one composed picture.

use std::path::PathBuf;

use serde_json::{Value, json};
use syncline::jobs::CanvasResult;
use syncline::metrics::Alignment;
use syncline::metrics::mini::{Judge, Prompted, VIEW_SIDE};
use syncline::reproject::Raster;

use super::{Rule, Scene, picture};
use crate::args::{Global, PairArgs};
use crate::console;
use crate::output::{Embedded, Picture, ReportFiles, ReportPage, Table, Target};

/// Files of what the pictures are compared with.
#[derive(Debug)]
pub struct Baselines {
    independent: Vec<Target>,
    composed: Target,
    built_in: bool,
}

impl Baselines {
    /// Before the work: `pair_%d.png` has `pair_independent_1.png` … and `pair_composed.png` beside it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn check(args: &PairArgs, count: usize) -> anyhow::Result<Self> {
        let stem = args.output.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        // Up to the number.
        let stem = stem.split('%').next().unwrap_or_default().trim_end_matches(['_', '-', '.']);
        let stem = if stem.is_empty() { "pair" } else { stem };
        let target = |name: String| Target::check(&args.output.with_file_name(name), args.force);
        Ok(Self {
            independent: (1..=count)
                .map(|i| target(format!("{stem}_independent_{i}.png")))
                .collect::<Result<_, _>>()?,
            composed: target(format!("{stem}_composed.png"))?,
            built_in: args.device.model.is_none() && args.model_b.is_none(),
        })
    }
}

/// One way to draw the pictures, measured.
struct Measured {
    alignment: Option<Alignment>,
    /// Share of pictures in which the classifier sees everything that their prompts name.
    accuracy: Option<f64>,
    evaluations: usize,
}

/// Draws the baselines, measures all and writes what was asked for; returns the paths.
pub fn write(
    global: &Global,
    scene: &Scene,
    (rule, result): (&Rule, &CanvasResult),
    files: &ReportFiles,
    baselines: &Baselines,
) -> anyhow::Result<Vec<PathBuf>> {
    let independent = match rule {
        Rule::Coupled(coupled) => {
            let lambda = vec![0.0; coupled.lambda.len()];
            Rule::Coupled(syncline::methods::Coupled { lambda, ..coupled.clone() })
        }
        Rule::Composed(_) => Rule::Coupled(scene.coupled(0.0)),
    };
    let independent = scene.draw(global, &independent)?;
    let composed = scene.draw(global, &Rule::Composed(scene.composed()))?;
    let mut written = Vec::new();
    for (i, target) in baselines.independent.iter().enumerate() {
        written.push(target.write_png(&picture(&independent, i)?, &Embedded::default())?);
    }
    written.push(baselines.composed.write_png(&picture(&composed, 0)?, &Embedded::default())?);
    let judge = if baselines.built_in && scene.size == [VIEW_SIDE; 2] { Some(Judge::mini()?) } else { None };
    let all = [result, &independent, &composed].map(|result| measure(scene, judge.as_ref(), result));
    let rows = rows(&all);
    if !global.quiet {
        console::note(text(&rows).trim_end());
    }
    let json = json!({
        "schema": 1, "prompts": scene.prompts, "negative": scene.negative, "method": format!("{rule:?}"),
        "seed": scene.seed, "size": [scene.size[1], scene.size[0]],
        "result": value(&all[0]), "independent": value(&all[1]), "composed": value(&all[2]),
    });
    let make = || page(scene, rule, &rows, [result, &independent, &composed]);
    written.extend(files.write(&json, make)?);
    Ok(written)
}

fn measure(scene: &Scene, judge: Option<&Judge>, result: &CanvasResult) -> Measured {
    // One picture that is to show everything is every prompt's.
    let view = |i: usize| result.views[i.min(result.views.len() - 1)].clone();
    let judged = judge.map(|judge| {
        let sets = scene.prompts.iter().enumerate();
        let sets: Vec<_> = sets.map(|(i, p)| Prompted { prompt: p.clone(), views: vec![view(i)] }).collect();
        judge.judge(&sets).accuracy.all
    });
    let alignment = Alignment::among(&result.views, result.view_size);
    Measured { alignment, accuracy: judged.flatten(), evaluations: result.evaluations }
}

fn value(measured: &Measured) -> Value {
    let Measured { alignment, accuracy, evaluations } = measured;
    json!({ "alignment": alignment, "accuracy": accuracy, "evaluations": evaluations })
}

/// A name and a text for each way.
fn rows(all: &[Measured; 3]) -> Vec<Vec<String>> {
    let row = |name: &str, of: &dyn Fn(&Measured) -> String| {
        std::iter::once(name.to_owned()).chain(all.iter().map(of)).collect::<Vec<_>>()
    };
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let alignment = |name: &str, of: fn(&Alignment) -> f64| row(name, &|m| number(m.alignment.as_ref().map(of)));
    vec![
        alignment("difference between pictures, mean |A - B|", |a| a.difference),
        alignment("structural similarity", |a| a.ssim),
        alignment("agreement of edges", |a| a.edges),
        row("pictures that show their prompt", &|m| number(m.accuracy)),
        row("network evaluations", &|m| m.evaluations.to_string()),
    ]
}

fn text(rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("{:<44} {:>10} {:>12} {:>10}\n", cells[0], cells[1], cells[2], cells[3]);
    let head = ["", "result", "independent", "composed"].map(str::to_owned);
    line(&head) + &rows.iter().map(|row| line(row)).collect::<String>()
}

fn page(scene: &Scene, rule: &Rule, rows: &[Vec<String>], results: [&CanvasResult; 3]) -> ReportPage {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let columns = texts(&["", "result", "independent", "composed"]);
    let measures = Table { caption: "Measures".to_owned(), columns, rows: rows.to_vec() };
    let numbered =
        scene.prompts.iter().enumerate().map(|(i, prompt)| vec![format!("prompt {}", i + 1), prompt.clone()]);
    let more = [
        ("negative prompt", scene.negative.clone()),
        ("seed", scene.seed.to_string()),
        ("method", format!("{rule:?}")),
        ("adapter", scene.models[0].ctx.adapter().name.clone()),
    ];
    let models = scene.models.iter().map(|model| vec!["model".to_owned(), model.label.clone()]);
    let settings = Table {
        caption: "Settings".to_owned(),
        columns: texts(&["", "value"]),
        rows: numbered.chain(more.map(|(name, value)| vec![name.to_owned(), value])).chain(models).collect(),
    };
    let names = ["Result", "Independent", "Composed"];
    let pictures = names.iter().zip(results).flat_map(|(name, result)| {
        let shown = |(i, rgb): (usize, &Vec<f32>)| {
            let picture = Picture::srgb(Raster::new(result.view_size, rgb.clone()));
            let prompt = if result.views.len() == 1 { "all prompts" } else { &scene.prompts[i] };
            (format!("{name}: {prompt}"), picture)
        };
        result.views.iter().enumerate().map(shown).collect::<Vec<_>>()
    });
    ReportPage {
        title: format!("Pair: {}", scene.prompts.join(" | ")),
        summary: "Pictures are compared in pairs, means over all pairs. Edges agree by 1 where they all lie at the same places, \
                  whatever the colours; composed is one picture with the mean of all noise estimates."
            .to_owned(),
        pictures: pictures.collect(),
        tables: vec![measures, settings],
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
    }
}
