//! Picture files by the end of their names.

use std::io::Cursor;
use std::path::Path;

use exr::prelude::{Image, SpecificChannels, WritableImage, f16};
use image::codecs::hdr::HdrEncoder;
use image::codecs::jpeg::JpegEncoder;

use super::error::OutputError;
use super::picture::Picture;
use super::png::{Embedded, png_bytes};

/// Quality of JPEG files, of 100.
const JPEG_QUALITY: u8 = 95;

/// Beginning of an XMP segment of a JPEG file. Source: XMP specification, part 3.
const XMP_SEGMENT: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Kind of a picture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 8 bits, lossless, with metadata.
    Png,
    /// 8 bits, lossy.
    Jpeg,
    /// Linear light in half floats, OpenEXR.
    Exr,
    /// Linear light with a shared exponent, Radiance.
    Hdr,
    /// A cubemap with mip levels for the GPU.
    Ktx2,
}

impl Format {
    const ALL: [Self; 5] = [Self::Png, Self::Jpeg, Self::Exr, Self::Hdr, Self::Ktx2];

    /// End of a file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Exr => "exr",
            Self::Hdr => "hdr",
            Self::Ktx2 => "ktx2",
        }
    }

    /// By the end of a name, in any case.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_string_lossy().to_ascii_lowercase();
        let extension = if extension == "jpeg" { "jpg" } else { extension.as_str() };
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }

    /// The bytes of a file with one picture. EXR and HDR hold linear light: of an 8-bit picture, what a display would make of
    /// it, and so nothing brighter than its white. `embedded` goes where the format has a place for it: PNG all, JPEG the XMP.
    ///
    /// # Errors
    /// [`OutputError::NonFinite`]; when a side is beyond what the format holds.
    ///
    /// # Panics
    /// For KTX2, which holds six pictures.
    pub fn encode(self, picture: &Picture, embedded: &Embedded) -> Result<Vec<u8>, OutputError> {
        picture.check_finite()?;
        let [height, width] = picture.raster.size;
        match self {
            Self::Png => png_bytes(&picture.to_rgb8()?, embedded).map_err(|e| refused(self, e)),
            Self::Jpeg => {
                let (rgb, mut bytes) = (picture.to_rgb8()?, Vec::new());
                let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
                let kind = image::ExtendedColorType::Rgb8;
                image::ImageEncoder::write_image(encoder, &rgb.pixels, width as u32, height as u32, kind)
                    .map_err(|e| refused(self, e))?;
                Ok(match embedded.xmp.as_deref() {
                    Some(xmp) => with_xmp(&bytes, xmp),
                    None => bytes,
                })
            }
            Self::Exr => exr_bytes(picture).map_err(|e| refused(self, e)),
            Self::Hdr => {
                let light = picture.to_linear();
                let pixels: Vec<image::Rgb<f32>> =
                    light.rgb.chunks_exact(3).map(|p| image::Rgb([p[0], p[1], p[2]])).collect();
                let mut bytes = Vec::new();
                HdrEncoder::new(&mut bytes).encode(&pixels, width, height).map_err(|e| refused(self, e))?;
                Ok(bytes)
            }
            Self::Ktx2 => panic!("a KTX2 file holds six faces, not a picture of {width} x {height}"),
        }
    }
}

fn refused(format: Format, reason: impl std::fmt::Display) -> OutputError {
    OutputError::Encode { format: format.extension(), reason: reason.to_string() }
}

fn exr_bytes(picture: &Picture) -> Result<Vec<u8>, exr::error::Error> {
    let light = picture.to_linear();
    let [height, width] = light.size;
    let half = |v: f32| f16::from_f32(v);
    let channels = SpecificChannels::rgb(|at: exr::math::Vec2<usize>| {
        let [r, g, b] = light.pixel(at.y(), at.x());
        (half(r), half(g), half(b))
    });
    let mut bytes = Cursor::new(Vec::new());
    Image::from_channels((width, height), channels).write().to_buffered(&mut bytes)?;
    Ok(bytes.into_inner())
}

/// A JPEG file with an XMP segment behind its first one.
fn with_xmp(jpeg: &[u8], xmp: &str) -> Vec<u8> {
    // Start of image, then the JFIF segment, whose length stands after its marker.
    let jfif = 2 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    let at = 2 + jfif;
    let length = (2 + XMP_SEGMENT.len() + xmp.len()) as u16;
    let mut bytes = jpeg[..at].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(XMP_SEGMENT);
    bytes.extend(xmp.as_bytes());
    bytes.extend(&jpeg[at..]);
    bytes
}

#[cfg(test)]
mod tests {
    use syncline::reproject::Raster;

    use super::*;

    fn levels() -> Picture {
        let value = |i: usize| [i as f32 / 255.0, (255 - i) as f32 / 255.0, ((7 * i) % 256) as f32 / 255.0];
        Picture::srgb(Raster::new([8, 32], (0..256).flat_map(value).collect()))
    }

    fn decoded(format: image::ImageFormat, bytes: &[u8]) -> Raster {
        let mut reader = image::ImageReader::new(Cursor::new(bytes));
        reader.set_format(format);
        let rgb = reader.decode().unwrap().to_rgb32f();
        Raster::new([rgb.height() as usize, rgb.width() as usize], rgb.into_raw())
    }

    #[test]
    fn names_tell_formats() {
        for (name, format) in [
            ("a.png", Some(Format::Png)),
            ("a.JPEG", Some(Format::Jpeg)),
            ("b/a.exr", Some(Format::Exr)),
            ("a.tar.hdr", Some(Format::Hdr)),
            ("a.ktx2", Some(Format::Ktx2)),
            ("a.gif", None),
            ("png", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn half_floats_keep_every_level_as_light() {
        let bytes = Format::Exr.encode(&levels(), &Embedded::default()).unwrap();
        let back = Picture::linear(decoded(image::ImageFormat::OpenExr, &bytes));
        assert_eq!(back.to_rgb8().unwrap(), levels().to_rgb8().unwrap());
    }

    #[test]
    fn radiance_files_keep_light_to_the_brightest_channels_precision() {
        let bytes = Format::Hdr.encode(&levels(), &Embedded::default()).unwrap();
        let (back, light) = (decoded(image::ImageFormat::Hdr, &bytes), levels().to_linear().into_owned());
        for (got, expected) in back.rgb.chunks_exact(3).zip(light.rgb.chunks_exact(3)) {
            // Eight bits of a power of two that is at most twice the largest channel.
            let step = expected.iter().copied().fold(0.0, f32::max) / 128.0;
            assert!((0..3).all(|c| (got[c] - expected[c]).abs() <= step), "{got:?} for {expected:?}");
        }
    }

    #[test]
    fn jpeg_files_open_and_hold_their_packet() {
        let embedded = Embedded { xmp: Some("<x:xmpmeta/>".into()), ..Embedded::default() };
        let bytes = Format::Jpeg.encode(&levels(), &embedded).unwrap();
        assert_eq!(decoded(image::ImageFormat::Jpeg, &bytes).size, [8, 32]);
        let at = bytes.windows(XMP_SEGMENT.len()).position(|w| w == XMP_SEGMENT).unwrap();
        assert_eq!(bytes[at - 4..at - 2], [0xFF, 0xE1]);
        let length = usize::from(u16::from_be_bytes([bytes[at - 2], bytes[at - 1]]));
        assert_eq!(&bytes[at + XMP_SEGMENT.len()..at - 2 + length], b"<x:xmpmeta/>");
    }

    #[test]
    fn numbers_that_are_none_are_no_file() {
        let mut bad = levels();
        bad.raster.rgb[5] = f32::INFINITY;
        for format in [Format::Png, Format::Jpeg, Format::Exr, Format::Hdr] {
            assert_eq!(format.encode(&bad, &Embedded::default()).unwrap_err().exit_code(), 8);
        }
    }
}
