//! Whether a pole looks like any other place of the sphere.
//!
//! Equirectangular generators that know nothing of the sphere leave poles *pinched*: every row has as much detail as the
//! horizon, and the upper rows are one point. Views that meet there leave *wedges*. Three measures, each at the pole and,
//! with the same formula, at places around it:
//!
//! | measure | formula | pinched | wedges | smeared |
//! |---|---|---|---|---|
//! | ring variance | variance of colour over 64 directions on circles of 1.5, 3 and 6 texels | high | high | low |
//! | detail | variance of the Laplacian of brightness in a view along the axis | high | high | low |
//! | roll SSIM | views rolled by 15°, 30°, 45° and turned back in the plane, against the view without roll | low | as elsewhere | as elsewhere |
//!
//! A continuous picture has nearly one colour on a small circle, wherever its centre is.

use super::plane::{Plane, mean, variance};
use super::ssim::ssim_map;
use super::{Covered, Equirect, Look};

/// Radii of the circles in texels: small ones, on which sound pictures hardly vary.
const RADII: [f64; 3] = [1.5, 3.0, 6.0];
const DIRECTIONS: usize = 64;
const ROLLS: [f64; 3] = [15.0, 30.0, 45.0];
/// Side of the views in pixels.
const SIDE: usize = 64;
/// Radius in pixels of the disc compared: SSIM's window around any of its pixels stays inside the view at every roll.
const DISC: f64 = 24.0;
/// Elevation of the places a pole is compared with, and their number.
const AROUND: (f64, usize) = (45.0, 12);

/// Measures of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Place {
    /// Variance of RGB 0..=1 on small circles, mean over radii and channels.
    pub ring_variance: f64,
    /// Variance of the Laplacian of brightness of a view of one texel per pixel.
    pub detail: f64,
    /// Mean SSIM of rolled views, turned back, with the view without roll.
    pub roll_ssim: f64,
}

/// A pole beside the rest of its hemisphere.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Pole {
    /// At the pole.
    pub pole: Place,
    /// Mean of 12 places at 45° of the same hemisphere.
    pub around: Place,
    /// Mean of 12 places on the horizon.
    pub horizon: Place,
    /// Ring variance of the pole / around, each with the variance of 8-bit rounding added: about 1 or less for a sound pole,
    /// many for a pinched one or one where views meet.
    pub ring_ratio: f64,
    /// Detail of the pole / around, likewise; much less than 1 is a smeared pole.
    pub detail_ratio: f64,
    /// Roll SSIM of the pole − around; much less than 0 is a pinched pole.
    pub roll_difference: f64,
}

/// Measures the zenith (`up`) or the nadir; `None` where the picture does not cover the pole or the places around it.
#[must_use]
pub fn pole(canvas: &Equirect<'_>, covered: &Covered, up: bool) -> Option<Pole> {
    let sign = if up { 1.0 } else { -1.0 };
    let fov = view_fov(canvas);
    let look = |azimuth: f64, elevation: f64| Look { azimuth, elevation, roll: 0.0, fov };
    let ring = |elevation: f64| -> Vec<Look> {
        (0..AROUND.1).map(|i| look(360.0 * i as f64 / AROUND.1 as f64, elevation)).collect()
    };
    let places = [vec![look(0.0, 90.0 * sign)], ring(AROUND.0 * sign), ring(0.0)];
    let seen = |look: &Look| Look { fov: 1.5 * fov, ..*look }.covered(covered, 32) == 1.0;
    if !places.iter().flatten().all(seen) {
        return None;
    }
    let [pole, around, horizon] = places.map(|looks| {
        let found: Vec<Place> = looks.iter().map(|look| place(canvas, look)).collect();
        Place {
            ring_variance: mean(found.iter().map(|p| p.ring_variance)),
            detail: mean(found.iter().map(|p| p.detail)),
            roll_ssim: mean(found.iter().map(|p| p.roll_ssim)),
        }
    });
    // A step of 1/255 rounds with this variance; the Laplacian adds it 20 times (1 + 1 + 1 + 1 + 16).
    let rounding = 1.0 / (255.0 * 255.0 * 12.0);
    let ratio = |a: f64, b: f64, floor: f64| (a + floor) / (b + floor);
    Some(Pole {
        pole,
        around,
        horizon,
        ring_ratio: ratio(pole.ring_variance, around.ring_variance, rounding),
        detail_ratio: ratio(pole.detail, around.detail, 20.0 * rounding),
        roll_difference: pole.roll_ssim - around.roll_ssim,
    })
}

/// One texel per pixel in the middle, where 64 pixels are at most 60 degrees.
fn view_fov(canvas: &Equirect<'_>) -> f64 {
    let texel = std::f64::consts::PI / canvas.size[0] as f64;
    (2.0 * (0.5 * SIDE as f64 * texel).atan().to_degrees()).min(60.0)
}

fn place(canvas: &Equirect<'_>, look: &Look) -> Place {
    let plain = view(canvas, look);
    Place {
        ring_variance: ring_variance(canvas, look),
        detail: variance(&plain.laplacian().values),
        roll_ssim: mean(ROLLS.map(|roll| roll_ssim(canvas, look, roll, &plain))),
    }
}

fn view(canvas: &Equirect<'_>, look: &Look) -> Plane {
    Plane::luma(&look.view(canvas, SIDE), [SIDE, SIDE])
}

fn ring_variance(canvas: &Equirect<'_>, look: &Look) -> f64 {
    let texel = 180.0 / canvas.size[0] as f64;
    let ring = |radius: f64| {
        let colours: Vec<[f64; 3]> = look.circle(radius * texel, DIRECTIONS).map(|d| canvas.sample(d)).collect();
        mean((0..3).map(|c| variance(&colours.iter().map(|colour| colour[c]).collect::<Vec<_>>())))
    };
    mean(RADII.map(ring))
}

/// SSIM over a disc between `plain` and the view of a rolled camera, turned back.
fn roll_ssim(canvas: &Equirect<'_>, look: &Look, roll: f64, plain: &Plane) -> f64 {
    let rolled = view(canvas, &Look { roll, ..*look });
    let (s, c) = roll.to_radians().sin_cos();
    let middle = 0.5 * SIDE as f64;
    // A pixel of the rolled camera at q sees what the plain one sees at R(roll) q.
    let back = |i: usize| {
        let (x, y) = ((i % SIDE) as f64 + 0.5 - middle, (i / SIDE) as f64 + 0.5 - middle);
        rolled.sample(-s * x + c * y + middle, c * x + s * y + middle)
    };
    let back = Plane { size: [SIDE, SIDE], values: (0..SIDE * SIDE).map(back).collect() };
    let map = ssim_map(plain, &back);
    let centre = 0.5 * map.size[0] as f64;
    let inside = |i: &usize| {
        let (x, y) = ((i % map.size[1]) as f64 + 0.5 - centre, (i / map.size[1]) as f64 + 0.5 - centre);
        x.hypot(y) <= DISC
    };
    mean((0..map.values.len()).filter(inside).map(|i| map.values[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [512, 1024];

    fn canvas(colour: impl Fn(f64, f64) -> f64) -> Vec<f32> {
        (0..SIZE[0] * SIZE[1])
            .flat_map(|i| {
                let (y, x) = ((i / SIZE[1]) as f64 + 0.5, (i % SIZE[1]) as f64 + 0.5);
                let azimuth = (x / SIZE[1] as f64 - 0.5) * std::f64::consts::TAU;
                [colour(azimuth, (0.5 - y / SIZE[0] as f64) * std::f64::consts::PI) as f32; 3]
            })
            .collect()
    }

    /// A sum of plane waves in space: the same texture at every place of the sphere.
    fn texture(azimuth: f64, elevation: f64) -> f64 {
        finer_texture(1.0, azimuth, elevation)
    }

    fn finer_texture(times: f64, azimuth: f64, elevation: f64) -> f64 {
        let d = [azimuth.sin() * elevation.cos(), -elevation.sin(), azimuth.cos() * elevation.cos()];
        let wave = |k: [f64; 3], phase: f64| (0..3).map(|i| times * k[i] * d[i]).sum::<f64>() + phase;
        let waves =
            [([9.0, 14.0, -5.0], 0.3), ([-16.0, 7.0, 8.0], 1.1), ([4.0, -6.0, 19.0], 2.0), ([13.0, 3.0, 11.0], 0.7)];
        0.5 + 0.1 * waves.iter().map(|(k, phase)| wave(*k, *phase).sin()).sum::<f64>()
    }

    fn measured(colour: impl Fn(f64, f64) -> f64, up: bool) -> Pole {
        let rgb = canvas(colour);
        let picture = Equirect { size: SIZE, rgb: &rgb };
        pole(&picture, &Covered::from_black(&picture), up).unwrap()
    }

    #[test]
    fn a_sound_pole_is_like_any_other_place() {
        for up in [true, false] {
            let found = measured(texture, up);
            assert!((0.3..3.0).contains(&found.ring_ratio), "{found:?}");
            assert!((0.3..3.0).contains(&found.detail_ratio), "{found:?}");
            assert!(found.roll_difference.abs() < 0.02 && found.pole.roll_ssim > 0.97, "{found:?}");
        }
    }

    /// On a circle of radius r around a pole, the picture 0.5 + a·d_x is a wave of amplitude a sin r: variance a² sin² r / 2.
    #[test]
    fn ring_variance_of_a_gradient() {
        let rgb = canvas(|azimuth, elevation| 0.5 + 0.4 * azimuth.sin() * elevation.cos());
        let picture = Equirect { size: SIZE, rgb: &rgb };
        let look = Look { elevation: 90.0, ..Look::level(0.0, 30.0) };
        let expected = mean(RADII.map(|r| 0.5 * (0.4 * (r * std::f64::consts::PI / 512.0).sin()).powi(2)));
        assert!((ring_variance(&picture, &look) / expected - 1.0).abs() < 0.02);
    }

    /// A flat picture's texture, as wide at the pole as at the horizon.
    fn pinched(azimuth: f64, elevation: f64) -> f64 {
        0.5 + 0.2 * (40.0 * azimuth + 9.0 * elevation).sin() + 0.1 * (23.0 * azimuth - 31.0 * elevation).sin()
    }

    #[test]
    fn a_pinched_pole_is_found() {
        for up in [true, false] {
            let found = measured(pinched, up);
            assert!(found.ring_ratio > 1.2 && found.detail_ratio > 3.0, "{found:?}");
            assert!(found.roll_difference < -0.1, "{found:?}");
        }
    }

    #[test]
    fn wedges_that_meet_at_the_pole_are_found() {
        let wedge = |azimuth: f64| 0.15 * (azimuth * 5.0 / std::f64::consts::TAU + 2.5).floor() - 0.3;
        let smooth = |azimuth: f64, elevation: f64| 0.5 + 0.1 * (texture(azimuth, elevation) - 0.5);
        let sound = measured(smooth, true);
        let found = measured(|a, e| smooth(a, e) + if e > 0.0 { wedge(a) } else { 0.0 }, true);
        assert!((0.3..3.0).contains(&sound.ring_ratio) && found.ring_ratio > 5.0, "{sound:?} {found:?}");
        assert!(found.detail_ratio > 5.0, "{found:?}");
    }

    #[test]
    fn a_smeared_pole_is_found() {
        let found = measured(|a, e| if e > 1.2 { 0.5 } else { finer_texture(6.0, a, e) }, true);
        assert!(found.detail_ratio < 0.2 && found.ring_ratio < 0.2, "{found:?}");
    }

    #[test]
    fn what_is_not_covered_is_not_measured() {
        let rgb = canvas(|a, e| if e > 1.0 { 0.0 } else { texture(a, e) });
        let picture = Equirect { size: SIZE, rgb: &rgb };
        let covered = Covered::from_black(&picture);
        assert!(pole(&picture, &covered, true).is_none() && pole(&picture, &covered, false).is_some());
    }
}
