//! Pictures from disk, within limits.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use syncline::reproject::Raster;

use crate::exit::Failure;
use crate::output::Picture;

/// Longest side of a picture.
const MAX_SIDE: u32 = 16384;

/// Most bytes of its pixels while it is decoded.
const MAX_BYTES: u64 = 2 << 30;

/// A picture with what its file says beside the colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// The colours.
    pub picture: Picture,
    /// Opacity, a byte each pixel, where the file has it.
    pub alpha: Option<Vec<u8>>,
    /// Camera data, as they are.
    pub exif: Option<Vec<u8>>,
    /// Colour profile, as it is.
    pub icc: Option<Vec<u8>>,
}

/// A PNG, JPEG, WebP, EXR or HDR picture; the latter two hold light, all others what a display is told.
///
/// # Errors
/// With code 3 for anything else, and for pictures without pixels or with NaN or infinite ones.
pub fn read_picture(path: &Path) -> anyhow::Result<Picture> {
    Ok(read_photo(path)?.picture)
}

/// As [`read_picture`], with all that a set of pictures carries on.
///
/// # Errors
/// As there.
pub fn read_photo(path: &Path) -> anyhow::Result<Photo> {
    let refuse = |e: String| refusal(path, &e);
    let reader = open(path).map_err(refuse)?;
    let format = reader.format();
    let mut decoder = reader.into_decoder().map_err(|e| refuse(e.to_string()))?;
    // What cannot be read of these is no reason to refuse the picture.
    let (exif, icc) = (decoder.exif_metadata().unwrap_or(None), decoder.icc_profile().unwrap_or(None));
    let opaque = !decoder.color_type().has_alpha();
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| refuse(e.to_string()))?;
    let alpha = (!opaque).then(|| decoded.to_rgba8().pixels().map(|p| p.0[3]).collect());
    let rgb = decoded.into_rgb32f();
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
    let picture = if linear { Picture::linear(raster) } else { Picture::srgb(raster) };
    Ok(Photo { picture, alpha, exif, icc })
}

/// `[height, width]` of a picture, of which only the beginning is read.
///
/// # Errors
/// As [`read_picture`].
pub fn picture_size(path: &Path) -> anyhow::Result<[usize; 2]> {
    let read = open(path).and_then(|reader| reader.into_dimensions().map_err(|e| e.to_string()));
    let (width, height) = read.map_err(|e| refusal(path, &e))?;
    Ok([height as usize, width as usize])
}

/// What no file may exceed.
pub(super) fn limits() -> image::Limits {
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    limits
}

fn open(path: &Path) -> Result<ImageReader<BufReader<File>>, String> {
    let mut reader = ImageReader::open(path).map_err(|e| e.to_string())?;
    reader.limits(limits());
    reader.with_guessed_format().map_err(|e| e.to_string())
}

fn refusal(path: &Path, reason: &str) -> Failure {
    Failure::input(format!(
        "{}: {reason}; give a PNG, JPEG or WebP picture, or linear light as EXR or HDR",
        path.display()
    ))
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
