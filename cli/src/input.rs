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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Embedded, Format, test_card};
    use syncline::reproject::{Edges, resize};

    fn small() -> Picture {
        Picture::linear(resize(&test_card().to_linear(), [6, 12], Edges::Wrap))
    }

    #[test]
    fn floats_are_light_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let picture = small();
        for (format, tolerance) in [(Format::Exr, 1e-3), (Format::Hdr, 1e-2), (Format::Png, 1e-2)] {
            let path = dir.path().join(format!("a.{}", format.extension()));
            std::fs::write(&path, format.encode(&picture, &Embedded::default()).unwrap()).unwrap();
            let read = read_picture(&path).unwrap().to_linear().into_owned();
            assert_eq!(read.size, [6, 12]);
            assert!(read.rgb.iter().zip(&picture.raster.rgb).all(|(a, b)| (a - b).abs() < tolerance), "{format:?}");
        }
    }

    #[test]
    fn light_that_is_no_number_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut rgb = image::Rgb32FImage::new(4, 2);
        rgb.put_pixel(3, 1, image::Rgb([0.0, f32::NAN, 0.0]));
        let path = dir.path().join("a.exr");
        rgb.save(&path).unwrap();
        let refused = read_picture(&path).unwrap_err().to_string();
        assert!(refused.contains("a.exr: NaN or infinity at x 3, y 1; give a PNG"), "{refused}");
    }

    /// Changed bytes and cuts of small files: an error or a picture, never more.
    #[test]
    fn cut_and_damaged_pictures_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        for format in [Format::Png, Format::Jpeg, Format::Exr, Format::Hdr] {
            let good = format.encode(&small(), &Embedded::default()).unwrap();
            let path = dir.path().join(format!("a.{}", format.extension()));
            for i in (0..good.len()).step_by(3) {
                let mut bytes = good.clone();
                bytes[i] ^= [0x01, 0x55, 0xFF][i / 3 % 3];
                std::fs::write(&path, &bytes).unwrap();
                let _: Result<_, _> = read_picture(&path);
                if i % 6 == 0 {
                    std::fs::write(&path, &good[..i]).unwrap();
                    let _: Result<_, _> = read_picture(&path);
                }
            }
        }
    }
}
