use super::*;

#[test]
fn the_published_schedule() {
    let space = Torus::new(&TorusOptions::default()).unwrap();
    let middles = |step: usize| -> Vec<[i32; 2]> {
        let middle = |view: &View| view.direction.unwrap().map(|a| a.round() as i32);
        // (ϑ, φ) as the table has them.
        space.views(step).iter().map(middle).map(|[phi, elevation]| [-elevation, phi]).collect()
    };
    assert_eq!(middles(0), [[90, 0], [0, 90], [90, -180], [0, -90], [-90, 0], [-90, -180]]);
    // Step 5: φ + 225 mod 180 = 45, ϑ + 300 mod 180 = 120.
    assert_eq!(middles(5), [[-150, 45], [0, 135], [-150, -135], [0, -45], [30, 45], [30, -135]]);
    assert_eq!(middles(12), middles(0));
    assert_eq!(space.views(3)[4].id, 4);
}

#[test]
fn refusals_name_the_number() {
    let refused = |change: &dyn Fn(&mut TorusOptions)| {
        let mut options = TorusOptions::default();
        change(&mut options);
        Torus::new(&options).unwrap_err().to_string()
    };
    assert!(refused(&|o| o.ratio = 1.0).contains("torus ratio: found 1"));
    assert!(refused(&|o| o.fov = 200.0).contains("torus fov: found 200"));
    assert!(refused(&|o| (o.fov, o.ratio) = (180.0, 8.0)).contains("at most 102.8"));
    assert!(refused(&|o| o.side = 0).contains("patch side"));
    assert!(refused(&|o| o.canvas = [1024, 2048]).contains("found 2048x1024, expected at least 3072x1024"));
}
