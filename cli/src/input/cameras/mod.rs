//! Photos with cameras: nerfstudio's (or instant-ngp's, or Blender's) `transforms.json`, and COLMAP's models as text or binary.
//!
//! They are read far enough to know that every picture they name is there and has its camera's size. What is written is the
//! files as they are: a scene is fitted again with the cameras it had.

mod binary;
mod colmap;
mod text;
mod transforms;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{frames, picture_size};
use crate::exit::Failure;

/// Most bytes of a file of cameras that is read as a whole.
const MOST_BYTES: u64 = 1 << 30;
/// Most pictures of a scene.
const MOST_PICTURES: usize = 100_000;
/// Names that a message lists.
const LISTED: usize = 4;

/// A camera's picture as a file of cameras has it.
#[derive(Clone, Debug, PartialEq)]
struct Registered {
    /// Where in the file, for messages.
    place: String,
    /// The picture, relative to the scene's folder.
    path: PathBuf,
    /// `[height, width]`, where the file says it.
    size: Option<[usize; 2]>,
}

/// What a file, or the three of a COLMAP model, says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Found {
    /// The file that names the pictures.
    file: PathBuf,
    pictures: Vec<Registered>,
    /// Files that belong to the cameras, relative to the scene's folder.
    carried: Vec<PathBuf>,
}

/// A folder of photos with cameras that has passed its check. All paths are relative to the folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The pictures, each once, in the order of the cameras' files (COLMAP's: of their names).
    pub pictures: Vec<PathBuf>,
    /// `[height, width]` of each.
    pub sizes: Vec<[usize; 2]>,
    /// Files to be carried along as they are: cameras, points, masks, depths.
    pub carried: Vec<PathBuf>,
    /// Entries of the folder that are neither: smaller copies of the pictures, databases.
    pub left: Vec<String>,
}

/// Whether a folder has cameras.
pub fn is_scene(root: &Path) -> bool {
    transforms::files(root).next().is_some() || !colmap::models(root).is_empty()
}

impl Scene {
    /// Reads all files of cameras in a folder and checks them against its pictures: also the check of a folder that is to be
    /// fitted again.
    ///
    /// # Errors
    /// With code 3, the file and the place in it for cameras that cannot be read; for pictures that are not there, have another
    /// size or lie outside of the folder.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for file in transforms::files(root) {
            found.push(transforms::read(root, &file)?);
        }
        for model in colmap::models(root) {
            found.push(model.read(root)?);
        }
        if found.is_empty() {
            let message = "found neither transforms.json nor a COLMAP model (sparse/0/cameras.bin or .txt)";
            return Err(Failure::input(format!("{}: {message}", root.display())).into());
        }
        let mut known: BTreeMap<&Path, [usize; 2]> = BTreeMap::new();
        let mut pictures = Vec::new();
        for one in &found {
            check_there(root, one)?;
            for registered in &one.pictures {
                let size = match known.get(registered.path.as_path()) {
                    Some(size) => *size,
                    None => {
                        let size = picture_size(&root.join(&registered.path))?;
                        known.insert(&registered.path, size);
                        pictures.push(registered.path.clone());
                        size
                    }
                };
                check_size(&one.file, registered, size)?;
            }
        }
        if pictures.len() > MOST_PICTURES {
            let message = format!("{}: {} pictures; give at most {MOST_PICTURES}", root.display(), pictures.len());
            return Err(Failure::input(message).into());
        }
        let mut carried: Vec<PathBuf> = found.iter().flat_map(|one| one.carried.clone()).collect();
        carried.sort();
        carried.dedup();
        let sizes = pictures.iter().map(|path| known[path.as_path()]).collect();
        let left = left(root, &pictures, &carried);
        Ok(Self { pictures, sizes, carried, left })
    }
}

/// Every picture and every file beside it exists.
fn check_there(root: &Path, found: &Found) -> Result<(), Failure> {
    let missing: Vec<&Registered> = found.pictures.iter().filter(|r| !root.join(&r.path).is_file()).collect();
    if let Some(first) = missing.first() {
        let names: Vec<String> = missing.iter().take(LISTED).map(|r| shown(&r.path)).collect();
        let more = if missing.len() > LISTED { " …" } else { "" };
        return Err(Failure::input(format!(
            "{}: {}: {} of {} pictures are not there: {}{more}; put them where the cameras say, or remove their cameras",
            found.file.display(),
            first.place,
            missing.len(),
            found.pictures.len(),
            names.join(", ")
        )));
    }
    match found.carried.iter().find(|path| !root.join(path).is_file()) {
        Some(path) => {
            Err(Failure::input(format!("{}: it names {}, which is not there", found.file.display(), shown(path))))
        }
        None => Ok(()),
    }
}

fn check_size(file: &Path, registered: &Registered, [height, width]: [usize; 2]) -> Result<(), Failure> {
    match registered.size {
        Some([h, w]) if [h, w] != [height, width] => Err(Failure::input(format!(
            "{}: {}: the camera of {} is for {w}x{h} pixels, found a picture of {width}x{height}; give the pictures the cameras \
             were made for",
            file.display(),
            registered.place,
            shown(&registered.path)
        ))),
        _ => Ok(()),
    }
}

/// A name from a file, safe to print.
fn shown(path: &Path) -> String {
    syncline_loader::escaped(&path.display().to_string(), 200)
}

/// A path that a file names, below the scene's folder: nothing outside is read, and nothing outside would be written.
fn below(text: &str) -> Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => {
                let text = syncline_loader::escaped(text, 200);
                return Err(format!("found the path '{text}', expected one inside the scene's folder"));
            }
        }
    }
    if path.as_os_str().is_empty() || text.contains('\0') || text.contains('\\') {
        let text = syncline_loader::escaped(text, 200);
        return Err(format!("found the path '{text}', expected a file's name with / between folders"));
    }
    Ok(path)
}

/// Entries at the top of the folder that hold nothing of the scene.
fn left(root: &Path, pictures: &[PathBuf], carried: &[PathBuf]) -> Vec<String> {
    let tops: Vec<&std::ffi::OsStr> = pictures
        .iter()
        .chain(carried)
        .filter_map(|path| path.components().next())
        .map(|part| part.as_os_str())
        .collect();
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut left: Vec<String> = entries
        .map(|entry| entry.file_name())
        .filter(|name| !tops.contains(&name.as_os_str()))
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    left.sort_by(|a, b| frames::natural(a, b));
    left
}

/// The bytes of a file of cameras.
fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let refuse = |message: String| Failure::input(format!("{}: {message}", path.display()));
    let length = std::fs::metadata(path).map_err(|e| refuse(format!("cannot be read: {e}")))?.len();
    if length > MOST_BYTES {
        return Err(refuse(format!("found {length} bytes, expected at most {MOST_BYTES}")));
    }
    std::fs::read(path).map_err(|e| refuse(format!("cannot be read: {e}")))
}

#[cfg(test)]
mod tests;
