//! CSD-Edit in full, without its kernel, and against noise instead of the source's estimate (table 3 of Kim et al. 2023), with an
//! instructed model on panoramas by windows and on frames.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use syncline::jobs::{EditTexts, PictureCodec, PictureOptions, SetEdit};
use syncline::methods::{Baseline, Csd, Optimiser};
use syncline::metrics::mini::{Classifier, VIEW_SIDE};
use syncline::models::Wrap;
use syncline::pipeline::StableDiffusion;
use syncline::reproject::{Edges, Raster, resize};
use syncline::spaces::windows::WindowsOptions;
use syncline::spaces::{Frames, Space, Windows};

use super::measures::{EditMeasures, wanted};
use super::{Item, Table, items, read, write, write_tables};
use crate::args::{AblationArgs, Global};
use crate::commands::ablation::measure::Stat;
use crate::exit::Failure;
use crate::output::{Embedded, Rgb8, Target, contact_sheet};
use crate::{console, device, progress};

/// Guidance along instruction and picture that the built-in editor was measured with.
const GUIDANCE: [f64; 2] = [5.0, 1.2];

/// Seed of every run.
const SEED: u64 = 1;

/// A way to edit.
struct Row {
    name: &'static str,
    title: &'static str,
    change: fn(Csd) -> Csd,
}

/// All rows; a change of the preset each.
const ROWS: &[Row] = &[
    Row { name: "full", title: "CSD-Edit", change: |csd| csd },
    Row { name: "no-kernel", title: "without the kernel", change: |csd| Csd { coupling: None, ..csd } },
    Row { name: "no-kernel-strong", title: "without the kernel, as strong", change: as_strong },
    Row { name: "noise", title: "against noise", change: |csd| Csd { baseline: Baseline::Noise, ..csd } },
];

/// Views with noise of their own see 1/(B + 1) of each other: without, the rate makes up for it.
fn as_strong(csd: Csd) -> Csd {
    let (Optimiser::Sgd { rate, decay, every }, Some(views)) = (csd.optimiser, csd.batch) else { return csd };
    let optimiser = Optimiser::Sgd { rate: rate * 2.0 * views as f64 / (views + 1) as f64, decay, every };
    Csd { coupling: None, optimiser, ..csd }
}

/// What is edited: its kind's folder, preset and space.
struct Kind {
    name: &'static str,
    title: &'static str,
    method: fn() -> Csd,
}

const KINDS: [Kind; 2] = [
    Kind { name: "pano", title: "panoramas by windows of 72°, 4 at a time", method: || Csd::panorama(SEED) },
    Kind { name: "frames", title: "frames, all together", method: || Csd::frames(SEED) },
];

/// What the paper's table 3 says of its parts, on these measures: (claim, the better row, the other, measure, more is better).
type Statement = (&'static str, &'static str, &'static str, fn(&EditMeasures) -> f64, bool);
const CLAIMS: [Statement; 7] = [
    ("the kernel keeps views alike: colour spread", "full", "no-kernel-strong", |m| m.spread, false),
    ("the kernel brings the edit: accuracy", "full", "no-kernel", |m| m.accuracy, true),
    ("the kernel brings the edit at equal strength: accuracy", "full", "no-kernel-strong", |m| m.accuracy, true),
    ("the kernel keeps what the edit is not about: PSNR to truth", "full", "no-kernel-strong", |m| m.target_psnr, true),
    ("the source's estimate keeps what the edit is not about: PSNR to truth", "full", "noise", |m| m.target_psnr, true),
    ("the source's estimate keeps the source: SSIM", "full", "noise", |m| m.source_ssim, true),
    ("the source's estimate brings the edit: accuracy", "full", "noise", |m| m.accuracy, true),
];

const LEGEND: &str = "Means ± standard errors over the items. Accuracy: share of 128 x 128 views in which the built-in classifier sees \
    the attribute that the instruction asks for. Truth: the procedural world's picture with that attribute. Colour spread: how \
    differently views were changed, in levels of 255. \"As strong\": the rate makes up for what views get from each other.\n";

pub fn run(global: &Global, args: &AblationArgs) -> anyhow::Result<Vec<PathBuf>> {
    let (mut text, mut numbers, mut written) = (LEGEND.to_owned(), Vec::new(), Vec::new());
    let editor = (!args.measure_only).then(|| device::load_editor(&args.device)).transpose()?;
    let classifier = Classifier::mini()?;
    for kind in KINDS {
        let items = items(args, kind.name)?;
        if let Some(editor) = &editor {
            for (item, row) in items.iter().flat_map(|item| ROWS.iter().map(move |row| (item, row))) {
                sample(global, args, editor, (&kind, item, row))?;
            }
        }
        let rows = measure(args, &classifier, &items)?;
        let mut table = Table { columns: vec!["row".into(), "what".into(), "items".into()], rows: Vec::new() };
        table.columns.extend(EditMeasures::columns().map(|(title, ..)| title.to_owned()));
        for (name, title, all) in &rows {
            let first = [(*name).to_owned(), (*title).to_owned(), all.len().to_string()];
            table.rows.push([&first[..], &EditMeasures::cells(all)].concat());
            numbers.push(json!({ "kind": kind.name, "row": name, "items": items, "measures": all }));
        }
        text += &format!("\n{} {}\n\n{}\n{}", items.len(), kind.title, table.markdown(), claims(&rows));
        written.push(sheet(args, &kind, &items)?);
    }
    written.extend(write_tables(global, args, "csd", &text, &json!(numbers))?);
    Ok(written)
}

/// Name, title and the measures of each item.
type Measured = (&'static str, &'static str, Vec<EditMeasures>);

fn measure(args: &AblationArgs, classifier: &Classifier, items: &[Item]) -> anyhow::Result<Vec<Measured>> {
    let of = |edited: &dyn Fn(&Item, [Raster; 2]) -> anyhow::Result<Raster>| {
        let one = |item: &Item| {
            let pair = truth(item)?;
            let [source, target] = [views(&pair[0]), views(&pair[1])];
            let edited = views(&edited(item, pair)?);
            Ok(EditMeasures::of(classifier, [&source, &target, &edited], wanted(&item.meta)?))
        };
        items.iter().map(one).collect::<anyhow::Result<Vec<_>>>()
    };
    let mut rows = vec![
        ("source", "not edited", of(&|_, [source, _]| Ok(source))?),
        ("truth", "as it should be", of(&|_, [_, target]| Ok(target))?),
    ];
    for row in ROWS {
        rows.push((row.name, row.title, of(&|item, _| read(&path(args, item, row)))?));
    }
    Ok(rows)
}

/// Which statements hold, by differences between runs on the same item.
fn claims(rows: &[Measured]) -> String {
    let of = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| &row.2);
    let line = |(text, better, other, value, more): &Statement| {
        let pairs = of(better)?.iter().zip(of(other)?);
        let gain =
            |(a, b): (&EditMeasures, &EditMeasures)| if *more { value(a) - value(b) } else { value(b) - value(a) };
        let gains: Vec<f64> = pairs.map(gain).collect();
        let Stat { mean, error } = Stat::of(&gains);
        let verdict = match mean {
            _ if gains.len() < 3 => "undecided (too few items)",
            _ if mean.abs() <= 2.0 * error => "undecided (within two standard errors)",
            _ if mean > 0.0 => "holds",
            _ => "does not hold",
        };
        Some(format!("- {text}: {better} better than {other} by {mean:.3} ± {error:.3}: **{verdict}**\n"))
    };
    CLAIMS.iter().filter_map(line).collect()
}

fn path(args: &AblationArgs, item: &Item, row: &Row) -> PathBuf {
    args.output.join(format!("csd_{}_{}.png", item.file_name(), row.name))
}

/// Source and target: a strip, or frames one below the other.
fn truth(item: &Item) -> anyhow::Result<[Raster; 2]> {
    if item.folder.join("source.png").is_file() {
        return Ok([read(&item.folder.join("source.png"))?, read(&item.folder.join("target.png"))?]);
    }
    let pair = [stacked(&item.folder)?, stacked(&item.folder.join("target"))?];
    if pair[0].size != pair[1].size {
        let found = format!("{}: {} and {} frames", item.folder.display(), pair[0].size[0], pair[1].size[0]);
        return Err(Failure::input(format!("{found} (in rows), expected as many in target")).into());
    }
    Ok(pair)
}

/// All frames of a folder, one below the other.
fn stacked(folder: &Path) -> anyhow::Result<Raster> {
    let refuse =
        |e: String| Failure::input(format!("{}: {e}; expected frames of {VIEW_SIDE}x{VIEW_SIDE}", folder.display()));
    let listed = std::fs::read_dir(folder).map_err(|e| refuse(e.to_string()))?;
    let mut files: Vec<PathBuf> = listed.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "png"));
    files.sort();
    let frames = files.iter().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    if frames.len() < 2 || frames.iter().any(|frame| frame.size != [VIEW_SIDE; 2]) {
        return Err(refuse(format!("found {} pictures, or others", frames.len())).into());
    }
    let size = [frames.len() * VIEW_SIDE, VIEW_SIDE];
    Ok(Raster::new(size, frames.into_iter().flat_map(|frame| frame.rgb).collect()))
}

/// Square views side by side, or below each other.
fn views(raster: &Raster) -> Vec<Vec<f32>> {
    let [height, width] = raster.size;
    let (rows, columns) = (height / VIEW_SIDE, width / VIEW_SIDE);
    let view = |i: usize| {
        let (top, left) = (i / columns * VIEW_SIDE, i % columns * VIEW_SIDE);
        (top..top + VIEW_SIDE).flat_map(|y| raster.rgb[(y * width + left) * 3..][..VIEW_SIDE * 3].to_vec()).collect()
    };
    (0..rows * columns).map(view).collect()
}

fn sample(
    global: &Global,
    args: &AblationArgs,
    editor: &Arc<StableDiffusion>,
    (kind, item, row): (&Kind, &Item, &Row),
) -> anyhow::Result<()> {
    let file = path(args, item, row);
    if file.is_file() {
        return Ok(());
    }
    let begin = Instant::now();
    let [source, _] = truth(item)?;
    let [height, width] = source.size;
    // A strip is coded as a whole, frames one by one.
    let strip = height == VIEW_SIDE;
    let space: Box<dyn Space> = if strip {
        let (window, stride, wrap) = ([VIEW_SIDE; 2], [VIEW_SIDE, VIEW_SIDE / 4], [false, true]);
        Box::new(Windows::new(&WindowsOptions {
            canvas: source.size,
            window,
            stride,
            wrap,
            ..WindowsOptions::default()
        })?)
    } else {
        Box::new(Frames::new(height / VIEW_SIDE, [VIEW_SIDE, width])?)
    };
    let options = PictureOptions { wrap: Wrap { x: strip, y: false }, ..PictureOptions::default() };
    let mut codec = PictureCodec::new(editor, [VIEW_SIDE, width], options)?;
    let part = VIEW_SIDE * width * 3;
    let latents: Vec<Vec<f32>> =
        source.rgb.chunks_exact(part).map(|rgb| codec.encode(rgb)).collect::<Result<_, _>>()?;
    let views = space.view_count();
    let method = (kind.method)().for_latents(codec.latent_size()[0], views);
    let instructions = vec![item.meta.instruction.clone()];
    let set = SetEdit {
        method: (row.change)(Csd { batch: Some(method.batch.unwrap_or(views).min(views)), ..method }),
        space,
        source: latents.concat(),
        texts: EditTexts::Instructions { instructions, negative: String::new(), guidance: GUIDANCE },
        regions: None,
        latent_canvas: None,
        seed: SEED,
    };
    let result = progress::run(global, set.program(editor)?)?;
    let decoded = result.canvas.chunks_exact(codec.latent_len()).map(|latents| codec.decode(latents));
    let rgb: Vec<Vec<f32>> = decoded.collect::<Result<_, _>>()?;
    write(&file, &Raster::new(source.size, rgb.concat()))?;
    if !global.quiet && !global.json {
        let seconds = begin.elapsed().as_secs_f64();
        console::note(format_args!("{}, {}: {seconds:.1} s, \"{}\"", item.name, row.title, item.meta.instruction));
    }
    Ok(())
}

/// An item in each line: source, truth, and what each row made of it, at half size.
fn sheet(args: &AblationArgs, kind: &Kind, items: &[Item]) -> anyhow::Result<PathBuf> {
    let mut tiles = Vec::new();
    for item in items {
        let [source, target] = truth(item)?;
        let edited = ROWS.iter().map(|row| read(&path(args, item, row))).collect::<anyhow::Result<Vec<_>>>()?;
        for raster in [source, target].into_iter().chain(edited) {
            let raster = beside(&raster);
            let [height, width] = [raster.size[0] / 2, raster.size[1] / 2];
            tiles.push(Rgb8::from_unit(width, height, &resize(&raster, [height, width], Edges::Clamp).rgb)?);
        }
    }
    let sheet = contact_sheet(&tiles, 2 + ROWS.len(), 4);
    Ok(Target::check(&args.output.join(format!("csd_{}.png", kind.name)), true)?
        .write_png(&sheet, &Embedded::default())?)
}

/// Of frames the first, a middle and the last, side by side; a strip as it is.
fn beside(raster: &Raster) -> Raster {
    let [height, width] = raster.size;
    if height == VIEW_SIDE {
        return raster.clone();
    }
    let count = height / VIEW_SIDE;
    let chosen = [0, count / 2, count - 1];
    let row = |y: usize| {
        let line = move |i: usize| &raster.rgb[(i * VIEW_SIDE + y) * width * 3..][..width * 3];
        chosen.into_iter().flat_map(line).copied()
    };
    Raster::new([VIEW_SIDE, 3 * width], (0..VIEW_SIDE).flat_map(row).collect())
}
