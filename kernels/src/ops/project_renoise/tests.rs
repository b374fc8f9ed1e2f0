use std::f64::consts::PI;

use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::noise;
use crate::ops::views::oracle::{Place, Placed, near_border, sample};
use crate::ops::views::{Face, Geometry, TorusPatch, Window, upload_words};

const INTERPOLATIONS: [Interpolation; 2] = [Interpolation::Nearest, Interpolation::Bilinear];

fn words(variant: &Variant, places: &[Placed]) -> Tensor {
    let words: Vec<_> = places.iter().map(|placed| placed.words).collect();
    upload_words(&variant.ctx, &words).unwrap()
}

fn cameras(list: impl IntoIterator<Item = Camera>) -> Vec<Placed> {
    list.into_iter().map(|camera| Placed::from(Place::Camera(camera))).collect()
}

/// Runs on host values.
fn run(variant: &Variant, canvas: &Tensor, project: &ProjectRenoise<'_>) -> Vec<f64> {
    variant.run(|rec| project_renoise(rec, &ProjectRenoise { canvas, ..*project }).0).unwrap()
}

fn ids(variant: &Variant, list: &[u32]) -> Tensor {
    variant.ctx.upload_u32(list, &[list.len()]).unwrap()
}

#[test]
fn identity_matches_the_formula_on_random_shapes() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(51);
        for case in 0..200 {
            let dims = [1 + draw.below(4), draw.dim(20), draw.dim(20), draw.dim(9)];
            let numbers: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
            let (canvas, values) = variant.tensor_as(&numbers, &dims, Elem::F32).unwrap();
            let view_ids: Vec<u32> = (0..dims[0]).map(|_| draw.below(50) as u32).collect();
            let key = NoiseKey { seed: draw.bits(), trajectory: 2, purpose: 1 << 20, step: case as u32 };
            let mut number = || draw.normal() as f32;
            let scalars = RenoiseScalars { signal: number(), sigma: number(), gain: number(), offset: number(), key };
            let project = ProjectRenoise {
                canvas: &canvas,
                projection: Projection::Identity,
                views: &ids(&variant, &view_ids),
                scalars,
                elem: variant.elem,
            };
            let got = run(&variant, &canvas, &project);
            let f = f64::from;
            let expected: Vec<f64> = noise::oracle::noise(dims, &key, &view_ids)
                .iter()
                .zip(&values)
                .map(|(xi, z)| f(scalars.signal) * (f(scalars.gain) * z + f(scalars.offset)) + f(scalars.sigma) * xi)
                .collect();
            let name = format!("{} case {case} {dims:?}", variant.name);
            assert_close(&name, &got, &expected, variant.bound(F32_ELEMENTWISE));
        }
    }
}

#[test]
fn views_match_the_oracle_in_every_space() {
    for variant in variants().unwrap() {
        for geometry in Geometry::ALL {
            let mut draw = Draw::new(52);
            let (mut pixels, mut ambiguous) = (0, 0);
            for case in 0..200 {
                let (all, skipped) = match_case(&variant, geometry, case, &mut draw);
                pixels += all;
                ambiguous += skipped;
            }
            // Most of them: the middle pixel of odd views without roll looks exactly at a texel border.
            let name = format!("{} {geometry:?}", variant.name);
            assert!(ambiguous * 100 < pixels, "{name}: {ambiguous} of {pixels} pixels left out");
        }
    }
}

/// Values, and how many of them rounding decides.
fn match_case(variant: &Variant, geometry: Geometry, case: usize, draw: &mut Draw) -> (usize, usize) {
    let canvas_dims = [1 + draw.dim(32), 1 + draw.dim(64), draw.dim(5)];
    let dims = [1 + draw.below(3), draw.dim(16), draw.dim(16), canvas_dims[2]];
    let interpolation = INTERPOLATIONS[case % 2];
    let numbers: Vec<f64> = (0..canvas_dims.iter().product()).map(|_| draw.normal()).collect();
    let (canvas, values) = variant.tensor_as(&numbers, &canvas_dims, Elem::F32).unwrap();
    // Pixel units of the words other than the view's: the kernel scales.
    let (size, extent) = ([1 + draw.below(100), 1 + draw.below(100)], [canvas_dims[0], canvas_dims[1]]);
    let places: Vec<Placed> = (0..dims[0]).map(|_| Placed::random(geometry, draw, size, extent)).collect();
    let lens = Lens { geometry, interpolation, words: &words(variant, &places) };
    let project = ProjectRenoise {
        canvas: &canvas,
        projection: Projection::Views { lens, size: [dims[1], dims[2]] },
        views: &ids(variant, &vec![0; dims[0]]),
        scalars: RenoiseScalars::default(),
        elem: variant.elem,
    };
    let got = run(variant, &canvas, &project);
    let (mut kept, mut ambiguous) = ((Vec::new(), Vec::new()), 0);
    for (at, value) in got.iter().enumerate() {
        let (c, pixel) = (at % dims[3], at / dims[3]);
        let (x, y, view) = (pixel % dims[2], pixel / dims[2] % dims[1], pixel / (dims[1] * dims[2]));
        let p = [x as f64 + 0.5, y as f64 + 0.5];
        let position = places[view].canvas_position(p, [dims[2] as f64, dims[1] as f64], extent);
        let bilinear = interpolation == Interpolation::Bilinear;
        if !bilinear && near_border(position, 1e-4) {
            ambiguous += 1;
            continue;
        }
        kept.0.push(*value);
        kept.1.push(sample(&values, canvas_dims, position, c, bilinear, places[view].wraps()));
    }
    let name = format!("{} {geometry:?} {case} {canvas_dims:?} -> {dims:?}", variant.name);
    assert_close(&name, &kept.0, &kept.1, variant.bound(F32_ELEMENTWISE));
    (got.len(), ambiguous)
}

/// Windows at whole positions are crops to the bit, whatever the interpolation, across the wrap, too.
#[test]
fn windows_at_whole_positions_are_crops_to_the_bit() {
    let variant = &variants().unwrap()[0];
    let (canvas_dims, size) = ([24, 40, 3], [16, 12]);
    let mut draw = Draw::new(57);
    let numbers: Vec<f64> = (0..24 * 40 * 3).map(|_| draw.normal()).collect();
    let (canvas, values) = variant.tensor_as(&numbers, &canvas_dims, Elem::F32).unwrap();
    let origins = [[0, 0], [24, 12], [5, 7], [-3, 2], [33, 20], [39, -12]];
    let window = |[x, y]: [i32; 2]| {
        let window = Window {
            origin: [8.0 * f64::from(x), 8.0 * f64::from(y)],
            size: [128, 96],
            scale: [1.0; 2],
            canvas: [320, 192],
            wrap: [true; 2],
        };
        Placed::from(Place::Window(window))
    };
    let places = origins.map(window);
    for interpolation in INTERPOLATIONS {
        let lens = Lens { geometry: Geometry::Windows, interpolation, words: &words(variant, &places) };
        let project = ProjectRenoise {
            canvas: &canvas,
            projection: Projection::Views { lens, size: [size[1], size[0]] },
            views: &ids(variant, &[0; 6]),
            scalars: RenoiseScalars::default(),
            elem: Elem::F32,
        };
        let got = run(variant, &canvas, &project);
        let expected = (0..6 * 12 * 16 * 3).map(|i| {
            let (c, x, y, view) = (i % 3, i / 3 % 16, i / 48 % 12, i / 576);
            let at = |k: usize, n: i32, i: usize| (origins[view][k] + i as i32).rem_euclid(n) as usize;
            values[(at(1, 24, y) * 40 + at(0, 40, x)) * 3 + c]
        });
        assert!(got.iter().copied().eq(expected), "{interpolation:?}");
    }
}

/// A canvas whose bilinear samples are positions: value = element index modulo 64 along one axis, counted from the middle
/// of a period so that the wrap column lies inside one.
fn position_canvas(dims: [usize; 2], along_x: bool) -> Vec<f32> {
    let index = |i: usize| if along_x { i % dims[1] } else { i / dims[1] };
    (0..dims[0] * dims[1]).map(|i| ((index(i) + 32) % 64) as f32).collect()
}

/// Largest distance of sampled positions from the f64 geometry, in texels.
fn position_error(variant: &Variant, dims: [usize; 2], places: &[Placed], along_x: bool) -> f64 {
    let canvas = variant.ctx.upload(&position_canvas(dims, along_x), &[dims[0], dims[1], 1], Elem::F32).unwrap();
    let size = [96, 128];
    let geometry = match places[0].place {
        Place::Camera(_) => Geometry::Equirect,
        Place::Face(_) => Geometry::EquiAngular,
        Place::Torus(_) => Geometry::Torus,
        Place::Window(_) => Geometry::Windows,
    };
    let lens = Lens { geometry, interpolation: Interpolation::Bilinear, words: &words(variant, places) };
    let project = ProjectRenoise {
        canvas: &canvas,
        projection: Projection::Views { lens, size },
        views: &ids(variant, &vec![0; places.len()]),
        scalars: RenoiseScalars::default(),
        elem: Elem::F32,
    };
    let got = run(variant, &canvas, &project);
    let (mut worst, mut checked) = (0.0, 0);
    for (at, value) in got.iter().enumerate() {
        let (x, y, view) = (at % size[1], at / size[1] % size[0], at / (size[0] * size[1]));
        let p = [x as f64 + 0.5, y as f64 + 0.5];
        let position = places[view].canvas_position(p, [size[1] as f64, size[0] as f64], dims);
        let expected = (position[usize::from(!along_x)] - 0.5 + 32.0).rem_euclid(64.0);
        let inside = along_x || (position[1] > 1.0 && position[1] < dims[0] as f64 - 1.0);
        if expected < 62.9 && inside {
            worst = f64::max(worst, (value - expected).abs());
            checked += 1;
        }
    }
    assert!(checked * 2 > got.len(), "{checked} of {} positions checked", got.len());
    worst
}

/// Half a texel decides between columns, so a thousandth is far below what nearest or bilinear sampling can show.
#[test]
fn positions_hold_at_8192_x_4096() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let turn = |azimuth: f64, elevation: f64| rotation(azimuth, elevation, 0.3);
        let camera = |azimuth, elevation, fov: f64| {
            Place::Camera(Camera::centred(turn(azimuth, elevation), fov.to_radians(), [128, 96]))
        };
        let face = |azimuth, elevation, fov| {
            let rotation = turn(azimuth, elevation).map(|row| row.map(|v| v as f32));
            Place::Face(Face { rotation, fov, size: 96, used_fov: fov })
        };
        let patch = |azimuth: f64, elevation: f64, fov| {
            let middle = [azimuth.to_degrees(), elevation.to_degrees()];
            Place::Torus(TorusPatch { middle, ratio: 3.0, fov, size: [128, 96] })
        };
        // The wrap column, each octant's border, and anywhere.
        let azimuths = [PI, -PI, 0.25 * PI, 0.5 * PI, -0.75 * PI, 0.0, 1.0];
        let elevations = [0.0, 0.5, -0.5, 1.4, -1.4, 0.5 * PI];
        let makers: [&dyn Fn(f64, f64, f64) -> Place; 3] = [&camera, &face, &patch];
        for (maker, fov) in makers.into_iter().flat_map(|maker| [2.0, 36.0, 90.0].map(|fov| (maker, fov))) {
            let places = azimuths.map(|a| Placed::from(maker(a, 0.1, fov)));
            let error = position_error(variant, [8, 8192], &places, true);
            assert!(error < 1e-3, "{}: x off by {error} texels at {:?}", variant.name, places[0]);
            let places = elevations.map(|e| Placed::from(maker(2.0, e, fov)));
            let error = position_error(variant, [4096, 8], &places, false);
            assert!(error < 1e-3, "{}: y off by {error} texels at {:?}", variant.name, places[0]);
        }
    }
}

/// What is gathered is clean, so noise keeps unit variance in any space, and each view has its own.
#[test]
fn projected_noise_has_unit_variance_and_views_are_independent() {
    let variant = &variants().unwrap()[0];
    let canvas = variant.ctx.upload(&[0.5; 8 * 16 * 4], &[8, 16, 4], Elem::F32).unwrap();
    let places = cameras((0..2).map(|v| Camera::centred(rotation(f64::from(v), 0.0, 0.0), 1.0, [128, 128])));
    let words = words(variant, &places);
    let lens = Lens { geometry: Geometry::Equirect, interpolation: Interpolation::Bilinear, words: &words };
    let key = NoiseKey { seed: 3, ..NoiseKey::default() };
    let project = ProjectRenoise {
        canvas: &canvas,
        projection: Projection::Views { lens, size: [128, 128] },
        views: &ids(variant, &[0, 1]),
        scalars: RenoiseScalars { signal: 0.6, sigma: 0.8, gain: 2.0, offset: -1.0, key },
        elem: Elem::F32,
    };
    let got = run(variant, &canvas, &project);
    let n = got.len() as f64;
    // gain 2 and offset -1 take 0.5 to 0: what is left is the noise.
    let variance = got.iter().map(|v| v * v).sum::<f64>() / n / 0.64;
    assert!((variance - 1.0).abs() < 5.0 * f64::sqrt(2.0 / n), "variance {variance}");
    let (first, second) = got.split_at(got.len() / 2);
    let correlation = first.iter().zip(second).map(|(a, b)| a * b).sum::<f64>() / (0.64 * 0.5 * n);
    assert!(correlation.abs() < 5.0 / f64::sqrt(0.5 * n), "correlation {correlation}");
}

#[test]
fn a_batch_equals_single_views_to_the_byte_and_a_replay_takes_new_scalars() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(53);
        let numbers: Vec<f32> = (0..16 * 32 * 3).map(|_| draw.normal() as f32).collect();
        let canvas = variant.ctx.upload(&numbers, &[16, 32, 3], Elem::F32).unwrap();
        let places: Vec<Placed> =
            (0..3).map(|_| Placed::random(Geometry::EquiAngular, &mut draw, [7, 5], [16, 32])).collect();
        let view_ids = [4, 8, 2];
        let key = NoiseKey { seed: 9, step: 1, ..NoiseKey::default() };
        let scalars = RenoiseScalars { signal: 0.5, sigma: 0.7, gain: 2.0, offset: -1.0, key };
        let part = |first: usize, count: usize| {
            let words = words(&variant, &places[first..first + count]);
            let interpolation = Interpolation::Bilinear;
            let lens = Lens { geometry: Geometry::EquiAngular, interpolation, words: &words };
            let projection = Projection::Views { lens, size: [5, 7] };
            let views = ids(&variant, &view_ids[first..first + count]);
            let mut rec = Recorder::new(&variant.ctx);
            let plain = RenoiseScalars::default();
            let project =
                ProjectRenoise { canvas: &canvas, projection, views: &views, scalars: plain, elem: variant.elem };
            let (out, id) = project_renoise(&mut rec, &project);
            let out = rec.keep(&out).unwrap();
            let mut recording = rec.finish().unwrap();
            recording.run().unwrap();
            recording.set_params(id, &params(canvas.dims(), [count, 5, 7, 3], &scalars));
            recording.run().unwrap();
            variant.ctx.read(&out).unwrap()
        };
        let apart: Vec<f32> = (0..3).flat_map(|v| part(v, 1)).collect();
        assert_eq!(part(0, 3), apart, "{}", variant.name);
        assert!(apart.iter().any(|v| v.abs() > 1.0));
    }
}
