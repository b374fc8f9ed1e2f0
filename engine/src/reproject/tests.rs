//! Smooth functions of the direction, whose value every picture form must show.

use syncline_kernels::gpu::{ContextOptions, Profile};

use super::*;

fn context() -> Context {
    Context::new(&ContextOptions::strict()).unwrap()
}

/// Colour of a direction: smooth, and different in each channel and along each axis.
fn colour([x, y, z]: [f64; 3]) -> [f32; 3] {
    let n = (x * x + y * y + z * z).sqrt();
    let (x, y, z) = (x / n, y / n, z / n);
    [0.5 + 0.4 * x + 0.1 * y * z, 0.5 - 0.4 * y + 0.1 * x * z, 0.5 + 0.4 * z - 0.1 * x * y].map(|v| v as f32)
}

fn turned(rotation: &Rotation, ray: [f64; 3]) -> [f64; 3] {
    rotation.map(|row| (0..3).map(|k| row[k] * ray[k]).sum())
}

/// An equirectangular picture from its definition, its middle looking along `turn`.
fn panorama(height: usize, turn: &Rotation) -> Raster {
    use std::f64::consts::PI;
    let mut rgb = Vec::new();
    for row in 0..height {
        for column in 0..2 * height {
            let latitude = ((row as f64 + 0.5) / height as f64 - 0.5) * PI;
            let longitude = ((column as f64 + 0.5) / height as f64 - 1.0) * PI;
            let (level, below) = (latitude.cos(), latitude.sin());
            rgb.extend(colour(turned(turn, [longitude.sin() * level, below, longitude.cos() * level])));
        }
    }
    Raster::new([height, 2 * height], rgb)
}

fn view(rotation: &Rotation, fov: f64, [height, width]: [usize; 2]) -> Raster {
    let focal = 0.5 * height as f64 / (0.5 * fov.to_radians()).tan();
    let ray = |i: usize| {
        let (x, y) = ((i % width) as f64 + 0.5, (i / width) as f64 + 0.5);
        turned(rotation, [(x - 0.5 * width as f64) / focal, (y - 0.5 * height as f64) / focal, 1.0])
    };
    Raster::new([height, width], (0..height * width).flat_map(|i| colour(ray(i))).collect())
}

#[track_caller]
fn assert_near(got: &Raster, expected: &Raster, bound: f32) {
    assert_eq!(got.size, expected.size);
    let worst = got.rgb.iter().zip(&expected.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= bound, "off by {worst}, allowed {bound}");
}

fn cube(side: usize, turn: &Rotation) -> [Raster; 6] {
    Face::ALL.map(|face| view(&product(turn, &face.rotation()), 90.0, [side; 2]))
}

#[test]
fn faces_show_what_is_in_their_direction() {
    let (ctx, turn) = (context(), turn(40.0, -25.0, 10.0));
    let faces = to_cube(&ctx, &panorama(192, &AHEAD), 48, &turn, 1).unwrap();
    for (face, expected) in faces.iter().zip(cube(48, &turn)) {
        assert_near(face, &expected, 1e-3);
    }
    let means = to_cube(&ctx, &panorama(192, &AHEAD), 24, &AHEAD, 3).unwrap();
    for (face, expected) in means.iter().zip(cube(24, &AHEAD)) {
        assert_near(face, &expected, 2e-3);
    }
}

#[test]
fn panoramas_come_out_of_faces_without_seams_or_gaps() {
    let (ctx, turn) = (context(), turn(-70.0, 33.0, -5.0));
    for (side, height, samples) in [(64, 96, 1), (63, 50, 2), (8, 32, 1)] {
        let made = to_equirect(&ctx, &cube(side, &AHEAD), height, &turn, samples).unwrap();
        // Curvature between pixels, and within the area that a large pixel averages.
        let bound = 1.5 / (side * side) as f32 + 4.0 * (samples - 1) as f32 / (height * height) as f32;
        assert_near(&made, &panorama(height, &turn), bound.max(1e-3));
    }
}

#[test]
fn large_views_are_drawn_in_bands() {
    let ctx = context();
    let looking = Perspective { rotation: turn(123.0, 45.0, -30.0), fov: 65.0, size: [1280, 1720] };
    let got = perspective(&ctx, &panorama(128, &AHEAD), &looking, 1).unwrap();
    assert!(looking.size[0] * looking.size[1] > 1 << 21, "one band would do");
    assert_near(&got, &view(&looking.rotation, looking.fov, looking.size), 1e-3);
}

#[test]
fn photographs_lie_ahead_and_the_rest_is_black() {
    let ctx = context();
    let (fov, size) = (60.0, [60, 90]);
    let made = from_perspective(&ctx, &view(&AHEAD, fov, size), fov, 96).unwrap();
    let expected = panorama(96, &AHEAD);
    let tan = (0.5 * fov.to_radians()).tan();
    let mut seen = 0;
    for row in 0..96 {
        for column in 0..192 {
            let latitude = ((row as f64 + 0.5) / 96.0 - 0.5) * std::f64::consts::PI;
            let longitude = ((column as f64 + 0.5) / 96.0 - 1.0) * std::f64::consts::PI;
            let (x, y) = (longitude.tan(), latitude.tan() / longitude.cos());
            let (got, inside) = (made.pixel(row, column), longitude.cos() > 0.0);
            // Half a pixel at the border may be on either side.
            if inside && x.abs() < 1.48 * tan && y.abs() < 0.98 * tan {
                let want = expected.pixel(row, column);
                assert!((0..3).all(|c| (got[c] - want[c]).abs() < 3e-3), "{row} {column}: {got:?} for {want:?}");
                seen += 1;
            } else if !inside || x.abs() > 1.52 * tan || y.abs() > 1.02 * tan {
                assert_eq!(got, [0.0; 3], "{row} {column}");
            }
        }
    }
    assert!(seen > 1000, "{seen} pixels");
}

/// WebGPU's 128 MiB are 2048 rows, four bands of them 4096.
fn small_bindings() -> Context {
    let options = ContextOptions::strict();
    let profile = Profile { webgpu_limits: true, ..options.profile };
    Context::new(&ContextOptions { profile, ..options }).unwrap()
}

#[test]
fn pictures_beyond_a_binding_are_bound_in_bands() {
    let ctx = small_bindings();
    // Not a multiple of four rows: stretched by two.
    let canvas = resize(&panorama(128, &AHEAD), [2054, 4108], Edges::Wrap);
    let faces = to_cube(&ctx, &canvas, 24, &AHEAD, 1).unwrap();
    for (face, expected) in faces.iter().zip(cube(24, &AHEAD)) {
        assert_near(face, &expected, 2e-3);
    }
    let made = to_equirect(&ctx, &cube(64, &AHEAD), 2052, &AHEAD, 1).unwrap();
    let small = resize(&made, [108, 216], Edges::Wrap);
    assert_near(&small, &panorama(108, &AHEAD), 2e-3);
}

#[test]
fn pictures_beyond_four_bindings_are_averaged_first() {
    let ctx = small_bindings();
    for (size, fits) in [([2048, 4096], true), ([2052, 4104], true), ([2050, 4100], false), ([4096, 8192], true)] {
        assert_eq!(gpu::fits(&ctx, size), fits, "{size:?}");
    }
    assert!(!gpu::fits(&ctx, [4100, 8200]));
    // Whatever an adapter binds.
    assert!(!gpu::fits(&ctx, [4, 1 << 17]) && !gpu::fits(&ctx, [1 << 17, 4]));
    // Four bands of 20 pixels.
    let fits = |[height, width]: [usize; 2]| height * width <= 20 || height % 4 == 0 && height * width <= 80;
    for (size, samples, expected, left) in [
        ([4, 20], 3, [4, 20], 3),
        ([3, 20], 3, [4, 20], 3),
        ([4, 30], 3, [4, 15], 2),
        ([16, 32], 8, [4, 8], 2),
        // Nothing to save: refused by the adapter later.
        ([4, 30], 1, [4, 30], 1),
    ] {
        let plain = Raster::new(size, vec![0.25; 3 * size[0] * size[1]]);
        let (fitted, samples) = fitting(&fits, &plain, samples);
        assert_eq!((fitted.size, samples), (expected, left), "{size:?}");
        assert!(fitted.rgb.iter().all(|v| (v - 0.25).abs() < 1e-6));
    }
}

#[test]
fn rays_and_positions_on_faces_are_inverse() {
    for face in Face::ALL {
        for at in [[0.0, 0.0], [0.9, -0.3], [-0.5, 0.99]] {
            let (found, position) = Face::of(face.ray(at));
            assert_eq!(found, face);
            assert!((0..2).all(|i| (position[i] - at[i]).abs() < 1e-12), "{face:?} {at:?}: {position:?}");
        }
    }
    // Up is -y, right is x, the front is ahead; a level face has its sky above.
    assert_eq!(Face::of([0.1, -1.0, 0.2]).0, Face::Up);
    assert_eq!(Face::of([1.0, 0.0, 0.5]), (Face::Right, [-0.5, 0.0]));
    assert_eq!(Face::of([0.0, -0.5, -1.0]), (Face::Back, [0.0, -0.5]));
}

#[test]
fn what_cannot_be_drawn_is_refused_with_numbers() {
    let (ctx, canvas) = (context(), panorama(4, &AHEAD));
    let view = |fov, size| perspective(&ctx, &canvas, &Perspective { rotation: AHEAD, fov, size }, 1);
    let message = |result: Result<Raster>| result.unwrap_err().to_string();
    assert_eq!(message(view(171.0, [4, 4])), "fov: found 171, expected 1 to 170 degrees");
    assert!(message(view(f64::NAN, [4, 4])).contains("found NaN"));
    assert!(message(view(90.0, [0, 4])).contains("view size: found 4x0"));
    assert!(to_cube(&ctx, &canvas, 16385, &AHEAD, 1).unwrap_err().to_string().contains("16385x16385"));
    assert!(
        to_cube(&ctx, &canvas, 4, &AHEAD, 9).unwrap_err().to_string().contains("samples: found 9, expected 1 to 8")
    );
    let mut faces = cube(4, &AHEAD);
    faces[3] = Raster::new([4, 5], vec![0.0; 60]);
    let refused = to_equirect(&ctx, &faces, 4, &AHEAD, 1).unwrap_err().to_string();
    assert_eq!(refused, "cube face: found 5x4, expected 4x4 as the first");
}

/// Every size from one pixel on, any turn: what has one colour keeps it everywhere.
#[test]
fn plain_pictures_stay_plain_at_any_size() {
    let ctx = context();
    let mut draw = syncline_kernels::check::Draw::new(7);
    for _ in 0..40 {
        let [height, side, rows, width] = [0; 4].map(|_| draw.dim(70));
        let samples = 1 + draw.below(3);
        let turn = turn(360.0 * draw.unit(), 180.0 * draw.unit() - 90.0, 360.0 * draw.unit());
        let what = format!("panorama {height}, face {side}, view {width}x{rows}, {samples} samples");
        let plain = |size: [usize; 2]| Raster::new(size, [0.2, 0.5, 3.0].repeat(size[0] * size[1]));
        let check = |raster: &Raster| {
            let off = raster.rgb.chunks_exact(3).zip([[0.2, 0.5, 3.0]].iter().cycle());
            assert!(off.flat_map(|(a, b)| [0, 1, 2].map(|c| (a[c] - b[c]).abs())).all(|d| d < 1e-5), "{what}");
        };
        to_cube(&ctx, &plain([height, 2 * height]), side, &turn, samples).unwrap().iter().for_each(check);
        check(&to_equirect(&ctx, &[0; 6].map(|_| plain([side; 2])), height, &turn, samples).unwrap());
        let view = Perspective { rotation: turn, fov: 1.0 + 169.0 * draw.unit(), size: [rows, width] };
        check(&perspective(&ctx, &plain([height, 2 * height]), &view, samples).unwrap());
    }
}

#[test]
fn minified_pictures_get_more_samples() {
    assert_eq!(samples_for(100.0, 100.0), 1);
    assert_eq!(samples_for(100.0, 81.0), 1);
    assert_eq!(samples_for(100.0, 50.0), 2);
    assert_eq!(samples_for(1e9, 1.0), MAX_SAMPLES);
}
