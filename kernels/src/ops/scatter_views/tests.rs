use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::finite::{self, Found};
use crate::ops::project_renoise::{ProjectRenoise, Projection, RenoiseScalars, project_renoise};
use crate::ops::views::oracle::{Placed, near_border, taps};
use crate::ops::views::{Geometry, Interpolation, upload_words};

const INTERPOLATIONS: [Interpolation; 2] = [Interpolation::Nearest, Interpolation::Bilinear];

fn words(variant: &Variant, places: &[Placed]) -> Tensor {
    let words: Vec<_> = places.iter().map(|placed| placed.words).collect();
    upload_words(&variant.ctx, &words).unwrap()
}

/// Sums and hits, as integers, and what the report says.
fn run(
    variant: &Variant,
    views: &Tensor,
    lens: Lens<'_>,
    canvas: [usize; 2],
    gain: f32,
) -> (Vec<i32>, Vec<i32>, Found) {
    let [h, w] = canvas;
    let sums = new_sums(&variant.ctx, &[h, w, views.shape().last()]).unwrap();
    let hits = new_sums(&variant.ctx, &[h, w]).unwrap();
    let report = finite::new_report(&variant.ctx).unwrap();
    let mut rec = Recorder::new(&variant.ctx);
    let (sums_of, hits_of, report_of) = (&sums, Some(&hits), &report);
    scatter_views(&mut rec, &ScatterViews { views, lens, sums: sums_of, hits: hits_of, report: report_of, gain });
    rec.finish().unwrap().run().unwrap();
    variant.ctx.verify_guards().unwrap();
    let read = |tensor: &Tensor| -> Vec<i32> {
        // Pad lanes were written zero and must have stayed so.
        let (last, padded) = (tensor.shape().last(), tensor.shape().padded_last());
        let words = variant.ctx.read_tensor_words(tensor).unwrap();
        assert!(words.chunks(padded).all(|row| row[last..].iter().all(|lane| *lane == 0)));
        words.chunks(padded).flat_map(|row| &row[..last]).map(|word| *word as i32).collect()
    };
    (read(&sums), read(&hits), finite::take_report(&variant.ctx, &report).unwrap())
}

#[test]
fn matches_the_oracle_in_every_space() {
    for variant in variants().unwrap() {
        for geometry in Geometry::ALL {
            let mut draw = Draw::new(71);
            for case in 0..200 {
                match_case(&variant, geometry, case, &mut draw);
            }
        }
    }
}

fn match_case(variant: &Variant, geometry: Geometry, case: usize, draw: &mut Draw) {
    let canvas = [1 + draw.dim(24), 1 + draw.dim(40)];
    let dims = [1 + draw.below(3), draw.dim(14), draw.dim(14), draw.dim(6)];
    let interpolation = INTERPOLATIONS[case % 2];
    let bilinear = interpolation == Interpolation::Bilinear;
    let size = [1 + draw.below(100), 1 + draw.below(100)];
    let places: Vec<Placed> = (0..dims[0]).map(|_| Placed::random(geometry, draw, size, canvas)).collect();
    let mut numbers: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
    let at = |i: usize| {
        let (pixel, view) = (i / dims[3], i / (dims[1] * dims[2] * dims[3]));
        let p = [(pixel % dims[2]) as f64 + 0.5, (pixel / dims[2] % dims[1]) as f64 + 0.5];
        (view, places[view].canvas_position(p, [dims[2] as f64, dims[1] as f64], canvas))
    };
    // Pixels that rounding may send to another texel carry nothing; their hits are not compared.
    let ambiguous = |i: usize| !bilinear && near_border(at(i).1, 1e-4);
    (0..numbers.len()).filter(|&i| ambiguous(i)).for_each(|i| numbers[i] = 0.0);
    let (views, values) = variant.tensor(&numbers, &dims).unwrap();
    let lens = Lens { geometry, interpolation, words: &words(variant, &places) };
    let gain = 0.5;
    let (sums, hits, found) = run(variant, &views, lens, canvas, gain);
    assert_eq!(found.count, 0);
    let mut expected = (vec![0.0; sums.len()], vec![0.0; hits.len()]);
    let mut unsure = vec![false; hits.len()];
    for (i, value) in values.iter().enumerate() {
        let (view, position) = at(i);
        let wrap = places[view].wraps();
        for ([x, y], share) in taps(position, bilinear) {
            let index = |v: f64, n: usize, wrap: bool| {
                let n = n as f64;
                (if wrap { v.rem_euclid(n) } else { v.clamp(0.0, n - 1.0) }) as usize
            };
            let texel = index(y, canvas[0], wrap[1]) * canvas[1] + index(x, canvas[1], wrap[0]);
            expected.0[texel * dims[3] + i % dims[3]] += share * f64::from(gain) * value;
            if i % dims[3] == 0 {
                expected.1[texel] += share;
            }
        }
        if ambiguous(i) {
            for (dx, dy) in (0..9).map(|k| (f64::from(k % 3) - 1.0, f64::from(k / 3) - 1.0)) {
                let x = (position[0].floor() + dx).rem_euclid(canvas[1] as f64) as usize;
                let y = (position[1].floor() + dy).rem_euclid(canvas[0] as f64) as usize;
                unsure[y * canvas[1] + x] = true;
            }
        }
    }
    let name = format!("{} {geometry:?} {interpolation:?} {case} {dims:?} -> {canvas:?}", variant.name);
    let value = |v: &i32| f64::from(*v) / UNIT;
    // The values as stored go into the oracle: the f32 bound in every variant.
    let got: Vec<f64> = sums.iter().map(value).collect();
    assert_close(&name, &got, &expected.0, F32_ELEMENTWISE);
    let sure = |i: &usize| !unsure[*i];
    let got: Vec<f64> = (0..hits.len()).filter(sure).map(|i| value(&hits[i])).collect();
    let known: Vec<f64> = (0..hits.len()).filter(sure).map(|i| expected.1[i]).collect();
    assert_close(&format!("{name} hits"), &got, &known, F32_ELEMENTWISE);
}

/// ⟨project z, x⟩ = ⟨z, projectᵀ x⟩, in every space, however the canvas is sampled.
#[test]
fn scattering_is_the_adjoint_of_projecting() {
    let variant = &variants().unwrap()[0];
    let mut draw = Draw::new(72);
    for (geometry, interpolation) in Geometry::ALL.into_iter().flat_map(|g| INTERPOLATIONS.map(|i| (g, i))) {
        for _ in 0..10 {
            let (canvas, dims) = ([24, 40, 3], [3, 11, 13, 3]);
            let places: Vec<Placed> =
                (0..3).map(|_| Placed::random(geometry, &mut draw, [13, 11], [canvas[0], canvas[1]])).collect();
            let (z, z_values) = variant.normal(&mut draw, &canvas).unwrap();
            let (x, x_values) = variant.normal(&mut draw, &dims).unwrap();
            let words = words(variant, &places);
            let lens = Lens { geometry, interpolation, words: &words };
            let projection = Projection::Views { lens, size: [11, 13] };
            let views = variant.ctx.upload_u32(&[0; 3], &[3]).unwrap();
            let scalars = RenoiseScalars::default();
            let project = ProjectRenoise { canvas: &z, projection, views: &views, scalars, elem: Elem::F32 };
            let seen = variant.run(|rec| project_renoise(rec, &project).0).unwrap();
            let (sums, _, _) = run(variant, &x, lens, [canvas[0], canvas[1]], 1.0);
            let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            let sums: Vec<f64> = sums.iter().map(|v| f64::from(*v) / UNIT).collect();
            let (left, right) = (dot(&seen, &x_values), dot(&z_values, &sums));
            // 1287 pixels of 4 contributions each off by 2^-21 at most, times normal values; and f32 means.
            assert!((left - right).abs() < 1e-3, "{geometry:?} {interpolation:?}: {left} and {right}");
            assert!(left.abs() > 1e-2, "{left} says nothing");
        }
    }
}

/// Integers add in any order: views one by one, in reverse, or all at once give the same bits.
#[test]
fn sums_do_not_depend_on_order_or_batch() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(73);
        let (canvas, dims) = ([20, 30], [4, 9, 9, 5]);
        let geometry = Geometry::EquiAngular;
        let places: Vec<Placed> = (0..4).map(|_| Placed::random(geometry, &mut draw, [9, 9], canvas)).collect();
        let numbers: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
        let part = |order: &[usize]| {
            let values: Vec<f64> = order.iter().flat_map(|&v| numbers[v * 405..(v + 1) * 405].to_vec()).collect();
            let (views, _) = variant.tensor(&values, &[order.len(), 9, 9, 5]).unwrap();
            let places: Vec<Placed> = order.iter().map(|&v| places[v]).collect();
            let lens = Lens { geometry, interpolation: Interpolation::Bilinear, words: &words(&variant, &places) };
            run(&variant, &views, lens, canvas, 1.0)
        };
        let all = part(&[0, 1, 2, 3]);
        assert_eq!(all, part(&[3, 1, 0, 2]), "{}", variant.name);
        let apart = (0..4).map(|v| part(&[v]).0).reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect());
        assert_eq!(all.0, apart.unwrap(), "{}", variant.name);
        assert!(all.0.iter().any(|v| *v != 0));
    }
}

#[test]
fn what_does_not_fit_is_reported_and_left_out() {
    for variant in variants().unwrap() {
        let mut values = vec![1.0; 4 * 4 * 3];
        values[7] = 1024.0;
        values[20] = f64::NAN;
        values[21] = f64::NEG_INFINITY;
        values[30] = -1023.0;
        let (views, _) = variant.tensor(&values, &[1, 4, 4, 3]).unwrap();
        let window = crate::ops::views::Window {
            origin: [0.0, 0.0],
            size: [4, 4],
            scale: [1.0; 2],
            canvas: [6, 4],
            wrap: [false; 2],
        };
        let words = upload_words(&variant.ctx, &[window.words()]).unwrap();
        let lens = Lens { geometry: Geometry::Windows, interpolation: Interpolation::Nearest, words: &words };
        let (sums, hits, found) = run(&variant, &views, lens, [4, 6], 1.0);
        // Element 7 is channel 1 of pixel 2, in memory at 4 · 2 + 1.
        assert_eq!(found, Found { count: 3, first: 9 }, "{}", variant.name);
        for (i, value) in values.iter().enumerate() {
            let (pixel, texel) = (i / 3, i / 3 / 4 * 6 + i / 3 % 4);
            let expected = if [7, 20, 21].contains(&i) { 0.0 } else { *value };
            assert_eq!(f64::from(sums[texel * 3 + i % 3]) / UNIT, expected, "pixel {pixel}");
        }
        let hit = hits.iter().map(|h| f64::from(*h) / UNIT);
        assert!(hit.enumerate().all(|(i, h)| h == if i % 6 < 4 { 1.0 } else { 0.0 }));
    }
}
