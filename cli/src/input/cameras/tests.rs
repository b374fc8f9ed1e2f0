//! Scenes as nerfstudio, Blender and COLMAP write them, and broken ones.

use super::*;
use crate::exit::code;

fn picture(root: &Path, name: &str, [height, width]: [u32; 2]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(width, height, image::Rgb([1, 2, 3])).save(path).unwrap();
}

fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[track_caller]
fn refused(root: &Path) -> String {
    let error = Scene::read(root).unwrap_err();
    assert_eq!(code(&error), 3);
    error.to_string()
}

const MATRIX: &str = "[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]";

fn frame(path: &str, more: &str) -> String {
    format!(r#"{{"file_path": "{path}", "transform_matrix": {MATRIX}{more}}}"#)
}

fn nerfstudio(root: &Path, frames: &[String]) {
    let text =
        format!(r#"{{"w": 6, "h": 4.0, "fl_x": 5, "ply_file_path": "points.ply", "frames": [{}]}}"#, frames.join(","));
    write(root, "transforms.json", text);
    write(root, "points.ply", "ply");
}

#[test]
fn nerfstudio_scenes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for name in ["images/b.png", "images/a.png", "masks/b.png"] {
        picture(root, name, [4, 6]);
    }
    picture(root, "images_2/b.png", [2, 3]);
    let good = [frame("./images/b.png", r#", "mask_path": "masks/b.png""#), frame("images/a.png", "")];
    nerfstudio(root, &good);
    assert!(is_scene(root));
    let scene = Scene::read(root).unwrap();
    assert_eq!(scene.pictures, ["images/b.png", "images/a.png"].map(PathBuf::from));
    assert_eq!(scene.sizes, [[4, 6]; 2]);
    assert_eq!(scene.carried, ["masks/b.png", "points.ply", "transforms.json"].map(PathBuf::from));
    assert_eq!(scene.left, ["images_2"]);
    for (frames, part) in [
        (vec![frame("images/c.png", "")], "transforms.json: frames[0]: 1 of 1 pictures are not there: images/c.png"),
        (vec![frame("../x.png", "")], "frames[0]: file_path: found the path '../x.png', expected one inside"),
        (vec![frame("/etc/passwd", "")], "found the path '/etc/passwd'"),
        (
            vec![good[1].clone(), frame("images/b.png", r#", "w": 7, "h": 4"#)],
            "frames[1]: the camera of images/b.png is for 7x4 pixels, found a picture of 6x4",
        ),
        (vec![frame("images/a.png", r#", "w": "x""#)], r#"frames[0]: w: found "x", expected a number of pixels"#),
        (vec![frame("images/a.png", r#", "depth_file_path": "d.png""#)], "it names d.png, which is not there"),
        (vec![r#"{"file_path": "images/a.png"}"#.to_owned()], "frames[0]: found no transform_matrix"),
        (
            vec![r#"{"file_path": "images/a.png", "transform_matrix": [[1,2]]}"#.to_owned()],
            "transform_matrix: found [[1,2]], expected 4 rows",
        ),
        (vec![format!(r#"{{"file_path": 3, "transform_matrix": {MATRIX}}}"#)], "file_path: found 3, expected a path"),
        (vec![], r#""frames" is empty"#),
    ] {
        nerfstudio(root, &frames);
        let message = refused(root);
        assert!(message.contains(part), "{part}\n{message}");
    }
    write(root, "transforms.json", "{\"frames\": [\n  {\"file_path\": ]}");
    assert!(
        refused(root).contains("transforms.json: no JSON: expected value at line 2 column 17"),
        "{}",
        refused(root)
    );
}

#[test]
fn blenders_scenes_come_in_three_files() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for (split, name) in [("train", "train/r_0"), ("train", "train/r_1"), ("test", "test/r_0")] {
        picture(root, &format!("{name}.png"), [5, 5]);
        let frames = if split == "train" {
            [frame("./train/r_0", ""), frame("./train/r_1", "")].join(",")
        } else {
            frame("./test/r_0", "")
        };
        write(root, &format!("transforms_{split}.json"), format!(r#"{{"camera_angle_x": 0.7, "frames": [{frames}]}}"#));
    }
    let scene = Scene::read(root).unwrap();
    assert_eq!(scene.pictures, ["train/r_0.png", "train/r_1.png", "test/r_0.png"].map(PathBuf::from));
    assert_eq!(scene.carried, ["transforms_test.json", "transforms_train.json"].map(PathBuf::from));
}

/// Two cameras, three images.
fn colmap_text(root: &Path) {
    write(root, "sparse/0/cameras.txt", "# Camera list\n1 PINHOLE 6 4 5 5 3 2\n7 SIMPLE_RADIAL 3 2 5 1.5 1 0.1\n");
    let images = "# Image list\n\n1 1 0 0 0 0 0 1 1 im10.png\n1.5 2.5 -1 3 1 4\n2 0.7 0.7 0 0 0 1 0 7 im9.png\n\n3 1 0 0 0 0 0 0 1 sub dir/c.png\n0 0 4";
    write(root, "sparse/0/images.txt", images);
    write(root, "sparse/0/points3D.txt", "# points\n4 0 0 1 255 0 9 0.5 1 1 3 0\n");
    for (name, size) in [("im10.png", [4, 6]), ("im9.png", [2, 3]), ("sub dir/c.png", [4, 6])] {
        picture(root, &format!("images/{name}"), size);
    }
}

#[test]
fn colmap_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    colmap_text(root);
    write(root, "database.db", "x");
    let scene = Scene::read(root).unwrap();
    assert_eq!(scene.pictures, ["images/im9.png", "images/im10.png", "images/sub dir/c.png"].map(PathBuf::from));
    assert_eq!(scene.sizes, [[2, 3], [4, 6], [4, 6]]);
    assert_eq!(scene.carried, ["cameras", "images", "points3D"].map(|n| PathBuf::from(format!("sparse/0/{n}.txt"))));
    assert_eq!(scene.left, ["database.db"]);
    for (file, text, part) in [
        ("cameras", "1 PINHOLE 6 4 5 5 3", "cameras.txt: line 1: found 3 parameters, expected 4 for PINHOLE"),
        ("cameras", "\n1 PINHOL 6 4 5", "line 2: found camera model 'PINHOL'"),
        ("cameras", "1 PINHOLE 6 x 5", "line 1: HEIGHT: found 'x', expected a number"),
        ("cameras", "1 PINHOLE 6 4 5 5 3 NaN", "line 1: PARAMS: found NaN, expected a finite number"),
        ("cameras", "1 PINHOLE 6 0 5 5 3 2", "camera 1: found 6x0 pixels"),
        ("cameras", "7 PINHOLE 6 4 5 5 3 2", "images.txt: line 3: camera 1 of im10.png is not in cameras.txt"),
        ("cameras", "1 PINHOLE 8 4 5 5 3 2\n7 PINHOLE 3 2 1 1 1 1", "is for 8x4 pixels, found a picture of 6x4"),
        ("images", "1 1 0 0 0 0 0 1 1", "images.txt: line 1: found no NAME"),
        ("images", "1 0 0 0 0 0 0 1 1 im9.png", "line 1: found a rotation of length 0"),
        ("images", "1 1 0 0 0 0 0 1 1 im10.png\n1 2", "line 2: found 2 numbers, expected X Y POINT3D_ID"),
        (
            "images",
            "1 1 0 0 0 0 0 1 1 im10.png\n\n2 1 0 0 0 0 0 1 1 im10.png",
            "line 3: images/im10.png is registered twice",
        ),
        ("images", "1 1 0 0 0 0 0 1 1 ../../x.png", "line 1: found the path '../../x.png'"),
        (
            "images",
            "1 1 0 0 0 0 0 1 1 no.png\n\n2 1 0 0 0 0 0 1 1 im10.png",
            "line 1: 1 of 2 pictures are not there: images/no.png",
        ),
        ("images", "# none", "no image is registered"),
        ("points3D", "4 0 0 1 256 0 9 0.5", "points3D.txt: line 1: R: found '256'"),
        ("points3D", "4 0 0 1 25 0 9 0.5 1", "line 1: found 1 numbers in TRACK, expected pairs"),
    ] {
        colmap_text(root);
        write(root, &format!("sparse/0/{file}.txt"), text);
        let message = refused(root);
        assert!(message.contains(part), "{part}\n{message}");
    }
    colmap_text(root);
    write(root, "sparse/0/images.txt", [0xFF, 0xFE]);
    assert!(refused(root).contains("byte 0: found no UTF-8"));
    std::fs::remove_file(root.join("sparse/0/images.txt")).unwrap();
    assert!(refused(root).contains("images.txt: cannot be read"));
}

/// The binary form of [`colmap_text`].
fn colmap_binary(root: &Path) -> [(&'static str, Vec<u8>); 3] {
    let mut cameras = 2_u64.to_le_bytes().to_vec();
    for (id, model, size, count) in [(1_u32, 1_u32, [6_u64, 4], 4), (7, 2, [3, 2], 4)] {
        cameras.extend(id.to_le_bytes().into_iter().chain(model.to_le_bytes()));
        cameras.extend(size.iter().flat_map(|n| n.to_le_bytes()));
        cameras.extend((0..count).flat_map(|i| f64::from(i).to_le_bytes()));
    }
    let mut images = 3_u64.to_le_bytes().to_vec();
    for (id, camera, name, points) in
        [(1_u32, 1_u32, "im10.png", 2_u64), (2, 7, "im9.png", 0), (3, 1, "sub dir/c.png", 1)]
    {
        images.extend(id.to_le_bytes());
        images.extend([1.0_f64, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0].iter().flat_map(|v| v.to_le_bytes()));
        images.extend(camera.to_le_bytes());
        images.extend(name.bytes().chain([0]));
        images.extend(points.to_le_bytes());
        images.extend((0..points * 24).map(|i| i as u8));
    }
    let mut points = 1_u64.to_le_bytes().to_vec();
    points.extend(4_u64.to_le_bytes());
    points.extend([0.0_f64, 0.0, 1.0].iter().flat_map(|v| v.to_le_bytes()));
    points.extend([255, 0, 9]);
    points.extend(0.5_f64.to_le_bytes());
    points.extend(2_u64.to_le_bytes());
    points.extend([1_u32, 1, 3, 0].iter().flat_map(|v| v.to_le_bytes()));
    for (name, size) in [("im10.png", [4, 6]), ("im9.png", [2, 3]), ("sub dir/c.png", [4, 6])] {
        picture(root, &format!("images/{name}"), size);
    }
    [("cameras", cameras), ("images", images), ("points3D", points)]
}

#[test]
fn colmap_as_binary() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let files = colmap_binary(root);
    let all = |files: &[(&str, Vec<u8>)]| {
        files.iter().for_each(|(name, bytes)| write(root, &format!("sparse/0/{name}.bin"), bytes));
    };
    all(&files);
    let scene = Scene::read(root).unwrap();
    assert_eq!(scene.pictures, ["images/im9.png", "images/im10.png", "images/sub dir/c.png"].map(PathBuf::from));
    assert_eq!(scene.sizes, [[2, 3], [4, 6], [4, 6]]);
    let cases: [(usize, usize, &[u8], &str); 7] = [
        (
            0,
            0,
            &u64::MAX.to_le_bytes(),
            "cameras.bin: byte 0: found 18446744073709551615 as the number of cameras, but only 112 bytes follow",
        ),
        (0, 12, &[99], "cameras.bin: byte 12: found camera model 99, expected 0 to 11"),
        (0, 32, &f64::NAN.to_le_bytes(), "byte 32: a camera's parameters: found NaN"),
        (1, 0, &(1_u64 << 60).to_le_bytes(), "images.bin: byte 0: found 1152921504606846976 as the number of images"),
        (1, 12, &[0; 8], "byte 8: found a rotation of length 0"),
        (1, 81, &(1_u64 << 40).to_le_bytes(), "as the number of an image's points"),
        (
            2,
            51,
            &u64::MAX.to_le_bytes(),
            "points3D.bin: byte 51: found 18446744073709551615 as the length of a point's track",
        ),
    ];
    for (file, at, bytes, part) in cases {
        let mut damaged = files.clone();
        damaged[file].1[at..at + bytes.len()].copy_from_slice(bytes);
        all(&damaged);
        let message = refused(root);
        assert!(message.contains(part), "{part}\n{message}");
    }
    let mut longer = files.clone();
    longer[0].1.push(0);
    all(&longer);
    assert!(refused(root).contains("byte 120: found 1 bytes after the last of the cameras"), "{}", refused(root));
}

/// Every cut is refused with its byte; every changed byte gives an error or a scene, and never more.
#[test]
fn damaged_models_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let files = colmap_binary(dir.path());
    for (name, good) in &files {
        let read = |bytes: &[u8]| match *name {
            "cameras" => binary::cameras(bytes).map(|cameras| cameras.len()),
            "images" => binary::images(bytes).map(|images| images.len()),
            _ => binary::points(bytes).map(|()| 1),
        };
        for at in 0..good.len() {
            let refused = read(&good[..at]).unwrap_err();
            assert!(refused.starts_with("byte "), "{name} cut at {at}: {refused}");
            for flip in [0x01, 0x80, 0xFF] {
                let mut damaged = good.clone();
                damaged[at] ^= flip;
                let _: Result<_, _> = read(&damaged);
            }
        }
    }
    colmap_text(dir.path());
    for (name, parse) in [
        ("cameras", (|b| text::cameras(b).map(|_| ())) as fn(&[u8]) -> Result<(), String>),
        ("images", |b| text::images(b).map(|_| ())),
        ("points3D", text::points),
    ] {
        let good = std::fs::read(dir.path().join(format!("sparse/0/{name}.txt"))).unwrap();
        for at in 0..good.len() {
            let _: Result<_, _> = parse(&good[..at]);
            let mut damaged = good.clone();
            damaged[at] ^= 0x15;
            let _: Result<_, _> = parse(&damaged);
        }
    }
}
