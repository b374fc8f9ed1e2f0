//! `metrics pano`: numbers of pictures made here, where it is known what they must be.

use std::f32::consts::TAU;

use serde_json::Value;

use crate::runner::{Folder, Run};

/// Writes a 256 × 128 panorama of a grey level for each row and column.
fn panorama(folder: &Folder, name: &str, level: impl Fn(u32, u32) -> f32) {
    let pixel = |x, y| image::Rgb([(level(y, x).clamp(0.0, 1.0) * 255.0).round() as u8; 3]);
    image::RgbImage::from_fn(256, 128, pixel).save(folder.path().join(name)).unwrap();
}

/// Waves that continue across the wrap.
fn waves(y: u32, x: u32) -> f32 {
    0.5 + 0.3 * (8.0 * TAU * (x as f32 + 0.5) / 256.0).sin() * (0.1 * y as f32).cos()
}

/// The one event of a run.
fn event(run: &Run) -> Value {
    let events = run.events();
    assert_eq!(events.len(), 1, "{}", run.stdout);
    events[0].clone()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {value}"))
}

#[test]
fn seams_are_found_where_they_are() {
    let folder = Folder::new();
    panorama(&folder, "sound.png", waves);
    // 0.2 brighter from azimuth 90 to the right edge.
    panorama(&folder, "seamed.png", |y, x| 0.8 * waves(y, x) + if x >= 192 { 0.2 } else { 0.0 });
    let run = |name: &str| folder.run(&["metrics", "pano", name, "--borders", "-90,90", "--json"]).exits(0);
    let (sound, seamed) = (event(&run("sound.png")), event(&run("seamed.png")));
    assert_eq!((&sound["event"], &sound["kind"]), (&"metrics".into(), &"pano".into()));
    assert_eq!(sound["panoramas"][0]["path"], "sound.png");
    let at = |event: &Value, what: &str| number(event, &format!("/panoramas/0/measures/seams/{what}"));
    // A wave is at most pi/2 times as steep as on average.
    assert!(at(&sound, "worst_ratio") < 1.7, "{sound}");
    // Steps of 0.2 on slopes of 0.02.
    assert!(at(&seamed, "borders/1/ratio") > 8.0 && at(&seamed, "wrap/ratio") > 8.0, "{seamed}");
    assert!(at(&seamed, "borders/0/ratio") < 1.7 && at(&seamed, "wrap/discontinuity") > 3.0, "{seamed}");
    assert_eq!(number(&sound, "/mean/sphere_coverage"), 1.0);
    assert!(
        sound["mini"].is_null()
            && sound["diversity"].is_null()
            && !sound["panoramas"][0]["measures"]["zenith"].is_null()
    );
}

#[test]
fn the_table_is_the_result() {
    let folder = Folder::new();
    panorama(&folder, "a.png", waves);
    panorama(&folder, "b.png", |y, x| waves(y, x + 9));
    let one = folder.run(&["metrics", "pano", "a.png"]).exits(0);
    assert_eq!(one.stderr, "");
    for part in ["seam ratio, wrap", "Discontinuity Score, wrap", "sharpness, mean |dx|", "zenith: ring variance"] {
        assert!(one.stdout.contains(part), "{part}: {}", one.stdout);
    }
    assert!(!one.stdout.contains("diversity") && !one.stdout.contains("mean of"), "{}", one.stdout);
    let two = folder.run(&["metrics", "pano", "a.png", "b.png", "--view-size", "64"]).exits(0);
    for part in ["mean of 2", "diversity, mean of 1 pairs", "1 - SSIM"] {
        assert!(two.stdout.contains(part), "{part}: {}", two.stdout);
    }
    let many = ["metrics", "pano", "a.png", "b.png", "a.png", "b.png", "a.png", "--views", "3"];
    let many = folder.run(&many).exits(0);
    assert_eq!(many.stdout.lines().next().unwrap().trim(), "mean of 5");
}

/// Where nothing is covered there is nothing to say, and a dash says so.
#[test]
fn an_empty_picture_has_no_numbers() {
    let folder = Folder::new();
    panorama(&folder, "black.png", |_, _| 0.0);
    let run = folder.run(&["metrics", "pano", "black.png", "--mini", "noon"]).exits(0);
    for name in ["seam ratio, wrap", "sharpness, mean |dx|", "shows the prompt's: time", "poles: detail"] {
        let line =
            run.stdout.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {}", run.stdout));
        assert!(line.ends_with(" -"), "{line}");
    }
    assert!(!run.stdout.contains("NaN") && run.stdout.contains("built-in model's world, 0 views"), "{}", run.stdout);
}

#[test]
fn blur_is_seen() {
    let folder = Folder::new();
    panorama(&folder, "sharp.png", |y, x| if (x / 8 + y / 8) % 2 == 0 { 0.3 } else { 0.7 });
    panorama(&folder, "soft.png", |y, x| 0.5 + 0.2 * (x as f32 * TAU / 16.0).sin() * (y as f32 * TAU / 16.0).sin());
    let detail = |name: &str, what: &str| {
        let event = event(&folder.run(&["metrics", "pano", name, "--json"]).exits(0));
        number(&event, &format!("/mean/detail/{what}"))
    };
    for what in ["laplacian_variance", "bands/0"] {
        let (sharp, soft) = (detail("sharp.png", what), detail("soft.png", what));
        assert!(sharp > 3.0 * soft, "{what}: {sharp} {soft}");
    }
}

/// A PNG that says what it was made from.
fn with_prompt(folder: &Folder, name: &str, prompt: &str) {
    let picture =
        image::RgbImage::from_fn(256, 128, |_, y| image::Rgb(if y < 64 { [115, 166, 242] } else { [77, 153, 51] }));
    let file = std::fs::File::create(folder.path().join(name)).unwrap();
    let mut encoder = png::Encoder::new(file, 256, 128);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_text_chunk("parameters".to_owned(), format!("{prompt}\nSteps: 1, Seed: 1")).unwrap();
    encoder.write_header().unwrap().write_image_data(&picture).unwrap();
}

#[test]
fn the_built_in_models_world_is_judged() {
    let folder = Folder::new();
    with_prompt(&folder, "noon.png", "green meadow at noon");
    with_prompt(&folder, "night.png", "green meadow at night");
    let auto = ["metrics", "pano", "noon.png", "night.png", "--mini", "auto", "--views", "4", "--json"];
    let both = event(&folder.run(&auto).exits(0));
    assert_eq!(both["panoramas"][1]["prompt"], "green meadow at night");
    assert_eq!((number(&both, "/mini/views"), number(&both, "/mini/accuracy/time")), (8.0, 0.5));
    assert_eq!(number(&both, "/mini/accuracy/ground"), 1.0);
    assert!(both["mini"]["accuracy"]["sky"].is_null(), "{both}");
    assert!(number(&both, "/mini/against_truth/frechet") > number(&both, "/mini/against_truth/frechet_floor"));
    let given = folder.run(&["metrics", "pano", "noon.png", "--mini", "a meadow at noon"]).exits(0);
    for part in ["built-in model's world, 10 views", "shows the prompt's: ground", "Fréchet distance"] {
        assert!(given.stdout.contains(part), "{part}: {}", given.stdout);
    }
}

#[test]
fn what_cannot_be_measured_is_refused_with_numbers() {
    let folder = Folder::new();
    panorama(&folder, "good.png", waves);
    image::RgbImage::new(100, 64).save(folder.path().join("odd.png")).unwrap();
    image::RgbImage::new(32, 16).save(folder.path().join("tiny.png")).unwrap();
    folder.write("text.png", "a picture of a dune");
    let cut = folder.bytes("good.png")[..300].to_vec();
    folder.write("cut.png", cut);
    let cases: [(&[&str], i32, &[&str]); 15] = [
        (&["odd.png"], 3, &["odd.png: panorama: found 100x64, expected twice as wide as high"]),
        (&["good.png", "tiny.png"], 3, &["tiny.png: panorama: found 32x16, expected a height of 32 to 16384"]),
        (&["text.png"], 3, &["text.png: ", "give a PNG, JPEG or WebP picture"]),
        (&["cut.png"], 3, &["cut.png: "]),
        (&["nowhere.png"], 3, &["nowhere.png: "]),
        (&["."], 3, &[".: "]),
        (&["good.png", "--mini", "auto"], 3, &["good.png: no prompt is stored in it; give one with --mini PROMPT"]),
        (&["good.png", "--mini", "@nowhere.txt"], 3, &["prompt file 'nowhere.txt'"]),
        (&["good.png", "--views", "0"], 2, &["views: found 0, expected 1 to 360"]),
        (&["good.png", "--fov", "180"], 2, &["fov: found 180, expected 10 to 150 degrees"]),
        (&["good.png", "--latitude", "-3"], 2, &["latitude: found -3"]),
        (&["good.png", "--view-size", "9"], 2, &["view size: found 9, expected 32 to 2048 pixels"]),
        (&["good.png", "--borders", "10,nan"], 2, &["border azimuth: found NaN"]),
        (&["good.png", "--borders", "10;20"], 2, &["'10;20'", "--borders"]),
        (&[], 2, &["<FILE>"]),
    ];
    for (args, code, parts) in cases {
        folder.run(&[&["metrics", "pano"], args].concat()).exits(code).gives_nothing().says(parts);
    }
    folder.run(&["metrics"]).exits(2);
    folder.run(&["metrics", "mesh"]).exits(2).says(&["mesh"]);
}
