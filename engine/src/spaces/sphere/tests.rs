use super::*;

fn rotation(view: &View) -> [[f64; 3]; 3] {
    let n = view.words.numbers;
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| f64::from(n[3 * i + j])))
}

fn sphere(seed: Option<u64>) -> Sphere {
    Sphere::new(&SphereOptions { height: 256, side: 64, seed, ..SphereOptions::default() }).unwrap()
}

#[test]
fn faces_look_in_six_directions_and_are_not_mirrored() {
    let views = sphere(None).views(0);
    let directions: Vec<_> = views.iter().map(|view| view.direction.unwrap().map(|a| a.round() as i32)).collect();
    assert_eq!(directions[..4], [[0, 0], [90, 0], [-180, 0], [-90, 0]]);
    assert_eq!([directions[4][1], directions[5][1]], [90, -90]);
    for view in &views {
        let [a, b, c] = rotation(view);
        let cross = |u: [f64; 3], v: [f64; 3]| {
            [0, 1, 2].map(|i| u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3])
        };
        assert_eq!(cross(a, b), c, "determinant 1");
    }
}

/// Uniform rotations: axes are uniform on the sphere, so coordinates have mean 0 and mean square 1/3, and the trace of a
/// uniform rotation has mean 0 and mean square 1.
#[test]
fn rotations_are_uniform_and_repeatable() {
    let space = sphere(Some(7));
    let count = 4000;
    let (mut sums, mut squares, mut trace) = ([[0.0; 3]; 3], [[0.0; 3]; 3], [0.0; 2]);
    for step in 0..count {
        let turn = rotation(&space.views(step)[0]);
        for (i, j) in (0..9).map(|k| (k / 3, k % 3)) {
            sums[i][j] += turn[i][j] / count as f64;
            squares[i][j] += turn[i][j] * turn[i][j] / count as f64;
        }
        let t: f64 = (0..3).map(|i| turn[i][i]).sum();
        trace = [trace[0] + t / count as f64, trace[1] + t * t / count as f64];
    }
    // Five standard errors of 4000 draws: sqrt(1/3) and sqrt(4/45) and 1, over sqrt(4000).
    assert!(sums.iter().flatten().all(|m| m.abs() < 0.046), "{sums:?}");
    assert!(squares.iter().flatten().all(|m| (m - 1.0 / 3.0).abs() < 0.024), "{squares:?}");
    assert!(trace[0].abs() < 0.08 && (trace[1] - 1.0).abs() < 0.15, "{trace:?}");
    assert_eq!(space.views(9), sphere(Some(7)).views(9));
    assert_ne!(space.views(9), sphere(Some(8)).views(9));
}

#[test]
fn refusals_name_the_number() {
    let refused = |height, side, fov| {
        Sphere::new(&SphereOptions { height, side, fov, ..SphereOptions::default() }).unwrap_err().to_string()
    };
    assert!(refused(2048, 512, 80.0).contains("face fov: found 80"));
    assert!(refused(2048, 512, 180.0).contains("face fov: found 180"));
    assert!(refused(2048, 0, 90.0).contains("face side"));
    assert!(refused(8, 4, 90.0).contains("sphere height: found 8"));
    assert!(refused(512, 512, 90.0).contains("found 1024, expected at least 2048"));
}
