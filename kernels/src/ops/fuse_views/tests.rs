use std::f64::consts::PI;

use super::oracle::{Inputs, Texel};
use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};
use crate::ops::views::oracle::{Place, Placed};
use crate::ops::views::{Camera, Face, Geometry, Interpolation, TorusPatch, rotation, upload_words};

pub(super) const WEIGHTS: [Weight; 4] = [Weight::Count, Weight::Feather, Weight::Cosine, Weight::Winner];

/// Host-side call: returns canvas and coverage.
#[derive(Clone, Copy)]
pub(super) struct Fusion<'a> {
    pub(super) variant: &'a Variant,
    pub(super) canvas: [usize; 2],
    pub(super) geometry: Geometry,
    pub(super) places: &'a [Placed],
    pub(super) regions: Option<&'a Tensor>,
    pub(super) weight: Weight,
    pub(super) interpolation: Interpolation,
    pub(super) scalars: FuseScalars,
}

impl Fusion<'_> {
    pub(super) fn run(&self, views: &Tensor, old: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let [h, w] = self.canvas;
        let (canvas, _) = self.variant.tensor_as(old, &[h, w, views.shape().last()], Elem::F32).unwrap();
        let coverage = self.variant.ctx.tensor(&[h, w], Elem::F32).unwrap();
        let words = words(self.variant, self.places);
        let fuse = FuseViews {
            canvas: &canvas,
            coverage: &coverage,
            views,
            lens: Lens { geometry: self.geometry, interpolation: self.interpolation, words: &words },
            regions: self.regions,
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
    pub(super) fn run_values(&self, values: &[f64], dims: [usize; 4], old: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.run(&self.variant.tensor_as(values, &dims, Elem::F32).unwrap().0, old)
    }
}

pub(super) fn words(variant: &Variant, places: &[Placed]) -> Tensor {
    let words: Vec<_> = places.iter().map(|placed| placed.words).collect();
    upload_words(&variant.ctx, &words).unwrap()
}

pub(super) fn random_place(geometry: Geometry, draw: &mut Draw, size: [usize; 2], canvas: [usize; 2]) -> Placed {
    let placed = Placed::random(geometry, draw, size, canvas);
    placed.inner([0.5 + 0.5 * draw.unit(), 0.5 + 0.5 * draw.unit()])
}

fn ahead() -> [Placed; 1] {
    [Placed::from(Place::Camera(Camera::centred(rotation(0.0, 0.0, 0.0), 1.0, [4, 4])))]
}

pub(super) fn normals(draw: &mut Draw, count: usize) -> Vec<f64> {
    (0..count).map(|_| draw.normal()).collect()
}

#[test]
fn matches_the_oracle_in_every_space() {
    for variant in variants().unwrap() {
        for geometry in Geometry::ALL {
            let mut draw = Draw::new(61);
            let mut sums = [0; 3];
            for case in 0..208 {
                let counts = match_case(&variant, geometry, case, &mut draw);
                sums = [0, 1, 2].map(|k| sums[k] + counts[k]);
            }
            let [texels, ambiguous, covered] = sums;
            let name = format!("{} {geometry:?}", variant.name);
            assert!(ambiguous * 100 < texels && covered * 10 > texels, "{name}: {ambiguous} {covered} of {texels}");
        }
    }
}

/// Texels, those that rounding decides, and those covered.
fn match_case(variant: &Variant, geometry: Geometry, case: usize, draw: &mut Draw) -> [usize; 3] {
    let canvas = [1 + draw.dim(16), 1 + draw.dim(40)];
    let dims = [1 + draw.below(5), 2 + draw.dim(12), 2 + draw.dim(12), draw.dim(5)];
    let mut places: Vec<Placed> =
        (0..dims[0]).map(|_| random_place(geometry, draw, [dims[2], 2 * dims[1]], canvas)).collect();
    let (views, values) = variant.normal(draw, &dims).unwrap();
    let old = normals(draw, canvas[0] * canvas[1] * dims[3]);
    let old: Vec<f64> = old.into_iter().map(|v| f64::from(v as f32)).collect();
    let scalars = FuseScalars {
        gain: 0.5,
        offset: 0.3,
        clamp: (case % 16 < 8).then_some([-0.2, 0.9]),
        blend: draw.pick(&[1.0, 0.4, 0.0]),
        feather: 0.1 + 0.9 * draw.unit() as f32,
        exponent: draw.pick(&[1.0, 2.5, 8.0]),
    };
    // Half of the cases: two regions, a third of their texels empty, and views of them and of none.
    let region_dims = [2, canvas[0], canvas[1]];
    let weights: Vec<f64> = (0..region_dims.iter().product()).map(|_| (1.5 * draw.unit() - 0.5).max(0.0)).collect();
    let (regions, region_values) = variant.tensor_as(&weights, &region_dims, Elem::F32).unwrap();
    let with_regions = case / 8 % 2 == 1;
    for placed in &mut places {
        placed.words = placed.words.in_region(draw.pick(&[None, Some(0), Some(1)]));
    }
    let (weight, bilinear) = (WEIGHTS[case % 4], case / 4 % 2 == 1);
    let interpolation = if bilinear { Interpolation::Bilinear } else { Interpolation::Nearest };
    let fusion =
        Fusion { regions: with_regions.then_some(&regions), scalars, ..of(variant, canvas, geometry, &places) };
    let (got, coverage) = Fusion { weight, interpolation, ..fusion }.run(&views, &old);
    let regions = with_regions.then_some(&region_values[..]);
    let input = Inputs { views: &values, dims, places: &places, weight, bilinear, scalars, regions };
    let (expected, texels) = oracle::fuse(&input, &old, canvas);
    let (mut kept, mut kept_coverage) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let (mut ambiguous, mut covered) = (0, 0);
    for (texel, place) in texels.iter().enumerate() {
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
    let name = format!("{} {geometry:?} {case} {dims:?} -> {canvas:?} {weight:?}", variant.name);
    // Views as stored go into the oracle and the canvas is f32: f32 bound in every variant.
    assert_close(&name, &kept.0, &kept.1, F32_ELEMENTWISE);
    assert_close(&format!("{name} coverage"), &kept_coverage.0, &kept_coverage.1, F32_ELEMENTWISE);
    [texels.len(), ambiguous, covered]
}

pub(super) fn of<'a>(variant: &'a Variant, canvas: [usize; 2], geometry: Geometry, places: &'a [Placed]) -> Fusion<'a> {
    Fusion {
        variant,
        canvas,
        geometry,
        places,
        regions: None,
        weight: Weight::Count,
        interpolation: Interpolation::Nearest,
        scalars: FuseScalars::default(),
    }
}

/// Views of 36 degrees on a canvas of 8192 columns: where a texel lies in a view, in pixels, against f64, at the wrap
/// column, across octants and in high latitudes.
#[test]
fn positions_hold_at_8192_x_4096() {
    let variant = &variants().unwrap()[0];
    let turn = |azimuth, elevation| rotation(azimuth, elevation, 0.2);
    let camera = |a, e| Place::Camera(Camera::centred(turn(a, e), 36f64.to_radians(), [512, 512]));
    let face = |a, e| {
        let rotation = turn(a, e).map(|row| row.map(|v| v as f32));
        Place::Face(Face { rotation, fov: 36.0, size: 512, used_fov: 36.0 })
    };
    let patch = |a: f64, e: f64| {
        let middle = [a.to_degrees(), e.to_degrees()];
        Place::Torus(TorusPatch { middle, ratio: 3.0, fov: 36.0, size: [512, 512] })
    };
    let place = |geometry, a, e| match geometry {
        Geometry::Equirect => camera(a, e),
        Geometry::EquiAngular => face(a, e),
        _ => patch(a, e),
    };
    for geometry in [Geometry::Equirect, Geometry::EquiAngular, Geometry::Torus] {
        for (canvas, along_x, elevation) in [([9, 8192], true, 0.05), ([4096, 9], false, 0.7), ([4096, 9], false, -1.4)]
        {
            // Columns of the narrow canvas are 40 degrees wide; its middle one (azimuth 0) and the wrap are looked at.
            let azimuths = if along_x { vec![PI, 0.25 * PI, -0.5 * PI, 2.0] } else { vec![0.0] };
            for azimuth in azimuths {
                let place = Placed::from(place(geometry, azimuth, elevation));
                let (worst, checked) = position_error(variant, geometry, place, canvas, along_x);
                // A texel is 64 / 36 * 360 / 8192 = 0.08 pixels; of the narrow torus patch three to nine times that.
                let bound = if geometry == Geometry::Torus { 5e-4 } else { 5e-5 };
                assert!(
                    checked > 100 && worst < bound,
                    "{place:?} on {canvas:?}: off by {worst} pixels in {checked} texels"
                );
            }
        }
    }
}

/// Largest distance in pixels of a view of 64, and texels looked at.
fn position_error(
    variant: &Variant,
    geometry: Geometry,
    place: Placed,
    canvas: [usize; 2],
    along_x: bool,
) -> (f64, usize) {
    let ramp: Vec<f64> = (0..64 * 64).map(|i| (if along_x { i % 64 } else { i / 64 }) as f64).collect();
    let places = [place];
    let fusion = Fusion { interpolation: Interpolation::Bilinear, ..of(variant, canvas, geometry, &places) };
    let (got, coverage) = fusion.run_values(&ramp, [1, 64, 64, 1], &vec![0.0; canvas[0] * canvas[1]]);
    let (mut worst, mut checked) = (0.0, 0);
    for texel in 0..got.len() {
        let seen = place.seen(texel / canvas[1], texel % canvas[1], canvas, [64.0, 64.0]);
        let (Some(seen), true) = (seen, coverage[texel] > 0.0) else { continue };
        let at = seen.position[usize::from(!along_x)];
        if (1.0..63.0).contains(&at) {
            worst = f64::max(worst, (got[texel] - (at - 0.5)).abs());
            checked += 1;
        }
    }
    (worst, checked)
}

#[test]
fn a_replaced_canvas_is_not_read_and_nan_is_not_hidden() {
    for variant in variants().unwrap() {
        let places = ahead();
        let mut fusion = of(&variant, [8, 16], Geometry::Equirect, &places);
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
    let words = words(variant, &ahead());
    let (views, _) = variant.tensor(&[1.0; 16], &[1, 4, 4, 1]).unwrap();
    let (canvas, _) = variant.tensor(&[0.0; 128], &[8, 16, 1]).unwrap();
    let coverage = variant.ctx.tensor(&[8, 16], Elem::F32).unwrap();
    let fuse = FuseViews {
        canvas: &canvas,
        coverage: &coverage,
        views: &views,
        lens: Lens { geometry: Geometry::Equirect, interpolation: Interpolation::Nearest, words: &words },
        regions: None,
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
