//! The files that hold a canvas.

use std::path::{Path, PathBuf};

use serde_json::json;
use syncline::jobs::CanvasResult;
use syncline::reproject::Raster;

use super::{Canvas, Scene};
use crate::args::SphereOutputArgs;
use crate::output::{
    Drawing, Embedded, EnvironmentFiles, Format, GenerationParameters, OutputError, Picture, Rgb8, Sphere, Target,
    contact_sheet, format_of, viewer_page,
};

/// A picture that surrounds the viewer, and the page that shows it.
pub struct SphereFiles<'a> {
    args: &'a SphereOutputArgs,
    files: EnvironmentFiles,
    viewer: Option<Target>,
}

impl<'a> SphereFiles<'a> {
    /// Before the work.
    ///
    /// # Errors
    /// As [`EnvironmentFiles::check`].
    pub fn check(output: &Path, args: &'a SphereOutputArgs, force: bool) -> Result<Self, OutputError> {
        let files = EnvironmentFiles::check(output, &args.environment, force)?;
        let viewer = args.environment.viewer.as_deref().map(|path| Target::check(path, force)).transpose()?;
        Ok(Self { args, files, viewer })
    }

    /// Writes the canvas; gives it back with the real paths.
    ///
    /// # Errors
    /// When drawing, encoding or writing fails.
    pub fn write(
        &self,
        canvas: &Canvas<'_>,
        scene: &Scene,
        result: &CanvasResult,
    ) -> anyhow::Result<(Sphere, Vec<PathBuf>)> {
        let sphere = Sphere::Panorama(picture(result));
        let side =
            if self.files.is_panorama() { result.size[0] } else { self.args.face_size.unwrap_or(sphere.face_side()) };
        let drawing = Drawing::default();
        let ctx = &canvas.model.ctx;
        let mut written = self.files.write(ctx, &sphere, (side, &drawing), &origin(canvas, scene, result))?;
        if let Some(viewer) = &self.viewer {
            let page = viewer_page(ctx, &sphere, &drawing, &scene.prompts.prompt)?;
            written.push(viewer.write(|w| w.write_all(page.as_bytes()))?);
        }
        Ok((sphere, written))
    }
}

/// One flat picture.
pub struct FlatFile {
    target: Target,
    format: Format,
}

impl FlatFile {
    /// Before the work.
    ///
    /// # Errors
    /// When the name's end is no picture's, or the file cannot be made.
    pub fn check(output: &Path, force: bool) -> Result<Self, OutputError> {
        let format = format_of(output)?;
        if format == Format::Ktx2 {
            let (consumer, accepted) = ("a flat picture".to_owned(), ".png .jpg .exr .hdr".to_owned());
            return Err(OutputError::NotTaken { consumer, accepted, found: ".ktx2".to_owned() });
        }
        Ok(Self { target: Target::check(output, force)?, format })
    }

    /// Writes the canvas.
    ///
    /// # Errors
    /// When encoding or writing fails.
    pub fn write(&self, canvas: &Canvas<'_>, scene: &Scene, result: &CanvasResult) -> anyhow::Result<Vec<PathBuf>> {
        let bytes = self.format.encode(&picture(result), &origin(canvas, scene, result))?;
        Ok(vec![self.target.write(|w| w.write_all(&bytes))?])
    }
}

/// The canvas as a picture.
pub fn picture(result: &CanvasResult) -> Picture {
    Picture::srgb(Raster::new(result.size, result.rgb.clone()))
}

/// What a picture says about how it was made.
fn origin(canvas: &Canvas<'_>, scene: &Scene, result: &CanvasResult) -> Embedded {
    if canvas.args.prompt.no_metadata {
        return Embedded::default();
    }
    let [height, width] = result.size;
    let method = &scene.method;
    let mut extra = vec![("Method".to_owned(), method.title())];
    if method.stochsync().is_some() {
        extra.push(("Preset".to_owned(), method.preset.to_string()));
    }
    let parameters = GenerationParameters {
        prompt: scene.prompts.prompt.clone(),
        negative_prompt: scene.prompts.negative.clone(),
        steps: method.steps() as u32,
        sampler: Some(method.sampler()),
        cfg_scale: Some(method.guidance()),
        seed: Some(canvas.seed),
        size: Some((width as u32, height as u32)),
        model_hash: None,
        model: Some(canvas.model.label.clone()),
        extra,
        version: Some(format!("syncline {}", env!("CARGO_PKG_VERSION"))),
    };
    let mut json = json!({ "schema": 1, "command": canvas.command, "parameters": &parameters,
                           "preset": method.preset.name(), "method": method.switches(),
                           "evaluations": result.evaluations, "adapter": canvas.model.ctx.adapter().name });
    if !scene.prompts.regions.is_empty() {
        json["regions"] = json!(scene.prompts.regions);
    }
    if let Some([up, down]) = &scene.prompts.steep {
        json["steep"] = json!({ "up": up, "down": down, "beyond": scene.prompts.beyond });
    }
    Embedded { parameters: Some(parameters.to_string()), json: Some(json.to_string()), xmp: None }
}

/// The last views of every set, a row for each set.
pub(super) fn views(target: &Target, result: &CanvasResult, columns: usize) -> anyhow::Result<PathBuf> {
    let [height, width] = result.view_size;
    let views = result.views.iter().map(|view| Rgb8::from_unit(width, height, view)).collect::<Result<Vec<_>, _>>()?;
    Ok(target.write_png(&contact_sheet(&views, columns, 2), &Embedded::default())?)
}
