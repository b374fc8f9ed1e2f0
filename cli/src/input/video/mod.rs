//! Video through somebody else's pipe: YUV4MPEG2 or raw RGB, as ffmpeg reads and writes them.

mod y4m;
mod yuv;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use syncline::reproject::Raster;

use super::picture::Photo;
use crate::exit::Failure;
use crate::output::Picture;

pub use yuv::{Matrix, Yuv};

/// Most frames of a stream.
const MOST: usize = 1_000_000;

/// What a stream's frames are made of.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamHead {
    /// YUV4MPEG2: its first line, without the line's end, and what that says.
    Y4m(String, Yuv),
    /// rgb24 of `[height, width]`.
    Raw([usize; 2]),
}

impl StreamHead {
    /// `[height, width]`.
    pub fn size(&self) -> [usize; 2] {
        match self {
            Self::Y4m(_, yuv) => yuv.size,
            Self::Raw(size) => *size,
        }
    }

    /// Bytes of a frame.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Y4m(_, yuv) => yuv.bytes(),
            Self::Raw([height, width]) => height * width * 3,
        }
    }

    /// RGB of a frame, mostly 0..=1.
    pub fn to_rgb(&self, frame: &[u8]) -> Vec<f32> {
        match self {
            Self::Y4m(_, yuv) => yuv.to_rgb(frame),
            Self::Raw(_) => frame.iter().map(|v| f32::from(*v) / 255.0).collect(),
        }
    }

    /// The bytes of a frame.
    pub fn encode(&self, rgb: &[f32]) -> Vec<u8> {
        match self {
            Self::Y4m(_, yuv) => yuv.encode(rgb),
            Self::Raw(_) => rgb.iter().map(|v| (v * 255.0).round() as u8).collect(),
        }
    }
}

/// The frames of a stream that lies in a file.
#[derive(Debug)]
pub struct VideoFrames {
    /// What they are made of.
    pub head: StreamHead,
    /// What stands before each frame's bytes, without the line's end (Y4M: `FRAME` and perhaps more).
    pub lines: Vec<String>,
    offsets: Vec<u64>,
    file: File,
}

impl VideoFrames {
    /// Standard input, kept in a temporary file.
    ///
    /// # Errors
    /// As [`VideoFrames::open`].
    pub fn from_stdin(size: Option<[usize; 2]>, matrix: Option<Matrix>) -> anyhow::Result<Self> {
        let refuse = |e: io::Error| Failure::input(format!("standard input: cannot be kept in a temporary file: {e}"));
        let mut file = tempfile::tempfile().map_err(refuse)?;
        io::copy(&mut io::stdin().lock(), &mut file).map_err(refuse)?;
        Self::open("standard input", file, size, matrix)
    }

    /// Finds the frames. `size`: `[height, width]` of raw RGB.
    ///
    /// # Errors
    /// With code 3 and the byte where something is wrong; with code 2 when the size of raw frames is missing.
    pub fn open(name: &str, mut file: File, size: Option<[usize; 2]>, matrix: Option<Matrix>) -> anyhow::Result<Self> {
        let refuse = |message: String| Failure::input(format!("{name}: {message}"));
        let mut magic = Vec::new();
        let rewind = file.seek(SeekFrom::Start(0));
        rewind
            .and_then(|_| (&file).take(y4m::MAGIC.len() as u64).read_to_end(&mut magic))
            .map_err(|e| refuse(e.to_string()))?;
        let length = file.metadata().map_err(|e| refuse(e.to_string()))?.len();
        let (head, offsets, lines) = if magic == y4m::MAGIC {
            y4m::index(&mut file, length, matrix).map_err(refuse)?
        } else {
            let Some(size) = size else {
                return Err(Failure::usage(format!(
                    "{name}: {length} bytes that are no YUV4MPEG2 stream, and raw frames say no size; give it with --size \
                     WIDTHxHEIGHT for rawvideo in rgb24, or make ffmpeg write -f yuv4mpegpipe"
                ))
                .into());
            };
            let (head, offsets) = raw(size, length).map_err(refuse)?;
            let lines = vec![String::new(); offsets.len()];
            (head, offsets, lines)
        };
        if offsets.len() > MOST {
            return Err(refuse(format!("{} frames; give at most {MOST}", offsets.len())).into());
        }
        Ok(Self { head, lines, offsets, file })
    }

    /// A frame.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn read(&self, index: usize) -> anyhow::Result<Photo> {
        let mut frame = vec![0; self.head.bytes()];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.offsets[index]))?;
        file.read_exact(&mut frame)?;
        let raster = Raster::new(self.head.size(), self.head.to_rgb(&frame));
        Ok(Photo { picture: Picture::srgb(raster), alpha: None, exif: None, icc: None })
    }
}

/// Raw frames one after the other.
fn raw(size: [usize; 2], length: u64) -> Result<(StreamHead, Vec<u64>), String> {
    let head = StreamHead::Raw(size);
    let bytes = head.bytes() as u64;
    let (count, rest) = (length / bytes, length % bytes);
    let frame = format!("a frame of {}x{} in rgb24 has {bytes} bytes", size[1], size[0]);
    if count == 0 {
        return Err(format!("found {length} bytes, expected at least one frame; {frame}"));
    }
    if rest != 0 {
        return Err(format!("{rest} bytes are left after frame {count}; {frame}: check --size and the pixel format"));
    }
    Ok((head, (0..count.min(MOST as u64 + 1)).map(|i| i * bytes).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn refused(bytes: &[u8], size: Option<[usize; 2]>) -> String {
        VideoFrames::open("in", file(bytes), size, None).unwrap_err().to_string()
    }

    #[test]
    fn raw_frames_are_counted() {
        let bytes: Vec<u8> = (0..36).collect();
        let frames = VideoFrames::open("in", file(&bytes), Some([2, 3]), None).unwrap();
        assert_eq!(frames.lines.len(), 2);
        let second = frames.read(1).unwrap().picture.raster;
        assert_eq!(frames.head.encode(&second.rgb), bytes[18..]);
        assert!(refused(&bytes[..35], Some([2, 3])).starts_with("in: 17 bytes are left after frame 1; a frame of 3x2"));
        assert!(refused(&bytes[..5], Some([2, 3])).contains("found 5 bytes, expected at least one frame"));
        assert!(refused(&bytes, None).contains("give it with --size"));
    }

    #[test]
    fn y4m_comes_back_to_the_byte() {
        let mut bytes = b"YUV4MPEG2 W5 H3 F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG\n".to_vec();
        for i in 0..3_u8 {
            bytes.extend(if i == 1 { b"FRAME Ixyz\n".as_slice() } else { b"FRAME\n" });
            bytes.extend((0..27).map(|k| 60 + 5 * i + 3 * k));
        }
        let frames = VideoFrames::open("in", file(&bytes), None, None).unwrap();
        assert_eq!((frames.head.size(), frames.head.bytes(), frames.lines.len()), ([3, 5], 27, 3));
        let StreamHead::Y4m(line, yuv) = &frames.head else { panic!() };
        assert!(yuv.halved && !yuv.full_range && yuv.matrix == Matrix::Bt601);
        let mut back = format!("{line}\n").into_bytes();
        for i in 0..3 {
            back.extend(format!("{}\n", frames.lines[i]).bytes());
            back.extend(frames.head.encode(&frames.read(i).unwrap().picture.raster.rgb));
        }
        assert_eq!(back, bytes);
        // Any cut and any changed byte: an error or frames.
        for at in 0..bytes.len() {
            let _: Result<_, _> = VideoFrames::open("in", file(&bytes[..at]), None, None);
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5A;
            let _: Result<_, _> = VideoFrames::open("in", file(&damaged), None, None);
        }
        assert!(
            refused(&bytes[..bytes.len() - 1], None).contains("frame 2"),
            "{}",
            refused(&bytes[..bytes.len() - 1], None)
        );
    }
}
