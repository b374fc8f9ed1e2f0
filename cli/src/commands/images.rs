//! `txt2img` and `img2img`.

use std::path::{Path, PathBuf};

use serde_json::json;
use syncline::jobs::{Beside, Images, InitImage, Prompts, TextToImage, TextToImageOptions};
use syncline::models::Wrap;
use syncline::pipeline::Takes;
use syncline::schedulers::{PlanOptions, SigmaSchedule, Start};

use super::inpaint::free_mask;
use super::steering::{Controls, DepthMap};
use super::{announce, prompt_text, seed, warn_truncated};
use crate::args::{DeviceArgs, Global, Img2imgArgs, PromptArgs, SamplerArgs, Txt2imgArgs};
use crate::exit::Failure;
use crate::input::read_picture;
use crate::output::{Embedded, GenerationParameters, Rgb8, Target};
use crate::{device, progress};

/// A picture from a prompt.
pub fn txt2img(global: &Global, args: &Txt2imgArgs) -> anyhow::Result<()> {
    draw(
        global,
        &Request {
            device: &args.device,
            prompt: &args.prompt,
            sampler: &args.sampler,
            size: [args.height, args.width],
            init: None,
            mask: None,
            depth: DepthMap::read(&args.depth)?,
            controls: Controls::read(&args.control)?,
        },
    )
}

/// A picture from a picture.
pub fn img2img(global: &Global, args: &Img2imgArgs) -> anyhow::Result<()> {
    let image = read_image(&args.init_img)?;
    let mask = args.mask.as_deref().map(|mask| free_mask(mask, image.size, &args.init_img)).transpose()?;
    let strength = args.strength.unwrap_or(if mask.is_some() { 1.0 } else { 0.75 });
    draw(
        global,
        &Request {
            device: &args.device,
            prompt: &args.prompt,
            sampler: &args.sampler,
            size: image.size.map(Some),
            init: Some((image, strength)),
            mask,
            depth: DepthMap::read(&args.depth)?,
            controls: Controls::read(&args.control)?,
        },
    )
}

/// What to draw, from whatever asked for it.
pub(super) struct Request<'a> {
    pub device: &'a DeviceArgs,
    pub prompt: &'a PromptArgs,
    pub sampler: &'a SamplerArgs,
    /// `[height, width]` in pixels, where given.
    pub size: [Option<usize>; 2],
    pub init: Option<(InitImage, f64)>,
    pub mask: Option<Vec<f32>>,
    pub depth: DepthMap,
    pub controls: Controls,
}

impl Request<'_> {
    /// Where the run starts. An inpainting model sees what is kept: at full strength nothing else needs to stay.
    fn start(&self) -> Start {
        match &self.init {
            Some((_, strength)) if self.mask.is_none() || *strength != 1.0 => Start::Strength(*strength),
            _ => Start::Noise,
        }
    }
}

/// A picture from disk, within limits.
pub(super) fn read_image(path: &Path) -> anyhow::Result<InitImage> {
    let mut raster = read_picture(path)?.to_srgb().into_owned();
    // Light may be brighter than a display's white.
    raster.rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    Ok(InitImage { size: raster.size, rgb: raster.rgb })
}

fn options(global: &Global, request: &Request<'_>) -> anyhow::Result<TextToImageOptions> {
    let (sampler, args) = (request.sampler, request.prompt);
    let choice = sampler.sampling_method;
    let sigma_schedule = sampler.scheduler.map(|s| s.sigma_schedule).or(choice.sigma_schedule);
    let spacing = sampler.scheduler.and_then(|s| s.spacing).or(choice.spacing);
    let wrap = Wrap { x: sampler.circular || sampler.circularx, y: sampler.circular || sampler.circulary };
    Ok(TextToImageOptions {
        prompts: Prompts::new(&prompt_text(&args.prompt)?, &prompt_text(&args.negative_prompt)?),
        size: None,
        batch: sampler.batch_size,
        seed: seed(global, args),
        rng: sampler.rng,
        method: choice.method,
        plan: PlanOptions {
            steps: sampler.steps,
            sigma_schedule: sigma_schedule.unwrap_or(SigmaSchedule::Discrete),
            spacing,
            eta: None,
            start: request.start(),
        },
        cfg_scale: sampler.cfg_scale.unwrap_or(if request.device.model.is_some() { 7.0 } else { 5.0 }),
        wrap,
        init: request.init.as_ref().map(|(image, _)| image.clone()),
        vae_tile: sampler.vae_tile_size,
        beside: request.mask.clone().map(Beside::Mask),
        ..TextToImageOptions::default()
    })
}

/// `name_%03d.png` with the number filled in; several pictures without a pattern get `_1`, `_2` ….
pub(super) fn output_path(pattern: &Path, index: usize, count: usize) -> PathBuf {
    let name = pattern.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some((before, rest)) = name.split_once('%')
        && let Some((width, after)) = rest.split_once('d')
        && width.len() <= 2
        && width.chars().all(|c| c.is_ascii_digit())
    {
        let digits = width.parse().unwrap_or(0);
        return pattern.with_file_name(format!("{before}{:0digits$}{after}", index + 1));
    }
    if count == 1 {
        return pattern.to_owned();
    }
    let stem = pattern.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = pattern.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    pattern.with_file_name(format!("{stem}_{}{extension}", index + 1))
}

/// Draws and writes it.
pub(super) fn draw(global: &Global, request: &Request<'_>) -> anyhow::Result<()> {
    let mut options = options(global, request)?;
    let targets = (0..options.batch)
        .map(|i| Target::check(&output_path(&request.prompt.output, i, options.batch), request.prompt.force))
        .collect::<Result<Vec<_>, _>>()?;
    let model = device::load(request.device)?;
    if request.mask.is_some() && model.takes()? == Takes::Latents {
        let found = format!("--mask: found {}, a plain text-to-image model, expected an inpainting model", model.label);
        return Err(Failure::usage(format!("{found}; syncline inpaint draws a part anew with any model")).into());
    }
    let size = request.size.map(|side| side.unwrap_or(model.native_size()));
    model.latent_size(size[0], size[1])?;
    options.size = Some(size);
    options.beside = options.beside.or_else(|| request.depth.beside(size));
    options.controls = request.controls.load(&model, size)?;
    let program = TextToImage::new(&model, options.clone())?;
    warn_truncated(program.truncated_tokens());
    let images = progress::run(global, program)?;
    let mut written = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        let [height, width] = images.size;
        let picture = Rgb8::from_unit(width, height, &images.rgb[i])?;
        let embedded = if request.prompt.no_metadata {
            Embedded::default()
        } else {
            metadata(request, &options, (&images, i), [&model.label, &model.ctx.adapter().name])
        };
        written.push(target.write_png(&picture, &embedded)?);
    }
    announce(global, Some(options.seed), &written)
}

fn metadata(
    request: &Request<'_>,
    options: &TextToImageOptions,
    (images, index): (&Images, usize),
    [model, adapter]: [&str; 2],
) -> Embedded {
    let [height, width] = images.size;
    let strength = match options.plan.start {
        Start::Strength(strength) => Some(strength),
        _ => None,
    };
    let mut extra = vec![
        ("Schedule type".to_owned(), options.plan.sigma_schedule.to_string()),
        ("RNG".to_owned(), options.rng.to_string()),
    ];
    let mut note = |name: &str, value: String| extra.push((name.to_owned(), value));
    if let Some(spacing) = options.plan.spacing {
        note("Timestep spacing", spacing.to_string());
    }
    match (options.wrap.x, options.wrap.y) {
        (false, false) => {}
        (x, y) => note(
            "Tiling",
            if x && y {
                "True"
            } else if x {
                "x"
            } else {
                "y"
            }
            .to_owned(),
        ),
    }
    if let Some(cells) = options.vae_tile {
        note("VAE tile", cells.to_string());
    }
    if options.beside.is_some() {
        note("Conditioned on", if request.mask.is_some() { "mask" } else { "depth" }.to_owned());
    }
    extra.extend(strength.map(|s| ("Denoising strength".to_owned(), s.to_string())));
    extra.extend(request.device.extras.told());
    extra.extend(request.controls.told());
    let parameters = GenerationParameters {
        prompt: options.prompts.positive[0].clone(),
        negative_prompt: options.prompts.negative.clone(),
        steps: options.plan.steps as u32,
        sampler: Some(options.method.to_string()),
        cfg_scale: Some(options.cfg_scale),
        seed: Some(options.seed.wrapping_add(index as u64)),
        size: Some((width as u32, height as u32)),
        model_hash: None,
        model: Some(model.to_owned()),
        extra,
        version: Some(format!("syncline {}", env!("CARGO_PKG_VERSION"))),
    };
    let command = if request.init.is_some() { "img2img" } else { "txt2img" };
    let json = json!({ "schema": 1, "command": command, "parameters": &parameters, "adapter": adapter });
    Embedded { parameters: Some(parameters.to_string()), json: Some(json.to_string()), xmp: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_number_from_one() {
        let path = |p: &str, i, n| output_path(Path::new(p), i, n).display().to_string();
        assert_eq!(path("a/out_%03d.png", 0, 1), "a/out_001.png");
        assert_eq!(path("out_%d.png", 11, 12), "out_12.png");
        assert_eq!(path("out.png", 0, 1), "out.png");
        assert_eq!(path("out.png", 1, 2), "out_2.png");
        assert_eq!(path("100%.png", 0, 1), "100%.png");
        assert_eq!(path("a%+3d.png", 0, 1), "a%+3d.png");
        assert_eq!(path("a%999999999999d.png", 1, 2), "a%999999999999d_2.png");
    }
}
