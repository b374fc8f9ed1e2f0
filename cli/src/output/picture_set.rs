//! Where the pictures of a set go: a folder with their names, an animation, a video stream, or one file. All of it, or nothing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use syncline::reproject::Raster;

use super::photo::with_alpha;
use super::{Embedded, FolderTarget, Kept, Rgb8, Target, photo_bytes};
use crate::exit::Failure;
use crate::input::{Photo, PictureSet, Scene, SetKind, Spool, StreamHead, Timing, is_picture};

/// Of 1 to 30: less is finer and slower.
const GIF_EFFORT: i32 = 5;

/// An output that has been checked before the work.
#[derive(Debug)]
pub enum SetTarget {
    /// A file for each picture.
    Folder(FolderTarget),
    /// An animation.
    Gif(Target, Timing),
    /// A stream; to standard output without a file.
    Stream(Option<Target>),
    /// The only picture.
    Single(Target),
}

/// Pictures in the order of their set.
#[derive(Debug)]
pub struct SetWriter<'a> {
    set: &'a PictureSet,
    sink: Sink<'a>,
    count: usize,
}

#[derive(Debug)]
enum Sink<'a> {
    Folder(super::folder::Filling),
    Gif(&'a Target, &'a Timing, Spool),
    Stream(Option<&'a Target>, &'a StreamHead, &'a [String], Spool),
    Single(&'a Target, Vec<u8>),
}

impl SetTarget {
    /// By the output's name: `-` and `.y4m`, `.rgb` are streams, `.gif` is an animation, everything else a folder; for one
    /// picture a file. `delay`: hundredths of a second between frames that had none.
    ///
    /// # Errors
    /// When it cannot be written, would replace its own source, or does not fit the set.
    pub fn check(output: &Path, set: &PictureSet, force: bool, delay: u16) -> anyhow::Result<Self> {
        if let (Ok(from), Ok(to)) = (set.source.canonicalize(), output.canonicalize())
            && from == to
        {
            let message = format!("-o: found {}, the input itself; give another place", output.display());
            return Err(Failure::usage(message).into());
        }
        let extension = output.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let stream = matches!(extension.as_str(), "y4m" | "rgb" | "raw" | "rgb24");
        if output == Path::new("-") || stream {
            check_stream(output, set, &extension)?;
            let target = stream.then(|| Target::check(output, force)).transpose()?;
            return Ok(Self::Stream(target));
        }
        if let SetKind::Single = set.kind {
            if !matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "webp") {
                let found = if extension.is_empty() { "none".to_owned() } else { format!(".{extension}") };
                let message = format!("-o: found the end {found} for one picture, expected .png, .jpg or .webp");
                return Err(Failure::usage(message).into());
            }
            return Ok(Self::Single(Target::check(output, force)?));
        }
        if extension == "gif" {
            set.one_size()?;
            let even = || Timing { delays: vec![delay; set.len()], repeat: gif::Repeat::Infinite };
            let timing = set.timing().cloned().unwrap_or_else(even);
            return Ok(Self::Gif(Target::check(output, force)?, timing));
        }
        if let Some(other) = set.names.iter().find(|name| !is_picture(name)) {
            let message = format!(
                "{}: {} is written with its own name, expected .png, .jpg or .webp; convert the pictures and their cameras' names",
                set.source.display(),
                other.display()
            );
            return Err(Failure::input(message).into());
        }
        let mut names = set.names.clone();
        if let SetKind::Scene(scene) = &set.kind {
            names.extend(scene.carried.iter().cloned());
        }
        Ok(Self::Folder(FolderTarget::check(output, force, &names)?))
    }

    /// Begins to write.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin<'a>(&'a self, set: &'a PictureSet) -> anyhow::Result<SetWriter<'a>> {
        let sink = match (self, &set.kind) {
            (Self::Folder(target), _) => Sink::Folder(target.begin()?),
            (Self::Gif(target, timing), _) => {
                let [height, width] = set.sizes[0];
                Sink::Gif(target, timing, Spool::new(4 * height * width)?)
            }
            (Self::Stream(target), SetKind::Stream(frames)) => {
                Sink::Stream(target.as_ref(), &frames.head, &frames.lines, Spool::new(frames.head.bytes())?)
            }
            (Self::Stream(_), _) => unreachable!("checked: streams come from streams"),
            (Self::Single(target), _) => Sink::Single(target, Vec::new()),
        };
        Ok(SetWriter { set, sink, count: 0 })
    }
}

fn check_stream(output: &Path, set: &PictureSet, extension: &str) -> Result<(), Failure> {
    let SetKind::Stream(frames) = &set.kind else {
        return Err(Failure::usage(format!(
            "-o: found {}, a video stream, for pictures that came from none; give a folder or a .gif",
            output.display()
        )));
    };
    let y4m = matches!(frames.head, StreamHead::Y4m(..));
    if output != Path::new("-") && y4m != (extension == "y4m") {
        let expected = if y4m { ".y4m" } else { ".rgb" };
        return Err(Failure::usage(format!(
            "-o: found {}, expected the input's own form, {expected}",
            output.display()
        )));
    }
    Ok(())
}

impl SetWriter<'_> {
    /// A picture, each once; frames in order. `photo` is its source, whose opacity and camera data it keeps.
    ///
    /// # Errors
    /// When it holds NaN, or the disk refuses.
    ///
    /// # Panics
    /// When a frame comes before its turn.
    pub fn push(&mut self, index: usize, raster: &Raster, photo: &Photo, embedded: &Embedded) -> anyhow::Result<()> {
        let kept = Kept { alpha: photo.alpha.as_deref(), exif: photo.exif.as_deref(), icc: photo.icc.as_deref() };
        let name = &self.set.names[index];
        assert!(index == self.count || matches!(self.sink, Sink::Folder(_)), "frame {index} after {}", self.count);
        let [height, width] = raster.size;
        match &mut self.sink {
            Sink::Folder(filling) => filling.write(name, &photo_bytes(name, raster, &kept, embedded)?)?,
            Sink::Gif(_, _, spool) => {
                let rgb = Rgb8::from_unit(width, height, &raster.rgb)?.pixels;
                let alpha = photo.alpha.clone().unwrap_or_else(|| vec![255; height * width]);
                spool.push(&with_alpha(&rgb, &alpha))?;
            }
            Sink::Stream(_, head, _, spool) => {
                // For its check only: colours outside of 0..=1 stay as they are.
                Rgb8::from_unit(width, height, &raster.rgb)?;
                spool.push(&head.encode(&raster.rgb))?;
            }
            Sink::Single(target, bytes) => *bytes = photo_bytes(target.path(), raster, &kept, embedded)?,
        }
        self.count += 1;
        Ok(())
    }

    /// Writes what belongs to the pictures and gives all of it its name. Returns what now exists; of a stream to standard output
    /// nothing.
    ///
    /// # Errors
    /// When the disk refuses; then nothing is left.
    ///
    /// # Panics
    /// When pictures are missing.
    pub fn finish(self) -> anyhow::Result<Vec<PathBuf>> {
        assert_eq!(self.count, self.set.len(), "all pictures of the set");
        match self.sink {
            Sink::Folder(filling) => {
                if let SetKind::Scene(scene) = &self.set.kind {
                    for name in &scene.carried {
                        filling.copy(name, &self.set.source.join(name))?;
                    }
                    check_scene(scene, filling.path())?;
                }
                Ok(vec![filling.finish()?])
            }
            Sink::Gif(target, timing, spool) => {
                let size = self.set.sizes[0];
                Ok(vec![target.write(|w| write_gif(w, &spool, size, timing))?])
            }
            Sink::Stream(Some(target), head, lines, spool) => {
                Ok(vec![target.write(|w| write_stream(w, head, lines, &spool))?])
            }
            Sink::Stream(None, head, lines, spool) => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                let written = write_stream(&mut out, head, lines, &spool).and_then(|()| out.flush());
                let failed =
                    |e| Failure { code: 9, message: format!("cannot write the video to standard output: {e}") };
                written.map_err(failed)?;
                Ok(Vec::new())
            }
            Sink::Single(target, bytes) => Ok(vec![target.write(|w| w.write_all(&bytes))?]),
        }
    }
}

/// The written folder passes the check that its source has passed: it can be fitted again.
fn check_scene(source: &Scene, written: &Path) -> anyhow::Result<()> {
    let found = Scene::read(written)?;
    if found.pictures != source.pictures || found.sizes != source.sizes {
        anyhow::bail!("the cameras of {} do not fit the edited pictures; nothing was written", written.display());
    }
    Ok(())
}

fn write_gif(w: &mut dyn Write, spool: &Spool, [height, width]: [usize; 2], timing: &Timing) -> io::Result<()> {
    let side = |n: usize| u16::try_from(n).map_err(io::Error::other);
    let (width, height) = (side(width)?, side(height)?);
    let mut encoder = gif::Encoder::new(w, width, height, &[]).map_err(io::Error::other)?;
    encoder.set_repeat(timing.repeat).map_err(io::Error::other)?;
    for (i, delay) in timing.delays.iter().enumerate() {
        let mut rgba = spool.read(i)?;
        let clear = rgba.chunks_exact(4).any(|p| p[3] == 0);
        let mut frame = gif::Frame::from_rgba_speed(width, height, &mut rgba, GIF_EFFORT);
        frame.delay = *delay;
        // What is clear shows nothing of the frame before.
        frame.dispose = if clear { gif::DisposalMethod::Background } else { gif::DisposalMethod::Keep };
        encoder.write_frame(&frame).map_err(io::Error::other)?;
    }
    Ok(())
}

fn write_stream(w: &mut dyn Write, head: &StreamHead, lines: &[String], spool: &Spool) -> io::Result<()> {
    let y4m = matches!(head, StreamHead::Y4m(..));
    if let StreamHead::Y4m(first, _) = head {
        writeln!(w, "{first}")?;
    }
    for (i, line) in lines.iter().enumerate() {
        if y4m {
            writeln!(w, "{line}")?;
        }
        w.write_all(&spool.read(i)?)?;
    }
    Ok(())
}
