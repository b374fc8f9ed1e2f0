//! Canvases of all kinds: what comes out, and what is refused.

use image::{Rgb, RgbImage};
use syncline::metrics::edges;

use crate::runner::{Folder, PROMPT, pixels, text};

/// Views of 64 pixels in f32, drawn quickly.
const QUICK: [&str; 6] = ["-p", PROMPT, "--precision", "f32", "--view-size", "64"];

/// The shortest StochSync.
const DRAFT: [&str; 8] = ["--preset", "draft", "--steps", "2", "--ode-steps", "1", "--min-ode-steps", "1"];

/// As pictures in memory are: RGB in 0..=1.
fn unit(png: &[u8]) -> ([usize; 2], Vec<f32>) {
    let ((width, height), bytes) = pixels(png);
    ([height as usize, width as usize], bytes.iter().map(|b| f32::from(*b) / 255.0).collect())
}

fn picture(folder: &Folder, name: &str, width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) {
    RgbImage::from_fn(width, height, |x, y| Rgb(colour(x, y))).save(folder.path().join(name)).unwrap();
}

/// A gradient that nothing draws by accident.
fn gradient(folder: &Folder, width: u32, height: u32) {
    picture(folder, "in.png", width, height, |x, y| [(x % 251) as u8, (y % 241) as u8, 77]);
}

#[test]
fn tiles_continue_themselves() {
    let folder = Folder::new();
    let size = ["-W", "128", "-H", "128", "--steps", "6"];
    folder.run(&[&["tile"], &QUICK[..4], &size, &["-o", "t.png"]].concat()).exits(0);
    let png = folder.bytes("t.png");
    let (size, rgb) = unit(&png);
    assert_eq!(size, [128, 128]);
    assert!(text(&png, "parameters").contains("Method: MultiDiffusion"));
    let tile = edges(&rgb, size);
    folder.run(&["txt2img", "-p", PROMPT, "--precision", "f32", "--steps", "6", "-o", "p.png"]).exits(0);
    let (size, rgb) = unit(&folder.bytes("p.png"));
    let single = edges(&rgb, size);
    println!("tile {tile:?}\nsingle {single:?}");
    for (tile, single) in [(tile.x, single.x), (tile.y, single.y)] {
        assert!(tile.ratio < 2.0 && single.ratio > 2.0 * tile.ratio, "{tile:?} {single:?}");
    }
}

#[test]
fn one_pair_of_edges_may_meet_and_windows_may_lie_side_by_side() {
    let folder = Folder::new();
    let tile = |more: &[&str]| folder.run(&[&["tile"], &QUICK[..], &["--steps", "2"], more].concat());
    tile(&["--wrap", "x", "-W", "192", "-H", "64", "-o", "x.png", "--report", "x.json"]).exits(0);
    assert_eq!(pixels(&folder.bytes("x.png")).0, (192, 64));
    let report: serde_json::Value = serde_json::from_slice(&folder.bytes("x.json")).unwrap();
    let edge = |pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap();
    assert!(edge("/coupled/edges/x/ratio") < 0.5 * edge("/coupled/edges/y/ratio"), "{report}");
    let stochsync = ["--method", "stochsync", "--ode-steps", "2"];
    tile(&[&stochsync[..], &["--wrap", "none", "-W", "128", "-H", "64", "-o", "n.png"]].concat()).exits(0);
    assert_eq!(pixels(&folder.bytes("n.png")).0, (128, 64));
    assert_ne!(pixels(&folder.bytes("x_independent.png")), pixels(&folder.bytes("x.png")));
}

#[test]
fn spheres_and_tori_are_seen_everywhere() {
    let folder = Folder::new();
    let draw = |command: &str, more: &[&str]| folder.run(&[&[command], &QUICK[..], &DRAFT, more].concat()).exits(0);
    draw("sphere", &["-o", "s.png", "--pano-size", "512x256", "--viewer", "s.html"]);
    let (size, rgb) = unit(&folder.bytes("s.png"));
    assert_eq!(size, [256, 512]);
    assert!(rgb.chunks_exact(3).all(|p| p != [0.0; 3]), "a hole");
    assert!(text(&folder.bytes("s.png"), "XML:com.adobe.xmp").contains("equirectangular"));
    draw("sphere", &["-o", "s.ktx2", "--for", "bevy", "--face-size", "64"]);
    draw("torus", &["-o", "t.png"]);
    assert_eq!(pixels(&folder.bytes("t.png")).0, (480, 160));
    assert_eq!(folder.names(), ["s.html", "s.ktx2", "s.png", "t.png"]);
}

#[test]
fn inpainting_keeps_what_is_black() {
    let folder = Folder::new();
    gradient(&folder, 128, 64);
    picture(&folder, "mask.png", 128, 64, |x, _| [if x < 40 { 255 } else { 100 }; 3]);
    let args = [&["inpaint"], &QUICK[..], &DRAFT, &["-i", "in.png", "--mask", "mask.png", "-o", "o.png"]].concat();
    folder.run(&args).exits(0);
    let (before, after) = (pixels(&folder.bytes("in.png")), pixels(&folder.bytes("o.png")));
    assert_eq!(before.0, after.0);
    let mut changed = 0;
    for (i, (a, b)) in before.1.chunks_exact(3).zip(after.1.chunks_exact(3)).enumerate() {
        if i % 128 >= 40 {
            assert_eq!(a, b, "pixel {i}");
        }
        changed += usize::from(a != b);
    }
    assert!(changed > 40 * 64 * 9 / 10, "{changed}");
}

#[test]
fn panoramas_are_inpainted_all_around() {
    let folder = Folder::new();
    gradient(&folder, 512, 256);
    picture(&folder, "mask.png", 512, 256, |_, y| [if y < 60 { 255 } else { 0 }; 3]);
    let files = ["-i", "in.png", "--mask", "mask.png", "--panorama", "-o", "o.png"];
    folder.run(&[&["inpaint"], &QUICK[..], &DRAFT, &files].concat()).exits(0);
    let (before, after) = (pixels(&folder.bytes("in.png")).1, pixels(&folder.bytes("o.png")).1);
    let (free, kept) = (60 * 512 * 3, before.len() - 60 * 512 * 3);
    assert_eq!(before[free..], after[free..], "{kept} bytes are kept");
    let same = before[..free].chunks_exact(3).zip(after[..free].chunks_exact(3)).filter(|(a, b)| a == b).count();
    assert!(same < free / 30, "{same} pixels up to the zenith are as before");
}

#[test]
fn every_method_and_view_set_draws_a_panorama() {
    let folder = Folder::new();
    let size = ["--pano-size", "512x256", "--steps", "2"];
    let draw = |name: &str, more: &[&str]| {
        let out = format!("{name}.png");
        folder.run(&[&["panorama"], &QUICK[..], &size, more, &["-o", &out]].concat()).exits(0);
        pixels(&folder.bytes(&out))
    };
    let mut seen = Vec::new();
    let methods =
        ["synctweedies", "multidiffusion", "sds", "sdi", "ism", "csd", "case0", "case1", "case3", "case4", "case5"];
    for method in methods {
        seen.push((method, draw(method, &["--method", method])));
    }
    seen.push(("independent", draw("independent", &["--method", "independent", "--preset", "draft"])));
    let quick = ["--preset", "draft", "--ode-steps", "3", "--min-ode-steps", "1"];
    let stochsync = |name: &'static str, more: &[&str]| (name, draw(name, &[&quick[..], more].concat()));
    seen.push(stochsync("plain", &[]));
    seen.push(stochsync("states", &["--max-stochasticity", "false", "--views", "3"]));
    seen.push(stochsync("single", &["--multi-step", "false"]));
    seen.push(stochsync("full", &["--view-set", "full"]));
    seen.push(stochsync("ring", &["--view-set", "synctweedies", "--views", "6"]));
    for (i, (name, picture)) in seen.iter().enumerate() {
        assert_eq!(picture.0, (512, 256));
        for (other, before) in &seen[..i] {
            assert!(picture != before, "{name} draws what {other} drew");
        }
    }
    // A picture of one colour is no picture.
    for (name, (_, rgb)) in &seen {
        let middle = &rgb[128 * 512 * 3..129 * 512 * 3];
        assert!(middle.iter().any(|v| v.abs_diff(middle[0]) > 3), "{name} is plain");
    }
}

#[test]
fn turbo_says_how_little_it_evaluates() {
    let folder = Folder::new();
    let size = ["--pano-size", "512x256", "--views", "2", "--steps", "2", "--preset", "turbo", "--report", "r.json"];
    let run = folder.run(&[&["panorama"], &QUICK[..], &size, &["-o", "p.png"]].concat()).exits(0);
    let report: serde_json::Value = serde_json::from_slice(&folder.bytes("r.json")).unwrap();
    let evaluations = report["coupled"]["evaluations"].as_u64().unwrap();
    // Two views, two steps of at most four evaluations, none of them guided.
    assert!((4..=16).contains(&evaluations), "{evaluations}");
    assert!(run.stderr.contains(&format!("network evaluations{:>36.4}", evaluations as f64)), "{}", run.stderr);
}

#[test]
fn regions_have_prompts_of_their_own() {
    let folder = Folder::new();
    let size = ["--pano-size", "512x256", "--views", "2"];
    let draw = |out: &str, more: &[&str]| {
        folder.run(&[&["panorama"], &QUICK[..], &DRAFT, &size, more, &["-o", out]].concat()).exits(0);
        pixels(&folder.bytes(out)).1
    };
    let plain = draw("a.png", &[]);
    let front = draw("b.png", &["--region", "-60..60=night sea under a starry sky"]);
    let record: serde_json::Value = serde_json::from_str(&text(&folder.bytes("b.png"), "syncline")).unwrap();
    assert_eq!(record["regions"], serde_json::json!([PROMPT, "night sea under a starry sky"]));
    // At the horizon, front against back: the night is in front alone.
    let mean = |rgb: &[u8], columns: std::ops::Range<usize>| {
        let row = &rgb[128 * 512 * 3..129 * 512 * 3];
        row[columns.start * 3..columns.end * 3].iter().map(|v| f64::from(*v)).sum::<f64>() / (columns.len() * 3) as f64
    };
    let (ahead, behind) = (224..288, 0..64);
    let change = |columns: std::ops::Range<usize>| (mean(&plain, columns.clone()) - mean(&front, columns)).abs();
    println!("ahead {} behind {}", change(ahead.clone()), change(behind.clone()));
    assert!(change(ahead.clone()) > 3.0 * change(behind.clone()).max(2.0));
}

#[test]
fn a_panorama_is_refined_at_twice_its_size() {
    let folder = Folder::new();
    gradient(&folder, 320, 160);
    let args = ["--upscale", "in.png", "--steps", "1", "--ode-steps", "1", "--seam-removal-steps", "0", "-o", "o.png"];
    folder.run(&[&["panorama"], &QUICK[..], &args].concat()).exits(0);
    let png = folder.bytes("o.png");
    assert_eq!(pixels(&png).0, (640, 320));
    assert!(text(&png, "parameters").contains("Preset: upscale"));
    // Where no view of the one set looks, the picture is the old one, smoothly enlarged.
    let row = &pixels(&png).1[4 * 640 * 3..5 * 640 * 3];
    let steps = row.chunks_exact(3).map(|p| i32::from(p[0])).collect::<Vec<_>>();
    assert!(steps[100..200].windows(2).all(|w| (0..=1).contains(&(w[1] - w[0]))), "{steps:?}");
}

#[test]
fn wrong_canvases_are_refused_with_numbers() {
    let folder = Folder::new();
    gradient(&folder, 128, 64);
    picture(&folder, "grey.png", 128, 64, |_, _| [100; 3]);
    picture(&folder, "white.png", 128, 64, |_, _| [255; 3]);
    picture(&folder, "small.png", 64, 64, |_, _| [255; 3]);
    let inpaint = |mask: &'static str| -> Vec<&'static str> { vec!["inpaint", "-i", "in.png", "--mask", mask] };
    let with = |command: &[&'static str], more: &[&'static str]| -> Vec<&'static str> { [command, more].concat() };
    let pano = |more: &[&'static str]| with(&["panorama"], more);
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (pano(&["--fov", "180"]), 2, "fov: found 180, expected 10 to 150 degrees"),
        (pano(&["--views", "0"]), 2, "expected 1 to 64 sets, each of the same 1 to 64 views"),
        (
            pano(&["--pano-size", "256x128"]),
            2,
            "canvas width: found 256, expected at least 480 for views of 128 pixels",
        ),
        (pano(&["--view-set", "full", "--views", "5"]), 2, "--views is the number of views of a ring"),
        (pano(&["--view-set", "full", "--fov", "60"]), 2, "used fov: found 60, expected at least 72 degrees"),
        (pano(&["--view-set", "all"]), 2, "[possible values: paper, synctweedies, full, upscaling]"),
        (pano(&["--method", "case7"]), 2, "case6"),
        (pano(&["--method", "sds", "--ode-steps", "3"]), 2, "--ode-steps is a switch of --method stochsync"),
        (pano(&["--max-stochasticity", "false", "--warmup-steps", "2"]), 2, "found 2 warm-up steps"),
        (pano(&["--region", "0..90"]), 2, "expected AZ0..AZ1[,EL0..EL1]=PROMPT"),
        (
            pano(&["--region", "0..90,50..40=sea"]),
            2,
            "elevations 50 to 40: expected -90 to 90 degrees, the lower first",
        ),
        (pano(&["-p", "sea", "--region", "0..90=sea", "--region", "45..100=ice"]), 2, "texels (12.5 %) in both"),
        (pano(&["--region", "0..90=sea"]), 2, "in no region and 0 (0.0 %) in more than one"),
        (pano(&["--upscale", "in.png"]), 2, "canvas width: found 256, expected at least"),
        (
            pano(&["--upscale", "small.png"]),
            3,
            "small.png: found 64x64 pixels, expected a panorama twice as wide as high",
        ),
        (pano(&["--upscale", "no.png"]), 3, "no.png: "),
        (pano(&["--upscale", "in.png", "--pano-size", "512x256"]), 2, "cannot be used with"),
        (pano(&["--journal-interval", "-1"]), 2, "seconds from 0"),
        (with(&["sphere"], &["--fov", "80"]), 2, "face fov: found 80, expected 90 to 150 degrees"),
        (with(&["sphere"], &["--pano-size", "256x128"]), 2, "canvas width: found 256, expected at least"),
        (with(&["torus"], &["--fov", "200"]), 2, "torus fov: found 200, expected more than 0 and at most"),
        (with(&["torus"], &["--ratio", "1"]), 2, "torus ratio: found 1, expected more than 1"),
        (with(&["torus"], &["-W", "100"]), 2, "torus canvas: found 100x320, expected at least 768x256"),
        (with(&["torus"], &["--method", "case2"]), 2, "method: found case2, expected stochsync"),
        (with(&["tile"], &["-W", "100"]), 2, "canvas: found 100x256, expected multiples of 8"),
        (with(&["tile"], &["-W", "64"]), 2, "window: found 128x128, expected at most the canvas, 64x256"),
        (with(&["tile"], &["--stride", "200"]), 2, "window stride: found 200, expected at most the window's 128"),
        (with(&["tile"], &["--views-sheet", "v.png"]), 2, "--views-sheet shows views as pictures"),
        (with(&["tile"], &["-o", "a.ktx2"]), 2, "a flat picture takes"),
        (inpaint("small.png"), 3, "mask small.png: found 64x64 pixels, expected 128x64 as in.png"),
        (inpaint("grey.png"), 3, "mask grey.png: found no white among 8192 pixels"),
        (inpaint("white.png"), 3, "mask white.png: found nothing but white, 8192 pixels"),
        (inpaint("no.png"), 3, "no.png: "),
        (with(&inpaint("grey.png"), &["--for", "bevy"]), 2, "--for is for pictures all around"),
    ];
    for (args, code, part) in cases {
        folder.run(&args).exits(code).gives_nothing().says(&[part]);
    }
    assert_eq!(folder.names(), ["grey.png", "in.png", "small.png", "white.png"]);
}
