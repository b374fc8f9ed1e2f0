//! What holds for every space, whatever the values: values survive the way from the canvas to views and back.
#![expect(clippy::unwrap_used, reason = "a test that cannot run has failed")]

use std::f64::consts::{PI, TAU};

use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::sphere::{Sphere, SphereOptions};
use syncline::spaces::torus::{Torus, TorusOptions};
use syncline::spaces::windows::{WindowSets, Windows, WindowsOptions};
use syncline::spaces::{self, Frames, Fuse, FuseScalars, Interpolation, Project, Regions, Space, View, Weight};
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::tensor::Elem;

const WEIGHTS: [Weight; 4] = [Weight::Count, Weight::Feather, Weight::Cosine, Weight::Winner];

fn context() -> Context {
    Context::new(&ContextOptions::strict()).unwrap()
}

/// A canvas in memory, `[H, W, C]`, and the views of one step.
struct Stage<'a> {
    ctx: &'a Context,
    space: &'a dyn Space,
    interpolation: Interpolation,
    channels: usize,
    views: Vec<View>,
}

impl<'a> Stage<'a> {
    fn new(ctx: &'a Context, space: &'a dyn Space, interpolation: Interpolation, step: usize) -> Self {
        Self { ctx, space, interpolation, channels: 1, views: space.views(step) }
    }

    fn words(&self) -> Vec<f32> {
        self.views.iter().flat_map(View::words).collect()
    }

    fn project(&self, canvas: &[f32]) -> Vec<f32> {
        let (ctx, [h, w], count) = (self.ctx, self.space.canvas_size(), self.views.len());
        let canvas = ctx.upload(canvas, &[h, w, self.channels], Elem::F32).unwrap();
        let words = ctx.upload(&self.words(), &[count, 20], Elem::F32).unwrap();
        let views = ctx.upload_u32(&vec![0; count], &[count]).unwrap();
        let mut rec = Recorder::new(ctx);
        let project = Project {
            geometry: self.space.geometry(),
            interpolation: self.interpolation,
            size: self.space.view_size(),
            canvas: &canvas,
            words: &words,
            views: &views,
            map: [1.0, 0.0],
            elem: Elem::F32,
        };
        let out = spaces::project(&mut rec, &project);
        assert_eq!(rec.len(), 1, "one dispatch");
        let out = rec.keep(&out).unwrap();
        rec.finish().unwrap().run().unwrap();
        ctx.verify_guards().unwrap();
        ctx.read(&out).unwrap()
    }

    /// Canvas and coverage.
    fn fuse(&self, views: &[f32], old: &[f32], weight: Weight, regions: Option<&[f32]>) -> (Vec<f32>, Vec<f32>) {
        let (ctx, [h, w], count) = (self.ctx, self.space.canvas_size(), self.views.len());
        let [vh, vw] = self.space.view_size();
        let canvas = ctx.upload(old, &[h, w, self.channels], Elem::F32).unwrap();
        let coverage = ctx.tensor(&[h, w], Elem::F32).unwrap();
        let views = ctx.upload(views, &[count, vh, vw, self.channels], Elem::F32).unwrap();
        let words = ctx.upload(&self.words(), &[count, 20], Elem::F32).unwrap();
        let regions = regions.map(|r| ctx.upload(r, &[r.len() / (h * w), h, w], Elem::F32).unwrap());
        let mut rec = Recorder::new(ctx);
        let fuse = Fuse {
            geometry: self.space.geometry(),
            interpolation: self.interpolation,
            canvas: &canvas,
            coverage: &coverage,
            views: &views,
            words: &words,
            regions: regions.as_ref(),
            weight,
            scalars: FuseScalars::default(),
        };
        spaces::fuse(&mut rec, &fuse);
        assert_eq!(rec.len(), 1, "one dispatch");
        rec.finish().unwrap().run().unwrap();
        ctx.verify_guards().unwrap();
        (ctx.read(&canvas).unwrap(), ctx.read(&coverage).unwrap())
    }

    /// The canvas after it went through the views once.
    fn round(&self, canvas: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.fuse(&self.project(canvas), canvas, Weight::Count, None)
    }
}

fn windows(sets: WindowSets, stride: usize, wrap: bool) -> Box<dyn Space> {
    let options = WindowsOptions {
        canvas: [96, 160],
        window: [32, 32],
        stride: [stride; 2],
        wrap: [wrap; 2],
        sets,
        ..WindowsOptions::default()
    };
    Box::new(Windows::new(&options).unwrap())
}

fn panorama(views: ViewSet, height: usize, side: usize, fov: f64) -> Box<dyn Space> {
    let interpolation = Interpolation::Bilinear;
    let options = PanoramaOptions { height, view_side: side, fov, used_fov: 72.0, views, interpolation };
    Box::new(Panorama::new(&options).unwrap())
}

fn sphere(height: usize, side: usize, fov: f64) -> Box<dyn Space> {
    let options = SphereOptions { height, side, fov, seed: Some(5), ..SphereOptions::default() };
    Box::new(Sphere::new(&options).unwrap())
}

fn torus(canvas: [usize; 2], side: usize) -> Box<dyn Space> {
    Box::new(Torus::new(&TorusOptions { canvas, side, ..TorusOptions::default() }).unwrap())
}

/// Small spaces of every kind.
fn all() -> Vec<(&'static str, Box<dyn Space>)> {
    vec![
        ("windows", windows(WindowSets::Same, 24, false)),
        ("wrapping windows", windows(WindowSets::Random { seed: 3 }, 16, true)),
        ("rings", panorama(ViewSet::PAPER, 128, 48, 80.0)),
        ("full panorama", panorama(ViewSet::Full, 128, 48, 80.0)),
        ("sphere", sphere(128, 48, 96.0)),
        ("torus", torus([128, 384], 48)),
        ("frames", Box::new(Frames::new(3, [40, 48]).unwrap())),
    ]
}

/// Values over a canvas from the angles (or fractions of turns) of a texel's centre.
fn canvas_of(space: &dyn Space, value: impl Fn(f64, f64) -> f64) -> Vec<f32> {
    let [h, w] = space.canvas_size();
    let turn = |i: usize, n: usize| (i as f64 + 0.5) / n as f64 - 0.5;
    (0..h * w).map(|i| value(TAU * turn(i % w, w), TAU * turn(i / w, h)) as f32).collect()
}

fn normals(draw: &mut Draw, count: usize) -> Vec<f32> {
    (0..count).map(|_| draw.normal() as f32).collect()
}

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

/// Integer shift (x, y) at which `b` looks most like `a`, and the sub-texel rest from a parabola through the neighbours.
fn shift(a: &[f32], b: &[f32], [h, w]: [usize; 2], keep: &[f32]) -> ([i32; 2], [f64; 2]) {
    let correlation = |dx: i32, dy: i32| {
        let margin = 4i32;
        let mut sums = [0.0; 3];
        for y in margin..h as i32 - margin {
            for x in margin..w as i32 - margin {
                let (i, j) = ((y * w as i32 + x) as usize, ((y + dy) * w as i32 + x + dx) as usize);
                if keep[i] > 0.0 && keep[j] > 0.0 {
                    let (u, v) = (f64::from(a[i]), f64::from(b[j]));
                    sums = [sums[0] + u * v, sums[1] + u * u, sums[2] + v * v];
                }
            }
        }
        sums[0] / (sums[1] * sums[2]).sqrt()
    };
    let all = (-3..=3).flat_map(|dy| (-3..=3).map(move |dx| [dx, dy]));
    let best = all.max_by(|a, b| correlation(a[0], a[1]).total_cmp(&correlation(b[0], b[1]))).unwrap();
    let middle = correlation(best[0], best[1]);
    let rest = [[1, 0], [0, 1]].map(|[dx, dy]| {
        let (low, high) = (correlation(best[0] - dx, best[1] - dy), correlation(best[0] + dx, best[1] + dy));
        0.5 * (low - high) / (low - 2.0 * middle + high)
    });
    (best, rest)
}

/// Twenty times through the views without any diffusion: a half-pixel convention that differed between project and fuse would
/// move the picture by up to a texel each time.
#[test]
fn twenty_rounds_move_nothing() {
    let ctx = context();
    let mut draw = Draw::new(9);
    for (name, space) in all() {
        let size = space.canvas_size();
        // A texture with structure of a few texels.
        let noise = normals(&mut draw, size[0] * size[1]);
        let blurred: Vec<f32> = (0..noise.len())
            .map(|i| {
                let at = |dx: usize, dy: usize| noise[(i / size[1] + dy) % size[0] * size[1] + (i + dx) % size[1]];
                (0..25).map(|k| at(k % 5, k / 5)).sum::<f32>() / 5.0
            })
            .collect();
        let stage = Stage::new(&ctx, space.as_ref(), Interpolation::Bilinear, 0);
        let (mut z, mut coverage) = (blurred.clone(), Vec::new());
        for _ in 0..20 {
            (z, coverage) = stage.round(&z);
        }
        let (whole, rest) = shift(&blurred, &z, size, &coverage);
        println!("{name}: bilinear, shift {whole:?} + {rest:.4?} texels");
        assert!(whole == [0, 0] && rest.iter().all(|r| r.abs() < 0.1), "{name}: {whole:?} {rest:?}");
    }
}

/// Where texels are finer than pixels the centre of the texel that a pixel takes its value from lies in that pixel: the canvas
/// after twenty nearest rounds is that after one, to the bit.
#[test]
fn nearest_rounds_repeat_to_the_bit() {
    let ctx = context();
    let mut draw = Draw::new(10);
    let ring = |views, used_fov| -> Box<dyn Space> {
        let (interpolation, views) = (Interpolation::Nearest, ViewSet::Rings { sets: 2, views });
        let options = PanoramaOptions { height: 512, view_side: 64, fov: 80.0, used_fov, views, interpolation };
        Box::new(Panorama::new(&options).unwrap())
    };
    let cases = [
        ("windows", windows(WindowSets::Same, 32, false)),
        ("shifted windows", windows(WindowSets::Random { seed: 3 }, 32, true)),
        ("frames", Box::new(Frames::new(3, [40, 48]).unwrap())),
        ("ring with gaps", ring(4, 80.0)),
        ("touching ring", ring(5, 72.0)),
        ("sphere", sphere(512, 128, 90.0)),
    ];
    for (name, space) in cases {
        let stage = Stage::new(&ctx, space.as_ref(), Interpolation::Nearest, 1);
        let noise = normals(&mut draw, space.canvas_size().iter().product());
        let first = stage.round(&noise).0;
        let mut z = first.clone();
        for _ in 1..20 {
            z = stage.round(&z).0;
        }
        let same = z.iter().zip(&first).filter(|(a, b)| a.to_bits() == b.to_bits()).count() as f64 / z.len() as f64;
        println!("{name}: {same:.6} of the texels after round 20 are those after round 1");
        assert!(same == 1.0, "{name}: {same}");
        assert_eq!(shift(&first, &z, space.canvas_size(), &vec![1.0; z.len()]).0, [0, 0], "{name}");
    }
}

/// StochSync's round trip at its size: five views of 512 and 72 degrees. Theirs, with another half-pixel convention: 99.95 % of
/// the pixels at 4096 columns, 60.7 % at 2048.
#[test]
fn pixels_survive_the_canvas_at_full_size() {
    let ctx = context();
    let mut draw = Draw::new(11);
    let space = panorama(ViewSet::PAPER, 2048, 512, 72.0);
    let views = normals(&mut draw, 5 * 512 * 512);
    let stage = Stage::new(&ctx, space.as_ref(), Interpolation::Nearest, 0);
    let (canvas, _) = stage.fuse(&views, &vec![0.0; 2048 * 4096], Weight::Count, None);
    let back = stage.project(&canvas);
    let same = back.iter().zip(&views).filter(|(a, b)| a == b).count() as f64 / views.len() as f64;
    println!("4096 x 2048: {same:.5} of the pixels");
    assert!(same >= 0.999, "{same}");
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
