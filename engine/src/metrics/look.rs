//! Directions on the sphere: cameras and circles of the measures. x right, y down, z forward, azimuth to the right,
//! elevation up.

use super::Equirect;

/// A square pinhole camera in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// To the right.
    pub azimuth: f64,
    /// Upwards.
    pub elevation: f64,
    /// About the axis.
    pub roll: f64,
    /// Full angle from edge to edge.
    pub fov: f64,
}

impl Look {
    /// Level, without roll.
    #[must_use]
    pub fn level(azimuth: f64, fov: f64) -> Self {
        Self { azimuth, elevation: 0.0, roll: 0.0, fov }
    }

    /// Camera axes in the world: right, down, forward.
    #[must_use]
    pub fn axes(&self) -> [[f64; 3]; 3] {
        let sin_cos = |degrees: f64| degrees.to_radians().sin_cos();
        let ((sa, ca), (se, ce), (sr, cr)) = (sin_cos(self.azimuth), sin_cos(self.elevation), sin_cos(self.roll));
        let (right, down) = ([ca, 0.0, -sa], [sa * se, ce, ca * se]);
        let forward = [sa * ce, -se, ca * ce];
        let turned = |a: f64, b: f64| std::array::from_fn(|i| a * right[i] + b * down[i]);
        [turned(cr, sr), turned(-sr, cr), forward]
    }

    /// Directions of the pixels of a picture of `side` by `side`, row by row.
    pub fn rays(&self, side: usize) -> impl Iterator<Item = [f64; 3]> {
        let [right, down, forward] = self.axes();
        let half = (0.5 * self.fov).to_radians().tan();
        let place = move |i: usize| ((i as f64 + 0.5) / side as f64 * 2.0 - 1.0) * half;
        (0..side * side).map(move |i| {
            let (u, v) = (place(i % side), place(i / side));
            std::array::from_fn(|k| u * right[k] + v * down[k] + forward[k])
        })
    }

    /// The view, RGB row by row. Where a pixel is k > 2 texels wide, it is the mean of (k / 2)² samples, rounded down and at
    /// most 8²: one alone would pick texels at random.
    #[must_use]
    pub fn view(&self, canvas: &Equirect<'_>, side: usize) -> Vec<f32> {
        let texel = std::f64::consts::PI / canvas.size[0] as f64;
        let texels = 2.0 * (0.5 * self.fov).to_radians().tan() / texel / side as f64;
        let finer = ((0.5 * texels) as usize).clamp(1, 8);
        let mut sums = vec![[0.0; 3]; side * side];
        for (i, ray) in self.rays(side * finer).enumerate() {
            let pixel = &mut sums[i / (side * finer) / finer * side + i % (side * finer) / finer];
            pixel.iter_mut().zip(canvas.sample(ray)).for_each(|(sum, value)| *sum += value);
        }
        let samples = (finer * finer) as f64;
        sums.iter().flat_map(|sum| sum.map(|v| (v / samples) as f32)).collect()
    }

    /// Share of the view's pixels that lie in covered texels.
    #[must_use]
    pub fn covered(&self, covered: &Covered, side: usize) -> f64 {
        let seen = self.rays(side).filter(|ray| covered.at(*ray)).count();
        seen as f64 / (side * side) as f64
    }

    /// `count` directions on a circle of `radius` degrees around the axis.
    pub fn circle(&self, radius: f64, count: usize) -> impl Iterator<Item = [f64; 3]> {
        let [right, down, forward] = self.axes();
        let (s, c) = radius.to_radians().sin_cos();
        (0..count).map(move |i| {
            let (sp, cp) = (std::f64::consts::TAU * i as f64 / count as f64).sin_cos();
            std::array::from_fn(|k| c * forward[k] + s * (cp * right[k] + sp * down[k]))
        })
    }
}

/// Which texels of an equirectangular picture hold anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// `[height, width]`.
    pub size: [usize; 2],
    mask: Vec<bool>,
}

impl Covered {
    /// From the weights of fusion; more than 0 is covered.
    ///
    /// # Panics
    /// When there are not `height · width` of them.
    #[must_use]
    pub fn from_weights(size: [usize; 2], weights: &[f32]) -> Self {
        assert_eq!(weights.len(), size[0] * size[1], "coverage of a canvas of {size:?}");
        Self { size, mask: weights.iter().map(|w| *w > 0.0).collect() }
    }

    /// From the picture alone: in every column, the exactly black texels from the upper edge downwards and from the lower
    /// edge upwards hold nothing. Black elsewhere is content.
    #[must_use]
    pub fn from_black(canvas: &Equirect<'_>) -> Self {
        let [height, width] = canvas.size;
        let mut mask = vec![true; height * width];
        for x in 0..width {
            let black = |y: &usize| canvas.texel(*y, x) == [0.0; 3];
            for y in (0..height).take_while(black) {
                mask[y * width + x] = false;
            }
            for y in (0..height).rev().take_while(black) {
                mask[y * width + x] = false;
            }
        }
        Self { size: canvas.size, mask }
    }

    /// Whether a texel is covered.
    #[must_use]
    pub fn texel(&self, y: usize, x: usize) -> bool {
        self.mask[y * self.size[1] + x]
    }

    /// Whether the texel in a direction is covered.
    #[must_use]
    pub fn at(&self, direction: [f64; 3]) -> bool {
        let [y, x] = super::sample::place(self.size, direction);
        let [height, width] = self.size;
        let row = (y.floor().max(0.0) as usize).min(height - 1);
        self.texel(row, (x.floor().rem_euclid(width as f64)) as usize % width)
    }

    /// Covered texels, whatever their area on the sphere.
    #[must_use]
    pub fn of_canvas(&self) -> f64 {
        self.mask.iter().filter(|covered| **covered).count() as f64 / self.mask.len() as f64
    }

    /// Covered share of the sphere: rows count with the cosine of their latitude.
    #[must_use]
    pub fn of_sphere(&self) -> f64 {
        let [height, width] = self.size;
        let weight = |y: usize| (((y as f64 + 0.5) / height as f64 - 0.5) * std::f64::consts::PI).cos();
        let covered = |y: usize| (0..width).filter(|x| self.texel(y, *x)).count() as f64 / width as f64;
        let all: f64 = (0..height).map(weight).sum();
        (0..height).map(|y| weight(y) * covered(y)).sum::<f64>() / all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_those_of_the_kernels_rotation() {
        for (azimuth, elevation, roll) in [(30f64, 20f64, 10f64), (-100.0, 90.0, 45.0), (200.0, -35.0, -170.0)] {
            let axes = Look { azimuth, elevation, roll, fov: 60.0 }.axes();
            let [a, e, r] = [azimuth, elevation, roll].map(f64::to_radians);
            let rotation = syncline_kernels::ops::project_renoise::rotation(a, e, r);
            for (i, row) in rotation.iter().enumerate() {
                for (k, axis) in axes.iter().enumerate() {
                    assert!((row[k] - axis[i]).abs() < 1e-12, "{azimuth} {elevation} {roll}");
                }
            }
        }
    }

    #[test]
    fn wide_pixels_are_means() {
        // Noise of deviation 0.29; a bilinear sample has at least 1/2 of it, the mean of 7 x 7 less than 1/7 of that.
        let noise = |i: u32| i.wrapping_mul(i).wrapping_add(17 * i).wrapping_mul(2_654_435_761) as f32 / 2f32.powi(32);
        let rgb: Vec<f32> = (0..512 * 1024).flat_map(|i| [noise(i); 3]).collect();
        let canvas = Equirect { size: [512, 1024], rgb: &rgb };
        let view = Look::level(10.0, 72.0).view(&canvas, 16);
        let luma = crate::metrics::Plane::luma(&view, [16, 16]);
        let deviation = crate::metrics::plane::variance(&luma.values).sqrt();
        assert!((0.005..0.05).contains(&deviation), "{deviation}");
        assert_eq!(view.len(), 16 * 16 * 3);
    }

    #[test]
    fn circles_keep_their_angle() {
        let look = Look { azimuth: 77.0, elevation: -50.0, roll: 5.0, fov: 40.0 };
        let forward = look.axes()[2];
        for d in look.circle(6.0, 7) {
            let cosine: f64 = (0..3).map(|i| d[i] * forward[i]).sum();
            assert!((cosine - 6f64.to_radians().cos()).abs() < 1e-12);
        }
    }

    #[test]
    fn black_edges_hold_nothing_and_black_inside_does() {
        let (height, width) = (8, 16);
        let mut rgb = vec![0.5f32; height * width * 3];
        let mut blacken = |y: usize, x: usize| rgb[(y * width + x) * 3..][..3].fill(0.0);
        (0..width).for_each(|x| (0..2).for_each(|y| blacken(y, x)));
        blacken(4, 3);
        blacken(7, 5);
        let covered = Covered::from_black(&Equirect { size: [height, width], rgb: &rgb });
        assert!(!covered.texel(1, 9) && covered.texel(2, 9) && covered.texel(4, 3) && !covered.texel(7, 5));
        assert!((covered.of_canvas() - (6.0 * 16.0 - 1.0) / 128.0).abs() < 1e-12);
        assert!(covered.at([0.0, 0.0, 1.0]) && !covered.at([0.0, -1.0, 0.0]) && covered.at([0.0, 1.0, 0.0]));
        assert!((Look::level(0.0, 72.0).covered(&covered, 16) - 1.0).abs() < 1e-12);
        assert!((Look { elevation: 90.0, ..Look::level(0.0, 20.0) }).covered(&covered, 16) < 1e-12);
        // All but the two upper rows, and one texel: the rows hold 1 - sin(45°) of half the sphere.
        let whole = Covered::from_weights([512, 1024], &vec![1.0; 512 * 1024]);
        assert!((whole.of_sphere() - 1.0).abs() < 1e-12);
        let lower: Vec<f32> = (0..512 * 1024).map(|i| if i / 1024 < 128 { 0.0 } else { 1.0 }).collect();
        let expected = 0.5 * (1.0 + 45f64.to_radians().sin());
        assert!((Covered::from_weights([512, 1024], &lower).of_sphere() - expected).abs() < 1e-4);
    }
}
