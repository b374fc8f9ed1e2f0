//! Pictures of a set: in the format of their source, with its opacity, camera data and colour profile.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageResult};
use syncline::reproject::Raster;

use super::error::OutputError;
use super::png::{Embedded, Rgb8, png_bytes};

/// Quality of JPEG files, of 100.
const JPEG_QUALITY: u8 = 95;

/// What a picture keeps of its source beside the colours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept<'a> {
    /// Opacity, a byte each pixel.
    pub alpha: Option<&'a [u8]>,
    /// Camera data.
    pub exif: Option<&'a [u8]>,
    /// Colour profile.
    pub icc: Option<&'a [u8]>,
}

/// The bytes of a PNG, JPEG or WebP file by the end of its name. `embedded` goes into PNG files without any of `kept`.
///
/// # Errors
/// [`OutputError::NonFinite`], or when the format does not take the picture.
pub fn photo_bytes(name: &Path, raster: &Raster, kept: &Kept<'_>, embedded: &Embedded) -> Result<Vec<u8>, OutputError> {
    let [height, width] = raster.size;
    let rgb = Rgb8::from_unit(width, height, &raster.rgb)?;
    let extension = name.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let mut bytes = Vec::new();
    let (format, coded) = match extension.as_str() {
        // JPEG has no opacity.
        "jpg" | "jpeg" => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
            ("jpg", encode(encoder, &rgb, &Kept { alpha: None, ..kept.clone() }))
        }
        "webp" => ("webp", encode(WebPEncoder::new_lossless(&mut bytes), &rgb, kept)),
        _ if *kept == Kept::default() => {
            let coded = png_bytes(&rgb, embedded);
            return coded.map_err(|e| OutputError::Encode { format: "png", reason: e.to_string() });
        }
        _ => ("png", encode(PngEncoder::new(&mut bytes), &rgb, kept)),
    };
    coded.map_err(|e| OutputError::Encode { format, reason: e.to_string() })?;
    Ok(bytes)
}

fn encode(mut encoder: impl ImageEncoder, rgb: &Rgb8, kept: &Kept<'_>) -> ImageResult<()> {
    // A format that has no place for them goes without.
    if let Some(exif) = kept.exif {
        let _ = encoder.set_exif_metadata(exif.to_vec());
    }
    if let Some(icc) = kept.icc {
        let _ = encoder.set_icc_profile(icc.to_vec());
    }
    let (width, height) = (rgb.width as u32, rgb.height as u32);
    match kept.alpha {
        None => encoder.write_image(&rgb.pixels, width, height, ExtendedColorType::Rgb8),
        Some(alpha) => encoder.write_image(&with_alpha(&rgb.pixels, alpha), width, height, ExtendedColorType::Rgba8),
    }
}

/// Four bytes a pixel.
pub fn with_alpha(rgb: &[u8], alpha: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3).zip(alpha).flat_map(|(p, a)| [p[0], p[1], p[2], *a]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::read_photo;

    #[test]
    fn pictures_keep_what_their_source_has() {
        let dir = tempfile::tempdir().unwrap();
        let raster = Raster::new([2, 3], (0..18).map(|v| v as f32 / 255.0).collect());
        // The smallest EXIF block: little endian, no entries.
        let exif = [b"II*\0".as_slice(), &[8, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        let icc = vec![7_u8; 200];
        let alpha = [0, 50, 100, 150, 200, 250];
        for (name, has_alpha) in [("a.png", true), ("b.WEBP", true), ("c.jpeg", false), ("d.png", false)] {
            let kept = Kept { alpha: has_alpha.then_some(&alpha[..]), exif: Some(&exif), icc: Some(&icc) };
            let path = dir.path().join(name);
            std::fs::write(&path, photo_bytes(&path, &raster, &kept, &Embedded::default()).unwrap()).unwrap();
            let back = read_photo(&path).unwrap();
            assert_eq!(back.alpha.as_deref(), kept.alpha, "{name}");
            assert_eq!((back.exif.as_deref(), back.icc.as_deref()), (kept.exif, kept.icc), "{name}");
            let far = back.picture.raster.rgb.iter().zip(&raster.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far < if name == "c.jpeg" { 0.05 } else { 1e-6 }, "{name}: {far}");
        }
    }

    #[test]
    fn nan_is_never_written() {
        let raster = Raster::new([1, 1], vec![f32::NAN; 3]);
        let refused = photo_bytes(Path::new("a.jpg"), &raster, &Kept::default(), &Embedded::default());
        assert!(matches!(refused, Err(OutputError::NonFinite { .. })));
    }
}
