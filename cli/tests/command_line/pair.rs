//! `pair`: pictures that are drawn together.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::runner::{Folder, pixels, text};

const A: &str = "green meadow at noon, hills";
const B: &str = "snow at night, hills";
const SMALL: [&str; 9] = ["pair", "--precision", "f32", "--steps", "3", "-W", "64", "-H", "64"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], &["-p", A, "-p", B], more].concat()
}

/// Pictures 1 and 2 of a run.
fn both(folder: &Folder, stem: &str) -> [Vec<u8>; 2] {
    [1, 2].map(|i| pixels(&folder.bytes(&format!("{stem}_{i}.png"))).1)
}

/// The built-in model as files, with one text of one file replaced.
fn model(folder: &Folder, name: &str, (file, from, to): (&str, &str, &str)) -> PathBuf {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if path.is_dir() {
                copy(&path, &target);
            } else {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }
    let target = folder.path().join(name);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../model-loader/mini/model"), &target);
    let path = target.join(file);
    let before = std::fs::read_to_string(&path).unwrap();
    assert!(before.contains(from), "{file} has {from}");
    std::fs::write(path, before.replace(from, to)).unwrap();
    target
}

/// Without coupling each picture is its own; with it both change.
#[test]
fn pictures_are_coupled_or_not() {
    let folder = Folder::new();
    let run = folder.run(&args(&["--lambda", "0.01", "-o", "x_%d.png"])).exits(0);
    assert_eq!(run.stdout, "x_1.png\nx_2.png\n");
    let png = folder.bytes("x_2.png");
    assert_eq!(pixels(&png).0, (64, 64));
    assert!(text(&png, "parameters").starts_with(B) && text(&png, "parameters").contains("Picture: 2 of 2"));
    folder.run(&args(&["--lambda", "0", "-o", "zero_%d.png"])).exits(0);
    folder.run(&args(&["--method", "independent", "-o", "apart_%d.png"])).exits(0);
    folder
        .run(&[&SMALL[..], &["-p", A, "-p", "red canyon at dawn", "--lambda", "0", "-o", "other_%d.png"]].concat())
        .exits(0);
    let [coupled, zero, apart, other] = ["x", "zero", "apart", "other"].map(|stem| both(&folder, stem));
    assert_eq!(zero, apart);
    assert_eq!(zero[0], other[0], "the first picture knows nothing of the second");
    assert!(zero[1] != other[1] && coupled[0] != zero[0] && coupled[1] != zero[1]);
    // Shared noise and the same prompt: the same picture, however strong the coupling.
    let same = ["-p", A, "-p", A, "--shared-noise", "--lambda", "0.3", "-o", "same_%d.png"];
    folder.run(&[&SMALL[..], &same].concat()).exits(0).says(&["WARN"]);
    let [first, second] = both(&folder, "same");
    assert_eq!(first, second);
}

#[test]
fn a_report_compares_with_independent_and_composed_pictures() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("r")).unwrap();
    let run = folder.run(&args(&["--lambda", "0.01", "-o", "x_%d.png", "--report", "r"])).exits(0);
    let files =
        "x_1.png\nx_2.png\nx_independent_1.png\nx_independent_2.png\nx_composed.png\nr/report.html\nr/report.json\n";
    assert_eq!(run.stdout, files);
    let json: Value = serde_json::from_slice(&folder.bytes("r/report.json")).unwrap();
    let number = |path: &str| json.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}: {json}"));
    for way in ["result", "independent"] {
        assert!(number(&format!("/{way}/alignment/difference")) > 0.0);
        assert!(number(&format!("/{way}/alignment/edges")).abs() <= 1.0);
        assert_eq!(number(&format!("/{way}/evaluations")), 12.0);
    }
    assert!(json["composed"]["alignment"].is_null(), "one picture");
    // The independent pictures are those of --method independent.
    folder.run(&args(&["--method", "independent", "-o", "apart_%d.png"])).exits(0);
    assert_eq!(both(&folder, "x_independent"), both(&folder, "apart"));
    folder.run(&args(&["--method", "composed", "-o", "c_%d.png"])).exits(0);
    assert_eq!(pixels(&folder.bytes("c_1.png")), pixels(&folder.bytes("x_composed.png")));
    let html = String::from_utf8(folder.bytes("r/report.html")).unwrap();
    assert_eq!(html.matches("src=\"data:image/png;base64,").count(), 5);
    assert!(html.contains("--report r</pre>") && !html.contains("://"));
}

/// A second model: the same weights give the same bytes, another noise table is mapped, another latent space refused.
#[test]
fn a_second_model_may_have_other_noise_levels_but_no_other_latents() {
    let folder = Folder::new();
    folder.run(&args(&["--lambda", "0.01", "-o", "one_%d.png"])).exits(0);
    let with = |model: &Path, output: &str| {
        folder.run(&args(&["--lambda", "0.01", "-o", output, "--model-b", model.to_str().unwrap()]))
    };
    let scheduler = "scheduler/scheduler_config.json";
    let same = model(&folder, "same", (scheduler, "\"steps_offset\": 1", "\"steps_offset\": 0"));
    with(&same, "two_%d.png").exits(0);
    assert_eq!(both(&folder, "one"), both(&folder, "two"), "one batch, or a model each");
    let levels = model(&folder, "levels", (scheduler, "\"beta_end\": 0.012", "\"beta_end\": 0.03"));
    with(&levels, "levels_%d.png").exits(0);
    assert!(both(&folder, "levels")[1] != both(&folder, "one")[1]);
    let before = folder.names();
    let latents = model(&folder, "scaled", ("vae/config.json", "0.18215", "0.13025"));
    let parts =
        ["scaling_factor 0.18215, latent_channels 4, shift_factor 0 and scaling_factor 0.13025", "one latent space"];
    with(&latents, "scaled_%d.png").exits(2).gives_nothing().says(&parts);
    assert_eq!(folder.names().len(), before.len() + 1, "only the model's own folder is new");
}

#[test]
fn bad_requests_are_refused_with_numbers() {
    let folder = Folder::new();
    let many: Vec<&str> = std::iter::repeat_n(["-p", "hills"], 17).flatten().collect();
    let cases: [(Vec<&str>, &str); 8] = [
        (vec!["pair"], "--prompt <PROMPT>"),
        (vec!["pair", "-p", A], "-p: found 1 prompt, expected 2 to 16: give -p once for each picture"),
        ([&["pair"], &many[..]].concat(), "-p: found 17 prompts, expected 2 to 16"),
        (args(&["-o", "x.png"]), "-o: found x.png, one name for 2 pictures; expected one with %d, such as x_%d.png"),
        (args(&["--lambda=-0.1"]), "0 or a number above"),
        (args(&["--lambda", "nan"]), "0 or a number above"),
        (args(&["--couple-from", "3", "--couple-to", "2"]), "coupled steps: found 3 to 2"),
        (args(&["--cfg-scale-b", "3"]), "--model-b"),
    ];
    for (args, message) in &cases {
        folder.run(args).exits(2).gives_nothing().says(&[message]);
    }
    let none = ["pair", "-p", A, "-p", B, "--steps", "0"];
    folder.run(&none).exits(2).gives_nothing().says(&["steps: found 0, expected 1 to 1000"]);
    folder
        .run(&["pair", "-p", A, "-p", B, "-W", "100"])
        .exits(2)
        .says(&["width: found 100, expected a multiple of 64"]);
    assert_eq!(folder.names(), [""; 0]);
}

/// Too much coupling is done, and told with the bound.
#[test]
fn too_strong_a_coupling_is_told_with_the_bound() {
    let folder = Folder::new();
    // One step is the last, which is never pushed: nothing to warn of.
    let quiet =
        ["pair", "--precision", "f32", "--steps", "1", "-W", "64", "-H", "64", "-p", A, "-p", B, "--lambda", "9"];
    let run = folder.run(&quiet).exits(0);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
    // 3 steps: a push of lambda · 50/3 at the first two.
    folder.run(&args(&["--lambda", "0.02", "-o", "a_%d.png"])).exits(0).says(&["WARN", "--lambda 0.02 is above 0.01"]);
    let run = folder.run(&args(&["--lambda", "0.001", "-o", "b_%d.png"])).exits(0);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
}
