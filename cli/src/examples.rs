//! What stands under "Examples" in every help page. A test parses each of these lines.

pub const ALL: &str = "\
Examples:
  syncline txt2img -p \"sunset over desert dunes\"
      the built-in model, output.png
  syncline txt2img -m ~/models/sd21-base -p \"a lighthouse\" -W 768 -H 512 --steps 25
  syncline panorama -p \"green meadow at noon\" --report report.json
  syncline devices

Exit codes: 0 ok, 2 usage, 3 bad input file, 4 model mismatch, 5 no suitable adapter, 6 out of memory,
7 device lost, 8 numeric failure, 9 output failure, 130 interrupted, 1 anything else";

pub const TXT2IMG: &str = "\
Examples:
  syncline txt2img -p \"sunset over desert dunes\" -n \"night\" --seed random
  syncline txt2img -m v2-1_512.safetensors --prediction epsilon -p @prompt.txt -o dune.png
  syncline txt2img -p \"snowy forest at dusk\" -b 4 -o forest_%03d.png --sampler \"DPM++ 2M Karras\"
  syncline txt2img -m sd_xl_base_1.0.safetensors -p \"a harbour\" --control-net depth-sdxl --control-image depth.png";

pub const IMG2IMG: &str = "\
Examples:
  syncline img2img -i sketch.png -p \"a lighthouse on a cliff\" --strength 0.6
  syncline img2img -i photo.jpg -p \"the same place in winter\" -m ~/models/sd21-base --steps 30 -o winter.png
  syncline img2img -i photo.jpg -p \"a boat\" -m ~/models/sd2-inpainting --mask mask.png -o boat.png
  syncline img2img -i photo.jpg -p \"a cave\" -m ~/models/sd2-depth --depth depth.png -o cave.png";

pub const PAIR: &str = "\
Examples:
  syncline pair -p \"green meadow at noon, hills\" -p \"snow at night, hills\" -o pair_%d.png
  syncline pair -p \"a castle\" -p \"a castle made of ice\" -p \"a sand castle\" -m ~/models/sd21-base --lambda 0.03
  syncline pair -p \"sea at dawn\" -p \"sea at sunset\" --shared-noise=init --report pair.html
  syncline pair -p \"a street\" -p \"a street, oil painting\" -m ~/models/sd21-base --model-b ~/models/painter
  syncline pair -p \"sea at dawn\" -p \"sea at sunset\" --method composed -o composed_%d.png";

pub const PANORAMA: &str = "\
Examples:
  syncline panorama -p \"green meadow at noon\" -o meadow.png
  syncline panorama -p \"desert at night\" --preset draft --views-sheet views.png
  syncline panorama -p \"desert at night\" -o sky.ktx2 --for bevy
  syncline panorama -m ~/models/sd21-base -p \"a harbour\" --preset official --pano-size 4096x2048 --report report.json
  syncline panorama -p \"green meadow at noon, cloudy sky\" --view-set full -o sphere.png --viewer sphere.html
  syncline panorama -p \"sea at sunset\" --region \"-60..60=a city skyline at sunset\" -o city.png
  syncline panorama -m ~/models/sd21-base -p \"a harbour\" --upscale harbour.png -o harbour_8k.png
  syncline panorama -m ~/models/sd21-base -p \"a harbour\" --upscale harbour.png -o harbour_8k.png --resume
  syncline panorama -p \"desert at night\" --method synctweedies --preview 5=look.png";

pub const SPHERE: &str = "\
Examples:
  syncline sphere -p \"green meadow at noon under a cloudy sky\" -o sphere.png
  syncline sphere -p \"aurora over the sea at night\" -o sky.ktx2 --for bevy";

pub const TILE: &str = "\
Examples:
  syncline tile -p \"sand dunes at noon, looking down\" -o sand.png
  syncline tile -m ~/models/sd21-base -p \"mossy cobblestones, top view\" -W 1024 -H 1024 -o stones.png
  syncline tile -p \"mountains at sunset\" --wrap x -W 512 -H 128 -o band.png
  syncline tile -p \"mountains at sunset\" --wrap none -W 512 -H 128 --method stochsync -o wide.png";

pub const TORUS: &str = "\
Examples:
  syncline torus -p \"red rock canyon, looking down at the ground\" -o torus.png
  syncline torus -m ~/models/sd21-base -p \"coral\" -W 3072 -H 1024 -o coral.png";

pub const INPAINT: &str = "\
Examples:
  syncline inpaint -i photo.png --mask mask.png -p \"a lighthouse on a hill\" -o lighthouse.png
  syncline inpaint -i panorama.png --mask mask.png --panorama -p \"desert at noon\" -o changed.png --viewer changed.html";

pub const EDIT: &str = "\
Examples:
  syncline edit -i meadow.png --source-prompt \"green meadow at noon\" -p \"green meadow at night\" -o night.png
  syncline edit -i photo.jpg -m ~/models/sd21-base --source-prompt \"a bowl of oranges\" -p \"a bowl of apples\" --start 6
  syncline edit -i photo.png --mask mask.png --source-prompt \"a hill\" -p \"a hill in snow\" --report compared.html
  syncline edit -i meadow.png --instruction \"make it night\" -o night.png
  syncline edit -i photo.png -m ~/models/instruct-pix2pix --instruction \"make it winter\" -o winter.png";

pub const REPROJECT: &str = "\
Examples:
  syncline reproject -i meadow.png -o sky.png --for unity
  syncline reproject -i meadow.png -o sky.ktx2 --for bevy --size 1024
  syncline reproject -i meadow.png -o meadow.exr --for godot
  syncline reproject -i \"sky_*.png\" --from three -o panorama.png
  syncline reproject -i meadow.png -o view.png --azimuth 90 --elevation 10 --fov 75 --size 1280x720
  syncline reproject -i view.png --input-fov 75 --azimuth -90 -o on_the_right.png
  syncline reproject --test-card -o card.png --for unreal --layout row";

pub const ABLATION: &str = "Examples:
  syncline ablation -o ablation
  syncline ablation -o ablation --rows 1,6,independent --seeds 1
  syncline ablation -o ablation --measure-only
  syncline ablation --study csd --data study -o ablation
  syncline ablation --study coupled -o coupled";

pub const CONTACT_SHEET: &str = "\
Examples:
  syncline contact-sheet a.png b.png c.png d.png --columns 2 -o sheet.png";

pub const METRICS: &str = "\
Examples:
  syncline metrics pano meadow.png
  syncline metrics pano seed_1.png seed_2.png seed_3.png --mini auto
  syncline metrics edit photo.png winter.png --mask mask.png
  syncline metrics pano meadow.png --borders -144,-72,0,72,144 --view-size 128 --json
  syncline metrics set night --source day
  syncline metrics set clip.y4m --json";

pub const EDIT_SET: &str = "\
Examples:
  syncline edit-set -i frames --source-prompt \"a meadow at noon\" -p \"a meadow at night\" -o night
  syncline edit-set -i clip.gif --source-prompt \"sand dunes\" -p \"snow\" --method independent -o snow.gif --report snow.html
  ffmpeg -i in.mp4 -f yuv4mpegpipe - | syncline edit-set -i - -o - --source-prompt \"a street\" -p \"a street in snow\" \\
    | ffmpeg -i - -i in.mp4 -map 0:v -map 1:a? -c:a copy out.mp4
  syncline edit-set -i scene -m ~/models/pix2pix --instruction \"make it autumn\" -b 16 -o autumn
  syncline edit-set -i panorama.png --source-prompt \"a lake\" -p \"a frozen lake\" -o frozen.png";

pub const VERIFY: &str = "\
Examples:
  syncline verify tests/golden/tiny-sd21-s0
  syncline verify tests/golden/tiny-sd21-s0 --precision f16 --json";

pub const DEVICES: &str = "\
Examples:
  syncline devices
  syncline devices --backend vulkan --json";

pub const BENCH: &str = "\
Examples:
  syncline bench peak
  syncline bench unet --family sd21 --batch 2,10 --check
  syncline bench ops --family sdxl --json > sdxl.json
  syncline bench counts --json";

pub const INSPECT: &str = "\
Examples:
  syncline inspect output.png
  syncline inspect ~/models/sd21-base
  syncline inspect unet/diffusion_pytorch_model.safetensors --json";

pub const RERUN: &str = "\
Examples:
  syncline rerun output.png -o again.png
  syncline rerun from_a1111.png -m ~/models/sd21-base --seed random";

pub const COMPLETIONS: &str = "\
Examples:
  syncline completions bash > ~/.local/share/bash-completion/completions/syncline
  syncline completions fish > ~/.config/fish/completions/syncline.fish";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args::Cli;

    /// Words as a shell splits them; quotes hold blanks together.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        let mut words = Vec::new();
        for (i, part) in parts {
            if i % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_example_is_a_command_we_accept() {
        #[rustfmt::skip] // One line per command.
        let all = [
            ALL,
            TXT2IMG,
            IMG2IMG,
            PAIR,
            PANORAMA,
            SPHERE,
            TILE,
            TORUS,
            INPAINT,
            EDIT,
            REPROJECT,
            ABLATION,
            CONTACT_SHEET,
            METRICS,
            EDIT_SET,
            VERIFY,
            BENCH,
            DEVICES,
            INSPECT,
            RERUN,
            COMPLETIONS,
        ];
        for text in all {
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with("  syncline ")).collect();
            assert!(!lines.is_empty(), "{text}");
            for line in lines {
                assert!(Cli::try_parse_from(words(line.split(" > ").next().unwrap())).is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }
}
