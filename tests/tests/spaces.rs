//! What holds for every space, whatever the values: values survive the way from the canvas to views and back.

use std::f64::consts::{PI, TAU};

use syncline::spaces::panorama::ViewSet;
use syncline::spaces::windows::WindowSets;
use syncline::spaces::{Frames, Interpolation, Regions, Space, Weight};
use syncline_kernels::check::Draw;
use syncline_tests::stage::{Stage, all, canvas_of, context, normals, panorama, sphere, windows};

const WEIGHTS: [Weight; 4] = [Weight::Count, Weight::Feather, Weight::Cosine, Weight::Winner];

/// Longitude and latitude waves (of angles given in turns of width and height).
fn wave(space: &dyn Space) -> Vec<f32> {
    canvas_of(space, |x, y| (2.0 * x).sin() + (2.0 * y).cos())
}

/// Bilinear samples err by h²/8 (|f_xx| + |f_yy|) on the way to a view, h = 2π/width and 2π/height of the wave above with second
/// derivatives of 4, and again on the way back: there the wave is a function of the view's plane, in which its second
/// derivatives are at most `curvature` for pixels of size 1/side. `edge`: half a pixel is continued as a constant at borders.
fn tolerance(space: &dyn Space, curvature: f64, edge: f64) -> f64 {
    let [h, w] = space.canvas_size().map(|n| TAU / n as f64);
    let pixel = 1.0 / space.view_size()[0] as f64;
    0.5 * (h * h + w * w) + pixel * pixel / 8.0 * curvature + edge * pixel
}

#[test]
fn fuse_after_project_is_the_identity_where_covered() {
    let ctx = context();
    for (name, space) in all() {
        let z = wave(space.as_ref());
        // Plane derivatives: a camera of 80 degrees spans 2 tan 40° = 1.68 in tangents, on which the waves' second
        // derivatives are at most 16 and 4 · 8 (latitudes are half turns: 4 · lat); a face 96° of angle, where meridians
        // crowd towards the poles, so its longitudes are looked at below 60° only; a torus patch half a turn in both.
        let (bound, latitude) = match name {
            "windows" | "wrapping windows" | "frames" => (0.0, 90.0),
            "rings" => (tolerance(space.as_ref(), 1.68 * 1.68 * 48.0, 0.0), 90.0),
            "full panorama" | "sphere" => (tolerance(space.as_ref(), 1.68 * 1.68 * 48.0 * 4.0, 0.0), 60.0),
            _ => (tolerance(space.as_ref(), PI * PI * 4.0 * 4.0, PI * 2.0), 90.0),
        };
        let [h, w] = space.canvas_size();
        for step in 0..2 {
            let stage = Stage::new(&ctx, space.as_ref(), space.interpolation(), step);
            let views = stage.project(&z);
            for weight in WEIGHTS {
                let (fused, coverage) = stage.fuse(&views, &vec![9.0; z.len()], weight, None);
                // A mean of equal numbers errs by rounding of the weights' sum.
                let bound = if weight == Weight::Count { bound } else { bound + 1e-6 };
                let (mut worst, mut covered) = (0.0, 0);
                for (i, (value, old)) in fused.iter().zip(&z).enumerate() {
                    if coverage[i] == 0.0 {
                        assert_eq!(*value, 9.0, "{name}: texels that no view covers keep their value");
                    } else if (((i / w) as f64 + 0.5) / h as f64 - 0.5).abs() * 180.0 < latitude {
                        covered += 1;
                        worst = f64::max(worst, f64::from((value - old).abs()));
                    }
                }
                println!("{name} step {step} {weight:?}: {worst:.2e} of {bound:.2e}, {covered} texels");
                assert!(worst <= bound && covered * 5 > z.len(), "{name} {weight:?}: {worst} beyond {bound}");
            }
        }
    }
}

#[test]
fn constants_stay_constant_under_any_weight() {
    let ctx = context();
    for (name, space) in all() {
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
            let stage = Stage::new(&ctx, space.as_ref(), interpolation, 1);
            let flat = vec![0.7; space.canvas_size().iter().product()];
            let views = stage.project(&flat);
            assert!(views.iter().all(|v| (v - 0.7).abs() < 1e-6), "{name}");
            for weight in WEIGHTS {
                let (fused, _) = stage.fuse(&views, &flat, weight, None);
                assert!(fused.iter().all(|v| (v - 0.7).abs() < 1e-6), "{name} {weight:?}");
            }
        }
    }
}

/// ⟨project z, x⟩ = ⟨z, scatter x⟩.
#[test]
fn scattering_is_the_adjoint_of_projecting() {
    let ctx = context();
    let mut draw = Draw::new(4);
    for (name, space) in all() {
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
            let stage = Stage::new(&ctx, space.as_ref(), interpolation, 1);
            let z = normals(&mut draw, space.canvas_size().iter().product());
            let views = stage.project(&z);
            let x = normals(&mut draw, views.len());
            let left: f64 = views.iter().zip(&x).map(|(a, b)| f64::from(a * b)).sum();
            let right: f64 = z.iter().zip(stage.scatter(&x)).map(|(a, b)| f64::from(*a) * b).sum();
            println!("{name} {interpolation:?}: {left} and {right}");
            // Up to 60000 pixels, each off by some 2^-21 from fixed point and 2^-22 from f32, in random directions.
            assert!((left - right).abs() < 2e-3 && left.abs() > 0.1, "{name}: {left} and {right}");
        }
    }
}

/// Nearest sampling repeats numbers but draws none twice as often as others: variance stays one. Bilinear means do not keep it.
#[test]
fn nearest_views_of_unit_noise_have_unit_variance() {
    let ctx = context();
    let mut draw = Draw::new(3);
    for (name, space) in all() {
        let mut variance = [0.0; 2];
        let rounds = 8;
        for (i, interpolation) in [Interpolation::Nearest, Interpolation::Bilinear].into_iter().enumerate() {
            for round in 0..rounds {
                let noise = normals(&mut draw, space.canvas_size().iter().product());
                let views = Stage::new(&ctx, space.as_ref(), interpolation, round).project(&noise);
                let squares: f64 = views.iter().map(|v| f64::from(v * v)).sum();
                variance[i] += squares / views.len() as f64 / f64::from(rounds as u32);
            }
        }
        println!("{name}: variance {variance:.4?}");
        // 8 canvases of at least 5000 texels that a view shows: five standard errors are 5 sqrt(2 / 40000).
        assert!((variance[0] - 1.0).abs() < 0.036, "{name}: {variance:?}");
        if !["windows", "wrapping windows", "frames"].contains(&name) {
            assert!(variance[1] < 0.75, "{name}: {variance:?}");
        }
    }
}

/// Spaces whose sets tile the canvas: each texel has exactly one view.
#[test]
fn tiling_sets_cover_once() {
    let ctx = context();
    let tiles = [
        ("tiles", windows(WindowSets::Same, 32, false)),
        ("shifted tiles", windows(WindowSets::Random { seed: 1 }, 32, true)),
        ("interleaved tiles", windows(WindowSets::Interleaved(4), 32, true)),
        ("frames", Box::new(Frames::new(3, [40, 48]).unwrap())),
        ("sphere", sphere(512, 48, 90.0)),
    ];
    for (name, space) in tiles {
        let [h, w] = space.view_size();
        for step in 0..4 {
            let stage = Stage::new(&ctx, space.as_ref(), Interpolation::Nearest, step);
            let zeros = vec![0.0; space.canvas_size().iter().product()];
            let views = vec![0.0; stage.views.len() * h * w];
            let (_, coverage) = stage.fuse(&views, &zeros, Weight::Count, None);
            let twice = coverage.iter().filter(|c| **c == 2.0).count();
            assert!(coverage.iter().all(|c| *c == 1.0 || *c == 2.0), "{name}: a hole, or a third view");
            println!("{name} step {step}: {twice} of {} texels on a border", coverage.len());
            // Borders of faces that rounding puts exactly on a texel's centre belong to both.
            let most = if name == "sphere" { coverage.len() / 10_000 } else { 0 };
            assert!(twice <= most, "{name}: {twice} texels twice");
        }
    }
}

#[test]
fn two_steps_of_the_full_panorama_cover_every_texel() {
    let ctx = context();
    for fov in [72.0, 80.0] {
        let space = panorama(ViewSet::Full, 256, 48, fov);
        let zeros = vec![0.0; 256 * 512];
        let cover = |step| {
            let stage = Stage::new(&ctx, space.as_ref(), Interpolation::Nearest, step);
            stage.fuse(&vec![0.0; stage.views.len() * 48 * 48], &zeros, Weight::Count, None).1
        };
        let (a, b) = (cover(0), cover(1));
        assert!(a.iter().zip(&b).all(|(a, b)| a + b > 0.0));
        assert!(a.contains(&0.0) && b.contains(&0.0), "neither does it alone");
    }
}

#[test]
fn regions_divide_the_canvas() {
    let ctx = context();
    let space = Regions::new(windows(WindowSets::Same, 16, false), 2).unwrap();
    let [h, w] = space.canvas_size();
    let stage = Stage::new(&ctx, &space, Interpolation::Nearest, 0);
    let count = stage.views.len();
    // Views of region 0 are all 1, of region 1 all 5; the left half belongs to the first, a quarter is shared 1 : 3.
    let views: Vec<f32> = (0..count * 32 * 32).map(|i| if i < count / 2 * 1024 { 1.0 } else { 5.0 }).collect();
    let share = |x: usize| {
        if x < w / 2 {
            [1.0, 0.0]
        } else if x < 3 * w / 4 {
            [0.25, 0.75]
        } else {
            [0.0, 1.0]
        }
    };
    let regions: Vec<f32> = [0, 1].iter().flat_map(|&r| (0..h * w).map(move |i| share(i % w)[r])).collect();
    for weight in [Weight::Count, Weight::Feather, Weight::Cosine] {
        let (fused, coverage) = stage.fuse(&views, &vec![9.0; h * w], weight, Some(&regions));
        for (i, value) in fused.iter().enumerate() {
            let [a, b] = share(i % w);
            assert!((value - (a + 5.0 * b)).abs() < 1e-5, "{weight:?} texel {i}: {value}");
        }
        assert!(coverage.iter().all(|c| *c > 0.0));
    }
    // What no region takes keeps its value.
    let (kept, coverage) = stage.fuse(&views, &vec![9.0; h * w], Weight::Count, Some(&vec![0.0; 2 * h * w]));
    assert!(kept.iter().all(|v| *v == 9.0) && coverage.iter().all(|c| *c == 0.0));
}
