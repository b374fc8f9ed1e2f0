//! `pair`: pictures of several prompts with one layout.

mod draw;
mod report;

use std::path::{Path, PathBuf};

use serde_json::json;
use syncline::jobs::CanvasResult;
use syncline::kernels::ops::couple::MAX_BRANCHES;
use syncline::methods::{Coupled, Langevin};

pub use draw::{Rule, Scene};

use super::images::output_path;
use super::{announce, drawn_seed, prompt_text};
use crate::args::{Global, PairArgs, PairMethod, SharedNoise};
use crate::device;
use crate::exit::Failure;
use crate::output::{Embedded, GenerationParameters, ReportFiles, Rgb8, Target};
use report::Baselines;

/// Langevin steps of each level of `--method mcmc`.
const MCMC: Langevin = Langevin { steps: 2, rate: 1.0 };

/// Draws the pictures, and with `--report` those they are compared with.
pub fn run(global: &Global, args: &PairArgs) -> anyhow::Result<()> {
    let count = args.prompts.len();
    if !(2..=MAX_BRANCHES).contains(&count) {
        let prompts = if count == 1 { "1 prompt".to_owned() } else { format!("{count} prompts") };
        let message = format!("-p: found {prompts}, expected 2 to {MAX_BRANCHES}: give -p once for each picture");
        return Err(Failure::usage(message).into());
    }
    let one = matches!(args.method, PairMethod::Composed | PairMethod::Mcmc);
    let targets = targets(args, if one { 1 } else { count })?;
    let report = args.report.as_deref().map(|path| ReportFiles::check(path, args.force)).transpose()?;
    let baselines = report.as_ref().map(|_| Baselines::check(args, count)).transpose()?;
    let scene = scene(global, args)?;
    let rule = rule(args, &scene);
    if let Rule::Coupled(coupled) = &rule {
        warn_overshoot(args, &scene, coupled)?;
    }
    let result = scene.draw(global, &rule)?;
    let mut written = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        let embedded = if args.no_metadata { Embedded::default() } else { metadata(&scene, &rule, one, i) };
        written.push(target.write_png(&picture(&result, i)?, &embedded)?);
    }
    if let (Some(files), Some(baselines)) = (report, baselines) {
        written.extend(report::write(global, &scene, (&rule, &result), &files, &baselines)?);
    }
    announce(global, Some(scene.seed), &written)
}

/// Picture `i` of a result.
fn picture(result: &CanvasResult, i: usize) -> anyhow::Result<Rgb8> {
    let [height, width] = result.view_size;
    Ok(Rgb8::from_unit(width, height, &result.views[i])?)
}

/// A file for each picture; the name says where the number goes.
fn targets(args: &PairArgs, count: usize) -> anyhow::Result<Vec<Target>> {
    let paths: Vec<PathBuf> = (0..count).map(|i| output_path(&args.output, i, 1)).collect();
    if count > 1 && paths[0] == paths[1] {
        let found = args.output.display();
        let example = numbered(&args.output);
        let message =
            format!("-o: found {found}, one name for {count} pictures; expected one with %d, such as {example}");
        return Err(Failure::usage(message).into());
    }
    Ok(paths.iter().map(|path| Target::check(path, args.force)).collect::<Result<_, _>>()?)
}

/// The name with a place for a number.
fn numbered(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{stem}_%d.png")).display().to_string()
}

/// Loads the models.
fn scene(global: &Global, args: &PairArgs) -> anyhow::Result<Scene> {
    let prompts = args.prompts.iter().map(|prompt| prompt_text(prompt)).collect::<anyhow::Result<Vec<_>>>()?;
    let negative = prompt_text(&args.negative_prompt)?;
    let seed = drawn_seed(global, args.seed);
    let first = device::load(&args.device)?;
    let size = [args.height, args.width].map(|side| side.unwrap_or(first.native_size()));
    first.latent_size(size[0], size[1])?;
    let other = args.model_b.as_deref().map(|path| device::load_beside(&first, path, &args.device)).transpose()?;
    let scale = args.cfg_scale.unwrap_or(if args.device.model.is_some() { 7.0 } else { 5.0 });
    let of = |i: usize| if i == 0 { scale } else { args.cfg_scale_b.unwrap_or(scale) };
    let guidance = (0..prompts.len()).map(of).collect();
    let models = std::iter::once(first).chain(other).collect();
    Ok(Scene { models, prompts, negative, size, guidance, steps: args.steps, seed })
}

fn rule(args: &PairArgs, scene: &Scene) -> Rule {
    let shares = |which: SharedNoise| args.shared_noise == which || args.shared_noise == SharedNoise::Both;
    let coupled = |lambda: f64| Coupled {
        window: [args.couple_from, args.couple_to.unwrap_or(usize::MAX)],
        shared_init: shares(SharedNoise::Init),
        shared_noise: shares(SharedNoise::Steps),
        ..scene.coupled(lambda)
    };
    match args.method {
        PairMethod::Coupled => Rule::Coupled(coupled(args.lambda)),
        PairMethod::Independent => Rule::Coupled(coupled(0.0)),
        PairMethod::Composed => Rule::Composed(scene.composed()),
        PairMethod::Mcmc => Rule::Composed(syncline::methods::Composed { langevin: Some(MCMC), ..scene.composed() }),
    }
}

/// Stronger coupling than a network may bear is allowed, and told.
fn warn_overshoot(args: &PairArgs, scene: &Scene, coupled: &Coupled) -> anyhow::Result<()> {
    let bounds = coupled.bounds(&scene.levels())?;
    let (lambda, count) = (args.lambda, scene.prompts.len());
    let of = format!("{count} pictures in {} steps", args.steps);
    if lambda > bounds.diverges {
        tracing::warn!(
            "--lambda {lambda} is above {:.4}, from where a step can part {of} instead of bringing them together (the bound \
             of a network whose output is constant; trained ones bear more)",
            bounds.diverges
        );
    } else if lambda > bounds.overshoots {
        tracing::warn!(
            "--lambda {lambda} is above {:.4}, from where a step can push {of} past each other (the bound of a network whose \
             output is constant; trained ones bear more)",
            bounds.overshoots
        );
    }
    Ok(())
}

/// What a picture's file says of it.
fn metadata(scene: &Scene, rule: &Rule, composed: bool, index: usize) -> Embedded {
    let [height, width] = scene.size;
    let prompt = if composed { scene.prompts.join(" AND ") } else { scene.prompts[index].clone() };
    let others: Vec<&String> = scene.prompts.iter().filter(|other| **other != prompt).collect();
    let mut extra = vec![("Picture".to_owned(), format!("{} of {}", index + 1, scene.prompts.len()))];
    if let Rule::Coupled(coupled) = rule {
        extra.push(("Coupling".to_owned(), format!("{:?}", coupled.lambda)));
    }
    let model = &scene.models[index.min(scene.models.len() - 1)];
    let parameters = GenerationParameters {
        prompt: prompt.clone(),
        negative_prompt: scene.negative.clone(),
        steps: scene.steps as u32,
        sampler: Some("DDPM".to_owned()),
        cfg_scale: Some(scene.guidance[index]),
        seed: Some(scene.seed),
        size: Some((width as u32, height as u32)),
        model_hash: None,
        model: Some(model.label.clone()),
        extra,
        version: Some(format!("syncline {}", env!("CARGO_PKG_VERSION"))),
    };
    let json = json!({ "schema": 1, "command": "pair", "parameters": &parameters, "others": others,
                       "method": format!("{rule:?}"), "adapter": model.ctx.adapter().name });
    Embedded { parameters: Some(parameters.to_string()), json: Some(json.to_string()), xmp: None }
}
