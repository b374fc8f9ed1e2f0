//! `inpaint`.

use std::path::Path;
use std::sync::Arc;

use syncline::jobs::{Keep, ViewPrompts};
use syncline::reproject::Raster;
use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::windows::{Windows, WindowsOptions};
use syncline::spaces::{Interpolation, Space};

use super::canvas::{Canvas, FlatFile, Method, ReportLayout, Scene, SphereFiles, Wish};
use super::panorama::{Field, read_panorama, steep};
use crate::args::{Global, InpaintArgs, SteepArgs};
use crate::exit::Failure;
use crate::input::read_picture;

/// Where the result goes.
enum Output<'a> {
    Flat(FlatFile),
    Sphere(Box<SphereFiles<'a>>),
}

/// A part of a picture drawn anew.
pub fn run(global: &Global, args: &InpaintArgs) -> anyhow::Result<()> {
    let common = &args.canvas;
    let (path, force) = (&common.prompt.output, common.prompt.force);
    let output = if args.panorama {
        Output::Sphere(Box::new(SphereFiles::check(path, &args.output, force)?))
    } else {
        refuse_sphere_flags(args)?;
        Output::Flat(FlatFile::check(path, force)?)
    };
    let (size, keep) = read(args)?;
    let mut canvas = Canvas::open(global, common, "inpaint")?;
    let method = Method::new(&common.method, Wish { inpaint: true, feather: args.panorama, ..canvas.wish() })?;
    let (space, prompts) = if args.panorama { around(&canvas, &method, size)? } else { windows(args, &canvas, size)? };
    let scene = Scene { keep: Some(keep), ..Scene::new(method, space, prompts) };
    let result = canvas.sample(&scene)?;
    let (sphere, written) = match &output {
        Output::Flat(file) => (None, file.write(&canvas, &scene, &result)?),
        Output::Sphere(files) => {
            let (sphere, written) = files.write(&canvas, &scene, &result)?;
            (Some(sphere), written)
        }
    };
    canvas.finish(&scene, (&result, sphere.as_ref()), written, &ReportLayout::Edges)
}

type Place = (Arc<dyn Space>, ViewPrompts);

fn windows(args: &InpaintArgs, canvas: &Canvas<'_>, size: [usize; 2]) -> anyhow::Result<Place> {
    let side = canvas.view_side();
    let space = Windows::new(&WindowsOptions {
        canvas: size,
        window: [side; 2],
        stride: [args.stride.unwrap_or(side / 2); 2],
        wrap: [false, false],
        align: canvas.model.downscale(),
        ..WindowsOptions::default()
    })?;
    Ok((Arc::new(space), canvas.prompts.clone()))
}

fn around(canvas: &Canvas<'_>, method: &Method, [height, _]: [usize; 2]) -> anyhow::Result<Place> {
    let field = Field::new(method, None, None);
    let views = if method.needs_all_views() { ViewSet::Full.together(field.used)? } else { ViewSet::Full };
    let space = Panorama::new(&PanoramaOptions {
        height,
        view_side: canvas.view_side(),
        fov: field.fov,
        used_fov: field.used,
        views,
        interpolation: Interpolation::Bilinear,
    })?;
    Ok((Arc::new(space), steep(canvas.prompts.clone(), &SteepArgs::default())))
}

fn refuse_sphere_flags(args: &InpaintArgs) -> Result<(), Failure> {
    let environment = &args.output.environment;
    let given = [
        ("--for", environment.consumer.is_some()),
        ("--layout", environment.layout.is_some()),
        ("--viewer", environment.viewer.is_some()),
        ("--face-size", args.output.face_size.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Failure::usage(format!("{flag} is for pictures all around; found it without --panorama")))
        }
        None => Ok(()),
    }
}

/// Size, picture and mask.
fn read(args: &InpaintArgs) -> anyhow::Result<([usize; 2], Keep)> {
    let picture = if args.panorama { read_panorama(&args.init_img)? } else { read_srgb(&args.init_img)? };
    let mask = free_mask(&args.mask, picture.size, &args.init_img)?;
    Ok((picture.size, Keep { rgb: picture.rgb.iter().map(|v| v.clamp(0.0, 1.0)).collect(), mask }))
}

/// The mask of a picture of `[height, width]`: 1 where it is white, 0 elsewhere.
///
/// # Errors
/// When it is no picture, of another size, or leaves nothing to do or nothing to keep.
pub(super) fn free_mask(path: &Path, [height, width]: [usize; 2], picture: &Path) -> anyhow::Result<Vec<f32>> {
    let mask = read_srgb(path)?;
    let refuse = |found: String, expected: &str| {
        Failure::input(format!("mask {}: found {found}, expected {expected}", path.display()))
    };
    if mask.size != [height, width] {
        let found = format!("{}x{} pixels", mask.size[1], mask.size[0]);
        return Err(refuse(found, &format!("{width}x{height} as {}", picture.display())).into());
    }
    // Grey of at least one half counts as white.
    let free: Vec<f32> = mask.rgb.chunks_exact(3).map(|p| f32::from(u8::from(p.iter().sum::<f32>() >= 1.5))).collect();
    let white = free.iter().filter(|v| **v > 0.5).count();
    if white == 0 {
        return Err(refuse(
            format!("no white among {} pixels", free.len()),
            "white where the picture is to be drawn anew",
        )
        .into());
    }
    if white == free.len() {
        let found = format!("nothing but white, {white} pixels");
        return Err(refuse(
            found,
            "black where the picture is to be kept; a whole new picture is for txt2img, tile or panorama",
        )
        .into());
    }
    Ok(free)
}

pub(super) fn read_srgb(path: &Path) -> anyhow::Result<Raster> {
    Ok(read_picture(path)?.to_srgb().into_owned())
}
