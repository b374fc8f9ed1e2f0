//! What all commands share that sample the views of a canvas together: the job with its progress, journal and previews, and
//! the files that come of it.

mod journal;
mod method;
mod preview;
mod regions;
mod report;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncline::jobs::{CanvasOptions, CanvasProgram, CanvasResult, Keep, PromptedUNet, Regions, ViewPrompts};
use syncline::methods::{Finish, Medium, Op, Preset};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::{Interpolation, Space};

pub use method::{Method, Wish};
pub use regions::sectors;
pub use report::Layout as ReportLayout;
pub use write::{FlatFile, SphereFiles};

use super::{announce, prompt_text, seed, warn_truncated};
use crate::args::{CanvasArgs, Global, MethodName, Seed};
use crate::exit::Failure;
use crate::output::{ReportFiles, Sphere, Target};
use crate::{console, device, progress};
use journal::{Journal, Settings, fingerprint};
use preview::PreviewFile;

/// A command under way: the model is loaded, every file it will write has been checked.
pub struct Canvas<'a> {
    global: &'a Global,
    /// The flags of all canvas commands.
    pub args: &'a CanvasArgs,
    command: &'static str,
    /// The model.
    pub model: Arc<StableDiffusion>,
    /// The prompts of -p and -n.
    pub prompts: ViewPrompts,
    /// The seed.
    pub seed: u64,
    sheet: Option<Target>,
    report: Option<ReportFiles>,
    preview: Option<PreviewFile>,
    journal: Journal,
}

/// What is drawn, and how.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The method.
    pub method: Method,
    /// The canvas with its views.
    pub space: Arc<dyn Space>,
    /// What each view shows.
    pub prompts: ViewPrompts,
    /// RGB canvas to start from.
    pub start: Option<Vec<f32>>,
    /// Known content.
    pub keep: Option<Keep>,
    /// Weights of regions.
    pub regions: Option<Regions>,
    /// `[height, width]` of a latent canvas, where it is not one texel per latent cell of the picture.
    pub latent_canvas: Option<[usize; 2]>,
}

impl Scene {
    /// A method on a space, nothing else given.
    pub fn new(method: Method, space: Arc<dyn Space>, prompts: ViewPrompts) -> Self {
        Self { method, space, prompts, start: None, keep: None, regions: None, latent_canvas: None }
    }
}

impl<'a> Canvas<'a> {
    /// Checks files and loads the model. The command has checked its output before.
    ///
    /// # Errors
    /// When a file cannot be written, or the model cannot be used.
    pub fn open(global: &'a Global, args: &'a CanvasArgs, command: &'static str) -> anyhow::Result<Self> {
        let force = args.prompt.force;
        let prompts = ViewPrompts::new(&prompt_text(&args.prompt.prompt)?, &prompt_text(&args.prompt.negative_prompt)?);
        let sheet = args.views_sheet.as_deref().map(|path| Target::check(path, force)).transpose()?;
        let report = args.report.as_deref().map(|path| ReportFiles::check(path, force)).transpose()?;
        let preview = args.run.preview.as_ref().map(|arg| PreviewFile::check(arg, &args.prompt.output)).transpose()?;
        let journal = Journal::check(&args.prompt.output, &args.run, global.quiet || global.json)?;
        let seed = match (args.prompt.seed, journal.seed()) {
            // What was drawn at random is part of the run that goes on.
            (Seed::Random, Some(seed)) => seed,
            _ => seed(global, &args.prompt),
        };
        let model = device::load(&args.device)?;
        if let Some(side) = args.view_size {
            model.latent_size(side, side)?;
        }
        Ok(Self { global, args, command, model, prompts, seed, sheet, report, preview, journal })
    }

    /// Side of a square view in pixels.
    pub fn view_side(&self) -> usize {
        self.args.view_size.unwrap_or(self.model.native_size())
    }

    /// What a canvas of RGB asks of a method.
    pub fn wish(&self) -> Wish {
        let cells = self.view_side() / self.model.downscale();
        Wish {
            method: MethodName::StochSync,
            preset: Preset::for_latents(cells),
            medium: Medium::Rgb,
            finish: Finish::Views,
            feather: true,
            inpaint: false,
            seed: self.seed,
            cells,
        }
    }

    /// The result, with journal and previews.
    ///
    /// # Errors
    /// When the scene is refused, the job fails or a file beside it cannot be written.
    pub fn sample(&mut self, scene: &Scene) -> anyhow::Result<CanvasResult> {
        let mut program = self.program(scene)?;
        let settings = self.settings(scene);
        if self.preview.is_some() && scene.method.medium() == Medium::Latent {
            tracing::warn!("no preview: the canvas of this method holds latents");
        }
        let mut seen = 0;
        if let Some((checkpoint, steps)) = self.journal.take(&settings)? {
            program.resume(checkpoint)?;
            seen = steps;
            if !self.global.quiet && !self.global.json {
                console::note(format_args!("going on after {steps} of {} steps", scene.method.steps()));
            }
        }
        let (journal, preview, seed) = (&mut self.journal, &self.preview, self.seed);
        let outcome = progress::run_watched(self.global, program, |program: &CanvasProgram<PromptedUNet>| {
            let steps = program.steps_done();
            if steps == seen || !program.between_steps() {
                return Ok(());
            }
            seen = steps;
            if let Some(file) = preview.as_ref().filter(|file| file.due(steps))
                && let Some(picture) = program.preview()?
            {
                file.write(picture)?;
            }
            if journal.due()
                && let Some(checkpoint) = program.checkpoint()?
            {
                journal.write(&checkpoint, &settings, (seed, steps))?;
            }
            Ok(())
        });
        if outcome.is_err() && !self.global.quiet && !self.global.json {
            self.journal.tell();
        }
        outcome
    }

    fn program(&self, scene: &Scene) -> anyhow::Result<CanvasProgram<PromptedUNet>> {
        let space = scene.space.as_ref();
        let plan = scene.method.plan(&self.model.noise_schedule, space.set_count())?;
        if self.sheet.is_some() && plan.ops.iter().any(|op| matches!(op, Op::DecodeCanvas)) {
            let message = "--views-sheet shows views as pictures; found a canvas that is decoded as a whole";
            return Err(Failure::usage(message).into());
        }
        let unet = PromptedUNet::new(&self.model, scene.prompts.clone(), &plan, space)?;
        let options = CanvasOptions {
            start: scene.start.clone(),
            keep: scene.keep.clone(),
            regions: scene.regions.clone(),
            latent_canvas: scene.latent_canvas,
            // Noise must not be averaged.
            latent_interpolation: scene.method.has_noise_on_canvas().then_some(Interpolation::Nearest),
            ..CanvasOptions::new(plan, scene.space.clone(), self.seed)
        };
        let program = CanvasProgram::new(unet, options)?;
        warn_truncated(program.truncated_tokens());
        Ok(program)
    }

    /// Everything that the bytes of the result depend on.
    fn settings(&self, scene: &Scene) -> Settings {
        let [height, width] = scene.space.canvas_size();
        let [view_height, view_width] = scene.space.view_size();
        let adapter = self.model.ctx.adapter();
        let values = |values: &[f32]| -> String {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            fingerprint(&bytes)
        };
        let kept = |keep: &Keep| values(&[&keep.rgb[..], &keep.mask[..]].concat());
        // Where views look, in every step.
        let views: Vec<_> = (0..scene.method.steps()).map(|step| scene.space.views(step)).collect();
        let none = || "none".to_owned();
        let setting = |name: &str, value: String| (name.to_owned(), value);
        vec![
            setting("command", self.command.to_owned()),
            setting("version", env!("CARGO_PKG_VERSION").to_owned()),
            setting("adapter", format!("{} {}", adapter.name, adapter.driver)),
            setting("precision", format!("{:?}", self.model.elem())),
            setting("model", self.model.label.clone()),
            setting("weights", self.args.device.model.as_deref().map_or_else(none, weights)),
            setting("prompt", scene.prompts.prompt.clone()),
            setting("negative prompt", scene.prompts.negative.clone()),
            setting("region prompts", format!("{:?}", scene.prompts.regions)),
            setting("prompts up and down", format!("{:?} beyond {}", scene.prompts.steep, scene.prompts.beyond)),
            setting("seed", self.seed.to_string()),
            setting("method", scene.method.switches()),
            setting("canvas", format!("{width}x{height}")),
            setting("latent canvas", format!("{:?}", scene.latent_canvas)),
            setting("view size", format!("{view_width}x{view_height}")),
            setting("views", fingerprint(format!("{views:?} {:?}", scene.space.interpolation()).as_bytes())),
            setting("picture to start from", scene.start.as_deref().map_or_else(none, values)),
            setting("picture and mask", scene.keep.as_ref().map_or_else(none, kept)),
            setting("regions", scene.regions.as_ref().map_or_else(none, |regions| values(&regions.weights))),
        ]
    }

    /// Everything after the output itself: views, the end of the journal, report and the list of files.
    ///
    /// # Errors
    /// When a file cannot be written or the baseline fails.
    pub fn finish(
        mut self,
        scene: &Scene,
        (result, sphere): (&CanvasResult, Option<&Sphere>),
        mut written: Vec<PathBuf>,
        layout: &ReportLayout,
    ) -> anyhow::Result<()> {
        if let Some(target) = &self.sheet {
            written.push(write::views(target, result, scene.space.view_count())?);
        }
        self.journal.remove()?;
        if let Some(files) = self.report.take() {
            written.extend(report::write(&self, scene, &files, (result, sphere), layout)?);
        }
        announce(self.global, Some(self.seed), &written)
    }

    /// The same views without coupling, for reports.
    fn sample_baseline(&self, scene: &Scene) -> anyhow::Result<(Method, CanvasResult)> {
        let method = scene.method.baseline();
        let uncoupled = Scene { method: method.clone(), start: None, latent_canvas: None, ..scene.clone() };
        Ok((method, progress::run(self.global, self.program(&uncoupled)?)?))
    }
}

/// Names, sizes and beginnings of the weight files at a path.
fn weights(path: &Path) -> String {
    let mut files = Vec::new();
    collect(path, 3, &mut files);
    files.sort();
    fingerprint(format!("{files:?}").as_bytes())
}

fn collect(path: &Path, depth: usize, files: &mut Vec<(String, u64, String)>) {
    use std::io::Read;
    if path.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        if depth > 0 {
            entries.for_each(|entry| collect(&entry.path(), depth - 1, files));
        }
        return;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut head = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let length = file.metadata().map_or(0, |m| m.len());
        // The header and the first weights: another training changes all of them.
        let _ = file.take(1 << 20).read_to_end(&mut head);
        files.push((name, length, fingerprint(&head)));
    }
}
