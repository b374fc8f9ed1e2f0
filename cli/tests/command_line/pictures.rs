//! Samplers, noise sources and pictures to start from.

use std::collections::BTreeSet;

use crate::runner::{Folder, PROMPT, SMALL, pixels, reference, text};

#[test]
fn every_sampler_and_noise_source_draws_its_own_picture() {
    let folder = Folder::new();
    let mut seen = BTreeSet::new();
    for sampler in ["ddim", "euler", "euler_a", "dpm++2m", "ddpm"] {
        let out = format!("{sampler}.png");
        let run = ["txt2img", "--precision", "f32", "-W", "64", "-H", "64", "--steps", "2", "-p", PROMPT];
        folder.run(&[&run[..], &["--sampler", sampler, "-o", &out]].concat()).exits(0);
        let png = folder.bytes(&out);
        assert!(text(&png, "parameters").contains(&format!("Sampler: {sampler},")), "{sampler}");
        assert!(seen.insert(pixels(&png)), "{sampler} draws what another sampler drew");
    }
    seen.insert(pixels(&reference().png));
    for rng in ["cpu", "portable"] {
        let out = format!("{rng}.png");
        folder.small(&["-p", PROMPT, "--rng", rng, "-o", &out]).exits(0);
        let png = folder.bytes(&out);
        assert!(text(&png, "parameters").contains(&format!("RNG: {rng},")), "{rng}");
        assert!(seen.insert(pixels(&png)), "{rng} draws what another source drew");
    }
}

/// stable-diffusion.cpp's, A1111's, ComfyUI's and diffusers' names of one sampler.
#[test]
fn samplers_are_known_by_their_names_elsewhere() {
    let folder = Folder::new();
    let run = ["txt2img", "--precision", "f32", "-W", "64", "-H", "64", "--steps", "2", "-p", PROMPT];
    let dialects: [&[&str]; 4] = [
        &["--sampling-method", "dpm++2m", "--scheduler", "karras"],
        &["--sampler", "DPM++ 2M Karras"],
        &["--sampler", "dpmpp_2m", "--scheduler", "Karras"],
        &["--sampler", "DPMSolverMultistepScheduler", "--scheduler", "use_karras_sigmas"],
    ];
    for (i, names) in dialects.iter().enumerate() {
        folder.run(&[&run[..], names, &["-o", &format!("{i}.png")]].concat()).exits(0);
    }
    assert!(text(&folder.bytes("0.png"), "parameters").contains("Sampler: dpm++2m, CFG scale: 5,"));
    assert!(text(&folder.bytes("0.png"), "parameters").contains("Schedule type: karras"));
    for (i, names) in dialects.iter().enumerate().skip(1) {
        assert_eq!(folder.bytes(&format!("{i}.png")), folder.bytes("0.png"), "{names:?}");
    }
}

#[test]
fn width_and_height_are_free_of_each_other() {
    let folder = Folder::new();
    folder.run(&[&SMALL[..5], &["-W", "64", "-p", PROMPT, "-o", "a.png"]].concat()).exits(0);
    assert_eq!(pixels(&folder.bytes("a.png")).0, (64, 128), "the height is the model's own");
}

#[test]
fn pictures_start_from_pictures() {
    let folder = Folder::new();
    let run = ["img2img", "--precision", "f32", "-p", PROMPT, "--steps", "2"];
    let from = |image: &str, more: &[&str]| folder.run(&[&run[..], &["-i", image], more].concat());
    from(&reference().path(), &["--strength", "0.5", "-o", "a.png"]).exits(0);
    let png = folder.bytes("a.png");
    assert_eq!(pixels(&png).0, (64, 64));
    assert!(text(&png, "parameters").contains("Denoising strength: 0.5"));
    let record: serde_json::Value = serde_json::from_str(&text(&png, "syncline")).unwrap();
    assert_eq!(record["command"], "img2img");

    // Grey with transparency is a picture, too.
    image::GrayAlphaImage::new(64, 64).save(folder.path().join("grey.png")).unwrap();
    from("grey.png", &["-o", "b.png"]).exits(0);

    image::RgbImage::new(100, 64).save(folder.path().join("odd.png")).unwrap();
    folder.write("cut.png", &reference().png[..1000]);
    folder.write("text.png", "a picture of a dune");
    let bomb = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]].concat();
    folder.write("bomb.png", bomb);
    let cases: [(&str, &[&str], i32, &[&str]); 8] = [
        ("nowhere.png", &[], 3, &["nowhere.png: ", "give a PNG, JPEG or WebP picture"]),
        ("text.png", &[], 3, &["text.png: ", "give a PNG, JPEG or WebP picture"]),
        ("cut.png", &[], 3, &["cut.png: "]),
        ("bomb.png", &[], 3, &["bomb.png: "]),
        (".", &[], 3, &[".: "]),
        ("odd.png", &[], 2, &["width: found 100, expected a multiple of 64"]),
        (&reference().path(), &["--strength", "0"], 2, &["strength: found 0, expected more than 0"]),
        (&reference().path(), &["--strength", "nan"], 2, &["strength: found NaN"]),
    ];
    for (image, more, code, parts) in cases {
        from(image, &[more, &["-o", "c.png"]].concat()).exits(code).gives_nothing().says(parts);
    }
    assert!(!folder.names().contains(&"c.png".to_owned()), "{:?}", folder.names());
}

/// What steers a run comes in pairs, and is for models that take it.
#[test]
fn steering_says_what_is_missing() {
    let folder = Folder::new();
    folder.write("a.png", &reference().png);
    folder.small(&["-p", PROMPT, "--control-net", "x"]).exits(2).says(&["0 --control-image for 1 --control-net"]);
    folder.small(&["-p", PROMPT, "--control-strength", "1"]).exits(2).says(&["need --control-net"]);
    let missing = folder.small(&["-p", PROMPT, "--control-net", "no_such_model", "--control-image", "a.png"]);
    missing.exits(3).says(&["no_such_model"]);
    let mut mask = image::RgbImage::new(64, 64);
    mask.put_pixel(3, 3, image::Rgb([255; 3]));
    mask.save(folder.path().join("mask.png")).unwrap();
    let run = ["img2img", "--precision", "f32", "-p", PROMPT, "--steps", "1", "-i", "a.png"];
    folder
        .run(&[&run[..], &["--mask", "mask.png"]].concat())
        .exits(2)
        .says(&["plain text-to-image", "syncline inpaint"]);
    let depth = folder.run(&[&run[..], &["--depth", "a.png"]].concat());
    assert!(depth.code != Some(0));
    depth.says(&["a depth model"]);
    assert_eq!(folder.names(), ["a.png", "mask.png"]);
}
