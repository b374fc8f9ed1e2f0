//! Sectors of the sphere with prompts of their own.

use syncline::jobs::Regions;

use crate::args::RegionArg;
use crate::exit::Failure;

/// Degrees over which neighbouring sectors ramp into each other: a cut would leave a line.
const RAMP: f64 = 12.0;

/// Weights of the sectors on an equirectangular canvas; when `rest`, first of all of what they leave, if anything: the second
/// value says so.
///
/// # Errors
/// With code 2 when sectors overlap, with the numbers.
pub fn sectors(sectors: &[RegionArg], [height, width]: [usize; 2], mut rest: bool) -> Result<(Regions, bool), Failure> {
    let texels = height * width;
    let hard: Vec<Vec<bool>> = sectors
        .iter()
        .map(|s| each(height, width).map(|at| inside(s, at).iter().all(|d| *d >= 0.0)).collect())
        .collect();
    for (i, a) in hard.iter().enumerate() {
        for (j, b) in hard.iter().enumerate().skip(i + 1) {
            let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
            if both > 0 {
                let share = 100.0 * both as f64 / texels as f64;
                return Err(Failure::usage(format!(
                    "regions {} and {}: found {both} texels ({share:.1} %) in both, expected sectors that do not overlap",
                    sectors[i], sectors[j]
                )));
            }
        }
    }
    let mut weights = Vec::new();
    let mut left = vec![1.0f32; texels];
    for sector in sectors {
        let own: Vec<f32> = each(height, width).map(|at| weight(sector, at)).collect();
        left.iter_mut().zip(&own).for_each(|(left, own)| *left = (*left - own).max(0.0));
        weights.extend(own);
    }
    left.iter_mut().filter(|w| **w < 1e-4).for_each(|w| *w = 0.0);
    rest &= left.iter().any(|w| *w > 0.0);
    if rest {
        weights.splice(0..0, left);
    }
    let count = sectors.len() + usize::from(rest);
    normalise(&mut weights, texels, count);
    Ok((Regions { count, weights }, rest))
}

/// Three sectors that meet in a corner give a little more or less than one there; holes stay holes.
fn normalise(weights: &mut [f32], texels: usize, count: usize) {
    for i in 0..texels {
        let sum: f32 = (0..count).map(|r| weights[r * texels + i]).sum();
        if sum > 0.5 {
            (0..count).for_each(|r| weights[r * texels + i] /= sum);
        }
    }
}

/// Azimuth and elevation of every texel.
fn each(height: usize, width: usize) -> impl Iterator<Item = [f64; 2]> {
    let azimuth = move |x: usize| 360.0 * ((x as f64 + 0.5) / width as f64 - 0.5);
    let elevation = move |y: usize| 180.0 * (0.5 - (y as f64 + 0.5) / height as f64);
    (0..height).flat_map(move |y| (0..width).map(move |x| [azimuth(x), elevation(y)]))
}

/// Degrees to the borders in azimuth and elevation, positive inside; infinite where there is no border.
fn inside(sector: &RegionArg, [azimuth, elevation]: [f64; 2]) -> [f64; 2] {
    let [from, to] = sector.azimuth;
    let across = if to - from >= 360.0 {
        f64::INFINITY
    } else {
        let past = (azimuth - from).rem_euclid(360.0);
        let span = to - from;
        if past <= span { past.min(span - past) } else { -(past - span).min(360.0 - past) }
    };
    let [low, high] = sector.elevation;
    let below = if low <= -90.0 { f64::INFINITY } else { elevation - low };
    let above = if high >= 90.0 { f64::INFINITY } else { high - elevation };
    [across, below.min(above)]
}

fn weight(sector: &RegionArg, at: [f64; 2]) -> f32 {
    let ramp = |distance: f64| (0.5 + distance / RAMP).clamp(0.0, 1.0);
    let [across, up] = inside(sector, at).map(ramp);
    (across * up) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(azimuth: [f64; 2], elevation: [f64; 2]) -> RegionArg {
        RegionArg { azimuth, elevation, prompt: String::new() }
    }

    const ALL: [f64; 2] = [-90.0, 90.0];
    const SIZE: [usize; 2] = [32, 64];

    fn sums(regions: &Regions) -> Vec<f32> {
        let texels = SIZE[0] * SIZE[1];
        (0..texels).map(|i| regions.weights[i..].iter().step_by(texels).sum()).collect()
    }

    #[test]
    fn the_rest_takes_what_is_left() {
        let (regions, _) = sectors(&[sector([-45.0, 45.0], ALL)], SIZE, true).unwrap();
        assert!(regions.count == 2 && sums(&regions).iter().all(|s| (s - 1.0).abs() < 1e-5));
        let texels = SIZE[0] * SIZE[1];
        let (rest, own) = regions.weights.split_at(texels);
        let row = 16 * 64;
        assert_eq!((rest[row], own[row]), (1.0, 0.0), "the back");
        assert_eq!((rest[row + 32], own[row + 32]), (0.0, 1.0), "the front");
        assert!((own[row + 24] - 0.5).abs() < 0.3, "the border");
    }

    #[test]
    fn neighbours_share_their_border_and_turns_end_where_they_began() {
        let around = [sector([0.0, 120.0], ALL), sector([120.0, 240.0], ALL), sector([-120.0, 0.0], ALL)];
        let (regions, rest) = sectors(&around, SIZE, true).unwrap();
        assert!(!rest && regions.count == 3 && sums(&regions).iter().all(|s| (s - 1.0).abs() < 1e-5));
        let sky = [sector([0.0, 360.0], [0.0, 90.0]), sector([0.0, 360.0], [-90.0, 0.0])];
        assert!(sums(&sectors(&sky, SIZE, false).unwrap().0).iter().all(|s| (s - 1.0).abs() < 1e-5));
    }

    #[test]
    fn overlaps_are_told_in_numbers() {
        let both = [sector([0.0, 90.0], ALL), sector([45.0, 135.0], ALL)];
        let message = sectors(&both, SIZE, true).unwrap_err().to_string();
        assert!(
            message.starts_with("regions 0..90,-90..90 and 45..135,-90..90: found 256 texels (12.5 %) in both"),
            "{message}"
        );
    }

    #[test]
    fn holes_stay_holes() {
        let (half, _) = sectors(&[sector([0.0, 180.0], ALL)], SIZE, false).unwrap();
        assert!(sums(&half).iter().filter(|s| **s < 0.01).count() > 900);
    }
}
