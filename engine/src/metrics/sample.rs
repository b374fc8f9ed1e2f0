//! Reading a panorama on the host, and sharpness.

use syncline_kernels::ops::project_renoise::Camera;

/// An equirectangular canvas of RGB values, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Equirect<'a> {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// `height · width · 3` values.
    pub rgb: &'a [f32],
}

impl Equirect<'_> {
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
        let length = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
        let x = (d[0].atan2(d[2]) / std::f64::consts::TAU + 0.5) * width - 0.5;
        let y = ((d[1] / length).asin() / std::f64::consts::PI + 0.5) * height - 0.5;
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let column = |k: f64| (x.floor() + k).rem_euclid(width) as usize % self.size[1];
        let row = |k: f64| (y.floor() + k).clamp(0.0, height - 1.0) as usize;
        let at = |ky: f64, kx: f64| self.texel(row(ky), column(kx)).map(f64::from);
        let (a, b, c, e) = (at(0.0, 0.0), at(0.0, 1.0), at(1.0, 0.0), at(1.0, 1.0));
        std::array::from_fn(|i| (1.0 - fy) * ((1.0 - fx) * a[i] + fx * b[i]) + fy * ((1.0 - fx) * c[i] + fx * e[i]))
    }
}

/// The view of a camera, `[h, w]` pixels, RGB row by row.
#[must_use]
pub fn perspective(canvas: &Equirect<'_>, camera: &Camera, [height, width]: [usize; 2]) -> Vec<f32> {
    let scale = f64::from(camera.size_px[1]) / height as f64;
    let ray = |y: usize, x: usize| {
        let u = ((x as f64 + 0.5) * scale - f64::from(camera.principal_px[0])) / f64::from(camera.focal_px);
        let v = ((y as f64 + 0.5) * scale - f64::from(camera.principal_px[1])) / f64::from(camera.focal_px);
        camera.rotation.map(|row| f64::from(row[0]) * u + f64::from(row[1]) * v + f64::from(row[2]))
    };
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    pixels.flat_map(|(y, x)| canvas.sample(ray(y, x)).map(|v| v as f32)).collect()
}

/// Mean absolute horizontal difference of an RGB image, over its inner part: `margin` pixels on each side are left out.
#[must_use]
pub fn sharpness(rgb: &[f32], [height, width]: [usize; 2], margin: usize) -> f64 {
    let (rows, columns) = (margin..height - margin, margin + 1..width - margin);
    let count = (rows.len() * columns.len() * 3).max(1);
    let difference = |y: usize, x: usize, c: usize| {
        let i = (y * width + x) * 3 + c;
        f64::from((rgb[i] - rgb[i - 3]).abs())
    };
    let sum: f64 = rows
        .flat_map(|y| columns.clone().flat_map(move |x| (0..3).map(move |c| (y, x, c))))
        .map(|(y, x, c)| difference(y, x, c))
        .sum();
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_kernels::ops::project_renoise::rotation;

    #[test]
    fn perspective_sees_the_direction_it_looks_at() {
        // Red grows with azimuth, green with latitude.
        let (height, width) = (180, 360);
        let rgb: Vec<f32> = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [(x as f32 + 0.5) / 360.0, (y as f32 + 0.5) / 180.0, 0.0]))
            .collect();
        let canvas = Equirect { size: [height, width], rgb: &rgb };
        let camera = Camera::centred(rotation(60f64.to_radians(), 20f64.to_radians(), 0.0), 1.0, [64, 64]);
        let view = perspective(&canvas, &camera, [65, 65]);
        let centre = &view[(32 * 65 + 32) * 3..];
        assert!((centre[0] - (0.5 + 60.0 / 360.0)).abs() < 0.01 && (centre[1] - (0.5 - 20.0 / 180.0)).abs() < 0.01);
    }

    #[test]
    fn sharpness_of_a_ramp_is_its_slope() {
        let rgb: Vec<f32> = (0..16).flat_map(|_| (0..16).flat_map(|x| [0.01 * x as f32; 3])).collect();
        assert!((sharpness(&rgb, [16, 16], 2) - 0.01).abs() < 1e-6);
    }
}
