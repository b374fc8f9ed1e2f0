//! What engines make of our files. Each engine's way from a direction to a pixel is written down here once more, from its
//! documentation or shader, with nothing shared with the code that wrote the files; then the picture must be the test card's,
//! seen from the engine's camera in its default pose.
//!
//! Sampling of cubemaps: Vulkan specification, "Cube Map Face Selection"; Direct3D and OpenGL have the same table.

use std::f64::consts::PI;

use crate::runner::Folder;

type Vector = [f64; 3];

/// RGB rows of a picture, 0 to 1.
struct Pixels {
    width: usize,
    height: usize,
    rgb: Vec<f32>,
}

impl Pixels {
    fn read(folder: &Folder, name: &str) -> Self {
        let rgb = image::open(folder.path().join(name)).unwrap().to_rgb32f();
        Self { width: rgb.width() as usize, height: rgb.height() as usize, rgb: rgb.into_raw() }
    }

    /// The pixel around a position of 0 to 1 from the left and from above; the width wraps.
    fn at(&self, u: f64, v: f64) -> [f64; 3] {
        let x = ((u.rem_euclid(1.0) * self.width as f64) as usize).min(self.width - 1);
        let y = ((v * self.height as f64) as usize).min(self.height - 1);
        [0, 1, 2].map(|c| f64::from(self.rgb[3 * (y * self.width + x) + c]))
    }

    /// Rectangle `index` of `columns` × `rows` in reading order.
    fn part(&self, index: usize, [columns, rows]: [usize; 2]) -> Self {
        let (width, height) = (self.width / columns, self.height / rows);
        let (left, top) = (index % columns * width, index / columns * height);
        let line = |y: usize| {
            let at = 3 * ((top + y) * self.width + left);
            self.rgb[at..at + 3 * width].to_vec()
        };
        Self { width, height, rgb: (0..height).flat_map(line).collect() }
    }

    /// Six equal parts in a row or column.
    fn six(&self, [columns, rows]: [usize; 2]) -> [Self; 6] {
        let faces = [0, 1, 2, 3, 4, 5].map(|i| self.part(i, [columns, rows]));
        assert!(faces.iter().all(|f| f.width == f.height), "{}x{}", self.width, self.height);
        faces
    }
}

/// `textureLod(samplerCube, r, 0)` with a nearest filter.
fn sample_cube(faces: &[Pixels; 6], [rx, ry, rz]: Vector) -> [f64; 3] {
    let (face, sc, tc, ma) = if rx.abs() >= ry.abs() && rx.abs() >= rz.abs() {
        if rx > 0.0 { (0, -rz, -ry, rx) } else { (1, rz, -ry, rx) }
    } else if ry.abs() >= rz.abs() {
        if ry > 0.0 { (2, rx, rz, ry) } else { (3, rx, -rz, ry) }
    } else if rz > 0.0 {
        (4, rx, -ry, rz)
    } else {
        (5, -rx, -ry, rz)
    };
    faces[face].at(0.5 * (sc / ma.abs() + 1.0), 0.5 * (tc / ma.abs() + 1.0))
}

/// Where a camera in its default pose looks, and its right and up.
struct Pose {
    ahead: Vector,
    right: Vector,
    up: Vector,
}

/// OpenGL's, Bevy's, Godot's and three.js's.
const RIGHT_HANDED: Pose = Pose { ahead: [0.0, 0.0, -1.0], right: [1.0, 0.0, 0.0], up: [0.0, 1.0, 0.0] };
const UNITY: Pose = Pose { ahead: [0.0, 0.0, 1.0], right: [1.0, 0.0, 0.0], up: [0.0, 1.0, 0.0] };
const UNREAL: Pose = Pose { ahead: [1.0, 0.0, 0.0], right: [0.0, 1.0, 0.0], up: [0.0, 0.0, 1.0] };

/// Directions as (right, up, ahead), in the middles between the lines on which colours or letters of the card can change.
fn directions() -> Vec<Vector> {
    let steps = || (0..32).map(|i| (2 * i + 1) as f64 / 32.0 - 1.0);
    let mut all = Vec::new();
    for axis in 0..3 {
        for sign in [-1.0, 1.0] {
            for a in steps() {
                for b in steps() {
                    let mut direction = [sign; 3];
                    (direction[(axis + 1) % 3], direction[(axis + 2) % 3]) = (a, b);
                    all.push(direction);
                }
            }
        }
    }
    all
}

/// The card itself: a 2:1 panorama, its middle ahead.
fn card(pixels: &Pixels, [right, up, ahead]: Vector) -> [f64; 3] {
    pixels.at(right.atan2(ahead) / (2.0 * PI) + 0.5, 0.5 - up.atan2(right.hypot(ahead)) / PI)
}

fn linear(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn srgb(v: f64) -> f64 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// Writes the card, then for a consumer, and hands both to a check.
fn written(args: &[&str]) -> (Folder, Pixels) {
    let folder = Folder::new();
    folder.run(&["reproject", "--test-card", "-o", "card.png"]).exits(0);
    folder.run(&[&["reproject", "-i", "card.png"], args].concat()).exits(0);
    let pixels = Pixels::read(&folder, "card.png");
    assert_eq!((pixels.width, pixels.height), (2048, 1024));
    (folder, pixels)
}

/// Every direction has the card's colour, up to 1/255 in each channel of what `as_shown` makes of both; and would not if the
/// engine's right were its left.
#[track_caller]
fn assert_shows(card_pixels: &Pixels, pose: &Pose, shown: impl Fn(Vector) -> [f64; 3], expected_as: fn(f64) -> f64) {
    let world =
        |[right, up, ahead]: Vector| [0, 1, 2].map(|i| right * pose.right[i] + up * pose.up[i] + ahead * pose.ahead[i]);
    let off = |direction: Vector, seen: Vector| {
        let (expected, got) = (card(card_pixels, direction).map(expected_as), shown(world(seen)));
        (0..3).map(|c| (got[c] - expected[c]).abs()).fold(0.0, f64::max)
    };
    let all = directions();
    assert_eq!(all.len(), 6 * 32 * 32);
    for direction in &all {
        let off = off(*direction, *direction);
        assert!(off <= 1.0 / 255.0 + 1e-6, "right, up, ahead {direction:?}: off by {:.2}/255", 255.0 * off);
    }
    let mirrored = all.iter().filter(|d| off(**d, [-d[0], d[1], d[2]]) > 1.0 / 255.0).count();
    assert!(2 * mirrored > all.len(), "a mirrored picture would pass");
}

fn as_is(v: f64) -> f64 {
    v
}

/// `reinterpret_stacked_2d_as_array(height / width)` with a cube view: layers from above. The skybox shader samples
/// `ray_direction * vec3(1.0, 1.0, -1.0)`.
#[test]
fn bevy() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "bevy", "--size", "256"]);
    let faces = Pixels::read(&folder, "sky.png").six([1, 6]);
    assert_eq!(faces[0].width, 256);
    assert_shows(&card, &RIGHT_HANDED, |[x, y, z]| sample_cube(&faces, [x, y, -z]), as_is);
}

/// The same from a KTX2 file, every level of which has the six faces in order.
#[test]
fn bevy_from_ktx2() {
    let (folder, card) = written(&["-o", "sky.ktx2", "--for", "bevy", "--size", "256"]);
    let file = ktx2::Reader::new(folder.bytes("sky.ktx2")).unwrap();
    assert_eq!((file.header().face_count, file.header().level_count), (6, 9));
    let levels: Vec<_> = file.levels().collect();
    assert_eq!(levels[8].data.len(), 6 * 4);
    let face = |i: usize| {
        let texels = &levels[0].data[i * 4 * 256 * 256..(i + 1) * 4 * 256 * 256];
        let rgb = texels.chunks_exact(4).flat_map(|t| [t[0], t[1], t[2]]).map(|v| f32::from(v) / 255.0);
        Pixels { width: 256, height: 256, rgb: rgb.collect() }
    };
    let faces = [0, 1, 2, 3, 4, 5].map(face);
    assert_shows(&card, &RIGHT_HANDED, |[x, y, z]| sample_cube(&faces, [x, y, -z]), as_is);
}

/// `CubeTextureLoader.load(['px.png', 'nx.png', 'py.png', 'ny.png', 'pz.png', 'nz.png'])`; the background shader samples
/// `vec3(flipEnvMap * x, y, z)` with `flipEnvMap` -1 for loaded cube textures.
#[test]
fn three() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "three", "--size", "256"]);
    let faces = ["px", "nx", "py", "ny", "pz", "nz"].map(|n| Pixels::read(&folder, &format!("sky_{n}.png")));
    assert_shows(&card, &RIGHT_HANDED, |[x, y, z]| sample_cube(&faces, [-x, y, z]), as_is);
}

/// `equirectUv`: u = atan(z, x) / 2π + 1/2, v = asin(y) / π + 1/2 from below.
#[test]
fn three_as_panorama() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "three", "--layout", "equirect"]);
    let panorama = Pixels::read(&folder, "sky.png");
    let shown = |[x, y, z]: Vector| {
        let v = (y / (x * x + y * y + z * z).sqrt()).asin() / PI + 0.5;
        panorama.at(z.atan2(x) / (2.0 * PI) + 0.5, 1.0 - v)
    };
    assert_shows(&card, &RIGHT_HANDED, shown, as_is);
}

/// Texture shape Cube, mapping "6 frames layout", horizontal sequence: +x -x +y -y +z -z.
#[test]
fn unity() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "unity", "--size", "256"]);
    let faces = Pixels::read(&folder, "sky.png").six([6, 1]);
    assert_shows(&card, &UNITY, |direction| sample_cube(&faces, direction), as_is);
}

/// Skybox/Panoramic: (0.5, 1) - (atan2(z, x) / 2π, acos(y) / π), v from below.
#[test]
fn unity_as_panorama() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "unity", "--layout", "equirect"]);
    let panorama = Pixels::read(&folder, "sky.png");
    let shown = |[x, y, z]: Vector| {
        let v = 1.0 - (y / (x * x + y * y + z * z).sqrt()).acos() / PI;
        panorama.at(0.5 - z.atan2(x) / (2.0 * PI), 1.0 - v)
    };
    assert_shows(&card, &UNITY, shown, as_is);
}

/// `panorama_coords` of the sky shader: atan(x, -z) in 0..2π and acos(y), from the left and from above. Linear light.
#[test]
fn godot() {
    for file in ["sky.exr", "sky.png"] {
        let (folder, card) = written(&["-o", file, "--for", "godot"]);
        let panorama = Pixels::read(&folder, file);
        let show = if file == "sky.exr" { srgb } else { as_is };
        let shown = |[x, y, z]: Vector| {
            let u = x.atan2(-z).rem_euclid(2.0 * PI) / (2.0 * PI);
            panorama.at(u, (y / (x * x + y * y + z * z).sqrt()).acos() / PI).map(show)
        };
        assert_shows(&card, &RIGHT_HANDED, shown, as_is);
    }
}

/// A long-lat texture: with z and y exchanged, u = (1 + atan2(x, -z) / π) / 2 and v = acos(y) / π. Compared as light: a shared
/// exponent keeps the small channels of a pixel to a 256th of the largest only.
#[test]
fn unreal() {
    let (folder, card) = written(&["-o", "sky.hdr", "--for", "unreal"]);
    let panorama = Pixels::read(&folder, "sky.hdr");
    let shown = |[x, y, z]: Vector| {
        let [x, y, z] = [x, z, y];
        let u = 0.5 * (1.0 + x.atan2(-z) / PI);
        panorama.at(u, (y / (x * x + y * y + z * z).sqrt()).acos() / PI)
    };
    assert_shows(&card, &UNREAL, shown, linear);
}

/// Six faces side by side; the engine samples along its own axes, z up, and so asks for turned faces.
#[test]
fn unreal_as_faces() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "unreal", "--size", "256"]);
    let faces = Pixels::read(&folder, "sky.png").six([6, 1]);
    assert_shows(&card, &UNREAL, |direction| sample_cube(&faces, direction), as_is);
}

/// Nine tags, read by a parser of XML; the middle of the picture is where it says.
#[test]
fn photo() {
    let (folder, card) = written(&["-o", "sky.png", "--for", "photo"]);
    let panorama = Pixels::read(&folder, "sky.png");
    let packet = crate::runner::text(&folder.bytes("sky.png"), "XML:com.adobe.xmp");
    let document = roxmltree::Document::parse(packet.trim_start_matches('\u{FEFF}')).unwrap();
    let namespace = "http://ns.google.com/photos/1.0/panorama/";
    let description = document.descendants().find(|n| n.has_tag_name("Description")).unwrap();
    assert_eq!(description.tag_name().namespace(), Some("http://www.w3.org/1999/02/22-rdf-syntax-ns#"));
    let tag = |name: &str| {
        let element = description.children().find(|n| n.has_tag_name((namespace, name)));
        element.and_then(|n| n.text()).unwrap_or_else(|| panic!("no {name} in {packet}"))
    };
    assert_eq!(tag("ProjectionType"), "equirectangular");
    assert_eq!(tag("UsePanoramaViewer"), "True");
    for name in ["FullPanoWidthPixels", "CroppedAreaImageWidthPixels"] {
        assert_eq!(tag(name), "2048");
    }
    for name in ["FullPanoHeightPixels", "CroppedAreaImageHeightPixels"] {
        assert_eq!(tag(name), "1024");
    }
    for name in ["CroppedAreaLeftPixels", "CroppedAreaTopPixels"] {
        assert_eq!(tag(name), "0");
    }
    let heading: f64 = tag("PoseHeadingDegrees").parse().unwrap();
    // North ahead: a viewer that opens the picture's middle looks along the heading.
    let shown = |[x, y, z]: Vector| {
        let azimuth = x.atan2(-z) - heading.to_radians();
        panorama.at(azimuth / (2.0 * PI) + 0.5, (y / (x * x + y * y + z * z).sqrt()).acos() / PI)
    };
    assert_shows(&card, &RIGHT_HANDED, shown, as_is);
}
