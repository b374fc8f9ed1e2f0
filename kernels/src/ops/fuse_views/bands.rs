//! Canvases in four bands: the same bits as in one tensor, and sizes that one binding does not hold.

use std::f64::consts::PI;

use super::tests::{WEIGHTS, normals, random_place, words};
use super::*;
use crate::check::{Draw, Variant, variants};
use crate::ops::project_renoise::{ProjectRenoise, Projection, RenoiseScalars, project_renoise, project_renoise_bands};
use crate::ops::views::oracle::{Place, Placed};
use crate::ops::views::{Camera, Geometry, Interpolation, rotation};

/// Four tensors of equally many rows.
fn bands(variant: &Variant, values: &[f64], [h, w, c]: [usize; 3]) -> [Tensor; 4] {
    let quarter = values.len() / 4;
    [0, 1, 2, 3].map(|b| {
        let part = &values[b * quarter..(b + 1) * quarter];
        variant.tensor_as(part, &[h / 4, w, c], Elem::F32).unwrap().0
    })
}

#[test]
fn bands_give_the_bits_of_one_canvas() {
    for variant in variants().unwrap() {
        let mut draw = Draw::new(65);
        for case in 0..200 {
            let geometry = Geometry::ALL[case % 4];
            let dims = [4 * (1 + draw.below(6)), 1 + draw.dim(33), draw.dim(5)];
            let (count, size) = (1 + draw.below(3), [1 + draw.dim(12), 1 + draw.dim(12)]);
            let places: Vec<Placed> =
                (0..count).map(|_| random_place(geometry, &mut draw, [size[1], size[0]], [dims[0], dims[1]])).collect();
            let words = words(&variant, &places);
            let interpolation = [Interpolation::Nearest, Interpolation::Bilinear][case / 4 % 2];
            let lens = Lens { geometry, interpolation, words: &words };
            let values = normals(&mut draw, dims.iter().product());
            let whole = variant.tensor_as(&values, &dims, Elem::F32).unwrap().0;
            let parts = bands(&variant, &values, dims);
            let below = [&parts[1], &parts[2], &parts[3]];
            let name = format!("{} {geometry:?} {case} {dims:?}", variant.name);

            let ids = variant.ctx.upload_u32(&vec![0; count], &[count]).unwrap();
            let projection = Projection::Views { lens, size };
            let scalars = RenoiseScalars { sigma: 0.5, ..RenoiseScalars::default() };
            let project = ProjectRenoise { canvas: &whole, projection, views: &ids, scalars, elem: variant.elem };
            let (views, _) = variant.normal(&mut draw, &[count, size[0], size[1], dims[2]]).unwrap();
            let coverage = [0, 1].map(|_| variant.ctx.tensor(&dims[..2], Elem::F32).unwrap());
            let scalars = FuseScalars { blend: draw.pick(&[1.0, 0.3]), ..FuseScalars::default() };
            let (weight, regions) = (WEIGHTS[case % 3], None);
            let fuse =
                FuseViews { canvas: &whole, coverage: &coverage[0], views: &views, lens, regions, weight, scalars };

            let mut rec = Recorder::new(&variant.ctx);
            let one = project_renoise(&mut rec, &project).0;
            let four = project_renoise_bands(&mut rec, &ProjectRenoise { canvas: &parts[0], ..project }, below).0;
            let seen = [one, four].map(|out| rec.keep(&out).unwrap());
            fuse_views(&mut rec, &fuse);
            fuse_views_bands(&mut rec, &FuseViews { canvas: &parts[0], coverage: &coverage[1], ..fuse }, below);
            rec.finish().unwrap().run().unwrap();
            variant.ctx.verify_guards().unwrap();
            let read = |tensor: &Tensor| variant.ctx.read(tensor).unwrap();
            assert!(read(&seen[0]) == read(&seen[1]), "{name}: project");
            assert!(read(&coverage[0]) == read(&coverage[1]), "{name}: coverage");
            assert!(parts.iter().flat_map(read).eq(read(&whole)), "{name}: fuse");
        }
    }
}

/// 8192 x 4096 texels are 512 MiB, four times what WebGPU promises of a binding. Their numbers say where they are; views at the
/// wrap column, at the borders of bands and at the zenith read positions off them.
#[test]
fn an_8192_x_4096_canvas_fits_webgpus_limits() {
    let variants = variants().unwrap();
    let variant = variants.iter().find(|v| v.name == "f32, default limits").unwrap();
    let (canvas, side) = ([4096, 8192], 96);
    // Periods of 64 from the middle of one, so that the wrap column and the borders of bands lie inside one.
    let position = |i: usize| ((i + 32) % 64) as f32;
    let parts: Vec<Tensor> = (0..4)
        .map(|b| {
            let row = |y: usize| (0..8192).flat_map(move |x| [position(x), position(1024 * b + y)]);
            let values: Vec<f32> = (0..1024).flat_map(row).collect();
            variant.ctx.upload(&values, &[1024, 8192, 2], Elem::F32).unwrap()
        })
        .collect();
    let below = [&parts[1], &parts[2], &parts[3]];
    // Azimuths on both sides of the wrap; rows 1024 and 3072 are at 45 degrees.
    let looks = [[PI, 0.0], [PI, 0.25 * PI], [-PI + 0.02, -0.25 * PI], [0.3, 0.0], [PI, 1.2]];
    let camera = |[a, e]: [f64; 2]| Camera::centred(rotation(a, e, 0.2), 4f64.to_radians(), [side, side]);
    let places: Vec<Placed> = looks.iter().map(|look| Placed::from(Place::Camera(camera(*look)))).collect();
    let words = words(variant, &places);
    let lens = Lens { geometry: Geometry::Equirect, interpolation: Interpolation::Bilinear, words: &words };
    let ids = variant.ctx.upload_u32(&[0; 5], &[5]).unwrap();
    let project = ProjectRenoise {
        canvas: &parts[0],
        projection: Projection::Views { lens, size: [side, side] },
        views: &ids,
        scalars: RenoiseScalars::default(),
        elem: Elem::F32,
    };
    let got = variant.run(|rec| project_renoise_bands(rec, &project, below).0).unwrap();
    let (mut worst, mut checked) = (0.0, 0);
    for (i, seen) in got.chunks(2).enumerate() {
        let p = [(i % side) as f64 + 0.5, (i / side % side) as f64 + 0.5];
        let at = places[i / (side * side)].canvas_position(p, [side as f64; 2], canvas);
        for (seen, at) in seen.iter().zip(at) {
            let expected = (at - 0.5 + 32.0).rem_euclid(64.0);
            // Not across the end of a period, where a mean of 63 and 0 stands for neither.
            if expected < 62.9 {
                worst = f64::max(worst, (seen - expected).abs());
                checked += 1;
            }
        }
    }
    assert!(checked > got.len() / 2 && worst < 1e-3, "off by {worst} texels in {checked} places");
    println!("8192 x 4096 in four bands: positions off by at most {worst:.1e} texels in {checked} places");

    check_fused(variant, &parts, lens, (side, position));
}

/// Views of one value: the texels they cover take it, the others keep their positions.
fn check_fused(variant: &Variant, parts: &[Tensor], lens: Lens<'_>, (side, position): (usize, impl Fn(usize) -> f32)) {
    let below = [&parts[1], &parts[2], &parts[3]];
    let views = variant.ctx.upload(&vec![0.5; 5 * side * side * 2], &[5, side, side, 2], Elem::F32).unwrap();
    let coverage = variant.ctx.tensor(&[4096, 8192], Elem::F32).unwrap();
    let (weight, scalars) = (Weight::Count, FuseScalars::default());
    let fuse =
        FuseViews { canvas: &parts[0], coverage: &coverage, views: &views, lens, regions: None, weight, scalars };
    let covered = variant.run(|rec| {
        fuse_views_bands(rec, &fuse, below);
        coverage.clone()
    });
    let covered = covered.unwrap();
    for (b, band) in parts.iter().enumerate() {
        let values = variant.ctx.read(band).unwrap();
        for (i, texel) in values.chunks(2).enumerate() {
            let (row, column) = (1024 * b + i / 8192, i % 8192);
            let expected =
                if covered[row * 8192 + column] > 0.0 { [0.5; 2] } else { [position(column), position(row)] };
            assert!(texel == expected, "texel ({row}, {column}): {texel:?} instead of {expected:?}");
        }
    }
    let share = covered.iter().filter(|c| **c > 0.0).count();
    assert!(share > 20_000, "{share} texels covered");
}
