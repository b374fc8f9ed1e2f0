//! 8-bit RGB PNG with the story of the picture in its text chunks.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use png::text_metadata::{ITXtChunk, TEXtChunk};

use super::atomic::Target;
use super::error::OutputError;

/// Keyword of the A1111-style text, which other tools read.
const PARAMETERS: &str = "parameters";
/// Keyword of our own JSON, which is exact.
const JSON: &str = "syncline";
/// Keyword the XMP specification reserves.
const XMP: &str = "XML:com.adobe.xmp";

/// Most bytes of text read from a picture: prompts are small, and a crafted file may claim anything.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// An 8-bit sRGB picture, row by row, three bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Rgb8 {
    /// From interleaved RGB in [0, 1]; values outside are clamped, the rest is rounded to the nearest of 256 levels.
    ///
    /// # Errors
    /// [`OutputError::NonFinite`] when any value is NaN or infinite: such a picture is wrong even where it looks right.
    ///
    /// # Panics
    /// When `values` does not hold `width * height * 3` numbers.
    pub fn from_unit(width: usize, height: usize, values: &[f32]) -> Result<Self, OutputError> {
        assert_eq!(values.len(), width * height * 3, "picture of {width} x {height} RGB pixels");
        if let Some(first) = values.iter().position(|v| !v.is_finite()) {
            let count = values.iter().filter(|v| !v.is_finite()).count();
            let (x, y) = (first / 3 % width, first / 3 / width);
            return Err(OutputError::NonFinite { count, total: values.len(), x, y });
        }
        let pixels = values.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
        Ok(Self { width, height, pixels })
    }
}

/// What a PNG carries besides its pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedded {
    /// Generation parameters in A1111 form.
    pub parameters: Option<String>,
    /// Our exact record, JSON.
    pub json: Option<String>,
    /// An XMP packet.
    pub xmp: Option<String>,
}

impl Target {
    /// Writes `image` as a PNG and returns its real path.
    ///
    /// # Errors
    /// As [`Target::write`].
    ///
    /// # Panics
    /// When `image` is empty or its pixels do not fit its size.
    pub fn write_png(&self, image: &Rgb8, embedded: &Embedded) -> Result<PathBuf, OutputError> {
        self.write(|w| encode(w, image, embedded).map_err(io::Error::from))
    }
}

/// The bytes of `image` as a PNG file.
///
/// # Errors
/// When its text or its sides are beyond what the format holds.
///
/// # Panics
/// As [`Target::write_png`].
pub fn png_bytes(image: &Rgb8, embedded: &Embedded) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    encode(&mut bytes, image, embedded)?;
    Ok(bytes)
}

fn encode(w: &mut dyn Write, image: &Rgb8, embedded: &Embedded) -> Result<(), png::EncodingError> {
    let (width, height) = (image.width, image.height);
    assert!(width > 0 && height > 0 && image.pixels.len() == width * height * 3, "PNG of {width} x {height}");
    let mut encoder = png::Encoder::new(w, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header()?;
    if let Some(text) = &embedded.parameters {
        // tEXt is what every reader knows, but it is Latin-1.
        if text.chars().all(|c| u32::from(c) <= 0xFF && c != '\0') {
            writer.write_text_chunk(&TEXtChunk::new(PARAMETERS, text.as_str()))?;
        } else {
            write_utf8(&mut writer, PARAMETERS, text)?;
        }
    }
    if let Some(text) = &embedded.json {
        write_utf8(&mut writer, JSON, text)?;
    }
    if let Some(text) = &embedded.xmp {
        write_utf8(&mut writer, XMP, text)?;
    }
    writer.write_image_data(&image.pixels)?;
    writer.finish()
}

fn write_utf8<W: Write>(writer: &mut png::Writer<W>, keyword: &str, text: &str) -> Result<(), png::EncodingError> {
    // The format ends some of its fields with a zero byte; text has no use for one.
    writer.write_text_chunk(&ITXtChunk::new(keyword, text.replace('\0', "\u{FFFD}")))
}

impl Embedded {
    /// Reads the text chunks in front of the pixels of `path`, ours or another tool's. The pixels are not decoded.
    ///
    /// # Errors
    /// [`OutputError::NotPng`].
    pub fn read(path: &Path) -> Result<Self, OutputError> {
        let bad = |reason: String| OutputError::NotPng { path: path.to_owned(), reason };
        let file = File::open(path).map_err(|e| bad(e.to_string()))?;
        let limits = png::Limits { bytes: MAX_TEXT_BYTES };
        let reader =
            png::Decoder::new_with_limits(BufReader::new(file), limits).read_info().map_err(|e| bad(e.to_string()))?;
        let info = reader.info();
        let find = |keyword: &str| -> Option<String> {
            let latin1 = info.uncompressed_latin1_text.iter().find(|c| c.keyword == keyword).map(|c| c.text.clone());
            let utf8 = || info.utf8_text.iter().find(|c| c.keyword == keyword)?.get_text().ok();
            let zipped = || info.compressed_latin1_text.iter().find(|c| c.keyword == keyword)?.get_text().ok();
            latin1.or_else(utf8).or_else(zipped)
        };
        Ok(Self { parameters: find(PARAMETERS), json: find(JSON), xmp: find(XMP) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(path: &Path) -> (png::OutputInfo, Vec<u8>) {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info, pixels)
    }

    #[test]
    fn pixels_come_back() {
        let dir = tempfile::tempdir().unwrap();
        for (width, height) in [(1, 1), (7, 3), (64, 65)] {
            let values: Vec<f32> = (0..width * height * 3).map(|i| (i % 256) as f32 / 255.0).collect();
            let image = Rgb8::from_unit(width, height, &values).unwrap();
            let target = Target::check(&dir.path().join("a.png"), false).unwrap();
            let (info, pixels) = decode(&target.write_png(&image, &Embedded::default()).unwrap());
            assert_eq!((info.width as usize, info.height as usize), (width, height));
            assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
            assert_eq!(pixels, (0..width * height * 3).map(|i| (i % 256) as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn values_round_to_the_nearest_level_and_clamp() {
        let values = [-1.0, 0.0, 0.49 / 255.0, 0.51 / 255.0, 0.5, 254.4 / 255.0, 254.6 / 255.0, 1.0, 1e30];
        assert_eq!(Rgb8::from_unit(3, 1, &values).unwrap().pixels, [0, 0, 0, 1, 128, 254, 255, 255, 255]);
    }

    #[test]
    fn nan_and_infinity_are_refused_with_their_place() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![0.5; 4 * 3 * 3];
            (values[17], values[30]) = (bad, bad);
            let refused = Rgb8::from_unit(4, 3, &values).unwrap_err();
            assert!(matches!(refused, OutputError::NonFinite { count: 2, total: 36, x: 1, y: 1 }), "{refused}");
            assert_eq!(refused.exit_code(), 8);
        }
    }

    #[test]
    fn latin1_parameters_are_text_chunks_and_others_utf8() {
        let dir = tempfile::tempdir().unwrap();
        let image = Rgb8 { width: 1, height: 1, pixels: vec![1, 2, 3] };
        for (text, chunk) in [("d\u{fc}ne\nSteps: 1", "tEXt"), ("砂丘\nSteps: 1", "iTXt")] {
            let target = Target::check(&dir.path().join("a.png"), true).unwrap();
            let embedded = Embedded { parameters: Some(text.to_owned()), ..Embedded::default() };
            let path = target.write_png(&image, &embedded).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let keyword = bytes.windows(10).position(|w| w == b"parameters").unwrap();
            assert_eq!(&bytes[keyword - 4..keyword], chunk.as_bytes());
            assert_eq!(Embedded::read(&path).unwrap(), embedded);
        }
    }

    #[test]
    fn files_that_are_not_pictures_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        assert_eq!(Embedded::read(&path).unwrap_err().exit_code(), 3);
        for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", b"<!DOCTYPE html>", &[0; 64]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(Embedded::read(&path), Err(OutputError::NotPng { .. })));
        }
    }

    #[test]
    fn cut_and_damaged_pictures_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let image = Rgb8 { width: 2, height: 2, pixels: vec![9; 12] };
        let embedded =
            Embedded { parameters: Some("a\nSteps: 1".into()), json: Some("{}".into()), xmp: Some("<x/>".into()) };
        let path = Target::check(&dir.path().join("a.png"), false).unwrap().write_png(&image, &embedded).unwrap();
        let good = std::fs::read(&path).unwrap();
        for i in 0..good.len() {
            std::fs::write(&path, &good[..i]).unwrap();
            let _: Result<_, _> = Embedded::read(&path);
            let mut flipped = good.clone();
            flipped[i] ^= 0x55;
            std::fs::write(&path, &flipped).unwrap();
            let _: Result<_, _> = Embedded::read(&path);
        }
    }

    proptest! {
        #[test]
        fn embedded_text_comes_back(parameters: Option<String>, json: Option<String>, xmp: Option<String>) {
            let clean = |text: Option<String>| text.map(|t| t.replace('\0', " "));
            let embedded = Embedded { parameters: clean(parameters), json: clean(json), xmp: clean(xmp) };
            let image = Rgb8 { width: 1, height: 2, pixels: vec![0; 6] };
            let dir = tempfile::tempdir().unwrap();
            let path = Target::check(&dir.path().join("a.png"), false).unwrap().write_png(&image, &embedded).unwrap();
            prop_assert_eq!(Embedded::read(&path).unwrap(), embedded);
        }
    }
}
