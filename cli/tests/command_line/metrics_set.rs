//! `metrics set`.

use super::runner::Folder;

fn levels(folder: &Folder, name: &str, size: [u32; 2], levels: &[u8]) {
    std::fs::create_dir(folder.path().join(name)).unwrap();
    for (i, level) in levels.iter().enumerate() {
        let picture = image::RgbImage::from_pixel(size[1], size[0], image::Rgb([*level; 3]));
        picture.save(folder.path().join(name).join(format!("{i}.png"))).unwrap();
    }
}

#[test]
fn constant_pictures_have_the_measures_of_their_levels() {
    let folder = Folder::new();
    levels(&folder, "a", [16, 20], &[102, 153, 102]);
    levels(&folder, "b", [16, 20], &[102, 102, 102]);
    let run = folder.run(&["metrics", "set", "a", "--source", "b", "--json"]).exits(0);
    let found = &run.events()[0];
    let near = |path: &str, expected: f64| {
        let value = found.pointer(path).and_then(serde_json::Value::as_f64);
        assert!(value.is_some_and(|v| (v - expected).abs() < 1e-6), "{path}: {value:?}, expected {expected}");
    };
    near("/measures/fidelity/l1", 0.2 / 3.0);
    near("/measures/fidelity/l2", (0.04_f64 / 3.0).sqrt());
    near("/measures/fidelity/psnr", -10.0 * (0.04_f64 / 3.0).log10());
    near("/measures/pictures/motion/difference", 0.2);
    near("/measures/pictures/motion/flicker", 0.4);
    near("/measures/added_flicker", 0.4);
    near("/measures/frame_difference", 0.2);
    near("/measures/source/colour_spread/lab", 0.0);
    near("/pictures/1/fidelity/l1", 0.2);
    assert_eq!(found["pictures"][0]["source"], "0.png");
    assert!(found["not_measured"].as_str().unwrap().contains("CLIP, DINO and LPIPS"));
    let table = folder.run(&["metrics", "set", "b"]).exits(0).says(&["CLIP, DINO and LPIPS"]).stdout;
    assert!(
        table.starts_with("3 pictures of 20x16") && table.contains("flicker") && !table.contains("PSNR"),
        "{table}"
    );
}

#[test]
fn sets_that_do_not_go_together_are_refused() {
    let folder = Folder::new();
    levels(&folder, "a", [16, 20], &[1, 2, 3]);
    levels(&folder, "b", [16, 20], &[1, 2]);
    levels(&folder, "c", [12, 20], &[1, 2, 3]);
    levels(&folder, "d", [2, 20], &[1, 2, 3]);
    for (source, part) in [
        ("b", "a has 3 pictures and b has 2"),
        ("c", "pictures of a are 20x16, their sources in c are 20x12"),
        ("none", "none"),
    ] {
        folder.run(&["metrics", "set", "a", "--source", source]).exits(3).says(&[part]).gives_nothing();
    }
    folder.run(&["metrics", "set", "d"]).exits(3).says(&["found 20x2 pixels, expected at least 3x3"]);
}
