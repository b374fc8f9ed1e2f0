//! Whether different seeds give different pictures.

use super::plane::mean;
use super::ssim::ssim;

/// Mean distances over all pairs of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Diversity {
    /// Root of the mean squared difference of RGB 0..=1.
    pub rms: f64,
    /// 1 − SSIM of brightness.
    pub ssim_distance: f64,
    /// Pairs compared.
    pub pairs: usize,
}

/// Distances of pictures, each given as the same number of views of one size that are compared view by view; `None` for
/// fewer than two pictures or no views.
///
/// # Panics
/// When numbers or sizes of views differ or a side is below SSIM's window.
#[must_use]
pub fn diversity(pictures: &[&[Vec<f32>]], size: [usize; 2]) -> Option<Diversity> {
    let views = pictures.first().map_or(0, |views| views.len());
    assert!(pictures.iter().all(|p| p.len() == views), "diversity: pictures of equally many views");
    let pairs: Vec<(usize, usize)> =
        (0..pictures.len()).flat_map(|i| (i + 1..pictures.len()).map(move |k| (i, k))).collect();
    if pairs.is_empty() || views == 0 {
        return None;
    }
    let rms = |(i, k): &(usize, usize)| {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let view = |(a, b): (&Vec<f32>, &Vec<f32>)| {
            assert_eq!(a.len(), b.len(), "diversity: views of one size");
            mean(a.iter().zip(b).map(square))
        };
        mean(pictures[*i].iter().zip(pictures[*k]).map(view)).sqrt()
    };
    let distance =
        |(i, k): &(usize, usize)| mean(pictures[*i].iter().zip(pictures[*k]).map(|(a, b)| 1.0 - ssim(a, b, size)));
    Some(Diversity {
        rms: mean(pairs.iter().map(rms)),
        ssim_distance: mean(pairs.iter().map(distance)),
        pairs: pairs.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_flat_pictures() {
        let pictures = [0.2f32, 0.3, 0.5].map(|v| [vec![v; 12 * 16 * 3], vec![v; 12 * 16 * 3]]);
        let views: Vec<&[Vec<f32>]> = pictures.iter().map(|p| &p[..]).collect();
        let found = diversity(&views, [12, 16]).unwrap();
        assert!((found.rms - (0.1 + 0.3 + 0.2) / 3.0).abs() < 1e-6 && found.pairs == 3);
        let flat = |a: f64, b: f64| 1.0 - (2.0 * a * b + 1e-4) / (a * a + b * b + 1e-4);
        let expected = (flat(0.2, 0.3) + flat(0.2, 0.5) + flat(0.3, 0.5)) / 3.0;
        assert!((found.ssim_distance - expected).abs() < 1e-6);
        assert_eq!(diversity(&views[..1], [12, 16]), None);
        assert_eq!(diversity(&[&[], &[]], [12, 16]), None);
        let same = diversity(&[views[0], views[0]], [12, 16]).unwrap();
        assert!(same.rms == 0.0 && same.ssim_distance.abs() < 1e-12);
    }

    #[test]
    fn views_are_compared_in_their_order() {
        let (dark, light) = (vec![0.2f32; 12 * 12 * 3], vec![0.6f32; 12 * 12 * 3]);
        let (a, b) = ([dark.clone(), light.clone()], [light, dark]);
        assert!((diversity(&[&a, &b], [12, 12]).unwrap().rms - 0.4).abs() < 1e-6);
    }
}
