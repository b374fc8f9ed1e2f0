//! Ways between panoramas and cubes that need no GPU, and the checks before the work.

use super::*;

fn columns(width: usize) -> Picture {
    let value = |i: usize| [(i % width) as f32; 3];
    Picture::linear(Raster::new([width / 2, width], (0..width * width / 2).flat_map(value).collect()))
}

fn first_row(picture: &Picture) -> Vec<f32> {
    picture.raster.rgb[..picture.raster.size[1] * 3].iter().step_by(3).copied().collect()
}

#[test]
fn fronts_move_to_their_quarter() {
    // The middle of eight columns is between 3 and 4.
    let picture = columns(8);
    assert_eq!(with_front_at(&picture, 2), picture);
    assert_eq!(first_row(&with_front_at(&picture, 0)), [4.0, 5.0, 6.0, 7.0, 0.0, 1.0, 2.0, 3.0]);
    assert_eq!(first_row(&with_front_at(&picture, 1)), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0, 1.0]);
    assert_eq!(first_row(&with_front_at(&picture, 3)), [6.0, 7.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    // Six columns: by one and a half.
    assert_eq!(first_row(&with_front_at(&columns(6), 1)), [1.5, 2.5, 3.5, 4.5, 2.5, 0.5]);
    assert_eq!(first_row(&with_front_at(&columns(6), 3)), [4.5, 2.5, 0.5, 1.5, 2.5, 3.5]);
}

#[test]
fn whole_columns_turn_without_interpolation() {
    assert_eq!(Turn { azimuth: 90.0, ..Turn::default() }.columns(8), Some(2));
    assert_eq!(Turn { azimuth: -45.0, ..Turn::default() }.columns(8), Some(-1));
    assert_eq!(Turn { azimuth: 10.0, ..Turn::default() }.columns(8), None);
    assert_eq!(Turn { roll: 90.0, ..Turn::default() }.columns(8), None);
}

#[test]
fn mip_levels_are_means_of_light() {
    // Black and white in equal parts are half the light, which a display is told as 188.
    let half = [[0.0; 3], [1.0; 3], [1.0; 3], [0.0; 3]].concat();
    let faces = [0; 6].map(|_| Picture::srgb(Raster::new([2, 2], half.clone())));
    let levels = mip_levels(&faces).unwrap();
    assert_eq!(levels.len(), 2);
    assert_eq!(levels[1][5].pixels, [188; 3]);
}

#[test]
fn names_layouts_and_consumers_must_go_together() {
    use crate::output::ConsumerName;
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, consumer, layout| {
        let args = EnvironmentArgs { consumer, layout, viewer: None };
        EnvironmentFiles::check(&dir.path().join(name), &args, false)
    };
    let message = |result: Result<EnvironmentFiles, OutputError>| {
        let error = result.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    assert!(message(check("sky.gif", None, None)).contains("found .gif, expected .png, .jpg, .exr, .hdr or .ktx2"));
    assert!(message(check("sky", None, None)).contains("found nothing"));
    let refused = message(check("sky.png", Some(ConsumerName::Unreal), Some(Layout::Equirect)));
    assert!(refused.starts_with("unreal takes equirect .hdr, row .png .jpg, found equirect .png"), "{refused}");
    let refused = message(check("sky.ktx2", Some(ConsumerName::Godot), None));
    assert!(refused.contains("found any layout as .ktx2"), "{refused}");
    assert!(message(check("sky.ktx2", None, Some(Layout::Cross))).starts_with("syncline takes equirect"));
    assert!(check("sky.png", None, None).unwrap().is_panorama());
    assert!(!check("sky.ktx2", Some(ConsumerName::Bevy), None).unwrap().is_panorama());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
