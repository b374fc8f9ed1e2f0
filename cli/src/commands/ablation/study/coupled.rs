//! Coupled pairs over the strength of the coupling: how alike two pictures become, and whether each still shows its prompt;
//! beside shared noise and the compositions.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use syncline::methods::{Composed, Coupled, Langevin};
use syncline::metrics::mini::{Judge, Prompted, VIEW_SIDE};
use syncline::metrics::{Alignment, sharpness};
use syncline::reproject::Raster;

use super::{Table, read, write, write_tables};
use crate::args::{AblationArgs, Global};
use crate::commands::ablation::measure::Stat;
use crate::commands::pair::{Rule, Scene};
use crate::exit::Failure;
use crate::output::{Embedded, Rgb8, Target, contact_sheet};
use crate::{console, device};

/// Pairs of prompts.
const PAIRS: usize = 24;
const STEPS: usize = 50;
const GUIDANCE: f64 = 5.0;
/// Pairs on the sheet.
const SHOWN: usize = 6;

/// What couples the two pictures of a row.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// With this strength; whether they begin with the same noise, and whether steps draw the same.
    Lambda(f64, [bool; 2]),
    /// One picture of both prompts, with this many Langevin steps at each level.
    Composed(usize),
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    title: &'static str,
    kind: Kind,
}

const fn row(name: &'static str, title: &'static str, kind: Kind) -> Row {
    Row { name, title, kind }
}

const APART: [bool; 2] = [false; 2];

#[rustfmt::skip] // One line per row.
const ROWS: &[Row] = &[
    row("0", "independent", Kind::Lambda(0.0, APART)),
    row("0.005", "coupled, lambda 0.005", Kind::Lambda(0.005, APART)),
    row("0.01", "coupled, lambda 0.01", Kind::Lambda(0.01, APART)),
    row("0.02", "coupled, lambda 0.02", Kind::Lambda(0.02, APART)),
    row("0.05", "coupled, lambda 0.05", Kind::Lambda(0.05, APART)),
    row("0.1", "coupled, lambda 0.1", Kind::Lambda(0.1, APART)),
    row("shared", "same noise, not coupled", Kind::Lambda(0.0, [true; 2])),
    row("shared-0.01", "same noise, lambda 0.01", Kind::Lambda(0.01, [true; 2])),
    row("liu", "one picture, mean of the noise estimates (Liu et al.)", Kind::Composed(0)),
    row("du", "the same with Langevin steps (Du et al.)", Kind::Composed(2)),
];

/// Prompts of a pair in the words of the captions: one layout, another time, ground or both.
fn prompts(pair: usize) -> [String; 2] {
    const TIMES: [&str; 4] = ["dawn", "noon", "sunset", "night"];
    const GROUNDS: [&str; 5] = ["sea", "desert dunes", "green meadow", "snow", "red canyon"];
    const RELIEFS: [&str; 4] = ["distant mountains", "rolling hills", "a city skyline", "a flat horizon"];
    let (time, ground, relief) = (pair % 4, pair % 5, RELIEFS[pair / 4 % 4]);
    let (turn, change) = ((time + 1 + pair / 3 % 3) % 4, (ground + 1 + pair / 3 % 4) % 5);
    let text = |time: usize, ground: usize| format!("{} at {} with {relief}", GROUNDS[ground], TIMES[time]);
    let other = match pair % 3 {
        0 => text(turn, ground),
        1 => text(time, change),
        _ => text(turn, change),
    };
    [text(time, ground), other]
}

/// A run's pair and seed.
type Place = (usize, u64);

/// Measures of one run.
#[derive(Clone, Copy, Debug, Serialize)]
struct Measures {
    alignment: Alignment,
    /// Share of the two pictures in which the classifier sees everything that their prompts name.
    accuracy: f64,
    sharpness: f64,
}

pub fn run(global: &Global, args: &AblationArgs) -> anyhow::Result<Vec<PathBuf>> {
    let rows = rows(args)?;
    let pairs = args.items.unwrap_or(PAIRS).min(PAIRS);
    let places: Vec<Place> = (0..pairs).flat_map(|pair| args.seeds.iter().map(move |seed| (pair, *seed))).collect();
    if !args.measure_only {
        let model = device::load(&args.device)?;
        for place in &places {
            let scene = Scene {
                models: vec![model.clone()],
                prompts: prompts(place.0).to_vec(),
                negative: String::new(),
                size: [VIEW_SIDE; 2],
                guidance: vec![GUIDANCE; 2],
                steps: STEPS,
                seed: place.1,
            };
            rows.iter().try_for_each(|row| sample(global, args, &scene, (row, *place)))?;
        }
    }
    let judge = Judge::mini()?;
    let mut measured = Vec::new();
    for row in &rows {
        let of = |place: &Place| measure(&judge, place.0, &pictures(args, row, *place)?);
        measured.push((*row, places.iter().map(of).collect::<anyhow::Result<Vec<_>>>()?));
    }
    let claims = claims(&measured);
    let text = text(&measured, [pairs, args.seeds.len()], &claims);
    let numbers = |(row, all): &(&Row, Vec<Measures>)| json!({ "row": row.name, "what": row.title, "runs": all });
    let numbers = json!({
        "steps": STEPS, "guidance": GUIDANCE, "prompts": (0..pairs).map(prompts).collect::<Vec<_>>(), "seeds": args.seeds,
        "rows": measured.iter().map(numbers).collect::<Vec<_>>(),
        "claims": claims.iter().map(|(text, holds)| json!({ "claim": text, "holds": holds })).collect::<Vec<_>>(),
    });
    let mut written = write_tables(global, args, "coupled", &text, &numbers)?;
    written.push(sheet(args, &rows, pairs)?);
    Ok(written)
}

/// The rows asked for.
fn rows(args: &AblationArgs) -> anyhow::Result<Vec<&'static Row>> {
    let named = |name: &String| {
        ROWS.iter().find(|row| row.name == name).ok_or_else(|| {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            Failure::usage(format!("row {name:?}: expected one of {}", names.join(", "))).into()
        })
    };
    if args.rows.is_empty() { Ok(ROWS.iter().collect()) } else { args.rows.iter().map(named).collect() }
}

fn path(args: &AblationArgs, row: &Row, (pair, seed): Place, picture: usize) -> PathBuf {
    args.output.join(format!("coupled_p{:02}_s{seed}_{}_{}.png", pair + 1, row.name, picture + 1))
}

/// The pictures of a run as they were written; a composition has one.
fn pictures(args: &AblationArgs, row: &Row, place: Place) -> anyhow::Result<Vec<Vec<f32>>> {
    (0..count(row)).map(|i| Ok(read(&path(args, row, place, i))?.rgb)).collect()
}

fn count(row: &Row) -> usize {
    if matches!(row.kind, Kind::Composed(_)) { 1 } else { 2 }
}

fn rule(row: &Row, scene: &Scene) -> Rule {
    match row.kind {
        Kind::Lambda(lambda, [shared_init, shared_noise]) => {
            Rule::Coupled(Coupled { shared_init, shared_noise, ..scene.coupled(lambda) })
        }
        Kind::Composed(steps) => {
            let langevin = (steps > 0).then_some(Langevin { steps, rate: 1.0 });
            Rule::Composed(Composed { langevin, ..scene.composed() })
        }
    }
}

fn sample(global: &Global, args: &AblationArgs, scene: &Scene, (row, place): (&Row, Place)) -> anyhow::Result<()> {
    let files: Vec<PathBuf> = (0..count(row)).map(|i| path(args, row, place, i)).collect();
    if files.iter().all(|file| file.is_file()) {
        return Ok(());
    }
    let begin = Instant::now();
    let result = scene.draw(global, &rule(row, scene))?;
    for (file, rgb) in files.iter().zip(&result.views) {
        write(file, &Raster::new(result.view_size, rgb.clone()))?;
    }
    if !global.quiet && !global.json {
        let seconds = begin.elapsed().as_secs_f64();
        let [a, b] = [&scene.prompts[0], &scene.prompts[1]];
        console::note(format_args!("pair {}, seed {}, {}: {seconds:.1} s, {a} | {b}", place.0 + 1, place.1, row.title));
    }
    Ok(())
}

fn measure(judge: &Judge, pair: usize, pictures: &[Vec<f32>]) -> anyhow::Result<Measures> {
    let size = [VIEW_SIDE; 2];
    // One picture of both prompts is aligned with itself.
    let view = |i: usize| &pictures[i.min(pictures.len() - 1)];
    let shown = prompts(pair);
    let sets: Vec<Prompted> = shown
        .iter()
        .enumerate()
        .map(|(i, prompt)| Prompted { prompt: prompt.clone(), views: vec![view(i).clone()] })
        .collect();
    let accuracy = judge.judge(&sets).accuracy.all.unwrap_or(f64::NAN);
    let sharpness = 0.5 * (sharpness(view(0), size, 0) + sharpness(view(1), size, 0));
    Ok(Measures { alignment: Alignment::of(view(0), view(1), size), accuracy, sharpness })
}

/// b − a of the same pairs and seeds.
fn difference(measured: &[(&Row, Vec<Measures>)], [a, b]: [&str; 2], of: fn(&Measures) -> f64) -> Option<Stat> {
    let row = |name: &str| measured.iter().find(|(row, _)| row.name == name).map(|(_, all)| all);
    let pairs = row(a)?.iter().zip(row(b)?);
    Some(Stat::of(&pairs.map(|(a, b)| of(b) - of(a)).collect::<Vec<_>>()))
}

/// Sentences about the rows, and whether they hold; `None`: the difference is within two standard errors.
fn claims(measured: &[(&Row, Vec<Measures>)]) -> Vec<(String, Option<bool>)> {
    type Claim = (&'static str, [&'static str; 2], fn(&Measures) -> f64);
    const EXPECTED: [Claim; 8] = [
        ("agreement of edges rises with the strength", ["0", "0.01"], |m| m.alignment.edges),
        ("agreement of edges rises with the strength", ["0.01", "0.05"], |m| m.alignment.edges),
        ("structural similarity rises with the strength", ["0", "0.02"], |m| m.alignment.ssim),
        ("pictures differ less", ["0.02", "0"], |m| m.alignment.difference),
        ("much coupling costs accuracy", ["0.1", "0"], |m| m.accuracy),
        ("coupled pictures follow their prompts better than one composed picture", ["liu", "0.02"], |m| m.accuracy),
        ("Langevin steps help the composition", ["liu", "du"], |m| m.accuracy),
        ("coupling aligns more than the same noise does", ["shared", "0.02"], |m| m.alignment.edges),
    ];
    let claim = |(what, names, of): Claim| {
        let Stat { mean, error } = difference(measured, names, of)?;
        let text = format!("{what}: row {} is above row {} by {mean:.3} ± {error:.3}", names[1], names[0]);
        // A single run has no error to compare with.
        let alone = measured.iter().any(|(_, all)| all.len() < 2);
        Some((text, if alone || mean.abs() <= 2.0 * error { None } else { Some(mean > 0.0) }))
    };
    EXPECTED.into_iter().filter_map(claim).collect()
}

fn text(measured: &[(&Row, Vec<Measures>)], [pairs, seeds]: [usize; 2], claims: &[(String, Option<bool>)]) -> String {
    let titles = ["row", "what", "runs", "difference ↓", "SSIM ↑", "edges ↑", "accuracy ↑", "sharpness"];
    let mut table = Table { columns: titles.map(str::to_owned).to_vec(), rows: Vec::new() };
    for (row, all) in measured {
        let stat = |of: fn(&Measures) -> f64, digits: usize| {
            let Stat { mean, error } = Stat::of(&all.iter().map(of).collect::<Vec<_>>());
            format!("{mean:.digits$} ± {error:.digits$}")
        };
        table.rows.push(vec![
            row.name.to_owned(),
            row.title.to_owned(),
            all.len().to_string(),
            stat(|m| m.alignment.difference, 3),
            stat(|m| m.alignment.ssim, 3),
            stat(|m| m.alignment.edges, 3),
            stat(|m| m.accuracy, 3),
            stat(|m| m.sharpness, 4),
        ]);
    }
    let mut text = format!(
        "{pairs} pairs of prompts × {seeds} seeds, {STEPS} steps, guidance {GUIDANCE}. Mean ± standard error over the runs. Difference: \
         mean |A − B|. The compositions are one picture for both prompts, aligned with itself by definition.\n\n{}",
        table.markdown()
    );
    for (claim, holds) in claims {
        let verdict = match holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "undecided (within two standard errors)",
        };
        text += &format!("\n- {claim}: **{verdict}**");
    }
    text + "\n"
}

/// A pair in each line, a row in each column: the first picture above the second.
fn sheet(args: &AblationArgs, rows: &[&Row], pairs: usize) -> anyhow::Result<PathBuf> {
    let seed = args.seeds.first().copied().unwrap_or_default();
    let mut tiles = Vec::new();
    for pair in 0..pairs.min(SHOWN) {
        for row in rows {
            let pictures = pictures(args, row, (pair, seed))?;
            let both = [&pictures[0][..], &pictures[pictures.len() - 1]].concat();
            tiles.push(Rgb8::from_unit(VIEW_SIDE, 2 * VIEW_SIDE, &both)?);
        }
    }
    let sheet = contact_sheet(&tiles, rows.len(), 4);
    Ok(Target::check(&args.output.join("coupled.png"), true)?.write_png(&sheet, &Embedded::default())?)
}

#[cfg(test)]
mod tests {
    use syncline::metrics::mini::Wanted;

    use super::*;

    /// Every prompt is understood, no pair is twice the same, and what was to change changes.
    #[test]
    fn pairs_differ_in_time_or_ground_and_share_the_relief() {
        let mut seen = std::collections::BTreeSet::new();
        for pair in 0..PAIRS {
            let [a, b] = prompts(pair).map(|prompt| Wanted::of_prompt(&prompt).classes);
            assert!(a.iter().chain(&b).take(3).all(|classes| classes.len() == 1), "{:?}", prompts(pair));
            assert_eq!(a[2], b[2]);
            assert_eq!([a[0] != b[0], a[1] != b[1]], [pair % 3 != 1, pair % 3 != 0], "{:?}", prompts(pair));
            assert!(seen.insert(prompts(pair)));
        }
    }
}
