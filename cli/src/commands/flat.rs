//! `tile` and `torus`.

use std::sync::Arc;

use syncline::methods::{Finish, Medium};
use syncline::spaces::Interpolation;
use syncline::spaces::torus::{Torus, TorusOptions};
use syncline::spaces::windows::{WindowSets, Windows, WindowsOptions};

use super::canvas::{Canvas, FlatFile, Method, ReportLayout, Scene, Wish};
use crate::args::{Global, MethodName, TileArgs, TorusArgs, WrapName};
use crate::exit::Failure;

/// A texture that continues itself, or a picture larger than the model draws.
pub fn tile(global: &Global, args: &TileArgs) -> anyhow::Result<()> {
    let common = &args.canvas;
    let file = FlatFile::check(&common.prompt.output, common.prompt.force)?;
    let mut canvas = Canvas::open(global, common, "tile")?;
    let side = canvas.view_side();
    let wrap = match args.wrap {
        WrapName::X => [false, true],
        WrapName::Y => [true, false],
        WrapName::Xy => [true, true],
        WrapName::None => [false, false],
    };
    let wish = Wish {
        method: MethodName::MultiDiffusion,
        medium: Medium::Latent,
        finish: Finish::Whole,
        feather: false,
        ..canvas.wish()
    };
    let method = Method::new(&common.method, wish)?;
    let shifts = wrap != [false, false] && !method.keeps_views();
    let stride = wrap.map(|wraps| args.stride.unwrap_or(if wraps && shifts { side } else { side / 2 }));
    let space = Windows::new(&WindowsOptions {
        canvas: [args.height.unwrap_or(2 * side), args.width.unwrap_or(2 * side)],
        window: [side; 2],
        stride,
        wrap,
        sets: if shifts { WindowSets::Random { seed: canvas.seed } } else { WindowSets::Same },
        align: canvas.model.downscale(),
        interpolation: Interpolation::Nearest,
    })?;
    let scene = Scene::new(method, Arc::new(space), canvas.prompts.clone());
    let result = canvas.sample(&scene)?;
    let written = file.write(&canvas, &scene, &result)?;
    canvas.finish(&scene, (&result, None), written, &ReportLayout::Edges)
}

/// The texture of a torus.
pub fn torus(global: &Global, args: &TorusArgs) -> anyhow::Result<()> {
    let common = &args.canvas;
    let file = FlatFile::check(&common.prompt.output, common.prompt.force)?;
    let mut canvas = Canvas::open(global, common, "torus")?;
    let side = canvas.view_side();
    let method = Method::new(&common.method, Wish { feather: false, ..canvas.wish() })?;
    if method.needs_all_views() {
        return Err(Failure::usage(format!(
            "method: found {}, expected stochsync with fresh noise, independent, sds, sdi, ism or csd: patches of a torus \
             move in every step, and no step shows all of it",
            method.name.name()
        ))
        .into());
    }
    // A quarter more than patches have pixels, so that little is lost on the way through the canvas.
    // Clamped before it is an integer: an angle that the torus will refuse may give any number here.
    let fits = |degrees: f64| (1.25 * side as f64 * 360.0 / degrees / 32.0).ceil().clamp(1.0, 2048.0) as usize * 32;
    let wide = 0.5 * args.fov * (1.0 - 1.0 / args.ratio);
    let size = [args.height.unwrap_or_else(|| fits(args.fov)), args.width.unwrap_or_else(|| fits(wide))];
    let (ratio, fov, interpolation) = (args.ratio, args.fov, Interpolation::Bilinear);
    let space = Torus::new(&TorusOptions { canvas: size, side, ratio, fov, interpolation })?;
    let scene = Scene::new(method, Arc::new(space), canvas.prompts.clone());
    let result = canvas.sample(&scene)?;
    let written = file.write(&canvas, &scene, &result)?;
    canvas.finish(&scene, (&result, None), written, &ReportLayout::Edges)
}
