//! COLMAP's sparse models: cameras, images and points, as text or binary. Source: COLMAP's output format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Found, Registered, below, binary, bytes, text};
use crate::exit::Failure;
use crate::input::frames::natural;

/// Where a scene's folder keeps its model.
const FOLDERS: [&str; 5] = ["sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ""];
/// Files of a model that only some versions write.
const MORE: [&str; 3] = ["rigs", "frames", "project"];
/// Camera models: their names, and how many parameters they have, by their number.
pub const MODELS: [(&str, usize); 12] = [
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
];

/// A camera: its number and the size of its pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    pub id: u32,
    pub height: u64,
    pub width: u64,
}

/// A registered image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Where in the file.
    pub place: String,
    pub camera: u32,
    pub name: String,
}

/// The three files of a model in one of the two forms.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Relative to the scene's folder.
    folder: PathBuf,
    extension: &'static str,
}

/// The models of a folder: the first place that has one, in both forms where it has both.
pub fn models(root: &Path) -> Vec<Model> {
    for folder in FOLDERS.map(PathBuf::from) {
        let there = |extension: &&'static str| {
            ["cameras", "images"].iter().any(|name| root.join(&folder).join(format!("{name}.{extension}")).is_file())
        };
        let model = |extension| Model { folder: folder.clone(), extension };
        let models: Vec<Model> = ["bin", "txt"].iter().filter(|e| there(e)).map(|e| model(*e)).collect();
        if !models.is_empty() {
            return models;
        }
    }
    Vec::new()
}

impl Model {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}", self.extension))
    }

    /// What it says, with pictures relative to the scene's folder.
    ///
    /// # Errors
    /// With code 3, the file, and the line or byte.
    pub fn read(&self, root: &Path) -> Result<Found, Failure> {
        let load = |name: &str| {
            let path = root.join(self.file(name));
            bytes(&path).map(|bytes| (path, bytes))
        };
        let refuse = |path: &Path, message: String| Failure::input(format!("{}: {message}", path.display()));
        let is_text = self.extension == "txt";
        let (path, bytes) = load("cameras")?;
        let read = if is_text { text::cameras } else { binary::cameras };
        let cameras = by_number(read(&bytes).map_err(|e| refuse(&path, e))?).map_err(|e| refuse(&path, e))?;
        let (file, bytes) = load("images")?;
        let read = if is_text { text::images } else { binary::images };
        let images = read(&bytes).map_err(|e| refuse(&file, e))?;
        let mut carried = vec![self.file("cameras"), self.file("images")];
        if root.join(self.file("points3D")).is_file() {
            let (path, bytes) = load("points3D")?;
            let check = if is_text { text::points } else { binary::points };
            check(&bytes).map_err(|e| refuse(&path, e))?;
            carried.push(self.file("points3D"));
        }
        for name in MORE {
            let project = self.folder.join("project.ini");
            let more = if name == "project" { project } else { self.file(name) };
            carried.extend(root.join(&more).is_file().then_some(more));
        }
        if images.is_empty() {
            return Err(refuse(&file, "no image is registered; fit the cameras first".to_owned()));
        }
        let folder = pictures_folder(root, &self.folder, &images[0].name);
        let mut pictures = Vec::new();
        for image in images {
            let at = |message: String| refuse(&file, format!("{}: {message}", image.place));
            let Some(camera) = cameras.get(&image.camera) else {
                return Err(at(format!(
                    "camera {} of {} is not in cameras.{}",
                    image.camera,
                    super::shown(Path::new(&image.name)),
                    self.extension
                )));
            };
            let path = folder.join(below(&image.name).map_err(at)?);
            let size = Some([camera.height as usize, camera.width as usize]);
            pictures.push(Registered { place: image.place, path, size });
        }
        pictures.sort_by(|a, b| natural(&a.path.to_string_lossy(), &b.path.to_string_lossy()));
        if let Some(pair) = pictures.windows(2).find(|pair| pair[0].path == pair[1].path) {
            let message = format!("{}: {} is registered twice", pair[1].place, super::shown(&pair[1].path));
            return Err(refuse(&file, message));
        }
        Ok(Found { file, pictures, carried })
    }
}

fn by_number(cameras: Vec<Camera>) -> Result<BTreeMap<u32, Camera>, String> {
    let mut numbered = BTreeMap::new();
    for camera in cameras {
        if camera.width == 0 || camera.height == 0 || camera.width.max(camera.height) > 1 << 20 {
            let Camera { id, height, width } = camera;
            return Err(format!(
                "camera {id}: found {width}x{height} pixels, expected at least one and a photo's size"
            ));
        }
        if numbered.insert(camera.id, camera).is_some() {
            return Err(format!("camera {} is there twice", camera.id));
        }
    }
    Ok(numbered)
}

/// Where the first image lies: `images/` beside the model, or the folder itself.
fn pictures_folder(root: &Path, model: &Path, first: &str) -> PathBuf {
    let beside = |folder: &str| model.parent().unwrap_or(Path::new("")).join(folder);
    let places = [PathBuf::from("images"), PathBuf::from("input"), beside("images"), PathBuf::new()];
    places.iter().find(|place| root.join(place).join(first).is_file()).unwrap_or(&places[0]).clone()
}
