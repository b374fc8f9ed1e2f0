//! What the documents show is what they say.

use std::path::Path;

use syncline::metrics::{Covered, Equirect, pole};

/// A pole may differ from places around it by this factor, in the variance on rings and in detail: true panoramas reach 1.6.
const MARGIN: f64 = 1.6;
/// And the SSIM of rolled views by this.
const ROLL_MARGIN: f64 = 0.01;

/// A panorama with the view set `full` covers the whole sphere, and its poles are places like others.
#[test]
fn the_full_panorama_has_sound_poles() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/full.png");
    let picture = image::open(path).unwrap().to_rgb32f();
    let size = [picture.height() as usize, picture.width() as usize];
    let canvas = Equirect::checked(size, picture.as_raw()).unwrap();
    let covered = Covered::from_black(&canvas);
    assert_eq!(covered.of_sphere(), 1.0);
    for (name, up) in [("zenith", true), ("nadir", false)] {
        let pole = pole(&canvas, &covered, up).unwrap();
        println!(
            "{name}: ring ratio {:.3}, detail ratio {:.3}, roll {:.1e}",
            pole.ring_ratio, pole.detail_ratio, pole.roll_difference
        );
        assert!(pole.ring_ratio <= MARGIN && pole.detail_ratio <= MARGIN, "{name}: {pole:?}");
        assert!(pole.roll_difference >= -ROLL_MARGIN, "{name}: {pole:?}");
    }
}
