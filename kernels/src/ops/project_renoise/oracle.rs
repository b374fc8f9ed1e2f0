//! The panorama's geometry in f64 with the library's trigonometry, and the gather written from the formula.

use std::f64::consts::{PI, TAU};

use super::Camera;

/// Canvas position, in texels, of pixel position `p` of a view `size` = (width, height) pixels large.
pub(crate) fn canvas_position(camera: &Camera, p: [f64; 2], size: [f64; 2], canvas: [usize; 2]) -> [f64; 2] {
    let f = f64::from;
    let focal = f(camera.focal_px);
    let u = (p[0] * f(camera.size_px[0]) / size[0] - f(camera.principal_px[0])) / focal;
    let v = (p[1] * f(camera.size_px[1]) / size[1] - f(camera.principal_px[1])) / focal;
    let d = camera.rotation.map(|row| f(row[0]) * u + f(row[1]) * v + f(row[2]));
    let lon = d[0].atan2(d[2]);
    let lat = (d[1] / (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt()).asin();
    [(lon / TAU + 0.5) * canvas[1] as f64, (lat / PI + 0.5) * canvas[0] as f64]
}

/// Tangents and cosine of texel (row, column) in a camera; none behind it.
pub(crate) fn view_tangent(camera: &Camera, row: usize, column: usize, canvas: [usize; 2]) -> Option<([f64; 2], f64)> {
    let lon = ((column as f64 + 0.5) / canvas[1] as f64 - 0.5) * TAU;
    let lat = ((row as f64 + 0.5) / canvas[0] as f64 - 0.5) * PI;
    let d = [lon.sin() * lat.cos(), lat.sin(), lon.cos() * lat.cos()];
    let axis = |j: usize| (0..3).map(|i| f64::from(camera.rotation[i][j]) * d[i]).sum::<f64>();
    let (x, y, z) = (axis(0), axis(1), axis(2));
    (z > 0.0).then(|| ([x / z, y / z], z / (x * x + y * y + z * z).sqrt()))
}

/// Pixel position of tangents in a view `size` = (width, height) pixels large.
pub(crate) fn view_position(camera: &Camera, tangent: [f64; 2], size: [f64; 2]) -> [f64; 2] {
    [0, 1].map(|k| {
        (tangent[k] * f64::from(camera.focal_px) + f64::from(camera.principal_px[k])) * size[k]
            / f64::from(camera.size_px[k])
    })
}

/// The element of an image `[h, w, C]` at integer position, wrapped or clamped in x, clamped in y.
pub(crate) fn element(image: &[f64], dims: [usize; 3], x: f64, y: f64, c: usize, wrap: bool) -> f64 {
    let (h, w) = (dims[0] as f64, dims[1] as f64);
    let column = if wrap { x.rem_euclid(w) } else { x.clamp(0.0, w - 1.0) };
    image[(y.clamp(0.0, h - 1.0) as usize * dims[1] + column as usize) * dims[2] + c]
}

/// Sample of an image `[h, w, C]` at a position.
pub(crate) fn sample(image: &[f64], dims: [usize; 3], at: [f64; 2], c: usize, bilinear: bool, wrap: bool) -> f64 {
    let get = |x: f64, y: f64| element(image, dims, x, y, c, wrap);
    if !bilinear {
        return get(at[0].floor(), at[1].floor());
    }
    let (x, y) = (at[0] - 0.5, at[1] - 0.5);
    let (x0, y0) = (x.floor(), y.floor());
    (1.0 - (y - y0)) * ((1.0 - (x - x0)) * get(x0, y0) + (x - x0) * get(x0 + 1.0, y0))
        + (y - y0) * ((1.0 - (x - x0)) * get(x0, y0 + 1.0) + (x - x0) * get(x0 + 1.0, y0 + 1.0))
}

/// Whether nearest sampling at this position may fall into another element by rounding.
pub(crate) fn near_border(at: [f64; 2], tolerance: f64) -> bool {
    at.iter().any(|v| (v - v.round()).abs() < tolerance)
}
