//! `transforms.json`. Source: nerfstudio's data conventions; instant-ngp and Blender's synthetic scenes write the same file with
//! paths without an extension, and split into three.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Found, Registered, below, bytes};
use crate::exit::Failure;

/// The files, where a folder has them.
const NAMES: [&str; 4] = ["transforms.json", "transforms_train.json", "transforms_val.json", "transforms_test.json"];
/// What a path without an extension may be.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The files that a folder has, relative to it.
pub fn files(root: &Path) -> impl Iterator<Item = PathBuf> {
    NAMES.into_iter().map(PathBuf::from).filter(|name| root.join(name).is_file())
}

/// What one of them says.
///
/// # Errors
/// With code 3, the file and the place in it.
pub fn read(root: &Path, file: &Path) -> Result<Found, Failure> {
    let path = root.join(file);
    let refuse = |message: String| Failure::input(format!("{}: {message}", path.display()));
    let json: Value = serde_json::from_slice(&bytes(&path)?).map_err(|e| refuse(format!("no JSON: {e}")))?;
    let frames = json.get("frames").and_then(Value::as_array);
    let frames =
        frames.ok_or_else(|| refuse("found no list \"frames\", expected one with a camera each".to_owned()))?;
    if frames.is_empty() {
        return Err(refuse("\"frames\" is empty, expected a camera each".to_owned()));
    }
    let mut found = Found { file: path.clone(), pictures: Vec::new(), carried: vec![file.to_owned()] };
    let shared = size(&json).map_err(refuse)?;
    for (i, frame) in frames.iter().enumerate() {
        let place = format!("frames[{i}]");
        let at = |message: String| refuse(format!("{place}: {message}"));
        let text = |key: &str| match frame.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => below(text).map(Some).map_err(|e| format!("{key}: {e}")),
            Some(other) => Err(format!("{key}: found {}, expected a path", short(other))),
        };
        let named = text("file_path").map_err(at)?.ok_or_else(|| at("found no file_path".to_owned()))?;
        matrix(frame.get("transform_matrix")).map_err(at)?;
        let own = size(frame).map_err(at)?;
        found.pictures.push(Registered {
            place: place.clone(),
            path: with_extension(root, named),
            size: own.or(shared),
        });
        for key in ["mask_path", "depth_file_path"] {
            found.carried.extend(text(key).map_err(at)?);
        }
    }
    if let Some(Value::String(points)) = json.get("ply_file_path") {
        found.carried.push(below(points).map_err(|e| refuse(format!("ply_file_path: {e}")))?);
    }
    Ok(found)
}

/// A value in a message.
fn short(value: &Value) -> String {
    syncline_loader::escaped(&value.to_string(), 60)
}

/// `[height, width]` of `w` and `h`, which are often written as floats.
fn size(object: &Value) -> Result<Option<[usize; 2]>, String> {
    let side = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(n) if n >= 1.0 && n.fract() == 0.0 && n < 1e6 => Ok(Some(n as usize)),
            _ => Err(format!("{key}: found {}, expected a number of pixels", short(value))),
        },
    };
    Ok(side("h")?.zip(side("w")?).map(|(h, w)| [h, w]))
}

/// Four rows (or the first three) of four numbers.
fn matrix(value: Option<&Value>) -> Result<(), String> {
    let expected = "expected 4 rows of 4 numbers";
    let value = value.ok_or_else(|| format!("found no transform_matrix, {expected}"))?;
    let rows = value.as_array().filter(|rows| (3..=4).contains(&rows.len()));
    let rows = rows.ok_or_else(|| format!("transform_matrix: found {}, {expected}", short(value)))?;
    for (i, row) in rows.iter().enumerate() {
        let numbers = row.as_array().filter(|row| row.len() == 4 && row.iter().all(Value::is_number));
        numbers.ok_or_else(|| format!("transform_matrix[{i}]: found {}, {expected}", short(row)))?;
    }
    Ok(())
}

/// Blender's scenes name their pictures without an extension.
fn with_extension(root: &Path, path: PathBuf) -> PathBuf {
    if root.join(&path).is_file() {
        return path;
    }
    let named = EXTENSIONS.map(|extension| {
        let mut name = path.clone().into_os_string();
        name.push(".");
        name.push(extension);
        PathBuf::from(name)
    });
    named.into_iter().find(|path| root.join(path).is_file()).unwrap_or(path)
}
