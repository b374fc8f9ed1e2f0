//! Pictures from disk, within limits.

use std::path::Path;

use image::ImageFormat;
use syncline::reproject::Raster;

use crate::exit::Failure;
use crate::output::Picture;

/// Longest side of a picture.
const MAX_SIDE: u32 = 16384;

/// Most bytes of its pixels while it is decoded.
const MAX_BYTES: u64 = 2 << 30;

/// A PNG, JPEG, WebP, EXR or HDR picture; the latter two hold light, all others what a display is told.
///
/// # Errors
/// With code 3 for anything else, and for pictures without pixels or with NaN or infinite ones.
pub fn read_picture(path: &Path) -> anyhow::Result<Picture> {
    let refuse = |e: String| {
        Failure::input(format!(
            "{}: {e}; give a PNG, JPEG or WebP picture, or linear light as EXR or HDR",
            path.display()
        ))
    };
    let mut reader = image::ImageReader::open(path).map_err(|e| refuse(e.to_string()))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(|e| refuse(e.to_string()))?;
    let format = reader.format();
    let rgb = reader.decode().map_err(|e| refuse(e.to_string()))?.to_rgb32f();
    let size = [rgb.height() as usize, rgb.width() as usize];
    if size.contains(&0) {
        return Err(refuse(format!("{}x{} pixels", size[1], size[0])).into());
    }
    if let Some(first) = rgb.as_raw().iter().position(|v| !v.is_finite()) {
        let (x, y) = (first / 3 % size[1], first / 3 / size[1]);
        return Err(refuse(format!("NaN or infinity at x {x}, y {y}")).into());
    }
    let raster = Raster::new(size, rgb.into_raw());
    let linear = matches!(format, Some(ImageFormat::OpenExr | ImageFormat::Hdr));
    Ok(if linear { Picture::linear(raster) } else { Picture::srgb(raster) })
}
