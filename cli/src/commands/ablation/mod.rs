//! `ablation`: the switches of StochSync and its rivals, row by row, with the same prompts and seeds. Every run is a picture and
//! a few numbers in a folder, so it may be stopped at any moment and goes on where it was.

mod measure;
mod study;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use syncline::jobs::{CanvasOptions, CanvasProgram, PromptedUNet, ViewPrompts};
use syncline::methods::ablation::{AblationSettings, ROWS, Row};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::panorama::{Panorama, PanoramaOptions};
use syncline::spaces::{Interpolation, Space};

use crate::args::{AblationArgs, Global};
use crate::exit::Failure;
use crate::output::{Embedded, Rgb8, Target};
use crate::{console, device, progress};

/// Times, grounds and reliefs of the built-in world, twice each at most.
const PROMPTS: [&str; 6] = [
    "a sunset over desert dunes with distant mountains",
    "green meadow at noon under a cloudy sky with hills",
    "snow at night, aurora, with a city skyline",
    "noon over the sea, clear sky, mountains",
    "red canyon at dawn, hills, rocks",
    "night sea under a starry sky, a city skyline",
];

/// What a run leaves beside its picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    schema: u32,
    row: String,
    prompt: String,
    seed: u64,
    evaluations: usize,
    seconds: f64,
    adapter: String,
}

/// Runs what is missing, then measures everything.
pub fn run(global: &Global, args: &AblationArgs) -> anyhow::Result<()> {
    if let Some(study) = args.study {
        return study::run(global, args, study);
    }
    let rows = rows(args)?;
    let prompts = prompts(args)?;
    if args.seeds.is_empty() || !(args.iterations.is_empty() || args.iterations.len() == 3) {
        let message = "--seeds takes one or more numbers, --iterations three: of SDS, SDI and ISM";
        return Err(Failure::usage(message).into());
    }
    std::fs::create_dir_all(&args.output)
        .map_err(|e| Failure::input(format!("{}: {e}; give a folder that can be made", args.output.display())))?;
    if !args.measure_only {
        let scene = Scene::new(args)?;
        for (number, prompt) in prompts.iter().enumerate() {
            for (seed, row) in args.seeds.iter().flat_map(|seed| rows.iter().map(move |row| (*seed, row))) {
                scene.sample(global, args, row, (number, prompt, seed))?;
            }
        }
    }
    let built_in = args.device.model.is_none();
    let written = table::write(global, args, &rows, &prompts, built_in)?;
    super::announce(global, None, &written)
}

fn rows(args: &AblationArgs) -> anyhow::Result<Vec<Row>> {
    let named = |name: &String| {
        Row::named(name).ok_or_else(|| {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            Failure::usage(format!("row {name:?}: expected one of {}", names.join(", "))).into()
        })
    };
    if args.rows.is_empty() { Ok(ROWS.to_vec()) } else { args.rows.iter().map(named).collect() }
}

fn prompts(args: &AblationArgs) -> anyhow::Result<Vec<String>> {
    let Some(path) = &args.prompts else { return Ok(PROMPTS.map(str::to_owned).to_vec()) };
    let text = super::prompt_text(&format!("@{}", path.display()))?;
    let lines: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(Failure::input(format!("{}: no prompts in it; write one on each line", path.display())).into());
    }
    Ok(lines)
}

/// Where a run's picture and numbers are.
fn paths(args: &AblationArgs, row: &Row, prompt: usize, seed: u64) -> [PathBuf; 2] {
    ["png", "json"].map(|extension| args.output.join(format!("{}_p{}_s{seed}.{extension}", row.name, prompt + 1)))
}

/// A run that is complete.
fn finished(args: &AblationArgs, row: &Row, (number, prompt, seed): (usize, &str, u64)) -> Option<Run> {
    let [picture, numbers] = paths(args, row, number, seed);
    let run: Run = serde_json::from_slice(&std::fs::read(numbers).ok()?).ok()?;
    (picture.is_file() && run.prompt == prompt && run.seed == seed && run.row == row.name).then_some(run)
}

struct Scene {
    model: Arc<StableDiffusion>,
    settings: AblationSettings,
}

impl Scene {
    fn new(args: &AblationArgs) -> anyhow::Result<Self> {
        let model = device::load(&args.device)?;
        let side = model.native_size();
        let mut settings = AblationSettings::for_latents(side / model.downscale(), side, 1);
        if let [sds, sdi, ism] = args.iterations[..] {
            settings.iterations = [sds, sdi, ism];
        }
        Ok(Self { model, settings })
    }

    fn space(&self, row: &Row) -> anyhow::Result<Panorama> {
        let [fov, used_fov] = row.fov(&self.settings);
        let view_side = self.settings.view_side;
        Ok(Panorama::new(&PanoramaOptions {
            height: self.settings.height.unwrap_or(Panorama::height_for(view_side, fov, used_fov)),
            view_side,
            fov,
            used_fov,
            views: row.views(&self.settings),
            interpolation: Interpolation::Bilinear,
        })?)
    }

    fn sample(
        &self,
        global: &Global,
        args: &AblationArgs,
        row: &Row,
        (number, prompt, seed): (usize, &str, u64),
    ) -> anyhow::Result<()> {
        if finished(args, row, (number, prompt, seed)).is_some() {
            return Ok(());
        }
        if !global.quiet && !global.json {
            console::note(format_args!("row {}, prompt {}, seed {seed}: {prompt}", row.name, number + 1));
        }
        let settings = AblationSettings { seed, ..self.settings };
        let space = self.space(row)?;
        let plan = row.plan(&settings, &self.model.noise_schedule, space.set_count())?;
        let unet = PromptedUNet::new(&self.model, ViewPrompts::new(prompt, ""), &plan, &space)?;
        let mut options = CanvasOptions::new(plan, Arc::new(space.clone()), seed);
        if row.is_latent() {
            options.latent_canvas = Some(self.latent_canvas(row));
            options.latent_interpolation = Some(row.latent_interpolation());
        }
        let begin = Instant::now();
        let result = progress::run(global, CanvasProgram::new(unet, options)?)?;
        let seconds = begin.elapsed().as_secs_f64();
        let [picture, numbers] = paths(args, row, number, seed);
        let [height, width] = result.size;
        let rgb = Rgb8::from_unit(width, height, &result.rgb)?;
        Target::check(&picture, true)?.write_png(&rgb, &Embedded::default())?;
        let run = Run {
            schema: 1,
            row: row.name.to_owned(),
            prompt: prompt.to_owned(),
            seed,
            evaluations: result.evaluations,
            seconds,
            adapter: self.model.ctx.adapter().name.clone(),
        };
        let json = serde_json::to_string_pretty(&run)?;
        Target::check(&numbers, true)?.write(|w| writeln!(w, "{json}"))?;
        Ok(())
    }

    /// As many texels to a latent cell as an RGB canvas has to a pixel.
    fn latent_canvas(&self, row: &Row) -> [usize; 2] {
        let [fov, used_fov] = row.fov(&self.settings);
        let side = self.settings.view_side / self.model.downscale();
        let height = Panorama::height_for(side, fov, used_fov);
        [height, 2 * height]
    }
}

/// A picture of a run as it was written.
fn read_run(path: &Path) -> anyhow::Result<syncline::reproject::Raster> {
    Ok(crate::input::read_picture(path)?.to_srgb().into_owned())
}
