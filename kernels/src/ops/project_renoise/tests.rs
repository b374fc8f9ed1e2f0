use std::f64::consts::PI;

use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::noise;

pub(crate) fn random_camera(draw: &mut Draw, size: [usize; 2]) -> Camera {
    let angle = |draw: &mut Draw| (2.0 * draw.unit() - 1.0) * PI;
    let turn = rotation(angle(draw), 0.5 * angle(draw), angle(draw));
    Camera::centred(turn, 0.2 + 1.8 * draw.unit(), size)
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
fn panorama_views_match_the_oracle_on_random_cameras() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(52);
        let (mut pixels, mut ambiguous) = (0, 0);
        for case in 0..400 {
            let canvas_dims = [1 + draw.dim(32), 1 + draw.dim(64), draw.dim(5)];
            let dims = [1 + draw.below(3), draw.dim(16), draw.dim(16), canvas_dims[2]];
            let bilinear = case % 2 == 1;
            let numbers: Vec<f64> = (0..canvas_dims.iter().product()).map(|_| draw.normal()).collect();
            let (canvas, values) = variant.tensor_as(&numbers, &canvas_dims, Elem::F32).unwrap();
            // Pixel units of the camera other than the view's: the kernel scales.
            let size = [1 + draw.below(100), 1 + draw.below(100)];
            let cameras: Vec<Camera> = (0..dims[0]).map(|_| random_camera(&mut draw, size)).collect();
            let interpolation = if bilinear { Interpolation::Bilinear } else { Interpolation::Nearest };
            let project = ProjectRenoise {
                canvas: &canvas,
                projection: Projection::Equirect {
                    cameras: &upload_cameras(&variant.ctx, &cameras).unwrap(),
                    size: [dims[1], dims[2]],
                    interpolation,
                },
                views: &ids(&variant, &vec![0; dims[0]]),
                scalars: RenoiseScalars::default(),
                elem: variant.elem,
            };
            let got = run(&variant, &canvas, &project);
            let mut kept = (Vec::new(), Vec::new());
            for (at, value) in got.iter().enumerate() {
                let (c, pixel) = (at % dims[3], at / dims[3]);
                let (x, y, view) = (pixel % dims[2], pixel / dims[2] % dims[1], pixel / (dims[1] * dims[2]));
                let p = [x as f64 + 0.5, y as f64 + 0.5];
                let view_size = [dims[2] as f64, dims[1] as f64];
                let position = oracle::canvas_position(&cameras[view], p, view_size, [canvas_dims[0], canvas_dims[1]]);
                pixels += 1;
                if !bilinear && oracle::near_border(position, 1e-4) {
                    ambiguous += 1;
                    continue;
                }
                kept.0.push(*value);
                kept.1.push(oracle::sample(&values, canvas_dims, position, c, bilinear, true));
            }
            let name = format!("{} case {case} {canvas_dims:?} -> {dims:?}", variant.name);
            assert_close(&name, &kept.0, &kept.1, variant.bound(F32_ELEMENTWISE));
        }
        // Most of them: the middle pixel of odd views without roll looks exactly at a texel border.
        assert!(ambiguous * 100 < pixels, "{}: {ambiguous} of {pixels} pixels left out", variant.name);
    }
}

/// A canvas whose bilinear samples are positions: value = element index modulo 64 along one axis, counted from the middle
/// of a period so that the wrap column lies inside one.
fn position_canvas(dims: [usize; 2], along_x: bool) -> Vec<f32> {
    let index = |i: usize| if along_x { i % dims[1] } else { i / dims[1] };
    (0..dims[0] * dims[1]).map(|i| ((index(i) + 32) % 64) as f32).collect()
}

/// Largest distance of sampled positions from the f64 geometry, in texels.
fn position_error(variant: &Variant, dims: [usize; 2], cameras: &[Camera], along_x: bool) -> f64 {
    let canvas = variant.ctx.upload(&position_canvas(dims, along_x), &[dims[0], dims[1], 1], Elem::F32).unwrap();
    let size = [96, 128];
    let project = ProjectRenoise {
        canvas: &canvas,
        projection: Projection::Equirect {
            cameras: &upload_cameras(&variant.ctx, cameras).unwrap(),
            size,
            interpolation: Interpolation::Bilinear,
        },
        views: &ids(variant, &vec![0; cameras.len()]),
        scalars: RenoiseScalars::default(),
        elem: Elem::F32,
    };
    let got = run(variant, &canvas, &project);
    let (mut worst, mut checked) = (0.0, 0);
    for (at, value) in got.iter().enumerate() {
        let (x, y, view) = (at % size[1], at / size[1] % size[0], at / (size[0] * size[1]));
        let p = [x as f64 + 0.5, y as f64 + 0.5];
        let position = oracle::canvas_position(&cameras[view], p, [size[1] as f64, size[0] as f64], dims);
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
        let at = |azimuth: f64, elevation: f64, fov: f64| {
            Camera::centred(rotation(azimuth, elevation, 0.3), fov.to_radians(), [128, 96])
        };
        for fov in [2.0, 36.0, 90.0] {
            // The wrap column, each octant's border, and anywhere.
            let cameras: Vec<Camera> =
                [PI, -PI, 0.25 * PI, 0.5 * PI, -0.75 * PI, 0.0, 1.0].into_iter().map(|a| at(a, 0.1, fov)).collect();
            let error = position_error(variant, [8, 8192], &cameras, true);
            assert!(error < 1e-3, "{}: longitude off by {error} texels at fov {fov}", variant.name);
            let cameras: Vec<Camera> =
                [0.0, 0.5, -0.5, 1.4, -1.4, 0.5 * PI].into_iter().map(|e| at(2.0, e, fov)).collect();
            let error = position_error(variant, [4096, 8], &cameras, false);
            assert!(error < 1e-3, "{}: latitude off by {error} texels at fov {fov}", variant.name);
        }
    }
}

/// What is gathered is clean, so noise keeps unit variance in any space, and each view has its own.
#[test]
fn projected_noise_has_unit_variance_and_views_are_independent() {
    let variant = &variants().unwrap()[0];
    let canvas = variant.ctx.upload(&[0.5; 8 * 16 * 4], &[8, 16, 4], Elem::F32).unwrap();
    let cameras: Vec<Camera> =
        (0..2).map(|v| Camera::centred(rotation(f64::from(v), 0.0, 0.0), 1.0, [128, 128])).collect();
    let key = NoiseKey { seed: 3, ..NoiseKey::default() };
    let project = ProjectRenoise {
        canvas: &canvas,
        projection: Projection::Equirect {
            cameras: &upload_cameras(&variant.ctx, &cameras).unwrap(),
            size: [128, 128],
            interpolation: Interpolation::Bilinear,
        },
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
        let cameras: Vec<Camera> = (0..3).map(|_| random_camera(&mut draw, [7, 5])).collect();
        let view_ids = [4, 8, 2];
        let key = NoiseKey { seed: 9, step: 1, ..NoiseKey::default() };
        let scalars = RenoiseScalars { signal: 0.5, sigma: 0.7, gain: 2.0, offset: -1.0, key };
        let part = |first: usize, count: usize| {
            let cameras = upload_cameras(&variant.ctx, &cameras[first..first + count]).unwrap();
            let projection =
                Projection::Equirect { cameras: &cameras, size: [5, 7], interpolation: Interpolation::Bilinear };
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
