use super::*;

fn options() -> WindowsOptions {
    WindowsOptions { canvas: [96, 200], window: [64, 64], stride: [32, 48], ..WindowsOptions::default() }
}

fn origins(space: &Windows, step: usize) -> Vec<[f32; 2]> {
    let middle = |view: &View| [view.words.numbers[0] - 32.0, view.words.numbers[1] - 32.0];
    space.views(step).iter().map(middle).collect()
}

#[test]
fn the_grid_of_multidiffusion() {
    // 512 x 3072 pixels are 64 x 384 latents; windows of 64 every 8: 1 x ((384 - 64) / 8 + 1).
    let wide = WindowsOptions { canvas: [512, 3072], ..WindowsOptions::default() };
    assert_eq!(Windows::new(&wide).unwrap().view_count(), 41);
    // 768 x 1024: 5 rows, 9 columns, row by row.
    let tall = Windows::new(&WindowsOptions { canvas: [768, 1024], ..WindowsOptions::default() }).unwrap();
    assert_eq!(tall.view_count(), 45);
    let first: Vec<_> = tall.views(0).iter().map(|view| view.words.numbers[..2].to_vec()).collect();
    assert_eq!((&first[1][..], &first[9][..]), (&[320.0, 256.0][..], &[256.0, 320.0][..]));
    // Columns of 200 with 64 every 48: 0, 48, 96 and the last flush with the border.
    let flush = Windows::new(&options()).unwrap();
    let row: Vec<f32> = origins(&flush, 0)[..4].iter().map(|at| at[0]).collect();
    assert_eq!((flush.view_count(), &row[..]), (8, &[0.0, 48.0, 96.0, 136.0][..]));
    assert_eq!(flush.views(0)[7].id, 7);
    assert_eq!(flush.views(0)[0].direction, Some([0.16, 1.0 / 3.0]));
}

#[test]
fn a_wrapping_grid_goes_around() {
    let around = WindowsOptions { wrap: [false, true], sets: WindowSets::Interleaved(2), ..options() };
    let space = Windows::new(&around).unwrap();
    // 200 in steps of at most 48: five, of 40.
    let row: Vec<f32> = origins(&space, 0)[..5].iter().map(|at| at[0]).collect();
    assert_eq!((space.view_count(), space.set_count(), &row[..]), (10, 2, &[0.0, 40.0, 80.0, 120.0, 160.0][..]));
    let shifted: Vec<f32> = origins(&space, 1)[..5].iter().map(|at| at[0]).collect();
    assert_eq!(shifted, [24.0, 64.0, 104.0, 144.0, 184.0]);
    assert_eq!((space.views(1)[0].id, space.views(3)[0].id), (10, 10));
}

#[test]
fn random_shifts_differ_by_step_and_seed_and_stay_aligned() {
    let shifted = |seed| WindowsOptions { wrap: [true, true], sets: WindowSets::Random { seed }, ..options() };
    let space = Windows::new(&shifted(3)).unwrap();
    let steps: Vec<_> = (0..40).map(|step| origins(&space, step)[0]).collect();
    assert!(steps.iter().flatten().all(|v| v % 8.0 == 0.0));
    for (axis, length) in [(0, 200.0), (1, 96.0)] {
        let far = |low: f32| steps.iter().filter(|at| at[axis] >= low * length).count();
        assert!((10..30).contains(&far(0.5)) && far(1.0) == 0, "{steps:?}");
    }
    assert_eq!(steps, (0..40).map(|step| origins(&space, step)[0]).collect::<Vec<_>>());
    let other = Windows::new(&shifted(4)).unwrap();
    assert_ne!(steps, (0..40).map(|step| origins(&other, step)[0]).collect::<Vec<_>>());
}

#[test]
fn refusals_name_the_number() {
    let refused = |change: &dyn Fn(&mut WindowsOptions)| {
        let mut options = options();
        change(&mut options);
        Windows::new(&options).unwrap_err().to_string()
    };
    assert!(refused(&|o| o.canvas = [96, 196]).contains("canvas: found 196x96, expected multiples of 8"));
    assert!(refused(&|o| o.stride = [0, 8]).contains("window stride: found 8x0"));
    assert!(refused(&|o| o.window = [104, 64]).contains("window: found 64x104, expected at most the canvas, 200x96"));
    assert!(refused(&|o| o.stride = [32, 72]).contains("window stride: found 72"));
    assert!(refused(&|o| o.sets = WindowSets::Interleaved(2)).contains("a canvas that wraps"));
    assert!(refused(&|o| o.align = 0).contains("alignment"));
    let wrapping = |o: &mut WindowsOptions| (o.wrap, o.sets) = ([true; 2], WindowSets::Interleaved(0));
    assert!(refused(&wrapping).contains("window sets: found 0"));
    let many = |o: &mut WindowsOptions| (o.canvas, o.stride) = ([2048, 2048], [8, 8]);
    assert!(refused(&many).contains("windows: found 62001"));
}
