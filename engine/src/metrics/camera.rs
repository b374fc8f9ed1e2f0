//! The one place where measures know the cameras of the kernels.

use syncline_kernels::ops::project_renoise::Camera;

use super::Equirect;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Look;
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
        let look = Look { azimuth: 60.0, elevation: 20.0, roll: 0.0, fov: 1f64.to_degrees() };
        assert!(look.view(&canvas, 65).iter().zip(&view).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
