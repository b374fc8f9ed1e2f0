//! What to reproject: a panorama, a sheet of faces, or six files.

use std::path::{Path, PathBuf};

use syncline::kernels::gpu::Context;
use syncline::reproject::{from_perspective, view_density};

use crate::args::ReprojectArgs;
use crate::exit::Failure;
use crate::input::read_picture;
use crate::output::{Consumer, Embedded, Layout, Picture, Sphere, test_card, with_front_at};

/// Names that the parts of a cubemap go by, in the order +X −X +Y −Y +Z −Z.
const NAMES: [[&str; 6]; 5] = [
    ["px", "nx", "py", "ny", "pz", "nz"],
    ["posx", "negx", "posy", "negy", "posz", "negz"],
    ["right", "left", "up", "down", "front", "back"],
    ["right", "left", "top", "bottom", "front", "back"],
    ["rt", "lf", "up", "dn", "ft", "bk"],
];

/// What the flags name.
pub enum Source {
    /// Something all around.
    Sphere(Sphere),
    /// A perspective view with its vertical field in degrees.
    Photograph(Picture, f64),
}

impl Source {
    /// All around: a photograph lies ahead in a panorama as fine as itself.
    pub fn into_sphere(self, ctx: &Context) -> syncline::Result<Sphere> {
        match self {
            Self::Sphere(sphere) => Ok(sphere),
            Self::Photograph(picture, fov) => {
                let rows = std::f64::consts::PI * view_density(picture.raster.size[0], fov);
                // Even, so that a quarter of the width is a number of columns; a field that will be refused may give any number.
                let height = 2 * (0.5 * rows).round().clamp(8.0, 4096.0) as usize;
                Ok(Sphere::Panorama(Picture::linear(from_perspective(ctx, &picture.to_linear(), fov, height)?)))
            }
        }
    }
}

/// The picture that the flags name, and what its file says about its origin.
pub fn read(args: &ReprojectArgs) -> anyhow::Result<(Source, Embedded)> {
    if args.test_card {
        return Ok((Source::Sphere(Sphere::Panorama(test_card())), Embedded::default()));
    }
    let consumer = Consumer::of(args.from);
    let paths = match args.input.as_slice() {
        [one] if is_pattern(one) => expand(one)?,
        given => ordered(given),
    };
    if let [path] = paths.as_slice() {
        let embedded = if args.no_metadata { Embedded::default() } else { Embedded::read(path).unwrap_or_default() };
        return Ok(match args.input_fov {
            Some(fov) => (Source::Photograph(read_picture(path)?, fov), embedded),
            None => (Source::Sphere(one_picture(path, &consumer)?), embedded),
        });
    }
    if args.input_fov.is_some() {
        let message =
            format!("input: found {} files, expected one view with --input-fov; give one with -i", paths.len());
        return Err(Failure::usage(message).into());
    }
    let Ok(six) = <[PathBuf; 6]>::try_from(paths) else {
        return Err(Failure::usage(format!(
            "input: found {} files, expected one panorama or sheet of faces, or six faces; give -i px nx py ny pz nz",
            args.input.len()
        ))
        .into());
    };
    Ok((Source::Sphere(cube(read_faces(&six)?, &consumer)), Embedded::default()))
}

fn is_pattern(path: &Path) -> bool {
    // A file of that very name is meant when there is one.
    path.file_name().is_some_and(|name| name.to_string_lossy().contains('*')) && !path.exists()
}

fn with_name(pattern: &Path, name: &str) -> PathBuf {
    let file = pattern.file_name().unwrap_or_default().to_string_lossy().replacen('*', name, 1);
    pattern.with_file_name(file)
}

/// The six files of a pattern, by the names of which most exist.
fn expand(pattern: &Path) -> Result<Vec<PathBuf>, Failure> {
    let paths = |names: &[&str; 6]| -> Vec<PathBuf> { names.iter().map(|name| with_name(pattern, name)).collect() };
    let mut best = paths(&NAMES[0]);
    let missing = |paths: &[PathBuf]| paths.iter().filter(|path| !path.exists()).count();
    for names in &NAMES[1..] {
        let candidate = paths(names);
        if missing(&candidate) < missing(&best) {
            best = candidate;
        }
    }
    let absent: Vec<String> = best.iter().filter(|p| !p.exists()).map(|p| p.display().to_string()).collect();
    match absent.len() {
        0 => Ok(best),
        6 => Err(Failure::input(format!(
            "{}: found none of its six files, expected for example {}; give the six faces one by one with -i",
            pattern.display(),
            best[0].display()
        ))),
        _ => Err(Failure::input(format!(
            "{}: found {} of six faces, missing {}; add them, or give six files with -i",
            pattern.display(),
            6 - absent.len(),
            absent.join(", ")
        ))),
    }
}

/// Six files in the order of their names' ends, where these tell it (a shell sorts `sky_*.png` by the alphabet), else as given.
fn ordered(given: &[PathBuf]) -> Vec<PathBuf> {
    let ends_with = |path: &PathBuf, name: &str| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        stem.strip_suffix(name).is_some_and(|before| !before.ends_with(|c: char| c.is_ascii_alphabetic()))
    };
    for names in &NAMES {
        let found = names.map(|name| given.iter().filter(|path| ends_with(path, name)).collect::<Vec<_>>());
        if given.len() == 6 && found.iter().all(|paths| paths.len() == 1) {
            return found.iter().map(|paths| paths[0].clone()).collect();
        }
    }
    given.to_vec()
}

fn one_picture(path: &Path, consumer: &Consumer) -> anyhow::Result<Sphere> {
    let picture = read_picture(path)?;
    let [height, width] = picture.raster.size;
    let refuse = |found: &str| {
        Failure::input(format!(
            "{}: {width}x{height} pixels{found}, expected a 2:1 panorama, a cross (4:3 or 3:4), a row (6:1) or a column (1:6) \
             of square faces; give one of these, or six files with -i",
            path.display()
        ))
    };
    match Layout::of([height, width]) {
        None => Err(refuse("").into()),
        // The picture's middle comes back to the middle.
        Some(Layout::Equirect) => Ok(Sphere::Panorama(with_front_at(&picture, 4 - consumer.front))),
        Some(layout) if !layout.is_plain_outside(&picture) => {
            Err(refuse(" like a cross, but a picture where a cross is empty").into())
        }
        Some(layout) => match layout.split(&picture) {
            Some(faces) => Ok(cube(faces, consumer)),
            None => Err(refuse("").into()),
        },
    }
}

fn read_faces(paths: &[PathBuf; 6]) -> anyhow::Result<[Picture; 6]> {
    let mut faces: Vec<Picture> = Vec::new();
    for path in paths {
        let face = read_picture(path)?;
        let [height, width] = face.raster.size;
        let side = faces.first().map_or(height, |first| first.raster.size[0]);
        if [height, width] != [side; 2] {
            let expected = match faces.first() {
                Some(_) => format!("{side}x{side} as {}", paths[0].display()),
                None => "a square face".to_owned(),
            };
            let found = format!("{}: {width}x{height} pixels", path.display());
            return Err(Failure::input(format!("{found}, expected {expected}; give six squares of one size")).into());
        }
        faces.push(face);
    }
    if faces.iter().any(|face| face.light != faces[0].light) {
        faces = faces.iter().map(|face| Picture::linear(face.to_linear().into_owned())).collect();
    }
    <[Picture; 6]>::try_from(faces).map_err(|_| Failure::input("expected six faces").into())
}

/// Faces as a consumer takes them, brought into our order and upright.
fn cube(faces: [Picture; 6], consumer: &Consumer) -> Sphere {
    let mut ours = faces.clone();
    for (slot, picture) in consumer.faces.iter().zip(&faces) {
        ours[slot.face as usize] = picture.turned(4 - slot.turns);
    }
    Sphere::Cube(Box::new(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_order_of_six_files() {
        let paths = |names: [&str; 6]| names.map(PathBuf::from).to_vec();
        let shell = paths(["a/s_nx.png", "a/s_ny.png", "a/s_nz.png", "a/s_px.png", "a/s_py.png", "a/s_pz.png"]);
        let cube = paths(["a/s_px.png", "a/s_nx.png", "a/s_py.png", "a/s_ny.png", "a/s_pz.png", "a/s_nz.png"]);
        assert_eq!(ordered(&shell), cube);
        let words = paths(["back.png", "down.png", "front.png", "left.png", "right.png", "Up.png"]);
        assert_eq!(ordered(&words), paths(["right.png", "left.png", "Up.png", "down.png", "front.png", "back.png"]));
        // Letters before a name make it part of another word.
        let others = paths(["alpx.png", "s_nx.png", "s_py.png", "s_ny.png", "s_pz.png", "s_nz.png"]);
        assert_eq!(ordered(&others), others);
        assert_eq!(ordered(&others[..1]), others[..1]);
    }

    #[test]
    fn what_consumers_turn_comes_back() {
        use clap::ValueEnum;
        use syncline::reproject::Raster;

        use crate::output::ConsumerName;
        let value = |f: usize| (0..4).flat_map(move |i| [f as f32, i as f32, 0.0]);
        let faces = [0, 1, 2, 3, 4, 5].map(|f| Picture::linear(Raster::new([2, 2], value(f).collect())));
        for name in ConsumerName::value_variants() {
            let consumer = Consumer::of(Some(*name));
            let theirs = consumer.faces.map(|slot| faces[slot.face as usize].turned(slot.turns));
            let Sphere::Cube(ours) = super::cube(theirs, &consumer) else { panic!("{name:?}") };
            assert_eq!(*ours, faces, "{name:?}");
        }
    }
}
