//! `reproject`: ways there and back, sets of files, and inputs that are none.

use crate::runner::{Folder, pixels};

/// Mean and largest difference of two pictures in levels.
fn difference(a: &[u8], b: &[u8]) -> (f64, u8) {
    assert_eq!(a.len(), b.len());
    let off = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (off().map(f64::from).sum::<f64>() / a.len() as f64, off().max().unwrap())
}

/// Colours that change slowly with the direction; a pole has one colour.
fn smooth(height: u32) -> image::RgbImage {
    use std::f64::consts::PI;
    image::RgbImage::from_fn(2 * height, height, |x, y| {
        let longitude = (f64::from(x) + 0.5) / f64::from(height) * PI;
        let latitude = (f64::from(y) + 0.5) / f64::from(height) * PI;
        let level = |v: f64| (127.5 + 100.0 * v).round() as u8;
        image::Rgb([longitude.sin() * latitude.sin(), longitude.cos() * latitude.sin(), latitude.cos()].map(level))
    })
}

fn with_smooth() -> Folder {
    let folder = Folder::new();
    smooth(128).save(folder.path().join("sky.png")).unwrap();
    folder
}

fn rgb(folder: &Folder, name: &str) -> ((u32, u32), Vec<u8>) {
    let rgb = image::open(folder.path().join(name)).unwrap().to_rgb8();
    (rgb.dimensions(), rgb.into_raw())
}

#[test]
fn panoramas_survive_every_kind_of_cube() {
    let folder = with_smooth();
    let original = rgb(&folder, "sky.png");
    for (layout, size, back) in [
        ("faces", (128, 128), "c_*.png"),
        ("cross", (512, 384), "c.png"),
        ("cross-vertical", (384, 512), "c.png"),
        ("row", (768, 128), "c.png"),
        ("column", (128, 768), "c.png"),
    ] {
        let run =
            folder.run(&["reproject", "-i", "sky.png", "-o", "c.png", "--layout", layout, "--size", "128", "--force"]);
        let names: Vec<String> = run.exits(0).stdout.lines().map(str::to_owned).collect();
        assert_eq!(names.len(), if layout == "faces" { 6 } else { 1 }, "{layout}");
        assert!(names.iter().all(|name| rgb(&folder, name).0 == size), "{layout}");
        folder.run(&["reproject", "-i", back, "-o", "back.png", "--size", "256x128", "--force"]).exits(0);
        let (mean, most) = difference(&rgb(&folder, "back.png").1, &original.1);
        assert!(mean < 0.6 && most <= 2, "{layout}: {mean:.2} levels on average, {most} at most");
    }
}

/// What one consumer takes can be handed to another.
#[test]
fn conventions_are_read_back() {
    let folder = with_smooth();
    let original = rgb(&folder, "sky.png");
    for (consumer, file, back) in [
        ("three", "t.png", "t_*.png"),
        ("unreal", "u.hdr", "u.hdr"),
        ("unreal", "row.png", "row.png"),
        ("godot", "g.exr", "g.exr"),
        ("unity", "y.png", "y.png"),
        ("bevy", "b.png", "b.png"),
        ("photo", "p.png", "p.png"),
    ] {
        folder.run(&["reproject", "-i", "sky.png", "-o", file, "--for", consumer]).exits(0);
        let args = ["reproject", "-i", back, "--from", consumer, "-o", "back.png", "--size", "256x128", "--force"];
        folder.run(&args).exits(0);
        let (mean, most) = difference(&rgb(&folder, "back.png").1, &original.1);
        assert!(mean < 1.0 && most <= 3, "{consumer} {file}: {mean:.2} levels on average, {most} at most");
    }
}

#[test]
fn six_files_are_known_by_their_names_in_any_order() {
    let folder = with_smooth();
    folder.run(&["reproject", "-i", "sky.png", "-o", "c-*.png", "--layout", "faces"]).exits(0);
    assert_eq!(folder.names(), ["c-nx.png", "c-ny.png", "c-nz.png", "c-px.png", "c-py.png", "c-pz.png", "sky.png"]);
    let sorted = ["c-nx.png", "c-ny.png", "c-nz.png", "c-px.png", "c-py.png", "c-pz.png"];
    folder.run(&[&["reproject", "-o", "a.png", "-i"], &sorted[..]].concat()).exits(0);
    folder.run(&["reproject", "-o", "b.png", "-i", "c-*.png"]).exits(0);
    assert_eq!(folder.bytes("a.png"), folder.bytes("b.png"));
    let (mean, most) = difference(&rgb(&folder, "a.png").1, &rgb(&folder, "sky.png").1);
    assert!(mean < 0.6 && most <= 2, "{mean:.2} levels on average, {most} at most");
}

#[test]
fn turns_look_where_they_say() {
    let folder = with_smooth();
    // A quarter to the right: whole columns move, nothing is interpolated.
    folder.run(&["reproject", "-i", "sky.png", "-o", "turned.png", "--azimuth", "90"]).exits(0);
    let (sky, turned) = (rgb(&folder, "sky.png").1, rgb(&folder, "turned.png").1);
    for (from, to) in sky.chunks_exact(256 * 3).zip(turned.chunks_exact(256 * 3)) {
        assert_eq!(&from[64 * 3..], &to[..192 * 3]);
        assert_eq!(&from[..64 * 3], &to[192 * 3..]);
    }
    // There and back again through a tilt.
    folder.run(&["reproject", "-i", "sky.png", "-o", "up.png", "--elevation", "90"]).exits(0);
    folder.run(&["reproject", "-i", "up.png", "-o", "level.png", "--elevation", "-90"]).exits(0);
    let (mean, most) = difference(&rgb(&folder, "level.png").1, &sky);
    assert!(mean < 0.8 && most <= 3, "{mean:.2} levels on average, {most} at most");
    // The middle of a view is the panorama's own pixel there; its size is free.
    let view = ["--azimuth", "90", "--elevation", "30", "--fov", "40", "--size", "61x41"];
    folder.run(&[&["reproject", "-i", "sky.png", "-o", "view.png"], &view[..]].concat()).exits(0);
    let (size, view) = rgb(&folder, "view.png");
    assert_eq!(size, (61, 41));
    // Azimuth 90 is column 192, elevation 30 row 42.7 of 128.
    let at = 3 * (42 * 256 + 192);
    let middle = 3 * (20 * 61 + 30);
    for c in 0..3 {
        assert!(sky[at + c].abs_diff(view[middle + c]) <= 2, "{:?} {:?}", &sky[at..at + 3], &view[middle..middle + 3]);
    }
}

#[test]
fn views_go_back_to_where_they_were_taken() {
    let folder = with_smooth();
    let look = ["--azimuth", "50", "--fov", "60", "--size", "200x150"];
    folder.run(&[&["reproject", "-i", "sky.png", "-o", "view.png"], &look[..]].concat()).exits(0);
    let back = ["--input-fov", "60", "--azimuth", "-50", "--size", "256x128"];
    folder.run(&[&["reproject", "-i", "view.png", "-o", "back.png"], &back[..]].concat()).exits(0);
    let (sky, back) = (rgb(&folder, "sky.png").1, rgb(&folder, "back.png").1);
    // Azimuth 50 is between the columns 163 and 164; the view is 37 degrees wide on both sides of it, 30 above and below.
    let pixel = |column: usize, row: usize| 3 * (row * 256 + column)..3 * (row * 256 + column) + 3;
    for (column, row) in [(163, 64), (145, 64), (180, 64), (163, 50), (170, 78)] {
        let (was, is) = (&sky[pixel(column, row)], &back[pixel(column, row)]);
        assert!(was.iter().zip(is).all(|(a, b)| a.abs_diff(*b) <= 3), "{column} {row}: {was:?} {is:?}");
    }
    for (column, row) in [(128, 64), (200, 64), (163, 38), (163, 90), (30, 64)] {
        assert_eq!(back[pixel(column, row)], [0; 3], "{column} {row}");
    }
}

#[test]
fn small_results_average_what_they_cover() {
    let folder = Folder::new();
    // Black and white columns: a display's middle of light is 188.
    let stripes = image::RgbImage::from_fn(1024, 512, |x, _| image::Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
    stripes.save(folder.path().join("stripes.png")).unwrap();
    let spread = |samples: &str| {
        let mut args =
            vec!["reproject", "-i", "stripes.png", "-o", "small.png", "--layout", "row", "--size", "32", "--force"];
        if !samples.is_empty() {
            args.extend(["--samples", samples]);
        }
        folder.run(&args).exits(0);
        let (_, pixels) = rgb(&folder, "small.png");
        // The four level faces, where columns stay narrow.
        let level: Vec<u8> =
            pixels.chunks_exact(192 * 3).skip(12).take(8).flat_map(|line| line[..64 * 3].to_vec()).collect();
        level.iter().map(|v| f64::from(v.abs_diff(188))).sum::<f64>() / level.len() as f64
    };
    let (one, automatic) = (spread("1"), spread(""));
    assert!(automatic < 14.0 && automatic < 0.4 * one, "{automatic:.1} of {one:.1} levels");
}

#[test]
fn what_a_picture_says_about_its_origin_goes_along() {
    let folder = Folder::new();
    let made = ["panorama", "-p", "a hill", "--preset", "draft", "--steps", "2", "--ode-steps", "1", "--views", "2"];
    let size = ["--pano-size", "256x128", "--view-size", "64", "--precision", "f32"];
    let written = ["-o", "sky.png", "--for", "three", "--face-size", "32", "--viewer", "sky.html"];
    let run = folder.run(&[&made[..], &size, &written].concat()).exits(0);
    let names = ["sky_px.png", "sky_nx.png", "sky_py.png", "sky_ny.png", "sky_pz.png", "sky_nz.png", "sky.html"];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), names);
    for name in &names[..6] {
        let png = folder.bytes(name);
        assert_eq!(pixels(&png).0, (32, 32));
        assert!(crate::runner::text(&png, "parameters").starts_with("a hill\n"), "{name}");
    }
    // Through another form it is still known, unless that is not wanted.
    let plain = [&made[..], &size, &["-o", "plain.png"]].concat();
    folder.run(&plain).exits(0);
    folder.run(&["reproject", "-i", "plain.png", "-o", "row.png", "--layout", "row"]).exits(0);
    assert!(crate::runner::text(&folder.bytes("row.png"), "parameters").starts_with("a hill\n"));
    folder.run(&["reproject", "-i", "plain.png", "-o", "bare.png", "--layout", "row", "--no-metadata"]).exits(0);
    assert_eq!(crate::runner::texts(&folder.bytes("bare.png")), []);
}

#[test]
fn sets_are_never_half_and_never_over_others() {
    let folder = with_smooth();
    folder.write("c_ny.png", "mine");
    let args = ["reproject", "-i", "sky.png", "-o", "c.png", "--layout", "faces", "--size", "8"];
    let run = folder.run(&args).exits(0);
    assert!(run.stdout.starts_with("c_2_px.png\nc_2_nx.png\n"), "{}", run.stdout);
    assert_eq!(folder.bytes("c_ny.png"), b"mine");
    std::fs::create_dir(folder.path().join("d_nz.png")).unwrap();
    let before = folder.names();
    let args = ["reproject", "-i", "sky.png", "-o", "d.png", "--layout", "faces", "--size", "8", "--force"];
    folder.run(&args).exits(9).gives_nothing().says(&["d_nz.png is a folder"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn inputs_that_are_none_are_told_with_what_would_do() {
    let folder = with_smooth();
    let save = |name: &str, width, height| {
        image::RgbImage::from_fn(width, height, |x, _| image::Rgb([x as u8; 3]))
            .save(folder.path().join(name))
            .unwrap();
    };
    save("square.png", 64, 64);
    save("photo.png", 64, 48);
    save("wide.png", 64, 32);
    for name in ["f_px.png", "f_nx.png", "f_py.png", "f_ny.png", "f_pz.png"] {
        save(name, 16, 16);
    }
    for name in ["g_px.png", "g_nx.png", "g_py.png", "g_ny.png", "g_pz.png"] {
        save(name, 16, 16);
    }
    save("g_nz.png", 16, 17);
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (&["-i", "square.png"], 3, &["square.png: 64x64 pixels, expected a 2:1 panorama", "six files with -i"]),
        (&["-i", "photo.png"], 3, &["64x48 pixels like a cross, but a picture where a cross is empty"]),
        (&["-i", "f_*.png"], 3, &["found 5 of six faces, missing f_nz.png; add them"]),
        (&["-i", "h_*.png"], 3, &["found none of its six files, expected for example h_px.png"]),
        (&["-i", "g_*.png"], 3, &["g_nz.png: 16x17 pixels, expected 16x16 as g_px.png; give six squares of one size"]),
        (&["-i", "wide.png", "f_px.png"], 2, &["found 2 files, expected one panorama or sheet of faces, or six faces"]),
        (
            &["-i", "wide.png", "f_nx.png", "f_py.png", "f_ny.png", "f_pz.png", "f_px.png"],
            3,
            &["wide.png: 64x32 pixels, expected a square face"],
        ),
        (&["-i", "nowhere.png"], 3, &["nowhere.png: ", "give a PNG, JPEG or WebP picture"]),
    ];
    refuses(&folder, &cases);
}

/// Each command ends with its code, says its parts, and leaves no file.
#[track_caller]
fn refuses(folder: &Folder, cases: &[(&[&str], i32, &[&str])]) {
    let before = folder.names();
    for (args, code, parts) in cases {
        folder.run(&[&["reproject", "-o", "out.png"], *args].concat()).exits(*code).gives_nothing().says(parts);
    }
    assert_eq!(folder.names(), before);
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    let folder = with_smooth();
    let cases: [(&[&str], i32, &[&str]); 12] = [
        (&["--size", "100x100"], 2, &["size: found 100x100, expected a panorama twice", "--size 200x100"]),
        (&["--size", "8x4", "--layout", "row"], 2, &["found 8x4, expected the side of a square face"]),
        (&["--size", "0"], 2, &["'0'", "1 to 16384"]),
        (&["--fov", "0.5"], 2, &["fov: found 0.5, expected 1 to 170 degrees"]),
        (&["--fov", "nan"], 2, &["fov: found NaN"]),
        (&["--fov", "90", "--for", "unity"], 2, &["cannot be used with"]),
        (&["--samples", "9"], 2, &["9 is not in 1..=8"]),
        (&["--azimuth", "inf"], 2, &["expected degrees"]),
        (&["--for", "godot", "--layout", "row"], 2, &["godot takes equirect .exr .hdr .png .jpg"]),
        (&["--input-fov", "180"], 2, &["fov: found 180, expected 1 to 170 degrees"]),
        (&["sky.png", "--input-fov", "60"], 2, &["found 2 files, expected one view with --input-fov"]),
        (&["--test-card"], 2, &["cannot be used with"]),
    ];
    let with_input = cases.map(|(args, code, parts)| ([&["-i", "sky.png"], args].concat(), code, parts));
    let borrowed: Vec<_> = with_input.iter().map(|(args, code, parts)| (args.as_slice(), *code, *parts)).collect();
    refuses(&folder, &borrowed);
    refuses(&folder, &[(&[], 2, &["--input <FILE>"])]);
    for (out, code, part) in [
        ("out.gif", 2, "found .gif, expected .png"),
        ("out", 2, "found nothing, expected .png"),
        ("no/out.png", 9, "folder no"),
    ] {
        folder.run(&["reproject", "-i", "sky.png", "-o", out]).exits(code).gives_nothing().says(&[part]);
    }
    let refused = folder.run(&["reproject", "-i", "sky.png", "-o", "out.ktx2", "--fov", "60"]).exits(2);
    refused.says(&["a view takes .png .jpg .exr .hdr, found .ktx2"]);
    assert_eq!(folder.names(), ["sky.png"]);
}
