//! The geometries in f64 with the library's trigonometry, and sampling, written from the formulas.

use std::f64::consts::{PI, TAU};

use super::{Camera, Face, Geometry, TorusPatch, ViewWords, Window, rotation};
use crate::check::Draw;

/// A view of any space.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Camera(Camera),
    Face(Face),
    Window(Window),
    Torus(TorusPatch),
}

/// A view, and how much of it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) place: Place,
    pub(crate) words: ViewWords,
}

/// A texel's place in a view: fractions of the used half field, the cosine, and pixels.
pub(crate) struct Seen {
    pub(crate) share: [f64; 2],
    pub(crate) cosine: f64,
    pub(crate) position: [f64; 2],
}

fn nearest_image(away: f64, period: f64) -> f64 {
    away - period * (away / period).round()
}

fn world(rotation: &[[f32; 3]; 3], d: [f64; 3]) -> [f64; 3] {
    rotation.map(|row| (0..3).map(|k| f64::from(row[k]) * d[k]).sum())
}

fn on_equirect(d: [f64; 3], canvas: [usize; 2]) -> [f64; 2] {
    let lat = (d[1] / (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt()).asin();
    [(d[0].atan2(d[2]) / TAU + 0.5) * canvas[1] as f64, (lat / PI + 0.5) * canvas[0] as f64]
}

/// Direction of a texel's centre in the axes of a camera.
fn in_camera(rotation: &[[f32; 3]; 3], row: usize, column: usize, canvas: [usize; 2]) -> [f64; 3] {
    let lon = ((column as f64 + 0.5) / canvas[1] as f64 - 0.5) * TAU;
    let lat = ((row as f64 + 0.5) / canvas[0] as f64 - 0.5) * PI;
    let d = [lon.sin() * lat.cos(), lat.sin(), lon.cos() * lat.cos()];
    [0, 1, 2].map(|j| (0..3).map(|i| f64::from(rotation[i][j]) * d[i]).sum::<f64>())
}

fn stretch(theta: f64, r: f64) -> f64 {
    2.0 * r / (r + 1.0 + (r - 1.0) * theta.cos())
}

/// Spans of a torus patch in turns, without the stretch.
fn spans(patch: &TorusPatch) -> [f64; 2] {
    [patch.fov / 360.0 * 0.5 * (1.0 - 1.0 / patch.ratio), patch.fov / 360.0]
}

impl From<Place> for Placed {
    fn from(place: Place) -> Self {
        let words = match &place {
            Place::Camera(camera) => camera.words(),
            Place::Face(face) => face.words(),
            Place::Window(window) => window.words(),
            Place::Torus(patch) => patch.words(),
        };
        Self { place, words }
    }
}

impl Placed {
    /// A view somewhere on a canvas [height, width]; `size` = (width, height) of the view in its own units.
    pub(crate) fn random(geometry: Geometry, draw: &mut Draw, size: [usize; 2], canvas: [usize; 2]) -> Self {
        let mut angle = || (2.0 * draw.unit() - 1.0) * PI;
        let turn = rotation(angle(), 0.5 * angle(), angle());
        let rows = turn.map(|row| row.map(|v| v as f32));
        Self::from(match geometry {
            Geometry::Equirect => Place::Camera(Camera::centred(turn, 0.2 + 1.8 * draw.unit(), size)),
            Geometry::EquiAngular => {
                let fov = 20.0 + 90.0 * draw.unit();
                Place::Face(Face { rotation: rows, fov, size: size[0], used_fov: fov })
            }
            Geometry::Torus => Place::Torus(TorusPatch {
                middle: [360.0 * draw.unit(), 360.0 * draw.unit() - 180.0],
                ratio: 1.5 + 2.0 * draw.unit(),
                fov: 80.0 + 160.0 * draw.unit(),
                size,
            }),
            Geometry::Windows => {
                // A canvas twice the size of the tensor it is read from, so that words and tensors differ.
                let whole = [2 * canvas[1], 2 * canvas[0]];
                let wrap = [draw.below(2) == 1, draw.below(2) == 1];
                let scale = [0, 1].map(|k| {
                    let free = draw.pick(&[0.5, 1.0, 1.75]);
                    if wrap[k] { f64::min(free, 0.999 * whole[k] as f64 / size[k] as f64) } else { free }
                });
                // Origins in 1024ths are exact in f32; on a canvas that does not wrap near its border or inside.
                let origin = [0, 1].map(|k| {
                    let periods = if wrap[k] { [3, 1024] } else { [1, 256] };
                    (draw.below(1024 * periods[0] * whole[k]) as f64 - (periods[1] * whole[k]) as f64) / 1024.0
                });
                Place::Window(Window { origin, size, scale, canvas: whole, wrap })
            }
        })
    }

    /// The same view, of which a part is used.
    pub(crate) fn inner(mut self, share: [f64; 2]) -> Self {
        let used = self.words.used();
        self.words = self.words.using([0, 1].map(|k| (f64::from(used[k]) * share[k]) as f32));
        self
    }

    /// Whether the canvas wraps in x and y.
    pub(crate) fn wraps(&self) -> [bool; 2] {
        match self.place {
            Place::Camera(_) | Place::Face(_) => [true, false],
            Place::Window(window) => window.wrap,
            Place::Torus(_) => [true, true],
        }
    }

    /// Canvas position, in texels, of pixel position `p` of a view `size` = (width, height) pixels large.
    pub(crate) fn canvas_position(&self, p: [f64; 2], size: [f64; 2], canvas: [usize; 2]) -> [f64; 2] {
        let f = f64::from;
        match &self.place {
            Place::Camera(c) => {
                let [x, y] = [0, 1].map(|k| (p[k] * f(c.size_px[k]) / size[k] - f(c.principal_px[k])) / f(c.focal_px));
                on_equirect(world(&c.rotation, [x, y, 1.0]), canvas)
            }
            Place::Face(face) => {
                let angle = |k: usize| ((p[k] / size[k] - 0.5) * face.fov).to_radians();
                on_equirect(world(&face.rotation, [angle(0).tan(), angle(1).tan(), 1.0]), canvas)
            }
            Place::Window(w) => [0, 1].map(|k| {
                let extent = w.size[k] as f64 * w.scale[k];
                (w.origin[k] + p[k] / size[k] * extent) * canvas[1 - k] as f64 / w.canvas[k] as f64
            }),
            Place::Torus(t) => {
                let span = spans(t);
                let theta = t.middle[1] / 360.0 + span[1] * (p[1] / size[1] - 0.5);
                let phi = t.middle[0] / 360.0 + span[0] * (p[0] / size[0] - 0.5) * stretch(theta * TAU, t.ratio);
                [(phi + 0.5).rem_euclid(1.0) * canvas[1] as f64, (theta + 0.5).rem_euclid(1.0) * canvas[0] as f64]
            }
        }
    }

    /// Texel (row, column) in a view `size` = (width, height) pixels large; none behind it.
    pub(crate) fn seen(&self, row: usize, column: usize, canvas: [usize; 2], size: [f64; 2]) -> Option<Seen> {
        let used = self.words.used().map(f64::from);
        let texel = [column as f64 + 0.5, row as f64 + 0.5];
        let flat = |share: [f64; 2]| 1.0 / (1.0 + share[0] * share[0] + share[1] * share[1]).sqrt();
        match &self.place {
            Place::Camera(Camera { rotation, .. }) | Place::Face(Face { rotation, .. }) => {
                let d = in_camera(rotation, row, column, canvas);
                if d[2] <= 0.0 {
                    return None;
                }
                let tangent = [d[0] / d[2], d[1] / d[2]];
                let position = [0, 1].map(|k| match &self.place {
                    Place::Camera(c) => {
                        (tangent[k] * f64::from(c.focal_px) + f64::from(c.principal_px[k])) * size[k]
                            / f64::from(c.size_px[k])
                    }
                    Place::Face(face) => (tangent[k].atan().to_degrees() / face.fov + 0.5) * size[k],
                    _ => unreachable!(),
                });
                Some(Seen { share: [0, 1].map(|k| tangent[k].abs() / used[k]), cosine: d[2], position })
            }
            Place::Window(w) => {
                let plane = [0, 1].map(|k| {
                    let (whole, extent) = (w.canvas[k] as f64, w.size[k] as f64 * w.scale[k]);
                    let away = texel[k] * whole / canvas[1 - k] as f64 - w.origin[k] - 0.5 * extent;
                    (if w.wrap[k] { nearest_image(away, whole) } else { away }) / w.scale[k]
                });
                let share = [0, 1].map(|k| plane[k].abs() / used[k]);
                let position = [0, 1].map(|k| (plane[k] / w.size[k] as f64 + 0.5) * size[k]);
                Some(Seen { share, cosine: flat(share), position })
            }
            Place::Torus(t) => {
                let turns = [0, 1].map(|k| texel[k] / canvas[1 - k] as f64 - 0.5);
                let span = spans(t);
                let span = [span[0] * stretch(turns[1] * TAU, t.ratio), span[1]];
                let plane = [0, 1].map(|k| nearest_image(turns[k] - t.middle[k] / 360.0, 1.0) / span[k]);
                let share = [0, 1].map(|k| plane[k].abs() / used[k]);
                Some(Seen { share, cosine: flat(share), position: [0, 1].map(|k| (plane[k] + 0.5) * size[k]) })
            }
        }
    }
}

/// The element of an image `[h, w, C]` at integer position, wrapped or clamped in x and y.
pub(crate) fn element(image: &[f64], dims: [usize; 3], at: [f64; 2], c: usize, wrap: [bool; 2]) -> f64 {
    let index = |v: f64, n: f64, wrap: bool| if wrap { v.rem_euclid(n) } else { v.clamp(0.0, n - 1.0) } as usize;
    let (x, y) = (index(at[0], dims[1] as f64, wrap[0]), index(at[1], dims[0] as f64, wrap[1]));
    image[(y * dims[1] + x) * dims[2] + c]
}

/// Sample of an image `[h, w, C]` at a position.
pub(crate) fn sample(image: &[f64], dims: [usize; 3], at: [f64; 2], c: usize, bilinear: bool, wrap: [bool; 2]) -> f64 {
    taps(at, bilinear).into_iter().map(|(at, weight)| weight * element(image, dims, at, c, wrap)).sum()
}

/// Integer positions and weights of a sample.
pub(crate) fn taps(at: [f64; 2], bilinear: bool) -> Vec<([f64; 2], f64)> {
    if !bilinear {
        return vec![(at.map(f64::floor), 1.0)];
    }
    let corner = at.map(|v| (v - 0.5).floor());
    let [fx, fy] = [0, 1].map(|k| at[k] - 0.5 - corner[k]);
    let tap = |dx: f64, dy: f64, weight: f64| ([corner[0] + dx, corner[1] + dy], weight);
    vec![
        tap(0.0, 0.0, (1.0 - fx) * (1.0 - fy)),
        tap(1.0, 0.0, fx * (1.0 - fy)),
        tap(0.0, 1.0, (1.0 - fx) * fy),
        tap(1.0, 1.0, fx * fy),
    ]
}

/// Whether nearest sampling at this position may fall into another element by rounding.
pub(crate) fn near_border(at: [f64; 2], tolerance: f64) -> bool {
    at.iter().any(|v| (v - v.round()).abs() < tolerance)
}
