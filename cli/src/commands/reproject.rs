//! `reproject`.

mod source;

use std::path::PathBuf;

use syncline::kernels::gpu::Context;

use super::announce;
use crate::args::{Global, ReprojectArgs, Size};
use crate::device;
use crate::exit::Failure;
use crate::output::{
    Drawing, Embedded, EnvironmentFiles, Format, OutputError, Sphere, Target, Turn, format_of, viewer_page,
};

/// Height and width of a view where none are given.
const VIEW_SIZE: [usize; 2] = [768, 1024];

/// A 360° picture in another form.
pub fn run(global: &Global, args: &ReprojectArgs) -> anyhow::Result<()> {
    let wanted = Wanted::check(args)?;
    let viewer = args.environment.viewer.as_deref().map(|path| Target::check(path, args.force)).transpose()?;
    let (source, embedded) = source::read(args)?;
    let ctx = device::open(&args.adapter)?;
    let sphere = source.into_sphere(&ctx)?;
    tracing::info!("on {} ({})", ctx.adapter().name, ctx.adapter().driver);
    let turn = Turn { azimuth: args.azimuth, elevation: args.elevation, roll: args.roll };
    let drawing = Drawing { turn, samples: args.samples };
    let mut written = wanted.write(&ctx, &sphere, (args.size, &drawing), &embedded)?;
    if let Some(viewer) = viewer {
        let page = viewer_page(&ctx, &sphere, &drawing, &title(args))?;
        written.push(viewer.write(|w| w.write_all(page.as_bytes()))?);
    }
    announce(global, None, &written)
}

fn title(args: &ReprojectArgs) -> String {
    let name = args.input.first().and_then(|path| path.file_stem());
    name.map_or("Test card".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// What to write, checked before the work.
enum Wanted {
    Environment(EnvironmentFiles),
    View { target: Target, format: Format, fov: f64 },
}

impl Wanted {
    fn check(args: &ReprojectArgs) -> anyhow::Result<Self> {
        let Some(fov) = args.fov else {
            let files = EnvironmentFiles::check(&args.output, &args.environment, args.force)?;
            side(args.size, &files, 1)?;
            return Ok(Self::Environment(files));
        };
        let format = format_of(&args.output)?;
        if format == Format::Ktx2 {
            let (consumer, accepted) = ("a view".to_owned(), ".png .jpg .exr .hdr".to_owned());
            return Err(OutputError::NotTaken { consumer, accepted, found: ".ktx2".to_owned() }.into());
        }
        Ok(Self::View { target: Target::check(&args.output, args.force)?, format, fov })
    }

    fn write(
        &self,
        ctx: &Context,
        sphere: &Sphere,
        (size, drawing): (Option<Size>, &Drawing),
        embedded: &Embedded,
    ) -> anyhow::Result<Vec<PathBuf>> {
        match self {
            Self::Environment(files) => {
                let natural = if files.is_panorama() { sphere.panorama_height() } else { sphere.face_side() };
                files.write(ctx, sphere, (side(size, files, natural)?, drawing), embedded)
            }
            Self::View { target, format, fov } => {
                let size = match size {
                    None => VIEW_SIZE,
                    Some(Size::Side(side)) => [side; 2],
                    Some(Size::Pixels(size)) => size,
                };
                let view = sphere.view(ctx, *fov, size, drawing)?;
                let bytes = format.encode(&view, &Embedded { xmp: None, ..embedded.clone() })?;
                Ok(vec![target.write(|w| w.write_all(&bytes))?])
            }
        }
    }
}

/// Rows of a panorama or side of a face.
fn side(size: Option<Size>, files: &EnvironmentFiles, natural: usize) -> Result<usize, Failure> {
    match size {
        None => Ok(natural),
        Some(Size::Side(side)) => Ok(side),
        Some(Size::Pixels([height, width])) if files.is_panorama() && width == 2 * height => Ok(height),
        Some(Size::Pixels([height, width])) if !files.is_panorama() && width == height => Ok(height),
        Some(Size::Pixels([height, width])) => {
            let (expected, example) = if files.is_panorama() {
                ("a panorama twice as wide as high", format!("{}x{height}", 2 * height))
            } else {
                ("the side of a square face", height.to_string())
            };
            Err(Failure::usage(format!("size: found {width}x{height}, expected {expected}; give --size {example}")))
        }
    }
}
