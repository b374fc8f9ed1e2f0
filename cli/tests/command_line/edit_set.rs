//! `edit-set`: what comes in goes out with the same names, order, size and cameras, or nothing does.

use std::path::Path;

use serde_json::Value;

use super::runner::{Folder, Run};

/// Prompts and guidance that change nothing: sync-SDE gives back the picture to the bit, and the difference is none.
const SAME: [&str; 9] = [
    "edit-set",
    "--source-prompt",
    "a meadow at noon",
    "-p",
    "a meadow at noon",
    "--method",
    "independent",
    "--steps=2",
    "--source-guidance=5",
];
const NIGHT: [&str; 6] =
    ["edit-set", "--source-prompt", "a green meadow at noon", "-p", "a green meadow at night", "--steps=2"];

/// A picture that no two frames share.
fn frame(size: [u32; 2], i: u32) -> image::RgbImage {
    image::RgbImage::from_fn(size[1], size[0], |x, y| {
        let sky = y * 2 < size[0];
        let [r, g, b] = if sky { [110 + 2 * i, 150, 220 - y] } else { [40, 120 + (x + i) % 40, 30] };
        image::Rgb([r as u8, g as u8, b as u8])
    })
}

fn frames(folder: &Folder, name: &str, count: u32, size: [u32; 2]) {
    std::fs::create_dir(folder.path().join(name)).unwrap();
    for i in 0..count {
        frame(size, i).save(folder.path().join(name).join(format!("f{i:03}.png"))).unwrap();
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn pixels(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().to_rgb8()
}

fn edit(folder: &Folder, flags: &[&str], more: &[&str]) -> Run {
    folder.run(&[flags, more].concat())
}

#[test]
fn frames_keep_names_order_and_size() {
    let folder = Folder::new();
    frames(&folder, "in", 5, [70, 100]);
    let run = edit(&folder, &SAME, &["-i", "in", "-o", "same", "--batch", "2"]).exits(0);
    assert_eq!(run.stdout, "same\n");
    let expected: Vec<String> = (0..5).map(|i| format!("f{i:03}.png")).collect();
    assert_eq!(names(&folder.path().join("same")), expected);
    for (i, name) in expected.iter().enumerate() {
        assert_eq!(pixels(&folder.path().join("same").join(name)), frame([70, 100], i as u32), "{name}");
    }
    // A real edit, whose pictures do not depend on the batch, with a report.
    let run = edit(&folder, &NIGHT, &["-i", "in", "-o", "a", "--method", "independent", "--report", "a.html"]).exits(0);
    run.says(&["PSNR to the source", "flicker"]);
    edit(&folder, &NIGHT, &["-i", "in", "-o", "b", "--method", "independent", "--batch", "1"]).exits(0);
    for name in &expected {
        let [a, b] = ["a", "b"].map(|set| folder.path().join(set).join(name));
        let (a, b) = (pixels(&a), pixels(&b));
        assert_eq!((a.dimensions(), &a), ((100, 70), &b));
        assert!(a != pixels(&folder.path().join("in").join(name)));
    }
    // What is there is not replaced, and with --force only what is written again.
    edit(&folder, &SAME, &["-i", "in", "-o", "same"]).exits(0);
    assert_eq!(folder.names(), ["a", "a.html", "b", "in", "same", "same_2"]);
    edit(&folder, &NIGHT, &["-i", "in", "-o", "same", "--force", "--method", "independent", "--batch", "5"]).exits(0);
    assert_eq!(pixels(&folder.path().join("same/f000.png")), pixels(&folder.path().join("a/f000.png")));
    folder.write("same/mine.txt", "mine");
    edit(&folder, &SAME, &["-i", "in", "-o", "same", "--force"]).exits(9).says(&["'mine.txt'"]).gives_nothing();
    edit(&folder, &SAME, &["-i", "in", "-o", "in/", "--force"]).exits(2).says(&["the input itself"]).gives_nothing();
}

#[test]
fn csd_and_coupled_edit_the_set_together() {
    let folder = Folder::new();
    frames(&folder, "in", 3, [64, 64]);
    let run =
        edit(&folder, &NIGHT, &["-i", "in", "-o", "csd", "--batch", "2", "--report", "csd.json", "--json"]).exits(0);
    let report: Value = serde_json::from_slice(&folder.bytes("csd.json")).unwrap();
    assert_eq!((&report["method"], &report["edited"]["count"]), (&"csd".into(), &3.into()));
    assert!(report["independent"]["fidelity"]["l1"].as_f64().unwrap() > 0.0);
    assert!(report["not_measured"].as_str().unwrap().contains("LPIPS"));
    let events = run.events();
    assert_eq!(events[events.len() - 1]["paths"], serde_json::json!(["csd", "csd.json"]));
    edit(&folder, &NIGHT, &["-i", "in", "-o", "coupled", "--method", "coupled"]).exits(0);
    let instruction = ["edit-set", "--instruction", "make it night", "--steps=2"];
    edit(&folder, &instruction, &["-i", "in", "-o", "told", "--batch", "2"]).exits(0);
    edit(&folder, &instruction, &["-i", "in", "-o", "alone", "--method", "independent"]).exits(0);
    for set in ["csd", "coupled", "told", "alone"] {
        assert_eq!(names(&folder.path().join(set)), ["f000.png", "f001.png", "f002.png"]);
    }
}

fn gif(folder: &Folder, name: &str, delays: &[u16]) {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, 64, 64, &[]).unwrap();
    encoder.set_repeat(gif::Repeat::Finite(3)).unwrap();
    for (i, delay) in delays.iter().enumerate() {
        let rgb = frame([64, 64], i as u32).into_raw();
        let frame = gif::Frame { delay: *delay, ..gif::Frame::from_rgb_speed(64, 64, &rgb, 1) };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    folder.write(name, bytes);
}

/// Delays in hundredths of a second, and repetitions.
fn timing(bytes: &[u8]) -> (Vec<u16>, gif::Repeat) {
    let mut decoder = gif::Decoder::new(bytes).unwrap();
    let mut delays = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        delays.push(frame.delay);
    }
    (delays, decoder.repeat())
}

#[test]
fn animations_keep_their_timing() {
    let folder = Folder::new();
    gif(&folder, "in.gif", &[7, 50, 3]);
    edit(&folder, &SAME, &["-i", "in.gif", "-o", "out.gif"]).exits(0);
    assert_eq!(timing(&folder.bytes("out.gif")), (vec![7, 50, 3], gif::Repeat::Finite(3)));
    edit(&folder, &SAME, &["-i", "in.gif", "-o", "frames"]).exits(0);
    assert_eq!(names(&folder.path().join("frames")), ["frame_0001.png", "frame_0002.png", "frame_0003.png"]);
    edit(&folder, &SAME, &["-i", "frames", "-o", "again.gif", "--fps", "25"]).exits(0);
    assert_eq!(timing(&folder.bytes("again.gif")), (vec![4; 3], gif::Repeat::Infinite));
    gif(&folder, "one.gif", &[7]);
    let refused = edit(&folder, &SAME, &["-i", "one.gif", "-o", "no.gif"]).exits(3).gives_nothing();
    refused.says(&["one.gif: found 1 frame, expected an animation of at least 2"]);
    assert_eq!(folder.names(), ["again.gif", "frames", "in.gif", "one.gif", "out.gif"]);
}

fn y4m(count: u8) -> Vec<u8> {
    let mut bytes = b"YUV4MPEG2 W66 H64 F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2\n".to_vec();
    for i in 0..count {
        bytes.extend(b"FRAME\n");
        let frame = (0..64 * 66 + 2 * 32 * 33_u32).map(|k| 20 + i + (k * 7 % 200) as u8);
        bytes.extend(frame);
    }
    bytes
}

/// Through the pipe, with the header as it was; where nothing is edited the bytes are the same: chroma of 4:2:0 stands for its
/// four pixels and is their mean on the way back, colours outside of RGB's cube are kept, and f32 is finer than half a step.
#[test]
fn video_goes_through_the_pipe_to_the_byte() {
    use std::io::Write;
    let folder = Folder::new();
    let pipe = |flags: &[&str], bytes: &[u8]| {
        let mut command = folder.command(flags);
        command.stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever refuses flags does not read.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        child.wait_with_output().unwrap()
    };
    let video = y4m(3);
    let out = pipe(&[&SAME[..], &["-i", "-", "-o", "-"]].concat(), &video);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stdout == video, "{} bytes, expected {}", out.stdout.len(), video.len());
    let raw: Vec<u8> = (0..2 * 64 * 80 * 3_u32).map(|k| (k * 11 % 251) as u8).collect();
    let out = pipe(&[&SAME[..], &["-i", "-", "-o", "-", "--size", "80x64"]].concat(), &raw);
    assert!(out.status.success() && out.stdout == raw, "{}", String::from_utf8_lossy(&out.stderr));
    let out = pipe(&[&NIGHT[..], &["-i", "-", "-o", "out.y4m", "--method", "coupled"]].concat(), &video);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let edited = folder.bytes("out.y4m");
    let head = video.iter().position(|b| *b == b'\n').unwrap();
    assert!(edited.len() == video.len() && edited != video && edited[..head + 7] == video[..head + 7]);
    // What is no such stream.
    for (flags, bytes, code, part) in [
        (&["-o", "-"][..], &raw[..], 2, "give it with --size"),
        (&["-o", "-", "--size", "70x64"], &raw, 3, "bytes are left after frame"),
        (&["-o", "-"], &video[..video.len() - 5], 3, "the stream ends in frame 2"),
        (&["-o", "-"], b"YUV4MPEG2 W4 H4 C422\nFRAME\n", 3, "found colours C422"),
        (&["-o", "-", "--json"], &video, 2, "--json writes events to standard output"),
        (&["-o", "x.rgb"], &video, 2, "expected the input's own form, .y4m"),
    ] {
        let out = pipe(&[&SAME[..], &["-i", "-"], flags].concat(), bytes);
        let text = String::from_utf8(out.stderr).unwrap() + &String::from_utf8_lossy(&out.stdout);
        assert!(out.status.code() == Some(code) && text.contains(part), "{flags:?}: {text}");
    }
    assert_eq!(folder.names(), ["out.y4m"]);
}

/// A scene of nerfstudio's and one of COLMAP's: cameras byte for byte, and edited pictures under their names.
#[test]
fn scenes_are_ready_to_be_fitted_again() {
    let folder = Folder::new();
    let root = folder.path();
    for folder in ["nerf/images", "colmap/images", "colmap/sparse/0"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for i in 0..3 {
        frame([64, 96], i).save(root.join(format!("nerf/images/{i}.png"))).unwrap();
        frame([64 + 2 * (i / 2), 96], i).save(root.join(format!("colmap/images/{i}.png"))).unwrap();
    }
    let matrix = "[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]";
    let cameras: Vec<String> = [2, 0, 1]
        .iter()
        .map(|i| format!("{{\"file_path\": \"images/{i}.png\", \"transform_matrix\": {matrix}}}"))
        .collect();
    let transforms = format!("{{\"w\": 96, \"h\": 64,\n \"fl_x\": 80.0, \"frames\": [{}]}}", cameras.join(",\n"));
    folder.write("nerf/transforms.json", &transforms);
    folder.write("nerf/notes.txt", "mine");
    folder.write("colmap/sparse/0/cameras.txt", "1 PINHOLE 96 64 80 80 48 32\n2 PINHOLE 96 66 80 80 48 33\n");
    let line = |i: usize, camera: usize| format!("{} 1 0 0 0 0 0 {i} {camera} {i}.png\n\n", i + 1);
    folder.write("colmap/sparse/0/images.txt", line(0, 1) + &line(1, 1) + &line(2, 2));
    folder.write("colmap/sparse/0/points3D.txt", "# none\n");
    for scene in ["nerf", "colmap"] {
        // The check of what goes in is the check of what comes out.
        edit(&folder, &NIGHT, &["-i", scene, "-o", "once", "--method", "independent"]).exits(0);
        edit(&folder, &SAME, &["-i", "once", "-o", "twice"]).exits(0);
        for i in 0..3 {
            let [source, once, twice] =
                [scene, "once", "twice"].map(|set| pixels(&root.join(format!("{set}/images/{i}.png"))));
            assert!(source != once && once == twice, "{scene} {i}");
            assert_eq!(source.dimensions(), once.dimensions());
        }
        let carried: &[&str] = if scene == "nerf" {
            &["transforms.json"]
        } else {
            &["sparse/0/cameras.txt", "sparse/0/images.txt", "sparse/0/points3D.txt"]
        };
        for name in carried {
            assert_eq!(folder.bytes(&format!("{scene}/{name}")), folder.bytes(&format!("twice/{name}")), "{name}");
        }
        assert!(!root.join("once/notes.txt").exists());
        for set in ["once", "twice"] {
            std::fs::remove_dir_all(root.join(set)).unwrap();
        }
    }
    // csd sees all pictures at one size.
    let refused = edit(&folder, &NIGHT, &["-i", "colmap", "-o", "no"]).exits(3);
    refused.says(&["0.png is 96x64, images/2.png is 96x66"]).gives_nothing();
    folder.write("nerf/transforms.json", transforms.replace("\"h\": 64", "\"h\": 65"));
    let refused = edit(&folder, &SAME, &["-i", "nerf", "-o", "no"]).exits(3).gives_nothing();
    refused.says(&[
        "transforms.json: frames[0]: the camera of images/2.png is for 96x65 pixels, found a picture of 96x64",
    ]);
    // Light has no place in a PNG under another name.
    image::Rgb32FImage::new(96, 64).save(root.join("nerf/images/0.exr")).unwrap();
    folder.write("nerf/transforms.json", transforms.replace("0.png", "0.exr"));
    edit(&folder, &SAME, &["-i", "nerf", "-o", "no"]).exits(3).says(&["images/0.exr is written with its own name"]);
    folder.write("nerf/transforms.json", &transforms[..100]);
    edit(&folder, &SAME, &["-i", "nerf", "-o", "no"]).exits(3).says(&["transforms.json: no JSON: EOF while parsing"]);
    assert_eq!(folder.names(), ["colmap", "nerf"]);
}

#[test]
fn panoramas_are_edited_in_windows() {
    let folder = Folder::new();
    frame([128, 256], 0).save(folder.path().join("pano.png")).unwrap();
    edit(&folder, &SAME, &["-i", "pano.png", "-o", "same.png"]).exits(0);
    assert_eq!(pixels(&folder.path().join("same.png")), frame([128, 256], 0));
    edit(&folder, &NIGHT, &["-i", "pano.png", "-o", "night.png", "--batch", "2"]).exits(0);
    assert_eq!(pixels(&folder.path().join("night.png")).dimensions(), (256, 128));
    let refused = edit(&folder, &NIGHT, &["-i", "pano.png", "-o", "no"]).exits(2).gives_nothing();
    refused.says(&["expected .png, .jpg or .webp"]);
    let refused = edit(&folder, &NIGHT, &["-i", "pano.png", "-o", "no.png", "--method", "coupled"]).exits(2);
    refused.says(&["take csd or independent"]);
    frame([64, 64], 0).save(folder.path().join("small.png")).unwrap();
    let refused = edit(&folder, &NIGHT, &["-i", "small.png", "-o", "no.png"]).exits(3).gives_nothing();
    refused.says(&["found one picture of 64x64", "syncline edit"]);
    assert_eq!(folder.names(), ["night.png", "pano.png", "same.png", "small.png"]);
}

/// Photos larger than the model's: edited smaller as a whole, or at their own size in windows.
#[test]
fn large_pictures_keep_their_size() {
    let folder = Folder::new();
    frames(&folder, "in", 2, [150, 200]);
    let names = ["f000.png", "f001.png"];
    for large in ["whole", "windows"] {
        let flags = ["-i", "in", "--large", large, "--method", "independent"];
        edit(&folder, &SAME, &[&flags[..4], &["-o", "same"]].concat()).exits(0);
        edit(&folder, &NIGHT, &[&flags[..], &["-o", large]].concat()).exits(0);
        for (i, name) in names.iter().enumerate() {
            let source = frame([150, 200], i as u32);
            assert_eq!(pixels(&folder.path().join("same").join(name)), source, "{large}");
            let edited = pixels(&folder.path().join(large).join(name));
            assert!(edited.dimensions() == (200, 150) && edited != source, "{large}");
        }
        std::fs::remove_dir_all(folder.path().join("same")).unwrap();
    }
    let refused = edit(&folder, &NIGHT, &["-i", "in", "-o", "no", "--large", "windows"]).exits(2);
    refused.says(&["--large windows is for pictures by coupled and independent; found --method csd"]);
}

#[test]
fn bad_sets_are_refused_with_numbers() {
    let folder = Folder::new();
    frames(&folder, "gap", 6, [64, 64]);
    for i in [2, 3] {
        std::fs::remove_file(folder.path().join(format!("gap/f{i:03}.png"))).unwrap();
    }
    let refused = edit(&folder, &SAME, &["-i", "gap", "-o", "no"]).exits(3).gives_nothing();
    refused.says(&["2 frames are missing between f000.png and f005.png: 2 to 3", "--gaps"]);
    frames(&folder, "sizes", 3, [64, 64]);
    frame([64, 80], 0).save(folder.path().join("sizes/f001.png")).unwrap();
    let refused = edit(&folder, &SAME, &["-i", "sizes", "-o", "no"]).exits(3).gives_nothing();
    refused.says(&["f000.png is 64x64, f001.png is 80x64; 1 of 3 pictures"]);
    folder.write("sizes/f001.png", &folder.bytes("sizes/f000.png")[..60]);
    edit(&folder, &SAME, &["-i", "sizes", "-o", "no"]).exits(3).says(&["f001.png", "give a PNG"]).gives_nothing();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    edit(&folder, &SAME, &["-i", "empty", "-o", "no"]).exits(3).says(&["found no .png, .jpg or .webp picture"]);
    edit(&folder, &SAME, &["-i", "none", "-o", "no"]).exits(3).gives_nothing();
    for (flags, part) in [
        (&["-p", "x"][..], "--source-prompt is missing"),
        (&["--source-prompt", "x"], "-p is missing"),
        (&["--instruction", "make it night", "-p", "x"], "cannot be used with"),
        (&["--source-prompt", "x", "-p", "y", "--start", "3"], "--start is a switch of coupled and independent"),
        (&["--source-prompt", "x", "-p", "y", "--method", "coupled", "--rate", "3"], "--rate is a switch of csd"),
        (&["--source-prompt", "x", "-p", "y", "--wrap", "true"], "--wrap is for a panorama"),
        (&["--source-prompt", "x", "-p", "y", "--size", "64x64"], "--size is for video streams"),
        (&["--source-prompt", "x", "-p", "y", "--method", "independent", "--start", "0"], "start index: found 0"),
        (&["--source-prompt", "x", "-p", "y", "--batch", "0"], "--batch"),
        (&["--source-prompt", "x", "-p", "y", "-o", "-"], "a video stream, for pictures that came from none"),
    ] {
        let output: &[&str] = if flags.contains(&"-o") { &[] } else { &["-o", "no"] };
        let all = [&["edit-set", "-i", "gap", "--gaps"], output, flags].concat();
        folder.run(&all).exits(2).says(&[part]).gives_nothing();
    }
    // Not an editor: the model takes no picture beside its latents.
    let plain = concat!(env!("CARGO_MANIFEST_DIR"), "/../model-loader/mini/model");
    let all = ["edit-set", "-i", "gap", "--gaps", "-o", "no", "--instruction", "make it night", "-m", plain];
    folder.run(&all).exits(4).gives_nothing();
    assert_eq!(folder.names(), ["empty", "gap", "sizes"]);
}

/// A picture in the middle that cannot be read, found when all others are encoded already.
#[test]
fn nothing_partial_is_left() {
    let folder = Folder::new();
    frames(&folder, "in", 3, [64, 64]);
    let whole = folder.bytes("in/f002.png");
    // The header is whole: its size is known beforehand.
    folder.write("in/f002.png", &whole[..whole.len() / 2]);
    edit(&folder, &SAME, &["-i", "in", "-o", "no"]).exits(3).says(&["f002.png"]).gives_nothing();
    assert_eq!(folder.names(), ["in"]);
}

/// Of 24 frames against 6 with the same batch, what an edit takes grows by the latents at most. 128 x 128 pixels are 4 KiB of them
/// a picture; csd has four canvases of that size on the device: edited latents, source, sums and hits of the gradients. On the host
/// there are encoded and edited latents and their copies on the way to the device. Resident sets are counted in pages by an
/// allocator that has its own mind: it gets 4 MiB.
#[test]
fn memory_is_that_of_a_batch() {
    let folder = Folder::new();
    frames(&folder, "few", 6, [128, 128]);
    frames(&folder, "many", 24, [128, 128]);
    let latents = 18 * 16 * 16 * 4 * 4;
    for method in ["independent", "csd"] {
        let peaks = ["few", "many"].map(|set| {
            let name = format!("{set}_{method}.json");
            let flags = ["-i", set, "-o", "out", "--method", method, "--batch", "3", "--report", &name];
            edit(&folder, &NIGHT, &flags).exits(0);
            std::fs::remove_dir_all(folder.path().join("out")).unwrap();
            let report: Value = serde_json::from_slice(&folder.bytes(&name)).unwrap();
            assert_eq!(report["edited"]["count"], if set == "few" { 6 } else { 24 });
            ["device_memory_peak", "host_memory_peak"].map(|key| report[key].as_u64())
        });
        println!("{method}: device and host {peaks:?}");
        let grown = |k: usize| peaks[1][k].zip(peaks[0][k]).map(|(many, few)| many.saturating_sub(few));
        let on_device = if method == "csd" { 4 * latents } else { 0 };
        assert!(grown(0).unwrap() <= on_device, "{method}: {peaks:?}");
        // Linux alone tells the host's.
        assert!(grown(1).is_none_or(|grown| grown <= 8 * latents + (4 << 20)), "{method}: {peaks:?}");
    }
}
