//! A picture that surrounds the viewer, on its way into files.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use syncline::kernels::gpu::Context;
use syncline::reproject::{
    AHEAD, Edges, Perspective, Raster, Rotation, equirect_density, perspective, resize, samples_for, to_cube,
    to_equirect, turn, view_density,
};

use super::atomic::Target;
use super::consumer::Consumer;
use super::error::OutputError;
use super::file_set::FileSet;
use super::format::Format;
use super::gpano::GPano;
use super::ktx2;
use super::layout::Layout;
use super::picture::Picture;
use super::png::{Embedded, Rgb8};
use crate::args::EnvironmentArgs;

/// The whole sphere.
#[derive(Clone, Debug)]
pub enum Sphere {
    /// A 2:1 panorama.
    Panorama(Picture),
    /// Square faces of one size in the order and the orientation of [`Face`].
    Cube(Box<[Picture; 6]>),
}

/// Where the middle of the result looks, in degrees: to the right, upwards, about the line of sight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Turn {
    /// To the right.
    pub azimuth: f64,
    /// Upwards.
    pub elevation: f64,
    /// Clockwise.
    pub roll: f64,
}

impl Turn {
    fn rotation(self) -> Rotation {
        if self == Self::default() { AHEAD } else { turn(self.azimuth, self.elevation, self.roll) }
    }

    /// Columns of a level turn, where it is a whole number of them.
    fn columns(self, width: usize) -> Option<isize> {
        let columns = self.azimuth / 360.0 * width as f64;
        (self.elevation == 0.0 && self.roll == 0.0 && columns == columns.round()).then_some(columns as isize)
    }
}

/// How a sphere is drawn anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drawing {
    /// Where its middle looks.
    pub turn: Turn,
    /// Samples of a pixel in x and y; by the sizes, where not given.
    pub samples: Option<usize>,
}

impl Sphere {
    /// Pixels per radian, on average.
    fn density(&self) -> f64 {
        equirect_density(self.panorama_height())
    }

    /// Rows of a panorama that shows about as much.
    #[must_use]
    pub fn panorama_height(&self) -> usize {
        match self {
            Self::Panorama(picture) => picture.raster.size[0],
            Self::Cube(faces) => 2 * faces[0].raster.size[0],
        }
    }

    /// Side of a face that shows about as much.
    #[must_use]
    pub fn face_side(&self) -> usize {
        (self.panorama_height() / 2).max(1)
    }

    /// As a panorama.
    ///
    /// # Errors
    /// When memory or a limit of the adapter is exceeded.
    pub fn panorama(&self, ctx: &Context, height: usize, drawing: &Drawing) -> syncline::Result<Picture> {
        let size = [height, 2 * height];
        match self {
            Self::Panorama(picture) => {
                if let Some(columns) = drawing.turn.columns(picture.raster.size[1]) {
                    let turned = Picture { raster: rolled(&picture.raster, -columns), light: picture.light };
                    if turned.raster.size == size {
                        return Ok(turned);
                    }
                    return Ok(Picture::linear(resize(&turned.to_linear(), size, Edges::Wrap)));
                }
                let side = picture.raster.size[0].max(height);
                Self::Cube(Box::new(self.cube(ctx, side, &Drawing::default())?)).panorama(ctx, height, drawing)
            }
            Self::Cube(faces) => {
                let samples = drawing.samples.unwrap_or_else(|| samples_for(self.density(), equirect_density(height)));
                let light = faces.each_ref().map(|face| face.to_linear().into_owned());
                Ok(Picture::linear(to_equirect(ctx, &light, height, &drawing.turn.rotation(), samples)?))
            }
        }
    }

    /// As a cube.
    ///
    /// # Errors
    /// As [`Self::panorama`].
    pub fn cube(&self, ctx: &Context, side: usize, drawing: &Drawing) -> syncline::Result<[Picture; 6]> {
        match self {
            Self::Panorama(picture) => {
                let drawn = || samples_for(self.density(), equirect_density(2 * side));
                let samples = drawing.samples.unwrap_or_else(drawn);
                let faces = to_cube(ctx, &picture.to_linear(), side, &drawing.turn.rotation(), samples)?;
                Ok(faces.map(Picture::linear))
            }
            Self::Cube(faces) if drawing.turn != Turn::default() => {
                let samples = Drawing { turn: Turn::default(), samples: drawing.samples };
                let height = 2 * faces[0].raster.size[0].max(side);
                Self::Panorama(self.panorama(ctx, height, drawing)?).cube(ctx, side, &samples)
            }
            Self::Cube(faces) if faces[0].raster.size[0] == side => Ok((**faces).clone()),
            Self::Cube(faces) => {
                let resized = |face: &Picture| resize(&face.to_linear(), [side; 2], Edges::Clamp);
                Ok(faces.each_ref().map(|face| Picture::linear(resized(face))))
            }
        }
    }

    /// A perspective view with a vertical field in degrees.
    ///
    /// # Errors
    /// As [`Self::panorama`]; for a field outside 1 to 170 degrees.
    pub fn view(&self, ctx: &Context, fov: f64, size: [usize; 2], drawing: &Drawing) -> syncline::Result<Picture> {
        let canvas = match self {
            Self::Panorama(picture) => picture.to_linear().into_owned(),
            Self::Cube(_) => self.panorama(ctx, self.panorama_height(), &Drawing::default())?.raster,
        };
        let samples = drawing.samples.unwrap_or_else(|| samples_for(self.density(), view_density(size[0], fov)));
        let view = Perspective { rotation: drawing.turn.rotation(), fov, size };
        Ok(Picture::linear(perspective(ctx, &canvas, &view, samples)?))
    }
}

/// Columns moved to the right, around the back.
fn rolled(raster: &Raster, columns: isize) -> Raster {
    let width = raster.size[1];
    let by = columns.rem_euclid(width as isize) as usize;
    let mut rgb = raster.rgb.clone();
    rgb.chunks_exact_mut(width * 3).for_each(|line| line.rotate_right(3 * by));
    Raster::new(raster.size, rgb)
}

/// The panorama with its middle at `front` quarters of the width.
pub fn with_front_at(picture: &Picture, front: u8) -> Picture {
    let quarters = (front as isize - 2) * picture.raster.size[1] as isize;
    let columns = quarters.div_euclid(4);
    if quarters % 4 == 0 {
        return Picture { raster: rolled(&picture.raster, columns), light: picture.light };
    }
    // An odd height: a quarter of the width ends in the middle of a column.
    let light = picture.to_linear();
    let (left, right) = (rolled(&light, columns), rolled(&light, columns + 1));
    let mean = left.rgb.iter().zip(&right.rgb).map(|(a, b)| 0.5 * (a + b)).collect();
    Picture::linear(Raster::new(light.size, mean))
}

/// Checked names of the files that hold a sphere, and what is in them.
#[derive(Clone, Debug)]
pub struct EnvironmentFiles {
    format: Format,
    layout: Layout,
    consumer: Consumer,
    files: Files,
}

#[derive(Clone, Debug)]
enum Files {
    One(Target),
    Six(FileSet),
}

impl EnvironmentFiles {
    /// Before the work: whether the name's end, the layout and the consumer go together, and the files can be made.
    ///
    /// # Errors
    /// When not.
    pub fn check(path: &Path, args: &EnvironmentArgs, force: bool) -> Result<Self, OutputError> {
        let format = format_of(path)?;
        let consumer = Consumer::of(args.consumer);
        let layout = consumer.layout(args.layout, format).ok_or_else(|| {
            let name = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
            let asked = args.layout.and_then(|layout| name(layout.to_possible_value()));
            OutputError::NotTaken {
                consumer: args.consumer.and_then(|c| name(c.to_possible_value())).unwrap_or("syncline".into()),
                accepted: consumer.accepted(),
                found: format!("{} .{}", asked.as_deref().unwrap_or("any layout as"), format.extension()),
            }
        })?;
        let suffixes = consumer.faces.map(|slot| slot.suffix);
        let files = match layout {
            Layout::Faces if format != Format::Ktx2 => Files::Six(FileSet::check(path, &suffixes, force)?),
            _ => Files::One(Target::check(path, force)?),
        };
        Ok(Self { format, layout, consumer, files })
    }

    /// Whether the files hold a panorama.
    #[must_use]
    pub fn is_panorama(&self) -> bool {
        self.layout == Layout::Equirect
    }

    /// Writes a panorama of `side` rows, or faces of that side. What `embedded` says about the origin goes into PNG files.
    ///
    /// # Errors
    /// When drawing, encoding or writing fails; then no file exists.
    pub fn write(
        &self,
        ctx: &Context,
        sphere: &Sphere,
        (side, drawing): (usize, &Drawing),
        embedded: &Embedded,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let origin = Embedded { xmp: None, ..embedded.clone() };
        if self.is_panorama() {
            let picture = with_front_at(&sphere.panorama(ctx, side, drawing)?, self.consumer.front);
            let [height, width] = picture.raster.size;
            let heading = 90.0 * (2.0 - f64::from(self.consumer.front));
            let xmp = Some(GPano::whole(width, height, heading).to_xmp());
            let bytes = self.format.encode(&picture, &Embedded { xmp, ..origin })?;
            return Ok(self.store(&[bytes])?);
        }
        let faces = sphere.cube(ctx, side, drawing)?;
        let slots = self.consumer.faces.map(|slot| faces[slot.face as usize].turned(slot.turns));
        if self.format == Format::Ktx2 {
            return Ok(self.store(&[ktx2::encode(&mip_levels(&slots)?)])?);
        }
        let pictures = match self.layout.assemble(&slots) {
            Some(sheet) => vec![sheet],
            None => slots.to_vec(),
        };
        let bytes = pictures.iter().map(|p| self.format.encode(p, &origin)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.store(&bytes)?)
    }

    fn store(&self, contents: &[Vec<u8>]) -> Result<Vec<PathBuf>, OutputError> {
        match &self.files {
            Files::One(target) => Ok(vec![target.write(|w| w.write_all(&contents[0]))?]),
            Files::Six(set) => set.write(contents),
        }
    }
}

/// The format that a name asks for.
///
/// # Errors
/// [`OutputError::NoFormat`].
pub fn format_of(path: &Path) -> Result<Format, OutputError> {
    Format::of(path).ok_or_else(|| {
        let found = path.extension().map_or("nothing".to_owned(), |e| format!(".{}", e.to_string_lossy()));
        OutputError::NoFormat { path: path.to_owned(), found }
    })
}

/// Faces and their halves down to one pixel, averaged as light.
fn mip_levels(faces: &[Picture; 6]) -> Result<Vec<[Rgb8; 6]>, OutputError> {
    let mut level = faces.each_ref().map(|face| face.to_linear().into_owned());
    let mut levels = Vec::new();
    loop {
        let [first, second, third, fourth, fifth, sixth] =
            level.each_ref().map(|face| Picture::linear(face.clone()).to_rgb8());
        levels.push([first?, second?, third?, fourth?, fifth?, sixth?]);
        let side = level[0].size[0];
        if side == 1 {
            return Ok(levels);
        }
        level = level.each_ref().map(|face| resize(face, [side / 2; 2], Edges::Clamp));
    }
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
