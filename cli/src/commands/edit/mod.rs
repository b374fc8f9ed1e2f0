//! `edit`: one picture by two prompts, or by an instruction.

mod report;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use syncline::jobs::{CanvasResult, EditTexts, PictureEdit, SetEdit, edit_views};
use syncline::methods::{Csd, EditGrid, EditMethod, EditSettings, Instructed, Plan};
use syncline::pipeline::StableDiffusion;
use syncline::reproject::Raster;

use super::{announce, prompt_text, seed};
use crate::args::{EditArgs, EditMethodName, Global};
use crate::exit::Failure;
use crate::output::{Embedded, Format, GenerationParameters, OutputError, Picture, ReportFiles, Target, format_of};
use crate::{device, progress};
pub use report::{NOT_MEASURED, accuracy};
pub use source::Source;

/// An edit whose flags are in order and whose files can be written.
pub struct Edit<'a> {
    global: &'a Global,
    args: &'a EditArgs,
    settings: EditSettings,
    seed: u64,
    texts: EditTexts,
    output: (Target, Format),
    report: Option<ReportFiles>,
}

/// What came of one method.
pub struct Edited {
    /// RGB 0..=1, as large as the picture.
    pub picture: Raster,
    /// Network evaluations.
    pub evaluations: usize,
    /// Seconds of sampling.
    pub seconds: f64,
}

/// One picture, edited.
pub fn run(global: &Global, args: &EditArgs) -> anyhow::Result<()> {
    let edit = Edit::check(global, args)?;
    let picture = source::Given::read(&args.init_img, args.mask.as_deref())?;
    let model = if args.instruction.is_some() {
        let model = device::load_editor(&args.device)?;
        model.require_image_latents()?;
        model
    } else {
        let model = device::load(&args.device)?;
        model.require_plain_latents()?;
        model
    };
    let mut source = Source::new(global, &model, picture)?;
    let edited = edit.sample(&model, &mut source, args.method.method)?;
    let mut written = vec![edit.write(&model, &edited)?];
    if let Some(files) = &edit.report {
        written.extend(report::write(&edit, &model, &mut source, (files, &edited))?);
    }
    announce(global, Some(edit.seed), &written)
}

impl<'a> Edit<'a> {
    /// Refuses flags and files before anything is read.
    fn check(global: &'a Global, args: &'a EditArgs) -> anyhow::Result<Self> {
        let texts = texts(args)?;
        let seed = seed(global, &args.prompt);
        let settings = settings(args, seed)?;
        let format = format_of(&args.prompt.output)?;
        if format == Format::Ktx2 {
            let (consumer, accepted) = ("a flat picture".to_owned(), ".png .jpg .exr .hdr".to_owned());
            return Err(OutputError::NotTaken { consumer, accepted, found: ".ktx2".to_owned() }.into());
        }
        let output = (Target::check(&args.prompt.output, args.prompt.force)?, format);
        let report = args.report.as_deref().map(|path| ReportFiles::check(path, args.prompt.force)).transpose()?;
        Ok(Self { global, args, settings, seed, texts, output, report })
    }

    /// The edit by one method.
    ///
    /// # Errors
    /// When method and model do not go together, or the job fails.
    pub fn sample(
        &self,
        model: &Arc<StableDiffusion>,
        source: &mut Source,
        method: EditMethodName,
    ) -> anyhow::Result<Edited> {
        let begin = std::time::Instant::now();
        let windows = source.is_windowed(model)?;
        let result = match (&self.texts, method) {
            (EditTexts::Instructions { .. }, _) => self.picture(model, source, self.instructed(model)?)?,
            (_, EditMethodName::Single(method)) => {
                let settings = EditSettings { windows, ..self.settings };
                let plan = settings.plan(method, &model.noise_schedule)?;
                self.picture(model, source, plan)?
            }
            (_, EditMethodName::Csd) => self.csd(model, source)?,
        };
        let seconds = begin.elapsed().as_secs_f64();
        let picture = source.finish(self.global, &result.canvas)?;
        Ok(Edited { picture, evaluations: result.evaluations, seconds })
    }

    fn instructed(&self, model: &StableDiffusion) -> anyhow::Result<Plan> {
        let grid = EditGrid::diffusion(&model.noise_schedule, self.settings.steps)?;
        Ok(Instructed { condition: 1.0 / model.vae.config().scaling_factor }.plan(&grid))
    }

    fn picture(&self, model: &Arc<StableDiffusion>, source: &Source, plan: Plan) -> anyhow::Result<CanvasResult> {
        let (size, texts, seed) = (source.latent_size(), self.texts.clone(), self.seed);
        let (latents, mask) = (source.latents().to_vec(), source.latent_mask().map(<[f32]>::to_vec));
        let edit = PictureEdit { plan, size, source: latents, texts, mask, seed };
        progress::run(self.global, edit.program(model)?)
    }

    fn csd(&self, model: &Arc<StableDiffusion>, source: &Source) -> anyhow::Result<CanvasResult> {
        let space = edit_views(model, source.latent_size())?;
        let base = Csd::frames(self.seed).for_latents(model.native_size() / model.downscale(), space.view_count());
        let [of_source, of_target] = self.settings.guidance;
        let iterations = self.args.method.iterations.unwrap_or(base.iterations);
        let method = Csd { iterations, guidance_scale: [of_target, of_source], ..base };
        let edit = SetEdit {
            method,
            space,
            source: source.latents().to_vec(),
            texts: self.texts.clone(),
            regions: None,
            latent_canvas: None,
            seed: self.seed,
        };
        progress::run(self.global, edit.program(model)?)
    }

    fn write(&self, model: &StableDiffusion, edited: &Edited) -> anyhow::Result<PathBuf> {
        let (target, format) = &self.output;
        let picture = Picture::srgb(edited.picture.clone());
        let bytes = format.encode(&picture, &self.origin(model, edited))?;
        Ok(target.write(|w| w.write_all(&bytes))?)
    }

    /// The name of the method that the result was made with.
    fn method(&self) -> &'static str {
        if self.args.instruction.is_some() { "instruct-pix2pix" } else { self.args.method.method.name() }
    }

    /// What a picture says about how it was made.
    fn origin(&self, model: &StableDiffusion, edited: &Edited) -> Embedded {
        if self.args.prompt.no_metadata {
            return Embedded::default();
        }
        let [height, width] = edited.picture.size;
        let (source, target, negative) = match &self.texts {
            EditTexts::Prompts { source, targets, negative } => (source.clone(), targets.concat(), negative),
            EditTexts::Instructions { instructions, negative, .. } => (String::new(), instructions.concat(), negative),
        };
        let settings = format!("{:?}", self.settings);
        let parameters = GenerationParameters {
            prompt: target,
            negative_prompt: negative.clone(),
            steps: self.settings.steps as u32,
            sampler: Some(self.method().to_owned()),
            cfg_scale: Some(self.settings.guidance[1]),
            seed: Some(self.seed),
            size: Some((width as u32, height as u32)),
            model_hash: None,
            model: Some(model.label.clone()),
            extra: vec![("Source prompt".to_owned(), source)],
            version: Some(format!("syncline {}", env!("CARGO_PKG_VERSION"))),
        };
        let json = json!({ "schema": 1, "command": "edit", "parameters": &parameters, "method": self.method(),
                           "settings": settings, "evaluations": edited.evaluations,
                           "adapter": model.ctx.adapter().name });
        Embedded { parameters: Some(parameters.to_string()), json: Some(json.to_string()), xmp: None }
    }
}

/// Two prompts, or an instruction.
fn texts(args: &EditArgs) -> anyhow::Result<EditTexts> {
    let negative = prompt_text(&args.prompt.negative_prompt)?;
    let guidance = args.method.guidance.unwrap_or(default_guidance(args));
    if let Some(instruction) = &args.instruction {
        if !args.prompt.prompt.is_empty() {
            let message = "--instruction says what to do; found -p as well, which says what to show: give one of them";
            return Err(Failure::usage(message).into());
        }
        let instructions = vec![prompt_text(instruction)?];
        return Ok(EditTexts::Instructions {
            instructions,
            negative,
            guidance: [guidance, args.method.image_guidance],
        });
    }
    let target = prompt_text(&args.prompt.prompt)?;
    let source = args.source_prompt.as_deref().map(prompt_text).transpose()?;
    let missing: Vec<&str> = [(source.is_none(), "--source-prompt"), (target.trim().is_empty(), "-p")]
        .into_iter()
        .filter_map(|(missing, name)| missing.then_some(name))
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "an edit takes two prompts, what the picture shows (--source-prompt) and what it is to show (-p); found no {}; \
             give it, or --instruction with an InstructPix2Pix model",
            missing.join(" and no ")
        );
        return Err(Failure::usage(message).into());
    }
    Ok(EditTexts::Prompts { source: source.unwrap_or_default(), targets: vec![target], negative })
}

/// The built-in model's pictures burn out beyond.
fn default_guidance(args: &EditArgs) -> f64 {
    if args.device.model.is_some() { 7.0 } else { 5.0 }
}

fn settings(args: &EditArgs, seed: u64) -> anyhow::Result<EditSettings> {
    let flags = &args.method;
    let base = EditSettings::new(flags.steps, seed);
    if let Some(strength) = flags.strength
        && !(strength > 0.0 && strength <= 1.0)
    {
        let expected = format!("more than 0 and at most 1, the share of the {} steps that runs", flags.steps);
        return Err(Failure::usage(format!("strength: found {strength}, expected {expected}")).into());
    }
    let start = flags.start.or(flags.strength.map(|share| EditSettings::start_of(flags.steps, share)));
    let settings = EditSettings {
        start: start.unwrap_or(base.start),
        guidance: [flags.source_guidance, flags.guidance.unwrap_or(default_guidance(args))],
        form: flags.form.into(),
        variance: flags.path_variance.into(),
        integrator: flags.integrator.into(),
        resample: flags.resample,
        n_avg: flags.n_avg,
        n_min: flags.n_min,
        iterations: flags.iterations.unwrap_or(base.iterations),
        rate: flags.rate.unwrap_or(base.rate),
        ..base
    };
    settings.check()?;
    Ok(settings)
}

/// Methods of a report beside the one asked for.
fn rivals(method: EditMethodName) -> impl Iterator<Item = EditMethodName> {
    EditMethod::ALL.into_iter().map(EditMethodName::Single).filter(move |rival| *rival != method)
}
