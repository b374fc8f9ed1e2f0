//! `rerun`: a picture again, from its generation parameters.

use std::path::Path;

use serde_json::Value;
use syncline::rng::NoiseMode;
use syncline::schedulers::{SamplerChoice, ScheduleChoice};

use super::images::{Request, draw, read_image};
use super::steering::{Controls, DepthMap};
use crate::args::{Global, PromptArgs, RerunArgs, SamplerArgs, Seed};
use crate::exit::Failure;
use crate::output::{Embedded, GenerationParameters};

/// Draws the picture again.
pub fn run(global: &Global, args: &RerunArgs) -> anyhow::Result<()> {
    let made = read(&args.picture)?;
    let unable = |found: &str, next: &str| {
        Failure::input(format!(
            "{}: found {found}, expected a picture of txt2img or img2img alone; {next}",
            args.picture.display()
        ))
    };
    if let Some((name, value)) =
        made.extra.iter().find(|(name, _)| name.starts_with("ControlNet") || name == "Conditioned on")
    {
        return Err(unable(&format!("{name}: {value}"), "its pictures are not in it: use txt2img or img2img").into());
    }
    // In a prompt given on the command line this would read a file.
    if let Some(text) = [&made.prompt, &made.negative_prompt].into_iter().find(|text| text.starts_with('@')) {
        return Err(unable(&format!("the prompt '{text}'"), "give it to txt2img").into());
    }
    let strength: Option<f64> = field(&made, "Denoising strength", &args.picture)?;
    let init = match (&args.init_img, strength) {
        (Some(path), Some(strength)) => Some((read_image(path)?, strength)),
        (None, None) => None,
        (None, Some(strength)) => {
            return Err(unable(
                &format!("Denoising strength: {strength}"),
                "give the picture it was started from with -i",
            )
            .into());
        }
        (Some(_), None) => return Err(unable("no Denoising strength", "leave -i out").into()),
    };
    require_model(args, &made)?;
    require_extras(args, &made)?;
    let (prompt, sampler) = (prompt(args, &made)?, sampler(args, &made)?);
    let size = match (&init, made.size) {
        (Some((image, _)), _) => image.size.map(Some),
        (None, Some((width, height))) => [Some(height as usize), Some(width as usize)],
        (None, None) => [None; 2],
    };
    let (depth, controls) = (DepthMap::default(), Controls::default());
    draw(
        global,
        &Request { device: &args.device, prompt: &prompt, sampler: &sampler, size, init, mask: None, depth, controls },
    )
}

/// What a picture says of itself: our own record, or the text that most tools write.
fn read(path: &Path) -> anyhow::Result<GenerationParameters> {
    let embedded = Embedded::read(path)?;
    let refuse = |found: String| {
        let text = "generation parameters in the picture, ours or in AUTOMATIC1111's form";
        Failure::input(format!(
            "{}: found {found}, expected {text}; syncline inspect shows what there is",
            path.display()
        ))
    };
    if let Some(record) = embedded.json.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        let command = record["command"].as_str().unwrap_or("another program");
        if !matches!(command, "txt2img" | "img2img") {
            return Err(refuse(format!("a picture of {command}")).into());
        }
        // A record that was changed by hand leaves the text.
        if let Ok(parameters) = serde_json::from_value(record["parameters"].clone()) {
            return Ok(parameters);
        }
    }
    let Some(text) = embedded.parameters else { return Err(refuse("none".to_owned()).into()) };
    Ok(GenerationParameters::parse(&text).map_err(|e| refuse(e.to_string()))?)
}

/// A further field, read as its type.
fn field<T: std::str::FromStr>(made: &GenerationParameters, name: &str, path: &Path) -> Result<Option<T>, Failure> {
    let Some((_, value)) = made.extra.iter().find(|(key, _)| key == name) else { return Ok(None) };
    let refuse = || {
        let found = format!("{name}: {value}");
        Failure::input(format!("{}: found {found}, expected a value that syncline knows; use txt2img", path.display()))
    };
    value.parse().map(Some).map_err(|_| refuse())
}

/// The built-in model has no file: pictures of others need one.
fn require_model(args: &RerunArgs, made: &GenerationParameters) -> Result<(), Failure> {
    let built_in = made.model.as_deref().is_some_and(|model| model.starts_with("mini"));
    if args.device.model.is_some() || built_in {
        return Ok(());
    }
    let model = made.model.as_deref().unwrap_or("a model without a name");
    Err(Failure::usage(format!("{}: made with {model}; give its directory or file with -m", args.picture.display())))
}

/// Files beside the model come from the flags: a picture says which, and a picture must not make anyone open a file.
fn require_extras(args: &RerunArgs, made: &GenerationParameters) -> Result<(), Failure> {
    let names = ["LoRA ", "Lora hashes", "Embedding ", "Component ", "Clip skip"];
    let is_extra = |(name, _): &&(String, String)| names.iter().any(|known| name.starts_with(known));
    // One is what the text encoder does anyway.
    let mut recorded = made.extra.iter().filter(is_extra).filter(|(name, value)| name != "Clip skip" || value != "1");
    let given = args.device.extras.told();
    if let Some((name, value)) = recorded.next().filter(|_| given.is_empty()) {
        return Err(Failure::usage(format!(
            "{}: made with {name}: {value}; give the same with --lora, --embedding, --vae, --unet, --text-encoder or \
             --clip-skip",
            args.picture.display()
        )));
    }
    Ok(())
}

fn prompt(args: &RerunArgs, made: &GenerationParameters) -> Result<PromptArgs, Failure> {
    let seed = args.seed.or(made.seed.map(Seed::Given)).ok_or_else(|| {
        Failure::usage(format!("{}: found no seed in it; give one with --seed", args.picture.display()))
    })?;
    Ok(PromptArgs {
        prompt: made.prompt.clone(),
        negative_prompt: made.negative_prompt.clone(),
        seed,
        output: args.output.clone(),
        force: args.force,
        no_metadata: false,
    })
}

fn sampler(args: &RerunArgs, made: &GenerationParameters) -> Result<SamplerArgs, Failure> {
    let path = &args.picture;
    let unknown = |found: String| {
        Failure::input(format!("{}: {found}; draw it with txt2img and a sampler that syncline has", path.display()))
    };
    let name = made.sampler.as_deref().unwrap_or("dpm++2m");
    let choice: SamplerChoice = name.parse().map_err(|e| unknown(format!("{e}")))?;
    let mut scheduler: Option<ScheduleChoice> = field(made, "Schedule type", path)?;
    if let Some(spacing) = field(made, "Timestep spacing", path)? {
        let sigma_schedule = scheduler.map(|s| s.sigma_schedule).or(choice.sigma_schedule).unwrap_or_default();
        scheduler = Some(ScheduleChoice { sigma_schedule, spacing: Some(spacing) });
    } else if choice.sigma_schedule.is_some() {
        // "DPM++ 2M Karras" says both.
        scheduler = None;
    }
    let tiling: Option<String> = field(made, "Tiling", path)?;
    let tiles = |value: &str| tiling.as_deref() == Some(value);
    Ok(SamplerArgs {
        steps: made.steps as usize,
        cfg_scale: made.cfg_scale,
        sampling_method: choice,
        scheduler,
        rng: field(made, "RNG", path)?.unwrap_or(NoiseMode::Cuda),
        batch_size: 1,
        circular: tiles("True"),
        circularx: tiles("x"),
        circulary: tiles("y"),
        vae_tile_size: field(made, "VAE tile", path)?,
    })
}
