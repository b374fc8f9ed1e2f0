//! The method that the flags ask for, on latents.

use std::sync::Arc;

use syncline::jobs::{EditTexts, FrameEdit, PictureEdit, SetEdit};
use syncline::methods::{Csd, EditGrid, EditMethod, EditSettings, Instructed, Optimiser, Plan};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::Frames;
use syncline::spaces::windows::{Windows, WindowsOptions};

use super::windows::Cut;
use crate::args::{EditSetArgs, Global, Large, SetMethodArgs, SetMethodName};
use crate::commands::prompt_text;
use crate::exit::Failure;
use crate::progress;

/// Levels of sampling by default.
const STEPS: usize = 28;

/// Side of the built-in models' latents.
const SMALL_LATENTS: usize = 16;

/// Windows of a panorama.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// Pixels between two of them.
    pub stride: Option<usize>,
    /// Whether the edges continue.
    pub wrap: bool,
}

/// A method with its texts and numbers.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Which.
    pub name: SetMethodName,
    kind: Kind,
    texts: EditTexts,
    batch: usize,
    large: Large,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    /// sync-SDE.
    Coupled(EditSettings),
    /// Sampling of an `InstructPix2Pix` model in so many steps.
    Instructed(usize),
    Csd(Csd),
}

/// Latents of several pictures of one size, one below the other, and the pictures' size in pixels.
pub struct Latents {
    /// `[height, width]` that the latents stand for.
    pub size: [usize; 2],
    /// Values of one picture.
    pub each: usize,
    /// All values.
    pub values: Vec<f32>,
}

/// What to change, as given.
///
/// # Errors
/// With code 2 when a prompt is missing.
fn texts(args: &SetMethodArgs, guidance: f64, built_in: bool) -> anyhow::Result<EditTexts> {
    let negative = prompt_text(&args.negative_prompt)?;
    if let Some(instruction) = &args.instruction {
        let image = args.image_guidance.unwrap_or(if built_in { 1.2 } else { 1.5 });
        let instructions = vec![prompt_text(instruction)?];
        return Ok(EditTexts::Instructions { instructions, negative, guidance: [guidance, image] });
    }
    let (source, target) = (prompt_text(&args.source_prompt)?, prompt_text(&args.prompt)?);
    for (flag, text, says) in [("--source-prompt", &source, "show"), ("-p", &target, "are to show")] {
        if text.trim().is_empty() {
            return Err(Failure::usage(format!(
                "{flag} is missing: it says what the pictures {says}; give --source-prompt and -p, or --instruction for an \
                 InstructPix2Pix model"
            ))
            .into());
        }
    }
    Ok(EditTexts::Prompts { source, targets: vec![target], negative })
}

impl Editor {
    /// From the flags. `around`: the set is one panorama.
    ///
    /// # Errors
    /// With code 2 for a number that is refused, or a prompt that is missing.
    pub fn new(args: &EditSetArgs, name: SetMethodName, around: bool, seed: u64) -> anyhow::Result<Self> {
        let (edit, built_in) = (&args.edit, args.device.model.is_none());
        let distils = name == SetMethodName::Csd;
        let guidance = edit.guidance.unwrap_or(match (built_in, distils) {
            (true, _) => 5.0,
            (_, true) => 7.5,
            _ => 7.0,
        });
        let steps = edit.steps.unwrap_or(STEPS);
        let kind = if distils {
            Kind::Csd(csd(args, guidance, around, seed))
        } else if edit.instruction.is_some() {
            Kind::Instructed(steps)
        } else {
            let base = EditSettings::new(steps, seed);
            let guidance = [edit.source_guidance.unwrap_or(1.0), guidance];
            let settings = EditSettings { start: edit.start.unwrap_or(base.start), guidance, ..base };
            settings.check()?;
            Kind::Coupled(settings)
        };
        let texts = texts(edit, guidance, built_in)?;
        Ok(Self { name, kind, texts, batch: edit.batch, large: args.files.large, seed })
    }

    /// Refuses models of another kind, and numbers that the model's levels do not allow, before anything is encoded.
    ///
    /// # Errors
    /// As the method says.
    pub fn check(&self, model: &StableDiffusion) -> syncline::Result<()> {
        match &self.texts {
            EditTexts::Instructions { .. } => model.require_image_latents()?,
            EditTexts::Prompts { .. } => model.require_plain_latents()?,
        }
        self.plan(model).map(|_| ())
    }

    fn plan(&self, model: &StableDiffusion) -> syncline::Result<Plan> {
        let noise = &model.noise_schedule;
        match &self.kind {
            Kind::Coupled(settings) => settings.plan(EditMethod::SyncSde, noise),
            Kind::Instructed(steps) => {
                let condition = 1.0 / model.vae.config().scaling_factor;
                Ok(Instructed { condition }.plan(&EditGrid::diffusion(noise, *steps)?))
            }
            Kind::Csd(method) => method.plan(noise, 1),
        }
    }

    /// All switches in words.
    pub fn switches(&self) -> String {
        match &self.kind {
            Kind::Coupled(settings) => format!("{settings:?} {:?}", self.texts),
            Kind::Instructed(steps) => format!("{steps} steps {:?}", self.texts),
            Kind::Csd(method) => format!("{method:?} {:?}", self.texts),
        }
    }

    /// Steps.
    pub fn steps(&self) -> usize {
        match &self.kind {
            Kind::Coupled(settings) => settings.steps,
            Kind::Instructed(steps) => *steps,
            Kind::Csd(method) => method.iterations,
        }
    }

    /// Edited latents of pictures, which keep their order. `numbers`: the pictures' places in the whole set.
    ///
    /// # Errors
    /// When the job fails or is stopped.
    pub fn pictures(
        &self,
        global: &Global,
        model: &Arc<StableDiffusion>,
        latents: Latents,
        numbers: &[usize],
    ) -> anyhow::Result<Vec<f32>> {
        let count = latents.values.len() / latents.each;
        let large = latents.size.iter().any(|n| *n > model.native_size());
        match &self.kind {
            Kind::Coupled(_) | Kind::Instructed(_) if large && self.large == Large::Windows => {
                let windows =
                    |(values, number): (&[f32], &usize)| self.windows(global, model, (latents.size, values), *number);
                let each = latents.values.chunks_exact(latents.each).zip(numbers).map(windows);
                Ok(each.collect::<anyhow::Result<Vec<_>>>()?.concat())
            }
            Kind::Coupled(_) | Kind::Instructed(_) => {
                let one_noise = self.name == SetMethodName::Coupled;
                let edit = FrameEdit { plan: self.plan(model)?, texts: self.texts.clone(), one_noise, seed: self.seed };
                let mut edited = Vec::with_capacity(latents.values.len());
                let mut at = 0;
                while at < count {
                    // Pictures of a batch stand next to each other in the set: their noise counts on.
                    let next = |n: &usize| numbers[at + n] == numbers[at] + n;
                    let few = (0..self.batch.min(count - at)).take_while(next).count();
                    let values = latents.values[at * latents.each..(at + few) * latents.each].to_vec();
                    let program = edit.program(model, numbers[at], latents.size, values)?;
                    edited.extend(progress::run_part(global, program)?.canvas);
                    at += few;
                }
                Ok(edited)
            }
            Kind::Csd(method) => {
                let space = Frames::new(count, latents.size)?;
                self.collaborate(global, model, method, (Box::new(space), latents.values))
            }
        }
    }

    /// One picture by windows of the model's size, whose changes are averaged after every step. Its noise is its own, or that of
    /// all pictures.
    fn windows(
        &self,
        global: &Global,
        model: &Arc<StableDiffusion>,
        (size, latents): ([usize; 2], &[f32]),
        number: usize,
    ) -> anyhow::Result<Vec<f32>> {
        let plan = match &self.kind {
            Kind::Coupled(settings) => {
                EditSettings { windows: true, ..*settings }.plan(EditMethod::SyncSde, &model.noise_schedule)?
            }
            _ => self.plan(model)?,
        };
        let own = if self.name == SetMethodName::Coupled { 0 } else { number as u64 };
        let edit = PictureEdit {
            plan,
            size: size.map(|n| n / model.downscale()),
            source: latents.to_vec(),
            texts: self.texts.clone(),
            mask: None,
            seed: self.seed.wrapping_add(own),
        };
        Ok(progress::run_part(global, edit.program(model)?)?.canvas)
    }

    /// Edited latents of a panorama.
    ///
    /// # Errors
    /// As [`Editor::pictures`].
    pub fn panorama(
        &self,
        global: &Global,
        model: &Arc<StableDiffusion>,
        latents: Latents,
        around: Around,
    ) -> anyhow::Result<Vec<f32>> {
        let f = model.downscale();
        let window = latents.size.map(|n| n.min(model.native_size()));
        let stride = around.stride.unwrap_or(window[1] / 4).next_multiple_of(f);
        let space = Windows::new(&WindowsOptions {
            canvas: latents.size,
            window,
            stride: window.map(|n| stride.clamp(f, n)),
            wrap: [false, around.wrap],
            align: f,
            ..WindowsOptions::default()
        })?;
        match &self.kind {
            Kind::Coupled(_) | Kind::Instructed(_) => {
                let channels = model.latent_channels();
                let cut = Cut::new(&space, f);
                let values = cut.gather(&latents.values, channels);
                let numbers: Vec<usize> = (0..cut.count()).collect();
                let each = window[0] / f * window[1] / f * channels;
                let edited = self.pictures(global, model, Latents { size: window, each, values }, &numbers)?;
                Ok(cut.average(&edited, channels))
            }
            Kind::Csd(method) => self.collaborate(global, model, method, (Box::new(space), latents.values)),
        }
    }

    fn collaborate(
        &self,
        global: &Global,
        model: &Arc<StableDiffusion>,
        method: &Csd,
        (space, source): (Box<dyn syncline::spaces::Space>, Vec<f32>),
    ) -> anyhow::Result<Vec<f32>> {
        let (method, texts) = (method.clone(), self.texts.clone());
        let edit = SetEdit { method, space, source, texts, regions: None, latent_canvas: None, seed: self.seed };
        Ok(progress::run_part(global, edit.program(model)?)?.canvas)
    }
}

fn csd(args: &EditSetArgs, guidance: f64, around: bool, seed: u64) -> Csd {
    let edit = &args.edit;
    let mut method = if around { Csd::panorama(seed) } else { Csd::frames(seed) };
    method.batch = Some(edit.batch);
    if args.device.model.is_none() {
        // Of a panorama a batch sees a part.
        method = method.for_latents(SMALL_LATENTS, if around { usize::MAX } else { edit.batch });
    }
    method.iterations = edit.steps.unwrap_or(method.iterations);
    method.guidance_scale = [guidance, edit.source_guidance.unwrap_or(guidance)];
    if let (Some(wish), Optimiser::Sgd { rate, .. }) = (edit.rate, &mut method.optimiser) {
        *rate = wish;
    }
    method
}

/// What a flag says to a method that does not know it.
///
/// # Errors
/// With code 2.
pub fn refuse_foreign(args: &EditSetArgs, around: bool) -> Result<(), Failure> {
    let edit = &args.edit;
    let name = edit.method;
    let distils = name == SetMethodName::Csd;
    let samples = distils || edit.instruction.is_some();
    let given = [
        ("--start", edit.start.is_some() && samples, "a switch of coupled and independent edits by prompts"),
        ("--rate", edit.rate.is_some() && !distils, "a switch of csd"),
        (
            "--large windows",
            args.files.large == Large::Windows && (distils || around),
            "for pictures by coupled and independent",
        ),
        ("--stride", args.files.stride.is_some() && !around, "for a panorama"),
        ("--wrap", args.files.wrap.is_some() && !around, "for a panorama"),
    ];
    if let Some((flag, _, what)) = given.iter().find(|(_, given, _)| *given) {
        return Err(Failure::usage(format!("{flag} is {what}; found --method {}", name.name())));
    }
    if around && name == SetMethodName::Coupled {
        let message =
            "--method coupled gives pictures the same noise; windows of one panorama overlap: take csd or independent";
        return Err(Failure::usage(message));
    }
    Ok(())
}
