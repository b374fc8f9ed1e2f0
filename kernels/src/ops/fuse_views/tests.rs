use std::f64::consts::PI;

use super::oracle::{Inputs, Texel};
use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::project_renoise::{
    Camera, ProjectRenoise, Projection, RenoiseScalars, oracle as geometry, project_renoise, rotation, upload_cameras,
};

const WEIGHTS: [Weight; 4] = [Weight::Count, Weight::Feather, Weight::Cosine, Weight::Winner];

/// Host-side call: returns canvas and coverage.
struct Fusion<'a> {
    variant: &'a Variant,
    canvas: [usize; 2],
    cameras: &'a [Camera],
    weight: Weight,
    interpolation: Interpolation,
    scalars: FuseScalars,
}

impl Fusion<'_> {
    fn run(&self, views: &Tensor, old: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let [h, w] = self.canvas;
        let (canvas, _) = self.variant.tensor_as(old, &[h, w, views.shape().last()], Elem::F32).unwrap();
        let coverage = self.variant.ctx.tensor(&[h, w], Elem::F32).unwrap();
        let cameras = upload_cameras(&self.variant.ctx, self.cameras).unwrap();
        let fuse = FuseViews {
            canvas: &canvas,
            coverage: &coverage,
            views,
            cameras: &cameras,
            interpolation: self.interpolation,
            weight: self.weight,
            scalars: self.scalars,
        };
        let record = |rec: &mut Recorder| {
            fuse_views(rec, &fuse);
            coverage.clone()
        };
        let covered = self.variant.run(record).unwrap();
        (self.variant.ctx.read(&canvas).unwrap().into_iter().map(f64::from).collect(), covered)
    }

    /// f32 views from host values, `[V, h, w, C]`.
    fn run_values(&self, values: &[f64], dims: [usize; 4], old: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.run(&self.variant.tensor_as(values, &dims, Elem::F32).unwrap().0, old)
    }
}

fn random_camera(draw: &mut Draw, size: [usize; 2]) -> Camera {
    let angle = |draw: &mut Draw| (2.0 * draw.unit() - 1.0) * PI;
    let turn = rotation(angle(draw), 0.5 * angle(draw), angle(draw));
    let camera = Camera::centred(turn, 0.3 + 1.7 * draw.unit(), size);
    let inner = [0.5 + 0.5 * draw.unit(), 0.5 + 0.5 * draw.unit()];
    camera.using([0, 1].map(|k| f64::from(camera.used_tan[k]) * inner[k]))
}

fn normals(draw: &mut Draw, count: usize) -> Vec<f64> {
    (0..count).map(|_| draw.normal()).collect()
}

#[test]
fn matches_the_oracle_on_random_cameras() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(61);
        let (mut texels, mut ambiguous, mut covered) = (0, 0, 0);
        for case in 0..320 {
            let canvas = [1 + draw.dim(16), 1 + draw.dim(40)];
            let dims = [1 + draw.below(5), 2 + draw.dim(12), 2 + draw.dim(12), draw.dim(5)];
            let cameras: Vec<Camera> = (0..dims[0]).map(|_| random_camera(&mut draw, [dims[2], 2 * dims[1]])).collect();
            let (views, values) = variant.normal(&mut draw, &dims).unwrap();
            let old = normals(&mut draw, canvas[0] * canvas[1] * dims[3]);
            let old: Vec<f64> = old.into_iter().map(|v| f64::from(v as f32)).collect();
            let scalars = FuseScalars {
                gain: 0.5,
                offset: 0.3,
                clamp: (case % 16 < 8).then_some([-0.2, 0.9]),
                blend: draw.pick(&[1.0, 0.4, 0.0]),
                feather: 0.1 + 0.9 * draw.unit() as f32,
                exponent: draw.pick(&[1.0, 2.5, 8.0]),
            };
            let (weight, bilinear) = (WEIGHTS[case % 4], case / 4 % 2 == 1);
            let interpolation = if bilinear { Interpolation::Bilinear } else { Interpolation::Nearest };
            let fusion = Fusion { variant: &variant, canvas, cameras: &cameras, weight, interpolation, scalars };
            let (got, coverage) = fusion.run(&views, &old);
            let input = Inputs { views: &values, dims, cameras: &cameras, weight, bilinear, scalars };
            let (expected, places) = oracle::fuse(&input, &old, canvas);
            let (mut kept, mut kept_coverage) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
            for (texel, place) in places.iter().enumerate() {
                texels += 1;
                let Texel::Covered(total) = *place else {
                    ambiguous += 1;
                    continue;
                };
                covered += usize::from(total > 0.0);
                kept_coverage.0.push(coverage[texel]);
                kept_coverage.1.push(total);
                for c in 0..dims[3] {
                    kept.0.push(got[texel * dims[3] + c]);
                    kept.1.push(expected[texel * dims[3] + c]);
                }
            }
            let name = format!("{} case {case} {dims:?} -> {canvas:?} {weight:?}", variant.name);
            // Views as stored go into the oracle and the canvas is f32: f32 bound in every variant.
            assert_close(&name, &kept.0, &kept.1, F32_ELEMENTWISE);
            assert_close(&format!("{name} coverage"), &kept_coverage.0, &kept_coverage.1, F32_ELEMENTWISE);
        }
        assert!(ambiguous * 100 < texels && covered * 10 > texels, "{ambiguous} {covered} of {texels}");
    }
}

/// Five views around the horizon, as the panorama method uses them.
fn ring(count: usize, fov: f64, size: usize) -> Vec<Camera> {
    let turn = |v: usize| rotation(2.0 * PI * v as f64 / count as f64, 0.0, 0.0);
    (0..count).map(|v| Camera::centred(turn(v), fov.to_radians(), [size, size])).collect()
}

/// StochSync's round trip at an eighth of its size: view -> canvas -> view, nearest both ways, reproduces the pixels where
/// texels are finer than pixels. Theirs: 99.95 %.
#[test]
fn project_after_fuse_is_the_identity_on_pixels() {
    let variant = &variants().unwrap()[0];
    let (cameras, canvas, dims) = (ring(5, 72.0, 64), [256, 512], [5, 64, 64, 3]);
    let mut draw = Draw::new(62);
    let values: Vec<f64> = normals(&mut draw, 5 * 64 * 64 * 3).into_iter().map(|v| f64::from(v as f32)).collect();
    let fusion = Fusion {
        variant,
        canvas,
        cameras: &cameras,
        weight: Weight::Count,
        interpolation: Interpolation::Nearest,
        scalars: FuseScalars::default(),
    };
    let (fused, _) = fusion.run_values(&values, dims, &vec![0.0; 256 * 512 * 3]);
    let back = project(variant, &fused, &[256, 512, 3], &cameras, 64, Interpolation::Nearest);
    let same = back.iter().zip(&values).filter(|(a, b)| a == b).count();
    assert!(same * 1000 >= 999 * values.len(), "{same} of {} values", values.len());
}

fn project(
    variant: &Variant,
    canvas: &[f64],
    dims: &[usize],
    cameras: &[Camera],
    size: usize,
    interpolation: Interpolation,
) -> Vec<f64> {
    let (canvas, _) = variant.tensor_as(canvas, dims, Elem::F32).unwrap();
    let views = variant.ctx.upload_u32(&vec![0; cameras.len()], &[cameras.len()]).unwrap();
    let cameras = upload_cameras(&variant.ctx, cameras).unwrap();
    let projection = Projection::Equirect { cameras: &cameras, size: [size, size], interpolation };
    let project = ProjectRenoise {
        canvas: &canvas,
        projection,
        views: &views,
        scalars: RenoiseScalars::default(),
        elem: Elem::F32,
    };
    variant.run(|rec| project_renoise(rec, &project).0).unwrap()
}

/// canvas -> views -> canvas on a smooth canvas. A bilinear sample errs by at most h^2/8 (|f_xx| + |f_yy|), h the spacing of
/// what is sampled; the outer half pixel of a view, where samples are clamped, stays out of use.
#[test]
fn fuse_after_project_is_the_identity_where_covered() {
    let variant = &variants().unwrap()[0];
    let (canvas, size) = ([128, 256], 192);
    let inner = 36f64.to_radians().tan();
    let cameras: Vec<Camera> = ring(6, 80.0, size).into_iter().map(|c| c.using([inner; 2])).collect();
    let wave = |row: usize, column: usize| {
        let lon = ((column as f64 + 0.5) / 256.0 - 0.5) * 2.0 * PI;
        let lat = ((row as f64 + 0.5) / 128.0 - 0.5) * PI;
        (4.0 * lon).sin() + (4.0 * lat).cos()
    };
    let z: Vec<f64> = (0..128 * 256).map(|i| wave(i / 256, i % 256)).collect();
    let views = project(variant, &z, &[128, 256, 1], &cameras, size, Interpolation::Bilinear);
    // On the canvas both second derivatives are at most 16 per square radian and texels are pi/128 wide. On a view, with
    // lon = atan(u) and lat = atan(v / sqrt(1 + u^2)), the longitude wave has |g_uu| <= 16, the latitude wave |g_vv| <= 16
    // and |g_uu| <= 16 lat_u^2 + 4 |lat_uu| <= 8; pixels are 1/focal wide in u and v.
    let (texel, pixel) = (PI / 128.0, 2.0 * 40f64.to_radians().tan() / size as f64);
    let bound = texel * texel / 8.0 * 32.0 + pixel * pixel / 8.0 * 40.0;
    for weight in WEIGHTS {
        let fusion = Fusion { cameras: &cameras, ..fusion_of(variant, canvas, weight, Interpolation::Bilinear) };
        let (fused, coverage) = fusion.run_values(&views, [6, size, size, 1], &vec![9.0; z.len()]);
        let mut covered = 0;
        for ((value, old), weight) in fused.iter().zip(&z).zip(&coverage) {
            if *weight > 0.0 {
                covered += 1;
                assert!((value - old).abs() < bound, "{value} instead of {old}, bound {bound}");
            } else {
                assert_eq!(*value, 9.0, "uncovered texels keep their value");
            }
        }
        assert!(covered * 3 > z.len(), "{covered} texels covered");
    }
}

#[test]
fn fusing_is_linear_constants_stay_and_order_does_not_matter() {
    let variant = &variants().unwrap()[0];
    let mut draw = Draw::new(63);
    let (canvas, dims) = ([32, 64], [4, 16, 16, 3]);
    let cameras: Vec<Camera> = (0..4).map(|_| random_camera(&mut draw, [16, 16])).collect();
    let count = dims.iter().product();
    let (a, b) = (normals(&mut draw, count), normals(&mut draw, count));
    let (old, texels) = (vec![0.0; 32 * 64 * 3], 32 * 64);
    for (weight, interpolation) in
        WEIGHTS.into_iter().flat_map(|w| [(w, Interpolation::Nearest), (w, Interpolation::Bilinear)])
    {
        let fusion = Fusion { cameras: &cameras, ..fusion_of(variant, canvas, weight, interpolation) };
        let mixed: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - 3.0 * b).collect();
        let expected: Vec<f64> = {
            let (a, b) = (fusion.run_values(&a, dims, &old).0, fusion.run_values(&b, dims, &old).0);
            a.iter().zip(&b).map(|(a, b)| 2.0 * a - 3.0 * b).collect()
        };
        let got = fusion.run_values(&mixed, dims, &old).0;
        assert_close(&format!("{weight:?} linear"), &got, &expected, 1e-12);
        // A constant is an average of itself, whatever the weights, and their normalised sum is one.
        let (flat, coverage) = fusion.run_values(&vec![1.0; count], dims, &old);
        for texel in 0..texels {
            let value = flat[3 * texel];
            assert!(
                if coverage[texel] > 0.0 { (value - 1.0).abs() < 1e-6 } else { value == 0.0 },
                "{weight:?}: {value} under weight {}",
                coverage[texel]
            );
        }
        // Reversed order: the same sums in another order.
        let reversed: Vec<Camera> = cameras.iter().rev().copied().collect();
        let turned: Vec<f64> = a.chunks(16 * 16 * 3).rev().flatten().copied().collect();
        let back = Fusion { cameras: &reversed, ..fusion }.run_values(&turned, dims, &old);
        let forth = Fusion { cameras: &cameras, ..fusion_of(variant, canvas, weight, interpolation) }
            .run_values(&a, dims, &old);
        assert_close(&format!("{weight:?} order"), &back.0, &forth.0, 1e-12);
        assert_close(&format!("{weight:?} order, coverage"), &back.1, &forth.1, 1e-12);
    }
}

fn fusion_of(variant: &Variant, canvas: [usize; 2], weight: Weight, interpolation: Interpolation) -> Fusion<'_> {
    Fusion { variant, canvas, cameras: &[], weight, interpolation, scalars: FuseScalars::default() }
}

/// Views that share no texel: any order gives the same bytes.
#[test]
fn disjoint_views_may_be_permuted() {
    let variant = &variants().unwrap()[0];
    let mut draw = Draw::new(64);
    let cameras = ring(4, 80.0, 16);
    let values = normals(&mut draw, 4 * 16 * 16 * 4);
    let order = [2, 0, 3, 1];
    let permuted: Vec<Camera> = order.iter().map(|&v| cameras[v]).collect();
    let moved: Vec<f64> = order.iter().flat_map(|&v| values[v * 1024..(v + 1) * 1024].to_vec()).collect();
    for weight in WEIGHTS {
        let fusion = fusion_of(variant, [32, 64], weight, Interpolation::Bilinear);
        let old = vec![0.25; 32 * 64 * 4];
        let (first, coverage) = Fusion { cameras: &cameras, ..fusion }.run_values(&values, [4, 16, 16, 4], &old);
        let fusion = fusion_of(variant, [32, 64], weight, Interpolation::Bilinear);
        let second = Fusion { cameras: &permuted, ..fusion }.run_values(&moved, [4, 16, 16, 4], &old);
        assert_eq!((first, coverage), second, "{weight:?}");
    }
}

/// Views of 36 degrees on a canvas of 8192 columns: where a texel lies in a view, in pixels, against f64, at the wrap
/// column, across octants and in high latitudes.
#[test]
fn positions_hold_at_8192_x_4096() {
    let variant = &variants().unwrap()[0];
    for (canvas, along_x, elevation) in [([9, 8192], true, 0.05), ([4096, 9], false, 0.7), ([4096, 9], false, -1.4)] {
        // Columns of the narrow canvas are 40 degrees wide; its middle one (azimuth 0) and the wrap are looked at.
        let azimuths = if along_x { vec![PI, 0.25 * PI, -0.5 * PI, 2.0] } else { vec![0.0] };
        for azimuth in azimuths {
            let camera = Camera::centred(rotation(azimuth, elevation, 0.2), 36f64.to_radians(), [512, 512]);
            let ramp: Vec<f64> = (0..64 * 64).map(|i| (if along_x { i % 64 } else { i / 64 }) as f64).collect();
            let fusion = fusion_of(variant, canvas, Weight::Count, Interpolation::Bilinear);
            let cameras = [camera];
            let fusion = Fusion { cameras: &cameras, ..fusion };
            let (got, coverage) = fusion.run_values(&ramp, [1, 64, 64, 1], &vec![0.0; canvas[0] * canvas[1]]);
            let (mut worst, mut checked) = (0.0, 0);
            for texel in 0..got.len() {
                let place = geometry::view_tangent(&camera, texel / canvas[1], texel % canvas[1], canvas);
                let (Some((tangent, _)), true) = (place, coverage[texel] > 0.0) else { continue };
                let at = geometry::view_position(&camera, tangent, [64.0, 64.0])[usize::from(!along_x)];
                if (1.0..63.0).contains(&at) {
                    worst = f64::max(worst, (got[texel] - (at - 0.5)).abs());
                    checked += 1;
                }
            }
            // A texel is 64 / 36 * 360 / 8192 = 0.08 pixels.
            assert!(checked > 100 && worst < 5e-5, "{canvas:?} {azimuth}: off by {worst} pixels in {checked} texels");
        }
    }
}

#[test]
fn a_replaced_canvas_is_not_read_and_nan_is_not_hidden() {
    for variant in variants().unwrap() {
        let cameras = [Camera::centred(rotation(0.0, 0.0, 0.0), 1.0, [4, 4])];
        let mut fusion = fusion_of(&variant, [8, 16], Weight::Count, Interpolation::Nearest);
        fusion.cameras = &cameras;
        fusion.scalars.clamp = Some([0.0, 1.0]);
        let (views, _) = variant.tensor(&[0.5; 16], &[1, 4, 4, 1]).unwrap();
        let (got, coverage) = fusion.run(&views, &[f64::NAN; 128]);
        for (value, weight) in got.iter().zip(&coverage) {
            assert!(if *weight > 0.0 { *value == 0.5 } else { value.is_nan() }, "{}: {value}", variant.name);
        }
        let (broken, _) = variant.tensor(&[f64::NAN; 16], &[1, 4, 4, 1]).unwrap();
        let (got, coverage) = fusion.run(&broken, &[0.0; 128]);
        let covered: Vec<_> = got.iter().zip(&coverage).filter(|(_, weight)| **weight > 0.0).collect();
        assert!(!covered.is_empty() && covered.iter().all(|(value, _)| value.is_nan()), "{}: {got:?}", variant.name);
    }
}

#[test]
fn a_replay_takes_new_scalars() {
    let variant = &variants().unwrap()[0];
    let cameras = upload_cameras(&variant.ctx, &[Camera::centred(rotation(0.0, 0.0, 0.0), 1.0, [4, 4])]).unwrap();
    let (views, _) = variant.tensor(&[1.0; 16], &[1, 4, 4, 1]).unwrap();
    let (canvas, _) = variant.tensor(&[0.0; 128], &[8, 16, 1]).unwrap();
    let coverage = variant.ctx.tensor(&[8, 16], Elem::F32).unwrap();
    let fuse = FuseViews {
        canvas: &canvas,
        coverage: &coverage,
        views: &views,
        cameras: &cameras,
        interpolation: Interpolation::Nearest,
        weight: Weight::Count,
        scalars: FuseScalars::default(),
    };
    let mut rec = Recorder::new(&variant.ctx);
    let id = fuse_views(&mut rec, &fuse);
    let mut recording = rec.finish().unwrap();
    for (blend, expected) in [(1.0, 3.0), (0.5, 3.0), (0.5, 2.0)] {
        let gain = if expected == 2.0 { 1.0 } else { 3.0 };
        let scalars = FuseScalars { blend, gain, ..FuseScalars::default() };
        recording.set_params(id, &params(canvas.dims(), views.dims(), &scalars));
        recording.run().unwrap();
        let middle = variant.ctx.read(&canvas).unwrap()[4 * 16 + 8];
        assert_eq!(middle, expected);
    }
}
