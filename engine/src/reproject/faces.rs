//! The six faces of a cube around the viewer.

use super::{Raster, Rotation};

/// A face, named by where it is seen from the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// At azimuth 90.
    Right,
    /// At azimuth -90.
    Left,
    /// Its lower edge touches the front.
    Up,
    /// Its upper edge touches the front.
    Down,
    /// Around the middle of an equirectangular picture.
    Front,
    /// Around its left and right edge.
    Back,
}

impl Face {
    /// +X −X +Y −Y +Z −Z of the left-handed cube that every graphics API samples, its z axis ahead and its y axis up.
    pub const ALL: [Self; 6] = [Self::Right, Self::Left, Self::Up, Self::Down, Self::Front, Self::Back];

    /// Columns: where right, down and forward of the face's picture point in the world.
    #[must_use]
    pub fn rotation(self) -> Rotation {
        match self {
            Self::Right => [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]],
            Self::Left => [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
            Self::Up => [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
            Self::Down => [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]],
            Self::Front => super::AHEAD,
            Self::Back => [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]],
        }
    }

    /// The face that a direction goes through, and where: -1..=1 to the right and down.
    #[must_use]
    pub fn of(ray: [f64; 3]) -> (Self, [f64; 2]) {
        let depth = |face: &Self| along(&face.rotation(), ray, 2);
        let mut nearest = Self::Front;
        for face in Self::ALL {
            if depth(&face) > depth(&nearest) {
                nearest = face;
            }
        }
        let rotation = nearest.rotation();
        let z = along(&rotation, ray, 2);
        (nearest, [along(&rotation, ray, 0) / z, along(&rotation, ray, 1) / z])
    }

    /// The direction through a position, -1..=1 on the face.
    #[must_use]
    pub fn ray(self, [x, y]: [f64; 2]) -> [f64; 3] {
        self.rotation().map(|row| row[0] * x + row[1] * y + row[2])
    }
}

/// The part of `ray` along a column of `rotation`.
fn along(rotation: &Rotation, ray: [f64; 3], column: usize) -> f64 {
    (0..3).map(|row| rotation[row][column] * ray[row]).sum()
}

/// A face with one more pixel on every side, out of its neighbours: bilinear sampling at its edges then sees what they show.
pub(super) fn with_border(faces: &[Raster; 6], face: Face) -> Raster {
    let side = faces[0].size[0];
    let wide = side + 2;
    let own = &faces[face as usize];
    let mut rgb = Vec::with_capacity(wide * wide * 3);
    for row in 0..wide {
        for column in 0..wide {
            let inside = (1..=side).contains(&row) && (1..=side).contains(&column);
            let value = if inside {
                own.pixel(row - 1, column - 1)
            } else {
                let tangent = [column, row].map(|i| (2 * i) as f64 / side as f64 - 1.0 - 1.0 / side as f64);
                let (other, at) = Face::of(face.ray(tangent));
                sample(&faces[other as usize], at)
            };
            rgb.extend(value);
        }
    }
    Raster::new([wide, wide], rgb)
}

/// Bilinear, clamped at the face's own edge.
fn sample(face: &Raster, at: [f64; 2]) -> [f32; 3] {
    let side = face.size[0];
    let last = (side - 1) as f64;
    let [x, y] = at.map(|t| (0.5 * (t + 1.0) * side as f64 - 0.5).clamp(0.0, last));
    let (column, row) = (x as usize, y as usize);
    let (next_column, next_row) = ((column + 1).min(side - 1), (row + 1).min(side - 1));
    let (fx, fy) = ((x - column as f64) as f32, (y - row as f64) as f32);
    [0, 1, 2].map(|c| {
        let across = |row| face.pixel(row, column)[c] * (1.0 - fx) + face.pixel(row, next_column)[c] * fx;
        across(row) * (1.0 - fy) + across(next_row) * fy
    })
}
