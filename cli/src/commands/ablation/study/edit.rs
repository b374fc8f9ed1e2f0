//! sync-SDE against its neighbours on single pictures whose true edit is known (section "experiments" of Zhang and Scott 2025, in
//! miniature): three strengths of each method, no masks given; fidelity where nothing should change, accuracy where it should.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use syncline::jobs::{EditTexts, PictureCodec, PictureEdit, PictureOptions};
use syncline::methods::{EditMethod, EditSettings, Form};
use syncline::metrics::mini::{Classifier, VIEW_SIDE};
use syncline::metrics::{EditMeasures, Nearness};
use syncline::pipeline::StableDiffusion;
use syncline::reproject::{Edges, Raster, resize};

use super::measures::wanted;
use super::{Item, Table, items, read, write, write_tables};
use crate::args::{AblationArgs, Global};
use crate::commands::ablation::measure::Stat;
use crate::exit::Failure;
use crate::output::{Embedded, Rgb8, Target, contact_sheet};
use crate::{console, device, progress};

/// Levels, and the seed of every run.
const STEPS: usize = 28;
const SEED: u64 = 1;

/// First levels of the three strengths, strong first, and as many gradient steps of DDS.
const STARTS: [usize; 3] = [4, 10, 16];
const ITERATIONS: [usize; 3] = [200, 100, 50];

/// A way to edit.
struct Way {
    name: &'static str,
    title: &'static str,
    method: EditMethod,
    form: Form,
}

const fn way(name: &'static str, title: &'static str, method: EditMethod, form: Form) -> Way {
    Way { name, title, method, form }
}

/// All of them.
#[rustfmt::skip] // One line for each.
const WAYS: [Way; 7] = [
    way("sync-sde", "sync-SDE, diffusion form", EditMethod::SyncSde, Form::Diffusion),
    way("sync-sde-flow", "sync-SDE, flow form as published", EditMethod::SyncSde, Form::Flow),
    way("flowedit", "FlowEdit", EditMethod::FlowEdit, Form::Flow),
    way("dds", "DDS", EditMethod::Dds, Form::Diffusion),
    way("sdedit", "SDEdit", EditMethod::SdEdit, Form::Diffusion),
    way("ddim-inversion", "DDIM inversion", EditMethod::DdimInversion, Form::Diffusion),
    way("rf-inversion", "RF-Inversion", EditMethod::RfInversion, Form::Flow),
];

/// A way at one strength.
struct Row {
    way: &'static Way,
    level: usize,
}

/// Of one item.
#[derive(Clone, Copy, Debug, Serialize)]
struct Measures {
    /// Whether the classifier sees what the edit was to bring.
    accuracy: f64,
    /// Share of the other three questions that it answers as for the source.
    kept: f64,
    /// Where nothing should change, against the source; none where everything does.
    outside: Option<Nearness>,
    /// Everywhere, against the true edit.
    truth: Nearness,
    relative_sharpness: f64,
}

impl Row {
    fn name(&self) -> String {
        format!("{}-{}", self.way.name, self.level + 1)
    }

    fn settings(&self) -> EditSettings {
        let base = EditSettings::new(STEPS, SEED);
        EditSettings { start: STARTS[self.level], iterations: ITERATIONS[self.level], form: self.way.form, ..base }
    }

    fn setting(&self) -> String {
        let settings = self.settings();
        match self.way.method {
            EditMethod::Dds => format!("{} iterations", settings.iterations),
            _ => format!("from level {} of {STEPS}", settings.start),
        }
    }
}

pub fn run(global: &Global, args: &AblationArgs) -> anyhow::Result<Vec<PathBuf>> {
    let rows = rows(args)?;
    let items = items(args, "edit")?;
    let model = (!args.measure_only).then(|| device::load(&args.device)).transpose()?;
    if let Some(model) = &model {
        for item in &items {
            let mut codec = PictureCodec::new(model, [VIEW_SIDE; 2], PictureOptions::default())?;
            let latents = codec.encode(&view(&item.folder.join("source.png"))?.rgb)?;
            write(&path(args, item, "autoencoder"), &Raster::new([VIEW_SIDE; 2], codec.decode(&latents)?))?;
            for row in &rows {
                sample(global, args, (model, &mut codec), (item, row, &latents))?;
            }
        }
    }
    let classifier = Classifier::mini()?;
    let first = ["row", "what", "setting", "items"].map(str::to_owned);
    let mut table = Table { columns: [&first[..], &COLUMNS.map(|c| c.0.to_owned())].concat(), rows: Vec::new() };
    let (mut numbers, mut means) = (Vec::new(), Vec::new());
    let mut measured = |name: &str, [title, setting]: [&str; 2], edited: &dyn Fn(&Item) -> anyhow::Result<Raster>| {
        let all = items.iter().map(|item| measure(&classifier, item, &edited(item)?));
        let all: Vec<Measures> = all.collect::<anyhow::Result<_>>()?;
        let cells = [name, title, setting, &all.len().to_string()].map(str::to_owned);
        table.rows.push([&cells[..], &cells_of(&all)].concat());
        numbers.push(json!({ "row": name, "setting": setting, "items": items, "measures": all }));
        anyhow::Ok(all)
    };
    measured("source", ["not edited", "-"], &|item| view(&item.folder.join("source.png")))?;
    measured("autoencoder", ["encoded and decoded", "-"], &|item| read(&path(args, item, "autoencoder")))?;
    measured("truth", ["as it should be", "-"], &|item| view(&item.folder.join("target.png")))?;
    for row in &rows {
        let edited = |item: &Item| read(&path(args, item, &row.name()));
        means.push(measured(&row.name(), [row.way.title, &row.setting()], &edited)?);
    }
    let text = format!(
        "{} triplets, seed {SEED}, {STEPS} levels. Mean ± standard error over the items; outside: where source and true edit agree.\n\n\
         {}\n{}",
        items.len(),
        table.markdown(),
        verdicts(&rows, &means)
    );
    let mut written = vec![sheet(args, &rows, &items)?];
    written.extend(write_tables(global, args, "edit", &text, &json!(numbers))?);
    Ok(written)
}

/// All, or those of the ways that are named.
fn rows(args: &AblationArgs) -> anyhow::Result<Vec<Row>> {
    if let Some(name) = args.rows.iter().find(|name| WAYS.iter().all(|way| way.name != **name)) {
        let message = format!("row {name:?}: expected one of {}", WAYS.map(|way| way.name).join(", "));
        return Err(Failure::usage(message).into());
    }
    let chosen = WAYS.iter().filter(|way| args.rows.is_empty() || args.rows.iter().any(|name| name == way.name));
    Ok(chosen.flat_map(|way| (0..STARTS.len()).map(move |level| Row { way, level })).collect())
}

fn path(args: &AblationArgs, item: &Item, row: &str) -> PathBuf {
    args.output.join(format!("{}_{row}.png", item.file_name()))
}

/// A picture as the classifier and the built-in model take it.
fn view(file: &std::path::Path) -> anyhow::Result<Raster> {
    Ok(resize(&read(file)?, [VIEW_SIDE; 2], Edges::Clamp))
}

fn sample(
    global: &Global,
    args: &AblationArgs,
    (model, codec): (&Arc<StableDiffusion>, &mut PictureCodec),
    (item, row, latents): (&Item, &Row, &[f32]),
) -> anyhow::Result<()> {
    let file = path(args, item, &row.name());
    if file.is_file() {
        return Ok(());
    }
    let begin = Instant::now();
    let plan = row.settings().plan(row.way.method, &model.noise_schedule)?;
    let (source, targets) = (item.meta.source_prompt.clone(), vec![item.meta.target_prompt.clone()]);
    let texts = EditTexts::Prompts { source, targets, negative: String::new() };
    let edit = PictureEdit { plan, size: codec.latent_size(), source: latents.to_vec(), texts, mask: None, seed: SEED };
    let edited = progress::run(global, edit.program(model)?)?;
    write(&file, &Raster::new([VIEW_SIDE; 2], codec.decode(&edited.canvas)?))?;
    if !global.quiet && !global.json {
        let seconds = begin.elapsed().as_secs_f64();
        console::note(format_args!("{}, {}: {seconds:.1} s", item.name, row.name()));
    }
    Ok(())
}

fn measure(classifier: &Classifier, item: &Item, edited: &Raster) -> anyhow::Result<Measures> {
    let [source, truth] = ["source.png", "target.png"].map(|name| view(&item.folder.join(name)));
    let (source, truth, (head, class)) = (source?, truth?, wanted(&item.meta)?);
    // Grey of at least one half counts as white.
    let mask = view(&item.folder.join("mask.png"))?;
    let free: Vec<f32> = mask.rgb.chunks_exact(3).map(|p| f32::from(u8::from(p[0] >= 0.5))).collect();
    let of = |other: &Raster| EditMeasures::of(&edited.rgb, &other.rgb, [VIEW_SIDE; 2], Some(&free));
    let [seen, before] = [&edited.rgb, &source.rgb].map(|rgb| classifier.see(rgb).classes());
    let others: Vec<usize> = (0..4).filter(|i| *i != head).collect();
    let kept = others.iter().filter(|i| seen[**i] == before[**i]).count() as f64 / others.len() as f64;
    let to_source = of(&source);
    Ok(Measures {
        accuracy: f64::from(u8::from(seen[head] == class)),
        kept,
        outside: to_source.outside,
        truth: of(&truth).whole,
        relative_sharpness: to_source.relative_sharpness,
    })
}

/// Equal pictures have no finite ratio.
fn finite(decibels: f64) -> f64 {
    decibels.min(99.0)
}

/// A column's title, its digits, and its value for an item that has one.
type Column = (&'static str, usize, fn(&Measures) -> Option<f64>);

const COLUMNS: [Column; 7] = [
    ("accuracy ↑", 3, |m| Some(m.accuracy)),
    ("others kept ↑", 3, |m| Some(m.kept)),
    ("PSNR outside ↑", 2, |m| m.outside.map(|n| finite(n.psnr))),
    ("L1 outside ↓", 4, |m| m.outside.map(|n| n.l1)),
    ("PSNR to truth ↑", 2, |m| Some(finite(m.truth.psnr))),
    ("L1 to truth ↓", 4, |m| Some(m.truth.l1)),
    ("sharpness", 3, |m| Some(m.relative_sharpness)),
];

fn cells_of(all: &[Measures]) -> Vec<String> {
    let cell = |(_, digits, value): Column| {
        let values: Vec<f64> = all.iter().filter_map(value).collect();
        if values.is_empty() {
            return "-".to_owned();
        }
        let Stat { mean, error } = Stat::of(&values);
        format!("{mean:.digits$} ± {error:.digits$}")
    };
    COLUMNS.into_iter().map(cell).collect()
}

/// Accuracy and fidelity outside, the two that the paper trades against each other.
fn trade(all: &[Measures]) -> [f64; 2] {
    let outside: Vec<f64> = all.iter().filter_map(|m| m.outside.map(|n| -n.l1)).collect();
    [Stat::of(&all.iter().map(|m| m.accuracy).collect::<Vec<_>>()).mean, Stat::of(&outside).mean]
}

/// The paper's claim, rival by rival: more of the edit at less change elsewhere.
fn verdicts(rows: &[Row], means: &[Vec<Measures>]) -> String {
    let of = |name: &str| -> Vec<[f64; 2]> {
        rows.iter().zip(means).filter(|(row, _)| row.way.name == name).map(|(_, all)| trade(all)).collect()
    };
    // At least as good in both, and better in one.
    let beats = |a: &[f64; 2], b: &[f64; 2]| a[0] >= b[0] && a[1] >= b[1] && a != b;
    let mut text = "The paper's claim is more of the edit at less change elsewhere. Of each pair's settings, how many are beaten in both \
                    accuracy and L1 outside by one of the other's:\n\n"
        .to_owned();
    for own in ["sync-sde", "sync-sde-flow"] {
        let ours = of(own);
        for rival in WAYS.iter().filter(|way| !way.name.starts_with("sync-sde")) {
            let theirs = of(rival.name);
            if ours.is_empty() || theirs.is_empty() {
                continue;
            }
            let lost = theirs.iter().filter(|b| ours.iter().any(|a| beats(a, b))).count();
            let missed = ours.iter().filter(|a| theirs.iter().any(|b| beats(b, a))).count();
            let verdict = match lost.cmp(&missed) {
                std::cmp::Ordering::Greater => "holds",
                std::cmp::Ordering::Less => "does not hold",
                std::cmp::Ordering::Equal => "undecided",
            };
            let (n, m) = (theirs.len(), ours.len());
            text += &format!(
                "- {own} against {}: {lost} of its {n} are beaten, {missed} of {own}'s {m} are: **{verdict}**\n",
                rival.name
            );
        }
    }
    text
}

/// An item in each line: source, truth, and every way at its middle strength, at half size.
fn sheet(args: &AblationArgs, rows: &[Row], items: &[Item]) -> anyhow::Result<PathBuf> {
    let middle: Vec<&Row> = rows.iter().filter(|row| row.level == 1).collect();
    let mut tiles = Vec::new();
    for item in items {
        let given = ["source.png", "target.png"].map(|name| view(&item.folder.join(name)));
        let edited = middle.iter().map(|row| read(&path(args, item, &row.name())));
        for raster in given.into_iter().chain(edited) {
            let [height, width] = [VIEW_SIDE / 2; 2];
            tiles.push(Rgb8::from_unit(width, height, &resize(&raster?, [height, width], Edges::Clamp).rgb)?);
        }
    }
    let sheet = contact_sheet(&tiles, 2 + middle.len(), 4);
    Ok(Target::check(&args.output.join("edit.png"), true)?.write_png(&sheet, &Embedded::default())?)
}
