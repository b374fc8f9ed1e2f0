//! Edits of one picture: what comes out, and what is refused.

use image::{Rgb, RgbImage};

use crate::runner::{Folder, pixels, text};

/// Two prompts and few steps.
const QUICK: [&str; 10] = [
    "edit",
    "-i",
    "in.png",
    "--source-prompt",
    "green meadow at noon",
    "--steps",
    "4",
    "--precision",
    "f32",
    "--quiet",
];
const NIGHT: [&str; 2] = ["-p", "green meadow at night"];

/// A model that sees no picture.
const PLAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../model-loader/mini/model");

fn picture(folder: &Folder, name: &str, width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) {
    RgbImage::from_fn(width, height, |x, y| Rgb(colour(x, y))).save(folder.path().join(name)).unwrap();
}

/// Sky and ground.
fn landscape(folder: &Folder, width: u32, height: u32) {
    picture(folder, "in.png", width, height, |x, y| {
        if 2 * y < height { [110, 160, 240] } else { [70 + (x % 13) as u8, 150, 60] }
    });
}

fn edit(folder: &Folder, more: &[&str]) {
    folder.run(&[&QUICK[..], more].concat()).exits(0);
}

/// Equal prompts and guidance: whatever the seed, the result is what the autoencoder makes of the picture.
#[test]
fn equal_prompts_give_back_the_picture() {
    let folder = Folder::new();
    landscape(&folder, 128, 128);
    let same = ["-p", "green meadow at noon", "--guidance", "3", "--source-guidance", "3"];
    edit(&folder, &[&same[..], &["--seed", "1", "-o", "a.png"]].concat());
    edit(&folder, &[&same[..], &["--seed", "2", "-o", "b.png", "--form", "flow", "--start", "2"]].concat());
    let [before, a, b] = ["in.png", "a.png", "b.png"].map(|name| pixels(&folder.bytes(name)));
    assert_eq!(a, b);
    let error: f64 = before.1.iter().zip(&a.1).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs()).sum();
    assert!(error / (before.1.len() as f64) < 12.0, "{error}");
    edit(&folder, &[&NIGHT[..], &["-o", "c.png"]].concat());
    let c = pixels(&folder.bytes("c.png"));
    assert!(a.1.iter().zip(&c.1).filter(|(x, y)| x.abs_diff(**y) > 20).count() > a.1.len() / 4);
    let parameters = text(&folder.bytes("c.png"), "parameters");
    assert!(parameters.contains("green meadow at night") && parameters.contains("Source prompt"), "{parameters}");
    assert!(parameters.contains("Sampler: sync-sde"), "{parameters}");
}

/// Any size comes back as it was; what the mask keeps has its own bytes.
#[test]
fn sizes_are_kept_and_so_is_what_is_black() {
    for (width, height, method) in [(100, 80, "sync-sde"), (200, 130, "sync-sde"), (130, 200, "sdedit")] {
        let folder = Folder::new();
        landscape(&folder, width, height);
        picture(&folder, "mask.png", width, height, |x, _| [if x < width / 2 { 255 } else { 90 }; 3]);
        let files = ["--mask", "mask.png", "-o", "o.png", "--method", method];
        edit(&folder, &[&NIGHT[..], &files].concat());
        let (before, after) = (pixels(&folder.bytes("in.png")), pixels(&folder.bytes("o.png")));
        assert_eq!(before.0, after.0);
        let mut changed = 0;
        for (i, (a, b)) in before.1.chunks_exact(3).zip(after.1.chunks_exact(3)).enumerate() {
            if i as u32 % width >= width / 2 {
                assert_eq!(a, b, "{width}x{height}, pixel {i}");
            }
            changed += usize::from(a != b);
        }
        assert!(changed > (width * height / 2) as usize * 8 / 10, "{width}x{height}: {changed}");
    }
}

#[test]
fn every_method_edits_and_the_report_compares_them() {
    let folder = Folder::new();
    landscape(&folder, 128, 128);
    let short = ["--iterations", "2", "-o", "o.png", "--report", "r.json"];
    edit(&folder, &[&NIGHT[..], &short].concat());
    let report: serde_json::Value = serde_json::from_slice(&folder.bytes("r.json")).unwrap();
    let methods = report["methods"].as_array().unwrap();
    let names: Vec<&str> = methods.iter().map(|m| m["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["sync-sde", "flowedit", "dds", "sdedit", "ddim-inversion", "rf-inversion"]);
    for method in methods {
        assert!(method["against_source"]["whole"]["l1"].as_f64().unwrap() > 0.0, "{method}");
        assert!(method["evaluations"].as_u64().unwrap() > 0 && method["target_words_seen"].is_number());
    }
    assert!(report["not_measured"].as_str().unwrap().contains("LPIPS"));
    for (method, file) in [("csd", "csd.png"), ("dds", "dds.png"), ("flowedit", "flow.png")] {
        let more = ["--method", method, "--iterations", "2", "--n-avg", "2", "-o", file];
        edit(&folder, &[&NIGHT[..], &more].concat());
        assert_eq!(pixels(&folder.bytes(file)).0, (128, 128));
    }
    edit(&folder, &[&NIGHT[..], &["--iterations", "1", "-o", "h.png", "--report", "h.html"]].concat());
    let page = String::from_utf8(folder.bytes("h.html")).unwrap();
    assert_eq!(page.matches("<figure>").count(), 7, "the source and six methods");
}

#[test]
fn what_cannot_be_done_is_refused_with_numbers_and_leaves_nothing() {
    let folder = Folder::new();
    landscape(&folder, 96, 64);
    picture(&folder, "mask.png", 64, 64, |x, _| [if x < 20 { 255 } else { 0 }; 3]);
    picture(&folder, "black.png", 96, 64, |_, _| [0; 3]);
    let with = |more: &[&'static str]| [&QUICK[..], &NIGHT, more].concat();
    let before = folder.names();
    let cases: [(Vec<&str>, i32, &[&str]); 15] = [
        (vec!["edit", "-i", "in.png"], 2, &["found no --source-prompt and no -p", "--instruction"]),
        (vec!["edit", "-i", "in.png", "-p", "x"], 2, &["found no --source-prompt;"]),
        (QUICK.to_vec(), 2, &["found no -p;"]),
        (with(&["--start", "0"]), 2, &["start index: found 0, expected 1 to 4"]),
        (with(&["--start", "5"]), 2, &["start index: found 5, expected 1 to 4"]),
        (vec!["edit", "-i", "in.png", "--source-prompt", "a", "-p", "b", "--steps", "0"], 2, &["steps: found 0"]),
        (with(&["--strength", "0"]), 2, &["strength: found 0, expected more than 0 and at most 1"]),
        (with(&["--guidance", "nan"]), 2, &["guidance: found NaN"]),
        (with(&["--method", "flowedit", "--n-avg", "0"]), 2, &["n_avg 0"]),
        (with(&["--mask", "mask.png"]), 3, &["mask mask.png: found 64x64 pixels, expected 96x64 as in.png"]),
        (with(&["--mask", "black.png"]), 3, &["no white among 6144 pixels"]),
        (vec!["edit", "-i", "no.png", "--source-prompt", "a", "-p", "b"], 3, &["no.png: "]),
        (with(&["--method", "magic"]), 2, &["sync-sde"]),
        (
            vec!["edit", "-i", "in.png", "--instruction", "make it night", "-m", PLAIN],
            4,
            &["in_channels is 4 ", "expected 8"],
        ),
        (vec!["edit", "-i", "in.png", "--instruction", "a", "-p", "b"], 2, &["give one of them"]),
    ];
    for (args, code, says) in cases {
        folder.run(&args).exits(code).says(says).gives_nothing();
        assert_eq!(folder.names(), before, "{args:?}");
    }
}

#[test]
fn edits_are_measured_inside_and_outside() {
    let folder = Folder::new();
    landscape(&folder, 64, 64);
    picture(&folder, "out.png", 64, 64, |x, y| {
        let was = if 2 * y < 64 { [110, 160, 240] } else { [70 + (x % 13) as u8, 150, 60] };
        if x < 32 { was } else { was.map(|v| v - 51) }
    });
    picture(&folder, "mask.png", 64, 64, |x, _| [if x < 32 { 0 } else { 255 }; 3]);
    let command = ["metrics", "edit", "in.png", "out.png", "--mask", "mask.png"];
    let run =
        folder.run(&[&command[..], &["--json", "--truth", "out.png", "--target-prompt", "sea at night"]].concat());
    let event = run.exits(0).events().remove(0);
    let number = |pointer: &str| event.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap();
    assert!((number("/against_source/inside/l1") - 0.2).abs() < 1e-6, "{event}");
    assert!((number("/against_source/whole/l1") - 0.1).abs() < 1e-6);
    assert_eq!((number("/against_source/outside/l1"), number("/against_truth/whole/l1")), (0.0, 0.0));
    assert!(event["against_source"]["outside"]["psnr"].is_null() && event["target_words_seen"].is_number());
    let run = folder.run(&command).exits(0);
    for said in ["PSNR in dB", "13.9794", "equal", "LPIPS need networks"] {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    picture(&folder, "small.png", 32, 64, |_, _| [0; 3]);
    let refused = |args: &[&str], code: i32, says: &[&str]| {
        folder.run(&[&["metrics", "edit", "in.png"], args].concat()).exits(code).says(says).gives_nothing();
    };
    refused(&["small.png"], 3, &["small.png: found 32x64 pixels, expected 64x64 as in.png"]);
    refused(&["out.png", "--mask", "small.png"], 3, &["mask small.png: found 32x64 pixels"]);
    refused(&["out.png", "--target-prompt", "a lighthouse"], 2, &["found no word of the built-in model's world"]);
}

/// The built-in editor does what it is told, without any other prompt.
#[test]
fn instructions_are_followed() {
    let folder = Folder::new();
    landscape(&folder, 128, 128);
    let command = ["edit", "-i", "in.png", "--precision", "f32", "--steps", "8", "--quiet"];
    folder.run(&[&command[..], &["--instruction", "make it night", "-o", "n.png"]].concat()).exits(0);
    let brightness = |name: &str| {
        let bytes = pixels(&folder.bytes(name)).1;
        bytes.iter().map(|b| f64::from(*b)).sum::<f64>() / bytes.len() as f64
    };
    assert!(brightness("n.png") < 0.7 * brightness("in.png"), "{} {}", brightness("n.png"), brightness("in.png"));
    assert!(text(&folder.bytes("n.png"), "parameters").contains("make it night"));
}

/// The study on one made-up triplet: a picture for each row, tables, and nothing made twice.
#[test]
fn the_study_measures_edits_whose_truth_is_known() {
    let folder = Folder::new();
    let item = folder.path().join("data/edit/00");
    std::fs::create_dir_all(&item).unwrap();
    let save = |name: &str, colour: &dyn Fn(u32, u32) -> [u8; 3]| {
        RgbImage::from_fn(128, 128, |x, y| Rgb(colour(x, y))).save(item.join(name)).unwrap();
    };
    let land = |sky: [u8; 3]| move |_: u32, y: u32| if y < 64 { sky } else { [70, 150, 60] };
    save("source.png", &land([110, 160, 240]));
    save("target.png", &land([10, 12, 40]));
    save("mask.png", &|_, y| [if y < 64 { 255 } else { 0 }; 3]);
    let meta = serde_json::json!({
        "source_prompt": "green meadow at noon", "target_prompt": "green meadow at night", "attribute": "time",
        "instruction": "make it night", "from": "noon", "to": "night",
    });
    std::fs::write(item.join("meta.json"), meta.to_string()).unwrap();
    let study = ["ablation", "--study", "edit", "--precision", "f32", "-o", "runs"];
    folder.run(&[&study[..], &["--data", "data", "--rows", "sdedit"]].concat()).exits(0);
    let table = std::fs::read_to_string(folder.path().join("runs/edit.md")).unwrap();
    for row in ["| source |", "| autoencoder |", "| truth |", "| sdedit-1 |", "| sdedit-3 |", "from level 10 of 28"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(!table.contains("sync-sde"));
    let made = std::fs::metadata(folder.path().join("runs/edit_00_sdedit-2.png")).unwrap().modified().unwrap();
    folder.run(&[&study[..], &["--data", "data", "--rows", "sdedit", "--measure-only"]].concat()).exits(0);
    let again = std::fs::metadata(folder.path().join("runs/edit_00_sdedit-2.png")).unwrap().modified().unwrap();
    assert_eq!(made, again);
    folder.run(&study).exits(2).says(&["--data"]);
    folder
        .run(&[&study[..], &["--data", "data", "--rows", "magic"]].concat())
        .exits(2)
        .says(&["expected one of sync-sde"]);
    folder.run(&[&study[..], &["--data", "nowhere"]].concat()).exits(3).says(&["nowhere/edit"]);
}
