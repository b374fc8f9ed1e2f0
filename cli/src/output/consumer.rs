//! What engines and viewers take, as data.
//!
//! Whatever the consumer: the middle of our panorama (the front) is straight ahead of its camera in the default pose.
//!
//! Cubemaps of every graphics API are sampled alike: of a direction the largest component picks one of +X −X +Y −Y +Z −Z, the
//! other two are the place on the face, and seen from inside this is a left-handed space with y up. Engines differ in how they
//! take a world direction there:
//!
//! | | ahead, right, up | sampled at | source |
//! |---|---|---|---|
//! | Bevy | −z, x, y | (x, y, −z) | <https://github.com/bevyengine/bevy/blob/main/examples/3d/skybox.rs>, `skybox.wgsl` beside its plugin |
//! | three.js | −z, x, y | (−x, y, z) | <https://threejs.org/docs/#api/en/loaders/CubeTextureLoader>, `flipEnvMap` |
//! | Unity | z, x, y | (x, y, z) | <https://docs.unity3d.com/6000.1/Documentation/Manual/texture-type-cubemap.html> |
//! | Unreal | x, y, z | (x, y, z) | <https://docs.unrealengine.com/4.26/en-US/RenderingAndGraphics/Textures/Cubemaps/CreatingCubemaps/> |
//!
//! Panoramas, `u` from the left, 0 to 1:
//!
//! | | u of a direction | ahead at | source |
//! |---|---|---|---|
//! | Godot | atan2(x, −z) / 2π | 0 | <https://docs.godotengine.org/en/stable/classes/class_panoramaskymaterial.html>, `sky.glsl` |
//! | three.js | atan2(z, x) / 2π + 1/2 | 1/4 | <https://threejs.org/docs/#api/en/constants/Textures>, `equirectUv` |
//! | Unity | 1/2 − atan2(z, x) / 2π | 1/4 | <https://docs.unity3d.com/6000.1/Documentation/Manual/shader-skybox-panoramic.html> |
//! | Unreal | (1 + atan2(x, −y) / π) / 2 | 3/4 | <https://docs.unrealengine.com/4.26/en-US/RenderingAndGraphics/Textures/Cubemaps/> |
//! | photo viewers | GPano | 1/2 | <https://developers.google.com/streetview/spherical-metadata> |

use clap::ValueEnum;
use syncline::reproject::Face;

use super::format::Format;
use super::layout::Layout;

/// Who reads the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConsumerName {
    /// A column of faces for Skybox, or .ktx2
    Bevy,
    /// A panorama for PanoramaSkyMaterial, best .exr or .hdr
    Godot,
    /// A row of faces (texture shape Cube), or a panorama for Skybox/Panoramic
    Unity,
    /// A long-lat .hdr, or a row of faces
    Unreal,
    /// Six files for CubeTextureLoader, or a panorama with EquirectangularReflectionMapping
    Three,
    /// A panorama with the tags of photo viewers
    Photo,
}

/// A face of a cubemap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// End of its file's name.
    pub suffix: &'static str,
    /// What it shows.
    pub face: Face,
    /// Clockwise quarter turns of [`Face`]'s picture.
    pub turns: u8,
}

/// What a consumer takes.
#[derive(Clone, Copy, Debug)]
pub struct Consumer {
    /// Layouts with the formats of each; the first of each is the one to use.
    pub layouts: &'static [(Layout, &'static [Format])],
    /// Faces in the order +X −X +Y −Y +Z −Z.
    pub faces: [Slot; 6],
    /// Where the front is in a panorama, in quarters of its width.
    pub front: u8,
}

const fn slot(suffix: &'static str, face: Face, turns: u8) -> Slot {
    Slot { suffix, face, turns }
}

/// z ahead.
const LEFT_HANDED: [Slot; 6] = [
    slot("px", Face::Right, 0),
    slot("nx", Face::Left, 0),
    slot("py", Face::Up, 0),
    slot("ny", Face::Down, 0),
    slot("pz", Face::Front, 0),
    slot("nz", Face::Back, 0),
];

/// −z ahead, −x to the right: half a turn about y.
const HALF_TURN: [Slot; 6] = [
    slot("px", Face::Left, 0),
    slot("nx", Face::Right, 0),
    slot("py", Face::Up, 2),
    slot("ny", Face::Down, 2),
    slot("pz", Face::Back, 0),
    slot("nz", Face::Front, 0),
];

/// x ahead, y to the right, z up.
const Z_UP: [Slot; 6] = [
    slot("px", Face::Front, 3),
    slot("nx", Face::Back, 1),
    slot("py", Face::Right, 2),
    slot("ny", Face::Left, 0),
    slot("pz", Face::Up, 3),
    slot("nz", Face::Down, 3),
];

const ANY: &[Format] = &[Format::Png, Format::Jpeg, Format::Exr, Format::Hdr];
const FLOATS_FIRST: &[Format] = &[Format::Exr, Format::Hdr, Format::Png, Format::Jpeg];
const EIGHT_BIT: &[Format] = &[Format::Png, Format::Jpeg];

/// Without `--for`: everything, the front in the middle of panoramas and on +Z.
const NEUTRAL: Consumer = Consumer {
    layouts: &[
        (Layout::Equirect, ANY),
        (Layout::Faces, ANY),
        (Layout::Cross, ANY),
        (Layout::CrossVertical, ANY),
        (Layout::Row, ANY),
        (Layout::Column, ANY),
        (Layout::Faces, &[Format::Ktx2]),
    ],
    faces: LEFT_HANDED,
    front: 2,
};

const BEVY: Consumer = Consumer {
    layouts: &[(Layout::Column, EIGHT_BIT), (Layout::Faces, &[Format::Ktx2])],
    faces: LEFT_HANDED,
    front: 2,
};

const GODOT: Consumer = Consumer { layouts: &[(Layout::Equirect, FLOATS_FIRST)], faces: LEFT_HANDED, front: 0 };

const UNITY: Consumer = Consumer {
    layouts: &[(Layout::Row, ANY), (Layout::Column, ANY), (Layout::Equirect, ANY)],
    faces: LEFT_HANDED,
    front: 1,
};

const UNREAL: Consumer = Consumer {
    // Other formats of a panorama are imported as flat textures.
    layouts: &[(Layout::Equirect, &[Format::Hdr]), (Layout::Row, EIGHT_BIT)],
    faces: Z_UP,
    front: 3,
};

const THREE: Consumer =
    Consumer { layouts: &[(Layout::Faces, EIGHT_BIT), (Layout::Equirect, ANY)], faces: HALF_TURN, front: 1 };

const PHOTO: Consumer = Consumer { layouts: &[(Layout::Equirect, EIGHT_BIT)], faces: LEFT_HANDED, front: 2 };

impl Consumer {
    /// The row of the table; without a name the neutral one.
    #[must_use]
    pub fn of(name: Option<ConsumerName>) -> Self {
        match name {
            None => NEUTRAL,
            Some(ConsumerName::Bevy) => BEVY,
            Some(ConsumerName::Godot) => GODOT,
            Some(ConsumerName::Unity) => UNITY,
            Some(ConsumerName::Unreal) => UNREAL,
            Some(ConsumerName::Three) => THREE,
            Some(ConsumerName::Photo) => PHOTO,
        }
    }

    /// The layout to write: the one asked for, else the first that has the format.
    #[must_use]
    pub fn layout(&self, asked: Option<Layout>, format: Format) -> Option<Layout> {
        let fits = |(layout, formats): &&(Layout, &[Format])| {
            asked.is_none_or(|asked| asked == *layout) && formats.contains(&format)
        };
        self.layouts.iter().find(fits).map(|(layout, _)| *layout)
    }

    /// What it takes, for messages: `column .png .jpg, faces .ktx2`.
    #[must_use]
    pub fn accepted(&self) -> String {
        let name = |layout: Layout| layout.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
        let row = |(layout, formats): &(Layout, &[Format])| {
            let formats: Vec<&str> = formats.iter().map(|f| f.extension()).collect();
            format!("{} .{}", name(*layout), formats.join(" ."))
        };
        self.layouts.iter().map(row).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_gets_each_face_once() {
        for name in [None].into_iter().chain(ConsumerName::value_variants().iter().copied().map(Some)) {
            let consumer = Consumer::of(name);
            for face in Face::ALL {
                assert_eq!(consumer.faces.iter().filter(|slot| slot.face == face).count(), 1, "{name:?} {face:?}");
            }
            let (layout, formats) = consumer.layouts[0];
            assert_eq!(consumer.layout(None, formats[0]), Some(layout));
        }
    }

    /// The page for users has these rows.
    #[test]
    fn the_documentation_says_what_the_table_says() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/outputs.md");
        let page = std::fs::read_to_string(page).unwrap();
        for name in [None].into_iter().chain(ConsumerName::value_variants().iter().copied().map(Some)) {
            let shown = name
                .and_then(|n| n.to_possible_value())
                .map_or("(nothing)".to_owned(), |v| format!("`{}`", v.get_name()));
            let row = format!("| {shown} | {} |", Consumer::of(name).accepted());
            assert!(page.contains(&row), "docs/outputs.md has no row\n{row}");
        }
    }

    #[test]
    fn what_is_asked_for_must_fit_the_format() {
        assert_eq!(BEVY.layout(None, Format::Ktx2), Some(Layout::Faces));
        assert_eq!(BEVY.layout(Some(Layout::Column), Format::Ktx2), None);
        assert_eq!(UNREAL.layout(None, Format::Png), Some(Layout::Row));
        assert_eq!(UNREAL.layout(Some(Layout::Equirect), Format::Png), None);
        assert_eq!(UNREAL.accepted(), "equirect .hdr, row .png .jpg");
    }
}
