//! `panorama`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use syncline::jobs::{
    CanvasOptions, CanvasProgram, CanvasReport, CanvasResult, PromptedUNet, ReportGeometry, ViewPrompts,
};
use syncline::methods::{Preset, StochSync};
use syncline::pipeline::StableDiffusion;
use syncline::reproject::Raster;
use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::{Interpolation, Space};

use super::{announce, prompt_text, seed, warn_truncated};
use crate::args::{Global, PanoramaArgs};
use crate::output::{
    Drawing, Embedded, EnvironmentFiles, GenerationParameters, Picture, ReportFiles, ReportPage, Rgb8, Sphere, Table,
    Target, contact_sheet, viewer_page,
};
use crate::{console, device, progress};

/// A 360° panorama.
pub fn run(global: &Global, args: &PanoramaArgs) -> anyhow::Result<()> {
    let prompts = ViewPrompts::new(&prompt_text(&args.prompt.prompt)?, &prompt_text(&args.prompt.negative_prompt)?);
    let seed = seed(global, &args.prompt);
    let check = |path: &Path| Target::check(path, args.prompt.force);
    let files = EnvironmentFiles::check(&args.prompt.output, &args.environment, args.prompt.force)?;
    let viewer_target = args.environment.viewer.as_deref().map(check).transpose()?;
    let sheet_target = args.views_sheet.as_deref().map(check).transpose()?;
    let report_files = args.report.as_deref().map(|path| ReportFiles::check(path, args.prompt.force)).transpose()?;
    let model = device::load(&args.device)?;
    let side = args.view_size.unwrap_or(model.native_size());
    let preset = args.preset.unwrap_or(Preset::for_latents(side / model.downscale()));
    let views = ViewSet::Rings { sets: 2, views: args.views };
    let scene = Scene { model, prompts, seed, preset, method: method(args, preset), side, views };
    let space = scene.space(args)?;
    let result = scene.sample(global, &scene.method, &space)?;
    let sphere = Sphere::Panorama(Picture::srgb(Raster::new(result.size, result.rgb.clone())));
    let mut written = scene.write(args, &files, &sphere, &result)?;
    if let Some(viewer_target) = viewer_target {
        let page = viewer_page(&scene.model.ctx, &sphere, &Drawing::default(), &scene.prompts.prompt)?;
        written.push(viewer_target.write(|w| w.write_all(page.as_bytes()))?);
    }
    if let Some(sheet_target) = sheet_target {
        written.push(write_views(&sheet_target, &result, args.views)?);
    }
    if let Some(report_files) = report_files {
        let uncoupled = scene.method.independent(space.set_count());
        let baseline = scene.sample(global, &uncoupled, &space)?;
        written.push(write_baseline(args, &baseline)?);
        let reports = Reports::new(&scene, &space, &result, &baseline);
        if !global.quiet {
            console::note(reports.to_string().trim_end());
        }
        let page = || reports.page(&scene, sphere, &baseline);
        written.extend(report_files.write(&reports.to_json(args, &scene.method), page)?);
    }
    announce(global, Some(scene.seed), &written)
}

fn method(args: &PanoramaArgs, preset: Preset) -> StochSync {
    let p = preset.method();
    StochSync {
        steps: args.steps.unwrap_or(p.steps),
        t_max: args.t_max.unwrap_or(p.t_max),
        t_min: args.t_min.unwrap_or(p.t_min),
        t_power: args.t_power.unwrap_or(p.t_power),
        warmup_steps: args.warmup_steps.unwrap_or(p.warmup_steps),
        seam_removal_steps: args.seam_removal_steps.unwrap_or(p.seam_removal_steps),
        ode_steps: args.ode_steps.unwrap_or(p.ode_steps),
        min_ode_steps: args.min_ode_steps.unwrap_or(p.min_ode_steps),
        guidance_scale: args.cfg_scale.unwrap_or(p.guidance_scale),
        correct_encoding: args.correct_encoding.unwrap_or(p.correct_encoding),
        fov: args.fov.unwrap_or(p.fov),
        used_fov: args.used_fov.unwrap_or(p.used_fov.min(args.fov.unwrap_or(p.fov))),
        feather: args.feather.unwrap_or(p.feather),
        ..p
    }
}

struct Scene {
    model: Arc<StableDiffusion>,
    prompts: ViewPrompts,
    seed: u64,
    preset: Preset,
    method: StochSync,
    side: usize,
    views: ViewSet,
}

impl Scene {
    fn space(&self, args: &PanoramaArgs) -> anyhow::Result<Panorama> {
        let (fov, used_fov) = (self.method.fov, self.method.used_fov);
        let height =
            args.pano_size.map_or_else(|| Panorama::height_for(self.side, fov, used_fov), |[height, _]| height);
        let (view_side, views) = (self.side, self.views.clone());
        let interpolation = Interpolation::Bilinear;
        Ok(Panorama::new(&PanoramaOptions { height, view_side, fov, used_fov, views, interpolation })?)
    }

    fn sample(&self, global: &Global, method: &StochSync, space: &Panorama) -> anyhow::Result<CanvasResult> {
        let plan = method.plan(&self.model.noise_schedule, space.set_count())?;
        let unet = PromptedUNet::new(&self.model, self.prompts.clone(), &plan, space)?;
        let program = CanvasProgram::new(unet, CanvasOptions::new(plan, Arc::new(space.clone()), self.seed))?;
        warn_truncated(program.truncated_tokens());
        progress::run(global, program)
    }

    fn write(
        &self,
        args: &PanoramaArgs,
        files: &EnvironmentFiles,
        sphere: &Sphere,
        result: &CanvasResult,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let [height, width] = result.size;
        let side = if files.is_panorama() { height } else { args.face_size.unwrap_or(sphere.face_side()) };
        let drawing = (side, &Drawing::default());
        if args.prompt.no_metadata {
            return files.write(&self.model.ctx, sphere, drawing, &Embedded::default());
        }
        let parameters = GenerationParameters {
            prompt: self.prompts.prompt.clone(),
            negative_prompt: self.prompts.negative.clone(),
            steps: self.method.steps as u32,
            sampler: Some(format!("{:?}", self.method.solver)),
            cfg_scale: Some(self.method.guidance_scale),
            seed: Some(self.seed),
            size: Some((width as u32, height as u32)),
            model_hash: None,
            model: Some(self.model.label.clone()),
            extra: vec![("Method".into(), "StochSync".into()), ("Preset".into(), self.preset.to_string())],
            version: Some(format!("syncline {}", env!("CARGO_PKG_VERSION"))),
        };
        let json = json!({ "schema": 1, "command": "panorama", "parameters": &parameters, "preset": self.preset.name(),
                           "method": format!("{:?}", self.method), "evaluations": result.evaluations,
                           "adapter": self.model.ctx.adapter().name });
        let embedded = Embedded { parameters: Some(parameters.to_string()), json: Some(json.to_string()), xmp: None };
        files.write(&self.model.ctx, sphere, drawing, &embedded)
    }
}

/// The last views of every set, a row for each set.
fn write_views(target: &Target, result: &CanvasResult, columns: usize) -> anyhow::Result<PathBuf> {
    let [height, width] = result.view_size;
    let views = result.views.iter().map(|view| Rgb8::from_unit(width, height, view)).collect::<Result<Vec<_>, _>>()?;
    Ok(target.write_png(&contact_sheet(&views, columns, 2), &Embedded::default())?)
}

/// The first set of independent views as hard tiles, beside the output: `name_independent.png`.
fn write_baseline(args: &PanoramaArgs, result: &CanvasResult) -> anyhow::Result<PathBuf> {
    let stem = args.prompt.output.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let path = args.prompt.output.with_file_name(format!("{stem}_independent.png"));
    let [height, width] = result.size;
    let picture = Rgb8::from_unit(width, height, &result.sets[0].0)?;
    Ok(Target::check(&path, args.prompt.force)?.write_png(&picture, &Embedded::default())?)
}

/// The result's measures beside those of independent views.
struct Reports {
    coupled: CanvasReport,
    independent: CanvasReport,
}

impl Reports {
    fn new(scene: &Scene, space: &Panorama, result: &CanvasResult, baseline: &CanvasResult) -> Self {
        let borders = scene.views.borders();
        // Rows that every view covers over its whole width, less a fifth at their upper and lower border.
        let half = (0.5 * scene.method.used_fov).to_radians();
        let latitude = 0.8 * (half.tan() * half.cos()).atan().to_degrees();
        let inner = half.tan() / (0.5 * scene.method.fov).to_radians().tan();
        let margin = ((1.0 - inner) * 0.5 * scene.side as f64).ceil() as usize + 1;
        let geometry = ReportGeometry { borders: &borders, latitude, margin };
        Self {
            coupled: CanvasReport::new(result, space as &dyn Space, &geometry),
            independent: CanvasReport::new(baseline, space as &dyn Space, &geometry),
        }
    }

    fn to_json(&self, args: &PanoramaArgs, method: &StochSync) -> serde_json::Value {
        json!({
            "schema": 1, "prompt": args.prompt.prompt, "method": format!("{method:?}"),
            "seams": { "blending_steps": method.seam_removal_steps, "fov": method.fov, "used_fov": method.used_fov,
                       "feather": method.feather },
            "coupled": self.coupled, "independent": self.independent,
        })
    }
}

impl Reports {
    /// Measures of the result and of independent views, as everywhere they are shown.
    fn rows(&self) -> Vec<(&'static str, f64, f64)> {
        let (c, i) = (&self.coupled, &self.independent);
        let disagreement = |report: &CanvasReport| report.disagreement.unwrap_or(f64::NAN);
        vec![
            ("disagreement of the two sets, mean |A - B|", disagreement(c), disagreement(i)),
            ("hard tiles: across borders", c.hard_tiles.border, i.hard_tiles.border),
            ("hard tiles: elsewhere", c.hard_tiles.elsewhere, i.hard_tiles.elsewhere),
            ("hard tiles: seam ratio", c.hard_tiles.ratio, i.hard_tiles.ratio),
            ("result: across borders", c.seam.border, i.seam.border),
            ("result: elsewhere", c.seam.elsewhere, i.seam.elsewhere),
            ("result: seam ratio", c.seam.ratio, i.seam.ratio),
            ("sharpness of the result, mean |dx|", c.sharpness, i.sharpness),
            ("sharpness of generated views, mean |dx|", c.view_sharpness, i.view_sharpness),
            ("coverage", c.coverage, i.coverage),
            ("network evaluations", c.evaluations as f64, i.evaluations as f64),
        ]
    }

    fn page(&self, scene: &Scene, result: Sphere, baseline: &CanvasResult) -> ReportPage {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let measures = Table {
            caption: "Measures".to_owned(),
            columns: texts(&["", "coupled", "independent views"]),
            rows: self
                .rows()
                .iter()
                .map(|(name, a, b)| texts(&[name, &format!("{a:.4}"), &format!("{b:.4}")]))
                .collect(),
        };
        let setting = |name: &str, value: &str| texts(&[name, value]);
        let settings = Table {
            caption: "Settings".to_owned(),
            columns: texts(&["", "value"]),
            rows: vec![
                setting("prompt", &scene.prompts.prompt),
                setting("negative prompt", &scene.prompts.negative),
                setting("seed", &scene.seed.to_string()),
                setting("model", &scene.model.label),
                setting("preset", scene.preset.name()),
                setting("method", &format!("{:?}", scene.method)),
                setting("adapter", &scene.model.ctx.adapter().name),
            ],
        };
        let independent = Picture::srgb(Raster::new(baseline.size, baseline.sets[0].0.clone()));
        let mut pictures = Vec::new();
        if let Sphere::Panorama(picture) = result {
            pictures.push(("Coupled views: the result".to_owned(), picture));
        }
        pictures.push(("Independent views as hard tiles: the baseline".to_owned(), independent));
        ReportPage {
            title: format!("Panorama: {}", scene.prompts.prompt),
            summary: "Differences are in units of RGB 0 to 1; a seam ratio of 1 means that borders of views look like \
                      the rest of the picture."
                .to_owned(),
            pictures,
            tables: vec![measures, settings],
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        }
    }
}

impl std::fmt::Display for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:<44} {:>10} {:>12}", "", "coupled", "independent")?;
        self.rows().iter().try_for_each(|(name, a, b)| writeln!(f, "{name:<44} {a:>10.4} {b:>12.4}"))
    }
}
