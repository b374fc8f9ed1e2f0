//! Reading a panorama on the host.

use crate::error::{Error, Result};

/// Fewest rows of a panorama that is measured.
const MIN_HEIGHT: usize = 32;
/// Most rows.
const MAX_HEIGHT: usize = 16384;

/// An equirectangular canvas of RGB values, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Equirect<'a> {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// `height · width · 3` values.
    pub rgb: &'a [f32],
}

impl<'a> Equirect<'a> {
    /// A panorama of the whole sphere that measures can be taken of.
    ///
    /// # Errors
    /// When it is not twice as wide as high, has fewer than 32 or more than 16,384 rows, another number of values, or
    /// values that are NaN or infinite.
    pub fn checked(size: [usize; 2], rgb: &'a [f32]) -> Result<Self> {
        let [height, width] = size;
        let refuse = |found: String, expected: String| Error::Input { what: "panorama", found, expected };
        if width != height.saturating_mul(2) {
            return Err(refuse(format!("{width}x{height}"), "twice as wide as high (equirectangular, 2:1)".into()));
        }
        if !(MIN_HEIGHT..=MAX_HEIGHT).contains(&height) {
            return Err(refuse(format!("{width}x{height}"), format!("a height of {MIN_HEIGHT} to {MAX_HEIGHT}")));
        }
        if rgb.len() != height * width * 3 {
            let expected = format!("{} for {width}x{height} RGB", height * width * 3);
            return Err(refuse(format!("{} values", rgb.len()), expected));
        }
        let bad = rgb.iter().filter(|v| !v.is_finite()).count();
        if bad > 0 {
            return Err(refuse(format!("{bad} NaN or infinite values"), "finite values".into()));
        }
        Ok(Self { size, rgb })
    }

    /// Latitude of a row's centre in degrees, positive below the horizon.
    #[must_use]
    pub fn latitude(&self, y: usize) -> f64 {
        ((y as f64 + 0.5) / self.size[0] as f64 - 0.5) * 180.0
    }

    /// One texel.
    #[must_use]
    pub fn texel(&self, y: usize, x: usize) -> [f32; 3] {
        let i = (y * self.size[1] + x) * 3;
        [self.rgb[i], self.rgb[i + 1], self.rgb[i + 2]]
    }

    /// Bilinear value in a direction (x right, y down, z forward), continuing across the wrap.
    #[must_use]
    pub fn sample(&self, d: [f64; 3]) -> [f64; 3] {
        let [height, width] = self.size.map(|n| n as f64);
        let [y, x] = place(self.size, d).map(|p| p - 0.5);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let column = |k: f64| (x.floor() + k).rem_euclid(width) as usize % self.size[1];
        let row = |k: f64| (y.floor() + k).clamp(0.0, height - 1.0) as usize;
        let at = |ky: f64, kx: f64| self.texel(row(ky), column(kx)).map(f64::from);
        let (a, b, c, e) = (at(0.0, 0.0), at(0.0, 1.0), at(1.0, 0.0), at(1.0, 1.0));
        std::array::from_fn(|i| (1.0 - fy) * ((1.0 - fx) * a[i] + fx * b[i]) + fy * ((1.0 - fx) * c[i] + fx * e[i]))
    }
}

/// `[row, column]` of a direction in texels; texel centres are at + 0.5.
pub(super) fn place(size: [usize; 2], d: [f64; 3]) -> [f64; 2] {
    let [height, width] = size.map(|n| n as f64);
    let length = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
    let x = (d[0].atan2(d[2]) / std::f64::consts::TAU + 0.5) * width;
    // Rounding may carry the sine past 1 at a pole.
    let y = ((d[1] / length).clamp(-1.0, 1.0).asin() / std::f64::consts::PI + 0.5) * height;
    [y, x]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_panorama_is_refused_with_numbers() {
        let refused = |size: [usize; 2], rgb: &[f32]| Equirect::checked(size, rgb).unwrap_err().to_string();
        assert!(refused([64, 100], &[]).contains("found 100x64, expected twice as wide as high"));
        assert!(refused([16, 32], &[]).contains("found 32x16, expected a height of 32 to 16384"));
        assert!(refused([usize::MAX, 2], &[]).contains("expected twice"));
        assert!(refused([32, 64], &[0.0; 7]).contains("found 7 values, expected 6144 for 64x32 RGB"));
        let mut rgb = vec![0.5; 32 * 64 * 3];
        assert!(Equirect::checked([32, 64], &rgb).is_ok());
        (rgb[5], rgb[9]) = (f32::NAN, f32::INFINITY);
        assert!(refused([32, 64], &rgb).contains("found 2 NaN or infinite values"));
    }

    #[test]
    fn poles_are_read_without_leaving_the_picture() {
        let rgb: Vec<f32> = (0..32 * 64 * 3).map(|i| (i / 192) as f32).collect();
        let canvas = Equirect { size: [32, 64], rgb: &rgb };
        for d in [[0.0, -1.0, 0.0], [1e-300, -1.0, -1e-300], [1e-9, -1.0 - 1e-16, 0.0]] {
            assert_eq!(canvas.sample(d), [0.0; 3]);
        }
        assert_eq!(canvas.sample([0.0, 1.0, 0.0]), [31.0; 3]);
    }
}
