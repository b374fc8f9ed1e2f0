//! Files: whole or absent, never overwritten by accident, with their story in them.

use crate::runner::{Folder, PROMPT, pixels, reference, text, texts};

#[test]
fn the_same_command_gives_the_same_bytes_under_the_next_name() {
    let folder = Folder::new();
    folder.write("a.png", "mine");
    let run = folder.small(&["-p", PROMPT, "-o", "a.png"]).exits(0);
    assert_eq!(run.stdout, "a_2.png\n");
    assert_eq!(folder.bytes("a.png"), b"mine");
    assert_eq!(folder.bytes("a_2.png"), reference().png, "another run of the same command");
    let run = folder.small(&["-p", PROMPT, "-o", "a.png", "--force"]).exits(0);
    assert_eq!(run.stdout, "a.png\n");
    assert_eq!(folder.bytes("a.png"), reference().png);
    assert_eq!(folder.names(), ["a.png", "a_2.png"]);
}

#[test]
fn a_batch_is_numbered_and_its_rows_are_the_single_pictures() {
    let folder = Folder::new();
    let run = folder.small(&["-p", PROMPT, "-b", "2", "-s", "41", "-o", "p_%03d.png"]).exits(0);
    assert_eq!(run.stdout, "p_001.png\np_002.png\n");
    assert_eq!(folder.names(), ["p_001.png", "p_002.png"]);
    // Seed 41 + 1 is the reference's, down to the text chunks.
    assert_eq!(folder.bytes("p_002.png"), reference().png);
    assert_ne!(pixels(&folder.bytes("p_001.png")), pixels(&folder.bytes("p_002.png")));
}

#[test]
fn places_that_cannot_be_written_are_named_before_the_work() {
    let folder = Folder::new();
    folder.write("file", "");
    std::fs::create_dir(folder.path().join("dir")).unwrap();
    let cases = [
        ("file/a.png", &["file is no folder, so file/a.png cannot be in it"][..]),
        ("nowhere/a.png", &["the folder nowhere does not exist", "mkdir -p 'nowhere'"]),
        ("dir", &["dir is a folder", "-o 'dir/picture.png'"]),
        ("dir/", &["dir/ is a folder"]),
        (".", &[". is a folder"]),
    ];
    for (output, parts) in cases {
        let run = folder.small(&["-p", PROMPT, "-o", output]).exits(9).gives_nothing().says(parts);
        assert!(!run.stderr.contains("denoise"), "refused too late: {}", run.stderr);
    }
    folder.run(&["panorama", "--report", "nowhere/r.json"]).exits(9).gives_nothing().says(&["the folder nowhere"]);
    assert_eq!(folder.names(), ["dir", "file"]);
}

#[test]
fn a_picture_tells_how_it_was_made() {
    let png = &reference().png;
    assert_eq!(pixels(png).0, (64, 64));
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "{PROMPT}\nSteps: 1, Sampler: dpm++2m, CFG scale: 5, Seed: 42, Size: 64x64, Model: mini (built in), \
         Schedule type: discrete, RNG: cuda, Version: syncline {version}"
    );
    assert_eq!(text(png, "parameters"), expected);
    let record: serde_json::Value = serde_json::from_str(&text(png, "syncline")).unwrap();
    assert_eq!((&record["schema"], &record["command"]), (&1.into(), &"txt2img".into()));
    assert_eq!(record["parameters"]["prompt"], PROMPT);
    assert!(record["adapter"].as_str().is_some_and(|name| !name.is_empty()));

    let inspected = reference().folder.run(&["inspect", "reference.png"]).exits(0);
    assert_eq!(inspected.stdout, expected + "\n");
    let event = reference().folder.run(&["inspect", "reference.png", "--json"]).exits(0).events().remove(0);
    assert_eq!((&event["fields"]["seed"], &event["equirectangular"]), (&42.into(), &false.into()));
    assert_eq!(event["syncline"], record);
}

#[test]
fn metadata_can_be_left_out() {
    let folder = Folder::new();
    folder.small(&["-p", PROMPT, "--no-metadata"]).exits(0);
    let png = folder.bytes("output.png");
    assert_eq!(texts(&png), []);
    assert_eq!(pixels(&png), pixels(&reference().png));
    let run = folder.run(&["inspect", "output.png"]).exits(0);
    assert!(run.stdout.contains("without generation parameters"), "{}", run.stdout);
}

#[test]
fn a_panorama_is_one_for_viewers_and_has_its_views_beside_it() {
    let folder = Folder::new();
    let args = ["panorama", "-p", PROMPT, "--preset", "draft", "--steps", "2", "--ode-steps", "1", "--views", "2"];
    let size = ["--pano-size", "256x128", "--view-size", "64", "--precision", "f32"];
    let sheet = ["-o", "p.png", "--views-sheet", "v.png"];
    let run = folder.run(&[&args[..], &size, &sheet].concat()).exits(0);
    assert_eq!(run.stdout, "p.png\nv.png\n");
    let png = folder.bytes("p.png");
    assert_eq!(pixels(&png).0, (256, 128));
    let xmp = text(&png, "XML:com.adobe.xmp");
    for part in [
        "<GPano:ProjectionType>equirectangular<",
        "<GPano:FullPanoWidthPixels>256<",
        "<GPano:FullPanoHeightPixels>128<",
    ] {
        assert!(xmp.contains(part), "{part}: {xmp}");
    }
    assert!(text(&png, "parameters").contains("Method: StochSync, Preset: draft"));
    // Two sets of two views with gaps of two pixels.
    assert_eq!(pixels(&folder.bytes("v.png")).0, (130, 130));
    let run = folder.run(&["inspect", "p.png"]).exits(0);
    assert!(run.stdout.contains("360° panorama, 256x128"), "{}", run.stdout);
    assert_eq!(folder.names(), ["p.png", "v.png"]);
}

#[test]
fn contact_sheets_take_pictures_of_one_size() {
    let folder = Folder::new();
    folder.write("a.png", &reference().png);
    image::RgbImage::new(64, 32).save(folder.path().join("b.png")).unwrap();
    folder.run(&["contact-sheet", "a.png", "a.png", "a.png", "--columns", "2", "--gap", "4"]).exits(0);
    assert_eq!(pixels(&folder.bytes("sheet.png")).0, (132, 132));
    let refused = folder.run(&["contact-sheet", "a.png", "b.png", "-o", "c.png"]).exits(3).gives_nothing();
    refused.says(&["b.png: 64x32 pixels, expected 64x64 as the first picture"]);
    assert_eq!(folder.names(), ["a.png", "b.png", "sheet.png"]);
}
