//! `panorama` and `sphere`.

use std::path::Path;
use std::sync::Arc;

use syncline::jobs::{Regions, ViewPrompts};
use syncline::methods::ablation::{AblationSettings, Row};
use syncline::methods::{Medium, Preset};
use syncline::reproject::{Edges, resize};
use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::sphere::{Sphere, SphereOptions};
use syncline::spaces::{self, Interpolation, Space};

use super::canvas::{Canvas, Method, ReportLayout, Scene, SphereFiles, Wish, sectors};
use super::prompt_text;
use crate::args::{Global, MethodName, PanoramaArgs, SphereArgs, SteepArgs, ViewSetName};
use crate::exit::Failure;
use crate::input::read_picture;

/// Views that look up or down by more than this many degrees show sky or ground alone.
const STEEP: f64 = 30.0;

/// A 360° panorama.
pub fn run(global: &Global, args: &PanoramaArgs) -> anyhow::Result<()> {
    let common = &args.canvas;
    let files = SphereFiles::check(&common.prompt.output, &args.output, common.prompt.force)?;
    let start = args.upscale.as_deref().map(twice).transpose()?;
    let mut canvas = Canvas::open(global, common, "panorama")?;
    let own = canvas.wish();
    let preset = if start.is_some() { Preset::Upscale } else { own.preset };
    let method = Method::new(&common.method, Wish { preset, ..own })?;
    let field = Field::new(&method, args.fov, args.used_fov);
    let set = view_set(args, &method, field.used, own)?;
    let height = match (&start, args.pano_size) {
        (Some((height, _)), _) => *height,
        (None, Some([height, _])) => height,
        (None, None) => Panorama::height_for(canvas.view_side(), field.fov, field.used),
    };
    let panorama = Panorama::new(&PanoramaOptions {
        height,
        view_side: canvas.view_side(),
        fov: field.fov,
        used_fov: field.used,
        views: set.clone(),
        interpolation: Interpolation::Bilinear,
    })?;
    let mut prompts = canvas.prompts.clone();
    if args.view_set == Some(ViewSetName::Full) {
        prompts = steep(prompts, &args.steep);
    }
    let (space, regions) = with_regions(args, panorama, &mut prompts)?;
    let start = start.map(|(_, rgb)| rgb);
    // As many texels to a latent cell as an RGB canvas has to a pixel.
    let latent = (method.medium() == Medium::Latent).then(|| Panorama::height_for(own.cells, field.fov, field.used));
    let latent_canvas = latent.map(|height| [height, 2 * height]);
    let scene = Scene { start, regions, latent_canvas, ..Scene::new(method, space, prompts) };
    let result = canvas.sample(&scene)?;
    let (sphere, written) = files.write(&canvas, &scene, &result)?;
    let layout = ReportLayout::Panorama { borders: set.borders(), fov: [field.fov, field.used] };
    canvas.finish(&scene, (&result, Some(&sphere)), written, &layout)
}

/// A whole sphere by six faces that turn in every step.
pub fn sphere(global: &Global, args: &SphereArgs) -> anyhow::Result<()> {
    let common = &args.canvas;
    let files = SphereFiles::check(&common.prompt.output, &args.output, common.prompt.force)?;
    let mut canvas = Canvas::open(global, common, "sphere")?;
    let method = Method::new(&common.method, canvas.wish())?;
    // Wider faces than used where neighbours ramp into each other.
    let feather = method.stochsync().is_some_and(|m| m.feather);
    let fov = args.fov.unwrap_or(if feather { 100.0 } else { 90.0 });
    let side = canvas.view_side();
    let height = args.pano_size.map_or_else(|| Panorama::height_for(side, fov, 90.0), |[height, _]| height);
    let seed = (!method.keeps_views()).then_some(canvas.seed);
    let space = Sphere::new(&SphereOptions { height, side, fov, seed, interpolation: Interpolation::Bilinear })?;
    let scene = Scene::new(method, Arc::new(space), steep(canvas.prompts.clone(), &args.steep));
    let result = canvas.sample(&scene)?;
    let (sphere, written) = files.write(&canvas, &scene, &result)?;
    canvas.finish(&scene, (&result, Some(&sphere)), written, &ReportLayout::Edges)
}

/// The prompts with what views of sky and ground show.
pub(super) fn steep(prompts: ViewPrompts, args: &SteepArgs) -> ViewPrompts {
    ViewPrompts { steep: Some([args.up_prompt.clone(), args.down_prompt.clone()]), beyond: STEEP, ..prompts }
}

/// Degrees that a view shows, and what is used of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) fov: f64,
    pub(super) used: f64,
}

impl Field {
    pub(super) fn new(method: &Method, fov: Option<f64>, used: Option<f64>) -> Self {
        let preset = method.preset.method();
        let fov = fov.unwrap_or(preset.fov);
        Self { fov, used: used.unwrap_or(preset.used_fov.min(fov)) }
    }
}

fn view_set(args: &PanoramaArgs, method: &Method, used_fov: f64, wish: Wish) -> anyhow::Result<ViewSet> {
    if args.view_set.is_none()
        && args.views.is_none()
        && let (MethodName::Sds | MethodName::Sdi | MethodName::Ism | MethodName::Csd, Some(row)) =
            (method.name, Row::named("sds"))
    {
        // Rings at another angle in each step: a canvas that is optimised keeps what its views never see.
        return Ok(row.views(&AblationSettings::for_latents(wish.cells, 0, wish.seed)));
    }
    let name = args.view_set.unwrap_or(match (&args.upscale, method.name) {
        (Some(_), _) => ViewSetName::Upscaling,
        (None, MethodName::SyncTweedies) => ViewSetName::Synctweedies,
        _ => ViewSetName::Paper,
    });
    let set = match name {
        ViewSetName::Paper => ViewSet::Rings { sets: 2, views: args.views.unwrap_or(5) },
        ViewSetName::Synctweedies => ViewSet::Rings { sets: 1, views: args.views.unwrap_or(8) },
        ViewSetName::Full | ViewSetName::Upscaling if args.views.is_some() => {
            return Err(
                Failure::usage("--views is the number of views of a ring; found a view set without rings").into()
            );
        }
        ViewSetName::Full => ViewSet::Full,
        ViewSetName::Upscaling => ViewSet::upscaling(),
    };
    Ok(if method.needs_all_views() { set.together(used_fov)? } else { set })
}

/// Every view once for each region, and the regions' weights.
fn with_regions(
    args: &PanoramaArgs,
    panorama: Panorama,
    prompts: &mut ViewPrompts,
) -> anyhow::Result<(Arc<dyn Space>, Option<Regions>)> {
    if args.region.is_empty() {
        return Ok((Arc::new(panorama), None));
    }
    // Without a prompt of its own the rest is nobody's, and must be empty.
    let rest = !prompts.prompt.is_empty();
    let (regions, rest) = sectors(&args.region, panorama.canvas_size(), rest)?;
    let own = args.region.iter().map(|region| prompt_text(&region.prompt));
    let own = own.collect::<anyhow::Result<Vec<_>>>()?;
    prompts.regions = if rest { std::iter::once(prompts.prompt.clone()).chain(own).collect() } else { own };
    let space = spaces::Regions::new(Box::new(panorama), regions.count)?;
    Ok((Arc::new(space), Some(regions)))
}

/// A panorama at twice its size: its new height and pixels.
fn twice(path: &Path) -> anyhow::Result<(usize, Vec<f32>)> {
    let raster = read_panorama(path)?;
    let [height, width] = raster.size;
    let mut rgb = resize(&raster, [2 * height, 2 * width], Edges::Wrap).rgb;
    rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    Ok((2 * height, rgb))
}

/// A picture twice as wide as high, as a display is told it.
pub(super) fn read_panorama(path: &Path) -> anyhow::Result<syncline::reproject::Raster> {
    let raster = read_picture(path)?.to_srgb().into_owned();
    let [height, width] = raster.size;
    if width != 2 * height {
        return Err(Failure::input(format!(
            "{}: found {width}x{height} pixels, expected a panorama twice as wide as high",
            path.display()
        ))
        .into());
    }
    Ok(raster)
}
