//! The whole sphere from one picture form into another: equirectangular, six cube faces, perspective views. On the GPU,
//! with the kernels that panoramas are sampled with; values are taken as they are (give linear light).
//!
//! Conventions as everywhere: x right, y down, z forward; azimuth grows to the right, elevation upwards; the middle of an
//! equirectangular picture looks forward. A *turn* says where the middle of the result looks in the source.

mod faces;
mod gpu;
mod resize;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use syncline_kernels::gpu::Context;

use crate::error::{Error, Result};

pub use faces::Face;
pub use gpu::turn;
pub use resize::{Edges, resize};

/// Camera or sphere to world, by rows.
pub type Rotation = [[f64; 3]; 3];

/// No turn.
pub const AHEAD: Rotation = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Longest side of any picture here.
pub const MAX_SIDE: usize = 16384;

/// Most samples of a pixel in x and in y.
pub const MAX_SAMPLES: usize = 8;

/// RGB values, interleaved, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Height and width.
    pub size: [usize; 2],
    /// `height * width * 3` values.
    pub rgb: Vec<f32>,
}

impl Raster {
    /// # Panics
    /// When `rgb` does not fill `size`.
    #[must_use]
    pub fn new(size: [usize; 2], rgb: Vec<f32>) -> Self {
        assert_eq!(rgb.len(), size[0] * size[1] * 3, "raster of {size:?}");
        Self { size, rgb }
    }

    /// The pixel in a row and a column.
    #[must_use]
    pub fn pixel(&self, row: usize, column: usize) -> [f32; 3] {
        let at = 3 * (row * self.size[1] + column);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }
}

/// A pinhole view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perspective {
    /// Camera to world.
    pub rotation: Rotation,
    /// Vertical field in degrees.
    pub fov: f64,
    /// Height and width in pixels.
    pub size: [usize; 2],
}

/// Samples of a pixel in x and y that keep detail from flickering when the result has fewer pixels per angle than the
/// source: one per source pixel, at most [`MAX_SAMPLES`].
#[must_use]
pub fn samples_for(source_per_radian: f64, result_per_radian: f64) -> usize {
    // A quarter more source pixels than result pixels is what bilinear sampling averages by itself.
    ((source_per_radian / result_per_radian - 0.25).ceil().max(1.0) as usize).min(MAX_SAMPLES)
}

/// Pixels per radian in the middle of a view.
#[must_use]
pub fn view_density(height: usize, fov: f64) -> f64 {
    0.5 * height as f64 / (0.5 * fov.to_radians()).tan()
}

/// Pixels per radian at the equator of an equirectangular picture.
#[must_use]
pub fn equirect_density(height: usize) -> f64 {
    height as f64 / std::f64::consts::PI
}

/// A perspective view of an equirectangular picture; `samples` squared samples a pixel.
///
/// # Errors
/// For fields outside 1 to 170 degrees and sizes outside 1 to [`MAX_SIDE`]; when memory or a limit of the adapter is exceeded.
pub fn perspective(ctx: &Context, canvas: &Raster, view: &Perspective, samples: usize) -> Result<Raster> {
    check_size("view size", view.size)?;
    check_fov(view.fov)?;
    check_samples(samples)?;
    let (canvas, samples) = fitting(&|size| gpu::fits(ctx, size), canvas, samples);
    let views = gpu::project(ctx, &canvas, std::slice::from_ref(view), samples)?;
    views.into_iter().next().ok_or_else(|| input("views", "none".to_owned(), "one"))
}

/// The six cube faces of an equirectangular picture in the order of [`Face::ALL`], each as seen from inside with `up` upwards
/// (up and down: with the front at the lower and upper edge).
///
/// # Errors
/// As [`perspective`].
pub fn to_cube(ctx: &Context, canvas: &Raster, side: usize, turn: &Rotation, samples: usize) -> Result<[Raster; 6]> {
    check_size("face size", [side; 2])?;
    check_samples(samples)?;
    let view = |face: Face| Perspective { rotation: product(turn, &face.rotation()), fov: 90.0, size: [side; 2] };
    let (canvas, samples) = fitting(&|size| gpu::fits(ctx, size), canvas, samples);
    let views = gpu::project(ctx, &canvas, &Face::ALL.map(view), samples)?;
    views.try_into().map_err(|_| input("views", "another number".to_owned(), "six"))
}

/// The equirectangular picture of six cube faces, `height` rows and twice as many columns. Faces continue into each other:
/// no seam at their edges.
///
/// # Errors
/// When faces are not square or not of one size; as [`perspective`].
pub fn to_equirect(
    ctx: &Context,
    faces: &[Raster; 6],
    height: usize,
    turn: &Rotation,
    samples: usize,
) -> Result<Raster> {
    check_size("panorama size", [height, 2 * height])?;
    check_samples(samples)?;
    let side = faces[0].size[0];
    if let Some(odd) = faces.iter().find(|face| face.size != [side; 2]) {
        return Err(input(
            "cube face",
            format!("{}x{}", odd.size[1], odd.size[0]),
            &format!("{side}x{side} as the first"),
        ));
    }
    let (mut faces, mut samples) = (Cow::Borrowed(faces), samples);
    // What more samples would average can be averaged before, where the larger picture is too large for the adapter.
    while samples > 1 && !gpu::fits(ctx, [height * samples, 2 * height * samples]) {
        let half = faces[0].size.map(|n| n.div_ceil(2));
        faces = Cow::Owned(faces.each_ref().map(|face| resize(face, half, Edges::Clamp)));
        samples = samples.div_ceil(2);
    }
    let back = [0, 1, 2].map(|row| [0, 1, 2].map(|column| turn[column][row]));
    let bordered = Face::ALL.map(|face| faces::with_border(&faces, face));
    let camera = |face: Face| gpu::bordered_face(bordered[0].size[0], &product(&back, &face.rotation()));
    let views = Face::ALL.map(|face| (&bordered[face as usize], camera(face)));
    let canvas = gpu::fuse(ctx, &views, [height * samples, 2 * height * samples])?;
    Ok(if samples == 1 { canvas } else { resize(&canvas, [height, 2 * height], Edges::Wrap) })
}

/// The equirectangular picture that shows `view` ahead, with a vertical field in degrees, and black all around it.
///
/// # Errors
/// As [`perspective`].
pub fn from_perspective(ctx: &Context, view: &Raster, fov: f64, height: usize) -> Result<Raster> {
    check_size("panorama size", [height, 2 * height])?;
    check_fov(fov)?;
    gpu::fuse(ctx, &[(view, gpu::photograph(view, fov))], [height, 2 * height])
}

/// A picture that the adapter can bind: four bands need a multiple of four rows. At half its size, once or more often, where the adapter could not bind it and several samples would be averaged
/// anyway; with as many samples fewer.
fn fitting<'a>(fits: &dyn Fn([usize; 2]) -> bool, canvas: &'a Raster, samples: usize) -> (Cow<'a, Raster>, usize) {
    let (mut canvas, mut samples) = (Cow::Borrowed(canvas), samples);
    while !fits(canvas.size) {
        let [height, width] = canvas.size;
        let rows = height.next_multiple_of(4);
        let size = if rows != height && fits([rows, width]) {
            [rows, width]
        } else if samples > 1 {
            samples = samples.div_ceil(2);
            [height.div_ceil(2), width.div_ceil(2)]
        } else {
            break;
        };
        canvas = Cow::Owned(resize(&canvas, size, Edges::Wrap));
    }
    (canvas, samples)
}

/// `a · b`.
#[must_use]
pub fn product(a: &Rotation, b: &Rotation) -> Rotation {
    a.map(|row| [0, 1, 2].map(|j| (0..3).map(|k| row[k] * b[k][j]).sum()))
}

fn check_size(what: &'static str, [height, width]: [usize; 2]) -> Result<()> {
    if (1..=MAX_SIDE).contains(&height) && (1..=MAX_SIDE).contains(&width) {
        return Ok(());
    }
    Err(input(what, format!("{width}x{height}"), &format!("1 to {MAX_SIDE} pixels a side")))
}

fn check_fov(fov: f64) -> Result<()> {
    if (1.0..=170.0).contains(&fov) {
        return Ok(());
    }
    Err(input("fov", fov.to_string(), "1 to 170 degrees"))
}

fn check_samples(samples: usize) -> Result<()> {
    if (1..=MAX_SAMPLES).contains(&samples) {
        return Ok(());
    }
    Err(input("samples", samples.to_string(), &format!("1 to {MAX_SAMPLES}")))
}

fn input(what: &'static str, found: String, expected: &str) -> Error {
    Error::Input { what, found, expected: expected.to_owned() }
}
