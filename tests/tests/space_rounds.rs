//! Many times through the views of a space without any diffusion.
#![expect(clippy::unwrap_used, reason = "a test that cannot run has failed")]

use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::windows::WindowSets;
use syncline::spaces::{Frames, Geometry, Interpolation, Space, View, Weight};
use syncline_kernels::check::Draw;
use syncline_tests::stage::{Stage, all, context, normals, panorama, sphere, windows};

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

/// The same views over a canvas of another size, which [`Panorama::new`] refuses as too small.
#[derive(Debug)]
struct Coarse(Box<dyn Space>);

impl Space for Coarse {
    fn canvas_size(&self) -> [usize; 2] {
        self.0.canvas_size().map(|n| n / 2)
    }

    fn view_size(&self) -> [usize; 2] {
        self.0.view_size()
    }

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn interpolation(&self) -> Interpolation {
        self.0.interpolation()
    }

    fn set_count(&self) -> usize {
        self.0.set_count()
    }

    fn view_count(&self) -> usize {
        self.0.view_count()
    }

    fn views(&self, step: usize) -> Vec<View> {
        self.0.views(step)
    }
}

/// StochSync's round trip at its size: five views of 512 and 72 degrees. Theirs, with another half-pixel convention: 99.95 % of
/// the pixels at 4096 columns, 60.7 % at 2048.
#[test]
fn pixels_survive_the_canvas_at_full_size() {
    let ctx = context();
    let fine = panorama(ViewSet::PAPER, 2048, 512, 72.0);
    let coarse = Coarse(panorama(ViewSet::PAPER, 2048, 512, 72.0));
    let [fine, coarse] = [fine.as_ref(), &coarse].map(|space| {
        let views = normals(&mut Draw::new(11), 5 * 512 * 512);
        let stage = Stage::new(&ctx, space, Interpolation::Nearest, 0);
        let zeros = vec![0.0; space.canvas_size().iter().product()];
        let back = stage.project(&stage.fuse(&views, &zeros, Weight::Count, None).0);
        back.iter().zip(&views).filter(|(a, b)| a == b).count() as f64 / views.len() as f64
    });
    println!("pixels that survive: {fine:.5} at 4096 x 2048, {coarse:.5} at 2048 x 1024");
    assert!(fine >= 0.999, "{fine}");
    assert!((coarse - 0.607).abs() < 0.02, "{coarse}");
}
