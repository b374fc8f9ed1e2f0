//! The two kernels, called for pictures of any size.

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::ops::fuse_views::{FuseScalars, FuseViews, Weight, fuse_views, fuse_views_bands};
use syncline_kernels::ops::project_renoise::{
    ProjectRenoise, Projection, RenoiseScalars, project_renoise, project_renoise_bands,
};
use syncline_kernels::ops::views::{Camera, Geometry, Interpolation, Lens, rotation, upload_words};
use syncline_kernels::tensor::{Elem, Tensor};

use super::{Perspective, Raster, Rotation};
use crate::error::Result;

/// Pixels of a band of a view: 32 MiB on the device, whatever the view's size.
const BAND_PIXELS: usize = 1 << 21;

/// Faces overlap by this fraction of a tangent, so that no texel falls between two of them by rounding.
const OVERLAP: f32 = 1e-5;

/// A turn to an azimuth (to the right) and an elevation (upwards) after a roll about the line of sight, in degrees.
#[must_use]
pub fn turn(azimuth: f64, elevation: f64, roll: f64) -> Rotation {
    rotation(azimuth.to_radians(), elevation.to_radians(), roll.to_radians())
}

/// Cameras over an equirectangular canvas.
fn lens(words: &Tensor) -> Lens<'_> {
    Lens { geometry: Geometry::Equirect, interpolation: Interpolation::Bilinear, words }
}

/// A panorama on the device: whole, or four bands of equally many rows where one binding is too small for it.
struct Canvas {
    bands: Vec<Tensor>,
}

impl Canvas {
    fn upload(ctx: &Context, [height, width]: [usize; 2], rgb: &[f32]) -> Result<Self> {
        let count = if fits_whole(ctx, [height, width]) || height % 4 != 0 { 1 } else { 4 };
        let dims = [height / count, width, 3];
        let band = |values: &[f32]| ctx.upload_named("panorama", values, &dims, Elem::F32);
        Ok(Self { bands: rgb.chunks(rgb.len() / count).map(band).collect::<Result<_, _>>()? })
    }

    /// The bands below the first.
    fn below(&self) -> Option<[&Tensor; 3]> {
        self.bands.get(1..)?.iter().collect::<Vec<_>>().try_into().ok()
    }

    fn read(&self, ctx: &Context) -> Result<Vec<f32>> {
        let mut rgb = Vec::new();
        for band in &self.bands {
            rgb.extend(ctx.read(band)?);
        }
        Ok(rgb)
    }
}

/// A band of a view, recorded once and replayed for every band, view and sample.
struct Band {
    cameras: Tensor,
    pixels: Tensor,
    recording: Recording,
    rows: usize,
    width: usize,
}

impl Band {
    fn new(ctx: &Context, canvas: &Raster, [height, width]: [usize; 2]) -> Result<Self> {
        let rows = (BAND_PIXELS / width).clamp(1, height);
        let source = Canvas::upload(ctx, canvas.size, &canvas.rgb)?;
        let placeholder = Camera::centred(super::AHEAD, 1.0, [width, rows]);
        let cameras = upload_words(ctx, &[placeholder.words()])?;
        let views = ctx.upload_u32(&[0], &[1])?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("reproject");
        let size = [rows, width];
        let projection = Projection::Views { lens: lens(&cameras), size };
        let (canvas, scalars) = (&source.bands[0], RenoiseScalars::default());
        let project = ProjectRenoise { canvas, projection, views: &views, scalars, elem: Elem::F32 };
        let (pixels, _) = match source.below() {
            Some(below) => project_renoise_bands(&mut rec, &project, below),
            None => project_renoise(&mut rec, &project),
        };
        let pixels = rec.keep(&pixels)?;
        Ok(Self { recording: rec.finish()?, cameras, pixels, rows, width })
    }

    /// Pixels of the band from `top` on of a view, as seen through its pixels' centres + `shift`.
    fn draw(&mut self, ctx: &Context, view: &Perspective, top: usize, shift: [f64; 2]) -> Result<Vec<f32>> {
        let [height, width] = view.size.map(|n| n as f64);
        let whole = Camera::centred(view.rotation, view.fov.to_radians(), [view.size[1], view.size[0]]);
        let camera = Camera {
            principal_px: [(0.5 * width - shift[0]) as f32, (0.5 * height - top as f64 - shift[1]) as f32],
            size_px: [self.width as f32, self.rows as f32],
            ..whole
        };
        ctx.write(&self.cameras, &camera.words().numbers)?;
        self.recording.run()?;
        Ok(ctx.read(&self.pixels)?)
    }
}

/// Views of one size out of an equirectangular picture, each pixel the mean of `samples` × `samples` bilinear samples.
pub(super) fn project(ctx: &Context, canvas: &Raster, views: &[Perspective], samples: usize) -> Result<Vec<Raster>> {
    let size = views[0].size;
    let mut band = Band::new(ctx, canvas, size)?;
    let share = 1.0 / (samples * samples) as f32;
    let shift = |i: usize| (i as f64 + 0.5) / samples as f64 - 0.5;
    let mut results = Vec::with_capacity(views.len());
    for view in views {
        let mut rgb = vec![0.0; size[0] * size[1] * 3];
        for (index, rows) in rgb.chunks_mut(band.rows * size[1] * 3).enumerate() {
            for sample in 0..samples * samples {
                let shift = [shift(sample % samples), shift(sample / samples)];
                let values = band.draw(ctx, view, index * band.rows, shift)?;
                // The last band may reach below the view.
                rows.iter_mut().zip(&values).for_each(|(sum, value)| *sum += share * value);
            }
        }
        results.push(Raster::new(size, rgb));
    }
    Ok(results)
}

/// A face with a border of one pixel as a view of the sphere, turned by `rotation`.
pub(super) fn bordered_face(side: usize, rotation: &Rotation) -> Camera {
    let focal_px = 0.5 * (side - 2) as f32;
    Camera { focal_px, used_tan: [1.0 + OVERLAP; 2], ..Camera::centred(*rotation, 1.0, [side; 2]) }
}

/// A picture that looks ahead with a vertical field in degrees.
pub(super) fn photograph(view: &Raster, fov: f64) -> Camera {
    Camera::centred(super::AHEAD, fov.to_radians(), [view.size[1], view.size[0]])
}

/// The equirectangular picture of views of one size, one after the other; black where no view is.
pub(super) fn fuse(ctx: &Context, views: &[(&Raster, Camera)], [height, width]: [usize; 2]) -> Result<Raster> {
    let [view_height, view_width] = views[0].0.size;
    let canvas = Canvas::upload(ctx, [height, width], &vec![0.0; height * width * 3])?;
    let coverage = ctx.tensor(&[height, width], Elem::F32)?;
    let view = ctx.upload_named("view", &views[0].0.rgb, &[1, view_height, view_width, 3], Elem::F32)?;
    let cameras = upload_words(ctx, &[views[0].1.words()])?;
    let mut rec = Recorder::new(ctx);
    rec.set_layer("reproject");
    let fuse = FuseViews {
        canvas: &canvas.bands[0],
        coverage: &coverage,
        views: &view,
        lens: lens(&cameras),
        regions: None,
        weight: Weight::Count,
        scalars: FuseScalars::default(),
    };
    match canvas.below() {
        Some(below) => fuse_views_bands(&mut rec, &fuse, below),
        None => fuse_views(&mut rec, &fuse),
    };
    let mut recording = rec.finish()?;
    for (raster, camera) in views {
        ctx.write(&view, &raster.rgb)?;
        ctx.write(&cameras, &camera.words().numbers)?;
        recording.run()?;
    }
    Ok(Raster::new([height, width], canvas.read(ctx)?))
}

/// Whether the adapter can bind a panorama of this size in one binding.
fn fits_whole(ctx: &Context, [height, width]: [usize; 2]) -> bool {
    // Four f32 a pixel.
    let caps = ctx.caps();
    (16 * height * width) as u64 <= caps.max_binding.min(caps.max_buffer)
}

/// Whether it can in one or four, and the kernels count that far: 2¹⁶ rows and columns, 2³⁰ pixels of four elements.
pub(super) fn fits(ctx: &Context, [height, width]: [usize; 2]) -> bool {
    let counted = height.max(width) <= 1 << 16 && height * width <= 1 << 30;
    counted && (fits_whole(ctx, [height, width]) || height % 4 == 0 && fits_whole(ctx, [height / 4, width]))
}
