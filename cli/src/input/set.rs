//! A set of pictures, whatever it came as.

use std::fs::File;
use std::path::{Path, PathBuf};

use syncline::reproject::Raster;

use super::gif::{GifFrames, is_gif};
use super::video::{Matrix, VideoFrames};
use super::{Photo, Scene, Timing, frames, is_scene, picture_size, read_photo};
use crate::exit::Failure;

/// What the flags say about the input.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetOptions {
    /// `[height, width]` of raw frames.
    pub size: Option<[usize; 2]>,
    /// Matrix of Y'CbCr.
    pub matrix: Option<Matrix>,
    /// Numbers of frames may leave some out.
    pub gaps: bool,
}

/// What a set came as.
#[derive(Debug)]
pub enum SetKind {
    /// Pictures of one folder.
    Folder,
    /// Photos with cameras.
    Scene(Scene),
    /// An animation.
    Gif(GifFrames),
    /// A video stream.
    Stream(VideoFrames),
    /// One picture.
    Single,
}

/// Pictures that are read one at a time.
#[derive(Debug)]
pub struct PictureSet {
    /// Where it came from: `-` is standard input.
    pub source: PathBuf,
    /// What it came as.
    pub kind: SetKind,
    /// Names of the pictures: paths below the source's folder, or made up where there are none.
    pub names: Vec<PathBuf>,
    /// `[height, width]` of each.
    pub sizes: Vec<[usize; 2]>,
}

impl PictureSet {
    /// Looks at everything, reads pixels of nothing but streams' and animations'.
    ///
    /// # Errors
    /// With code 3 and what is wrong where; with code 2 for flags that do not fit.
    pub fn open(source: &Path, options: &SetOptions) -> anyhow::Result<Self> {
        let new = |kind, names, sizes| Self { source: source.to_owned(), kind, names, sizes };
        let (size, matrix) = (options.size, options.matrix);
        if source == Path::new("-") {
            return Ok(stream(source, VideoFrames::from_stdin(size, matrix)?));
        }
        if is_stream(source) {
            let file = File::open(source).map_err(|e| Failure::input(format!("{}: {e}", source.display())))?;
            return Ok(stream(source, VideoFrames::open(&source.display().to_string(), file, size, matrix)?));
        }
        if size.is_some() || matrix.is_some() {
            let flag = if size.is_some() { "--size" } else { "--matrix" };
            return Err(Failure::usage(format!("{flag} is for video streams; found {}", source.display())).into());
        }
        if source.is_dir() {
            if is_scene(source) {
                let scene = Scene::read(source)?;
                let (names, sizes) = (scene.pictures.clone(), scene.sizes.clone());
                return Ok(new(SetKind::Scene(scene), names, sizes));
            }
            let names = frames::list(source, options.gaps)?;
            let sizes = frames::sizes(source, &names)?;
            frames::one_size(source, &names, &sizes)?;
            return Ok(new(SetKind::Folder, names, sizes));
        }
        if is_gif(source) {
            let frames = GifFrames::open(source)?;
            let count = frames.timing.delays.len();
            let sizes = vec![frames.size; count];
            return Ok(new(SetKind::Gif(frames), numbered(count), sizes));
        }
        let size = picture_size(source)?;
        let name = source.file_name().map(PathBuf::from).unwrap_or_default();
        Ok(new(SetKind::Single, vec![name], vec![size]))
    }

    /// Pictures.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// A picture as a display is told it; colours of a stream may lie outside of 0..=1.
    ///
    /// # Errors
    /// With code 3 for what cannot be read, or has another size than before.
    pub fn read(&self, index: usize) -> anyhow::Result<Photo> {
        let path = match &self.kind {
            SetKind::Gif(frames) => return frames.read(index),
            SetKind::Stream(frames) => return frames.read(index),
            SetKind::Single => self.source.clone(),
            SetKind::Folder | SetKind::Scene(_) => self.source.join(&self.names[index]),
        };
        let photo = read_photo(&path)?;
        let ([h, w], [height, width]) = (self.sizes[index], photo.picture.raster.size);
        if [h, w] != [height, width] {
            let message = format!("{}: it was {w}x{h} before, found {width}x{height}", path.display());
            return Err(Failure::input(message).into());
        }
        Ok(photo)
    }

    /// The colours of a picture, 0..=1.
    ///
    /// # Errors
    /// As [`PictureSet::read`].
    pub fn raster(&self, index: usize) -> anyhow::Result<Raster> {
        let mut raster = self.read(index)?.picture.to_srgb().into_owned();
        raster.rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        Ok(raster)
    }

    /// The one size of all pictures.
    ///
    /// # Errors
    /// With code 3, with two names and their sizes.
    pub fn one_size(&self) -> anyhow::Result<[usize; 2]> {
        frames::one_size(&self.source, &self.names, &self.sizes)
    }

    /// Delays of an animation.
    pub fn timing(&self) -> Option<&Timing> {
        if let SetKind::Gif(frames) = &self.kind { Some(&frames.timing) } else { None }
    }
}

fn stream(source: &Path, frames: VideoFrames) -> PictureSet {
    let (count, size) = (frames.lines.len(), frames.head.size());
    PictureSet {
        source: source.to_owned(),
        kind: SetKind::Stream(frames),
        names: numbered(count),
        sizes: vec![size; count],
    }
}

fn is_stream(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    matches!(extension.as_deref(), Some("y4m" | "rgb" | "raw" | "rgb24"))
}

/// Names for frames that have none.
fn numbered(count: usize) -> Vec<PathBuf> {
    let digits = count.to_string().len().max(4);
    (1..=count).map(|i| PathBuf::from(format!("frame_{i:0digits$}.png"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(path: &Path, size: [u32; 2], level: u8) {
        image::RgbImage::from_pixel(size[1], size[0], image::Rgb([level, 10, 20])).save(path).unwrap();
    }

    #[test]
    fn folders_single_pictures_and_streams() {
        let dir = tempfile::tempdir().unwrap();
        for i in [1_u8, 2, 10, 9, 8, 7, 6, 5, 4, 3] {
            save(&dir.path().join(format!("f{i}.png")), [4, 6], i);
        }
        let set = PictureSet::open(dir.path(), &SetOptions::default()).unwrap();
        assert_eq!((set.len(), set.one_size().unwrap()), (10, [4, 6]));
        assert_eq!(set.names[9], PathBuf::from("f10.png"));
        assert_eq!((set.raster(9).unwrap().rgb[0] * 255.0).round(), 10.0);
        // Between looking and reading somebody has changed a file.
        save(&dir.path().join("f2.png"), [3, 6], 0);
        let refused = set.read(1).unwrap_err().to_string();
        assert!(refused.ends_with("f2.png: it was 6x4 before, found 6x3"), "{refused}");
        let refused = PictureSet::open(dir.path(), &SetOptions::default()).unwrap_err().to_string();
        assert!(refused.contains("f1.png is 6x4, f2.png is 6x3; 1 of 10 pictures"), "{refused}");
        let single = PictureSet::open(&dir.path().join("f1.png"), &SetOptions::default()).unwrap();
        assert!(matches!(single.kind, SetKind::Single) && single.names == [PathBuf::from("f1.png")]);
        let size = SetOptions { size: Some([1, 2]), ..SetOptions::default() };
        let refused = PictureSet::open(&dir.path().join("f1.png"), &size).unwrap_err().to_string();
        assert!(refused.starts_with("--size is for video streams"), "{refused}");
        let raw = dir.path().join("a.rgb");
        std::fs::write(&raw, [7; 12]).unwrap();
        let stream = PictureSet::open(&raw, &size).unwrap();
        assert_eq!(stream.names, ["frame_0001.png", "frame_0002.png"].map(PathBuf::from));
        assert_eq!(stream.raster(1).unwrap().size, [1, 2]);
        assert!(PictureSet::open(&dir.path().join("none"), &SetOptions::default()).is_err());
    }
}
