//! Animated GIFs: frames as they are shown, with their delays.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder};
use syncline::reproject::Raster;

use super::Spool;
use super::picture::{Photo, limits};
use crate::exit::Failure;
use crate::output::Picture;

/// Most frames of an animation.
const MOST: usize = 100_000;
/// Most bytes of its frames on disk.
const MOST_BYTES: u64 = 64 << 30;

/// When frames are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Hundredths of a second, a frame each.
    pub delays: Vec<u16>,
    /// How often all of them.
    pub repeat: gif::Repeat,
}

/// Frames on disk, four bytes a pixel.
#[derive(Debug)]
pub struct GifFrames {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// When they are shown.
    pub timing: Timing,
    spool: Spool,
}

/// Whether a file begins as a GIF.
pub fn is_gif(path: &Path) -> bool {
    let mut head = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"GIF8"
}

impl GifFrames {
    /// Reads all frames.
    ///
    /// # Errors
    /// With code 3 for a file that is no GIF, is broken or has fewer than two frames.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let refuse = |message: String| Failure::input(format!("{}: {message}", path.display()));
        let broken = |e: &dyn std::fmt::Display, frames: usize| {
            refuse(format!("frame {frames} cannot be read as GIF: {e}; save the animation anew"))
        };
        let file = || File::open(path).map_err(|e| refuse(e.to_string()));
        let mut head = gif::Decoder::new(BufReader::new(file()?)).map_err(|e| broken(&e, 0))?;
        // What says how often stands before the first frame.
        head.next_frame_info().map_err(|e| broken(&e, 0))?;
        let repeat = head.repeat();
        let (width, height) = (usize::from(head.width()), usize::from(head.height()));
        if width == 0 || height == 0 {
            return Err(refuse(format!("found {width}x{height} pixels; save the animation anew")).into());
        }
        let mut decoder = GifDecoder::new(BufReader::new(file()?)).map_err(|e| broken(&e, 0))?;
        decoder.set_limits(limits()).map_err(|e| broken(&e, 0))?;
        let record = 4 * width * height;
        let mut spool = Spool::new(record).map_err(|e| refuse(format!("no temporary file for its frames: {e}")))?;
        let mut delays = Vec::new();
        for frame in decoder.into_frames() {
            let frame = frame.map_err(|e| broken(&e, delays.len()))?;
            if delays.len() == MOST || (spool.len() * record) as u64 > MOST_BYTES {
                return Err(refuse(format!("more than {} frames; give fewer", delays.len())).into());
            }
            let (numerator, denominator) = frame.delay().numer_denom_ms();
            delays.push((numerator / denominator.max(1) / 10).min(u32::from(u16::MAX)) as u16);
            let written = spool.push(frame.buffer().as_raw());
            written.map_err(|e| refuse(format!("no room for its frames in the temporary folder: {e}")))?;
        }
        if delays.len() < 2 {
            let message = format!(
                "found {} frame, expected an animation of at least 2; a single picture is for img2img or edit",
                delays.len()
            );
            return Err(refuse(message).into());
        }
        Ok(Self { size: [height, width], timing: Timing { delays, repeat }, spool })
    }

    /// A frame.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn read(&self, index: usize) -> anyhow::Result<Photo> {
        let rgba = self.spool.read(index)?;
        let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]].map(|v| f32::from(v) / 255.0)).collect();
        let alpha: Vec<u8> = rgba.chunks_exact(4).map(|p| p[3]).collect();
        let alpha = alpha.iter().any(|v| *v != 255).then_some(alpha);
        Ok(Photo { picture: Picture::srgb(Raster::new(self.size, rgb)), alpha, exif: None, icc: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of one colour each.
    fn animation(delays: &[u16], repeat: gif::Repeat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, 4, 3, &[]).unwrap();
        encoder.set_repeat(repeat).unwrap();
        for (i, delay) in delays.iter().enumerate() {
            let mut rgba: Vec<u8> = [40 * i as u8, 100, 200, 255].repeat(12);
            let frame = gif::Frame { delay: *delay, ..gif::Frame::from_rgba_speed(4, 3, &mut rgba, 10) };
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        bytes
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn delays_and_repetitions_are_read() {
        for repeat in [gif::Repeat::Infinite, gif::Repeat::Finite(3), gif::Repeat::Finite(0)] {
            let (_dir, path) = file(&animation(&[7, 0, 300], repeat));
            assert!(is_gif(&path));
            let frames = GifFrames::open(&path).unwrap();
            assert_eq!(frames.timing, Timing { delays: vec![7, 0, 300], repeat });
            let second = frames.read(1).unwrap();
            assert_eq!((frames.size, second.alpha), ([3, 4], None));
            assert_eq!(second.picture.raster.pixel(1, 2), [40.0, 100.0, 200.0].map(|v| v / 255.0));
        }
    }

    #[test]
    fn one_frame_and_damaged_files_are_refused() {
        let (_dir, path) = file(&animation(&[7], gif::Repeat::Infinite));
        let refused = GifFrames::open(&path).unwrap_err().to_string();
        assert!(
            refused.ends_with(
                "found 1 frame, expected an animation of at least 2; a single picture is for img2img or edit"
            )
        );
        let good = animation(&[1, 2, 3], gif::Repeat::Infinite);
        for cut in 0..good.len() {
            std::fs::write(&path, &good[..cut]).unwrap();
            let _: Result<_, _> = GifFrames::open(&path);
            let mut damaged = good.clone();
            damaged[cut] ^= 0x55;
            std::fs::write(&path, &damaged).unwrap();
            let _: Result<_, _> = GifFrames::open(&path);
        }
    }
}
