use super::*;

fn options(views: ViewSet) -> PanoramaOptions {
    let interpolation = Interpolation::Bilinear;
    PanoramaOptions { height: 512, view_side: 64, fov: 80.0, used_fov: 72.0, views, interpolation }
}

#[test]
fn any_field_gives_some_height() {
    for fov in [0.0, -10.0, 180.0, 360.0, f64::NAN, f64::INFINITY, 1e-300] {
        for used in [0.0, 90.0, 180.0, f64::NAN] {
            for side in [0, 1, 128, usize::MAX] {
                assert!((16..=4096).contains(&Panorama::height_for(side, fov, used)), "{side} {fov} {used}");
            }
        }
    }
}

#[test]
fn the_papers_rings() {
    let space = Panorama::new(&options(ViewSet::PAPER)).unwrap();
    assert_eq!((space.set_count(), space.view_count()), (2, 5));
    let view = space.views(3)[1];
    // The second view of the second ring.
    assert_eq!(view.id, 6);
    let [azimuth, elevation] = view.direction.unwrap();
    assert!((azimuth - 108.0).abs() < 1e-9 && elevation.abs() < 1e-9);
    assert_eq!(view, space.views(1)[1], "sets are used in turn");
    let borders: Vec<f64> = ViewSet::PAPER.borders().iter().map(|b| b % 360.0).collect();
    assert_eq!(borders, [36.0, 72.0, 108.0, 144.0, 180.0, 216.0, 252.0, 288.0, 324.0, 0.0]);
}

#[test]
fn published_sets_look_where_they_should() {
    let space = Panorama::new(&options(ViewSet::upscaling())).unwrap();
    assert_eq!((space.set_count(), space.view_count()), (4, 15));
    let rounded = |view: &View| view.direction.unwrap().map(|a| a.round().rem_euclid(360.0) as i32);
    let first: Vec<_> = space.views(0).iter().map(|view| rounded(view)[0]).collect();
    assert_eq!(first, [0, 36, 36, 72, 108, 108, 144, 180, 180, 216, 252, 252, 288, 324, 324]);
    let last: Vec<_> = space.views(3)[..3].iter().map(rounded).collect();
    assert_eq!(last, [[54, 0], [90, 18], [90, 342]]);
    let ring = Panorama::new(&options(ViewSet::SYNC_TWEEDIES)).unwrap();
    assert_eq!((ring.set_count(), rounded(&ring.views(0)[3])), (1, [135, 0]));
}

#[test]
fn refusals_name_the_number() {
    let refused = |options: PanoramaOptions| Panorama::new(&options).unwrap_err().to_string();
    let with = |change: &dyn Fn(&mut PanoramaOptions)| {
        let mut options = options(ViewSet::PAPER);
        change(&mut options);
        refused(options)
    };
    for fov in [0.0, -3.0, 180.0, 200.0, f64::NAN] {
        assert!(with(&|o| o.fov = fov).contains("fov: found"), "{fov}");
    }
    assert!(with(&|o| o.used_fov = 81.0).contains("used fov: found 81"));
    assert!(with(&|o| o.view_side = 0).contains("view side"));
    assert!(refused(options(ViewSet::Custom(vec![vec![[0.0; 3]], vec![]]))).contains("different lengths"));
    assert!(refused(options(ViewSet::Custom(vec![]))).contains("0 sets of 0 views"));
    assert!(refused(options(ViewSet::Custom(vec![vec![]]))).contains("1 sets of 0 views"));
    assert!(with(&|o| (o.views, o.used_fov) = (ViewSet::Full, 60.0)).contains("at least 72"));
    // 512 pixels at 72 degrees: 2 pi 352 = 2214 pixels around, 1.2 · 2214 / cos² 36° = 4059.3.
    let small = with(&|o| (o.height, o.view_side, o.fov) = (1024, 512, 72.0));
    assert!(small.contains("found 2048, expected at least 2214") && small.contains("4060 keeps"), "{small}");
}

/// Directions spread evenly over the sphere.
fn directions(count: usize) -> impl Iterator<Item = [f64; 3]> {
    (0..count).map(move |i| {
        let y = 1.0 - 2.0 * (i as f64 + 0.5) / count as f64;
        let (radius, turn) = ((1.0 - y * y).sqrt(), i as f64 * std::f64::consts::PI * (1.0 + 5f64.sqrt()));
        [radius * turn.sin(), y, radius * turn.cos()]
    })
}

fn shows(view: &View, d: [f64; 3]) -> bool {
    let camera = Camera::from_words(&view.words);
    let [x, y, z] = [0, 1, 2].map(|j| (0..3).map(|i| f64::from(camera.rotation[i][j]) * d[i]).sum::<f64>());
    let [u, v] = camera.used_tan.map(f64::from);
    z > 0.0 && x.abs() <= u * z && y.abs() <= v * z
}

/// Share of the sphere that at least one and at least two views show.
fn shares(views: &[View]) -> [f64; 2] {
    let count = 100_000;
    let mut seen = [0; 2];
    for d in directions(count) {
        let shown = views.iter().filter(|view| shows(view, d)).count();
        seen = [seen[0] + usize::from(shown > 0), seen[1] + usize::from(shown > 1)];
    }
    seen.map(|n| n as f64 / count as f64)
}

#[test]
fn two_steps_of_the_full_set_leave_nothing_unseen() {
    for used_fov in [72.0, 76.0, 80.0, 85.0, 89.9, 90.0, 100.0] {
        let space = Panorama::new(&PanoramaOptions { fov: 100.0, used_fov, ..options(ViewSet::Full) }).unwrap();
        for step in 0..3 {
            let both = [space.views(step), space.views(step + 1)].concat();
            assert_eq!(shares(&both)[0], 1.0, "{used_fov} degrees, steps {step} and {}", step + 1);
        }
        let alone = [0, 1].map(|step| shares(&space.views(step)));
        println!("{used_fov} degrees: shown by one and by two views, {alone:?}");
        if used_fov < 73.0 {
            assert!(alone.iter().all(|[one, two]| *one > 0.78 && *two < 0.11), "{alone:?}");
        }
        if used_fov == 90.0 {
            // Cubes, of which only borders are shown twice.
            assert!(alone.iter().all(|[one, two]| *one > 0.99999 && *two < 1e-3), "{alone:?}");
        }
    }
}

/// Four tenths of the solid angle, above and below, stay unseen by the sets of the paper.
#[test]
fn the_papers_sets_cover_a_band() {
    let space = Panorama::new(&options(ViewSet::PAPER)).unwrap();
    let both = shares(&[space.views(0), space.views(1)].concat());
    assert!((both[0] - 0.58).abs() < 0.02, "{both:?}");
    assert!(shares(&space.views(0))[1] < 1e-3, "views of a set do not overlap");
}
