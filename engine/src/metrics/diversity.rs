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

/// Distances of pictures of one size; `None` for fewer than two.
///
/// # Panics
/// When the sizes differ or a side is below SSIM's window.
#[must_use]
pub fn diversity(pictures: &[&[f32]], size: [usize; 2]) -> Option<Diversity> {
    let pairs: Vec<(usize, usize)> =
        (0..pictures.len()).flat_map(|i| (i + 1..pictures.len()).map(move |k| (i, k))).collect();
    let rms = |(i, k): &(usize, usize)| {
        assert_eq!(pictures[*i].len(), pictures[*k].len(), "diversity of pictures of one size");
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        mean(pictures[*i].iter().zip(pictures[*k]).map(square)).sqrt()
    };
    (!pairs.is_empty()).then(|| Diversity {
        rms: mean(pairs.iter().map(rms)),
        ssim_distance: mean(pairs.iter().map(|(i, k)| 1.0 - ssim(pictures[*i], pictures[*k], size))),
        pairs: pairs.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_flat_pictures() {
        let pictures = [0.2f32, 0.3, 0.5].map(|v| vec![v; 12 * 16 * 3]);
        let views: Vec<&[f32]> = pictures.iter().map(Vec::as_slice).collect();
        let found = diversity(&views, [12, 16]).unwrap();
        assert!((found.rms - (0.1 + 0.3 + 0.2) / 3.0).abs() < 1e-6 && found.pairs == 3);
        let flat = |a: f64, b: f64| 1.0 - (2.0 * a * b + 1e-4) / (a * a + b * b + 1e-4);
        let expected = (flat(0.2, 0.3) + flat(0.2, 0.5) + flat(0.3, 0.5)) / 3.0;
        assert!((found.ssim_distance - expected).abs() < 1e-6);
        assert_eq!(diversity(&views[..1], [12, 16]), None);
        let same = diversity(&[views[0], views[0]], [12, 16]).unwrap();
        assert!(same.rms == 0.0 && same.ssim_distance.abs() < 1e-12);
    }
}
