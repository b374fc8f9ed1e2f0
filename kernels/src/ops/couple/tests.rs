use super::*;
use crate::check::{Draw, F32_ELEMENTWISE, Variant, assert_close, variants};

/// Runs once on given bits.
fn run(
    variant: &Variant,
    (x, clean): (&[f32], &[f32]),
    dims: [usize; 4],
    (branches, push): (usize, &[f32]),
) -> Vec<u32> {
    let x = variant.ctx.upload(x, &dims, Elem::F32).unwrap();
    let clean = variant.ctx.upload(clean, &dims, Elem::F32).unwrap();
    let scalars = CoupleScalars { push: padded(push), first_view: 0 };
    variant
        .run(|rec| {
            couple(rec, &Couple { x: &x, clean: &clean, branches, scalars });
            x.clone()
        })
        .unwrap();
    variant.ctx.read(&x).unwrap().into_iter().map(f32::to_bits).collect()
}

fn padded(push: &[f32]) -> [f32; MAX_BRANCHES] {
    std::array::from_fn(|i| push.get(i).copied().unwrap_or(0.0))
}

#[test]
fn matches_the_oracle() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(31);
        for case in 0..210 {
            let branches = if case % 3 == 0 { 2 } else { 2 + draw.below(MAX_BRANCHES - 1) };
            let views = draw.dim(4);
            let dims = [branches * views, draw.dim(17), draw.dim(9), draw.dim(9)];
            let (x, xs) = variant.normal(&mut draw, &dims).unwrap();
            let (clean, cleans) = variant.normal(&mut draw, &dims).unwrap();
            let push: Vec<f32> = (0..branches).map(|_| draw.normal() as f32).collect();
            let first_view = draw.below(views + 1);
            let scalars = CoupleScalars { push: padded(&push), first_view };
            let got = variant
                .run(|rec| {
                    couple(rec, &Couple { x: &x, clean: &clean, branches, scalars });
                    x.clone()
                })
                .unwrap();
            let push: Vec<f64> = push.into_iter().map(f64::from).collect();
            let expected = oracle::couple((&xs, &cleans), (branches, views), &push, first_view);
            let name = format!("{} {case} {dims:?} in {branches} branches from view {first_view}", variant.name);
            assert_close(&name, &got, &expected, F32_ELEMENTWISE);
        }
    }
}

/// What keeps its bits: everything with push 0, whatever the estimates, and everything whose estimates are equal.
#[test]
fn nothing_moves_without_a_push_or_a_difference() {
    for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
        let mut draw = Draw::new(3);
        let mut normals = |count: usize| -> Vec<f32> { (0..count).map(|_| draw.normal() as f32).collect() };
        let dims = [3, 5, 7, 4];
        let one = normals(140);
        let mut x = normals(420);
        (x[0], x[1], x[2]) = (-0.0, f32::MIN_POSITIVE, 3e38);
        let bits: Vec<u32> = x.iter().map(|v| v.to_bits()).collect();
        let equal = [&one[..], &one, &one].concat();
        assert_eq!(run(variant, (&x, &equal), dims, (3, &[0.3, 1e9, -2.0])), bits, "{}", variant.name);
        let mut wild = normals(420);
        (wild[0], wild[1], wild[2]) = (f32::INFINITY, f32::NAN, 3e38);
        assert_eq!(run(variant, (&x, &wild), dims, (3, &[0.0, -0.0, 0.0])), bits, "{}", variant.name);
        // Two branches move by exactly opposite amounts.
        let (start, clean) = (vec![0.0f32; 280], normals(280));
        let moved = run(variant, (&start, &clean), [2, 5, 7, 4], (2, &[0.37, 0.37]));
        let (a, b) = moved.split_at(140);
        assert!(a.iter().zip(b).all(|(a, b)| f32::from_bits(*a) == -f32::from_bits(*b)), "{}", variant.name);
    }
}

#[test]
fn views_of_a_batch_equal_single_views_to_the_byte() {
    let variant = &variants().unwrap()[0];
    let mut draw = Draw::new(8);
    let mut normals = |count: usize| -> Vec<f32> { (0..count).map(|_| draw.normal() as f32).collect() };
    let (x, clean) = (normals(2 * 3 * 60), normals(2 * 3 * 60));
    let together = run(variant, (&x, &clean), [6, 5, 4, 3], (2, &[0.1, 0.2]));
    for view in 0..3 {
        let of = |values: &[f32]| -> Vec<f32> {
            [0, 3].iter().flat_map(|first| values[(first + view) * 60..(first + view + 1) * 60].to_vec()).collect()
        };
        let alone = run(variant, (&of(&x), &of(&clean)), [2, 5, 4, 3], (2, &[0.1, 0.2]));
        for (branch, alone) in alone.chunks(60).enumerate() {
            assert_eq!(alone, &together[(3 * branch + view) * 60..][..60], "view {view} of branch {branch}");
        }
    }
}
