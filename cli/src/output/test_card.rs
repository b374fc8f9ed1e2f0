//! A picture of directions: whoever sees a letter upright in its own direction has got everything right.

use std::f64::consts::PI;

use syncline::reproject::{Face, Raster};

use super::picture::Picture;

/// Rows of the card.
pub const HEIGHT: usize = 1024;

/// Cells of a face in x and y. Each has its own colour, brighter to the right and down.
const CELLS: usize = 8;

/// Pixels of a letter in 1/16 of a face: five columns and seven rows around the middle.
const LETTER_GRID: f64 = 16.0;

/// Letter and hue of a face; letters as rows of five bits.
fn sign(face: Face) -> ([u8; 7], [f64; 3]) {
    match face {
        Face::Right => ([0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001], [1.0, 0.25, 0.2]),
        Face::Left => ([0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111], [0.2, 0.9, 0.95]),
        Face::Up => ([0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110], [0.35, 0.5, 1.0]),
        Face::Down => ([0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110], [0.95, 0.85, 0.2]),
        Face::Front => ([0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000], [0.3, 0.95, 0.3]),
        Face::Back => ([0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110], [0.95, 0.4, 0.95]),
    }
}

/// The card as a panorama.
#[must_use]
pub fn test_card() -> Picture {
    let mut rgb = Vec::with_capacity(2 * HEIGHT * HEIGHT * 3);
    for row in 0..HEIGHT {
        let latitude = ((row as f64 + 0.5) / HEIGHT as f64 - 0.5) * PI;
        for column in 0..2 * HEIGHT {
            let longitude = ((column as f64 + 0.5) / HEIGHT as f64 - 1.0) * PI;
            let level = latitude.cos();
            rgb.extend(colour([longitude.sin() * level, latitude.sin(), longitude.cos() * level]));
        }
    }
    Picture::srgb(Raster::new([HEIGHT, 2 * HEIGHT], rgb))
}

/// The colour of a direction, a multiple of 1/255 in each channel.
fn colour(ray: [f64; 3]) -> [f32; 3] {
    let (face, at) = Face::of(ray);
    let (letter, hue) = sign(face);
    let [x, y] = at.map(|t| 0.5 * (t + 1.0));
    let column = (LETTER_GRID * (x - 0.5) + 2.5).floor();
    let row = (LETTER_GRID * (y - 0.5) + 3.5).floor();
    let inside = (0.0..5.0).contains(&column) && (0.0..7.0).contains(&row);
    if inside && letter[row as usize] >> (4 - column as u8) & 1 == 1 {
        return [1.0; 3];
    }
    let cell = |t: f64| ((t * CELLS as f64) as usize).min(CELLS - 1) as f64 / (CELLS - 1) as f64;
    let brightness = 0.3 + 0.25 * cell(x) + 0.35 * cell(y);
    hue.map(|channel| ((255.0 * channel * brightness).round() / 255.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_upright_in_their_directions() {
        // Columns 0 to 4 and rows 0 to 6 of the letter, 2 and 3 the middle of the face.
        let at = |face: Face, column: f64, row: f64| {
            colour(face.ray([2.0 * (column - 2.0) / LETTER_GRID, 2.0 * (row - 3.0) / LETTER_GRID]))
        };
        for face in [Face::Right, Face::Front] {
            assert_ne!(at(face, -1.0, 3.0), [1.0; 3], "left of the stem");
            assert_eq!(at(face, 0.0, 5.0), [1.0; 3], "the stem");
            assert_eq!(at(face, 3.0, 0.0), [1.0; 3], "the upper stroke");
        }
        assert_ne!(at(Face::Front, 3.0, 6.0), [1.0; 3], "F is open below");
        assert_eq!(at(Face::Left, 3.0, 6.0), [1.0; 3], "L is not");
    }

    #[test]
    fn faces_differ_and_brighten_to_the_right_and_down() {
        for face in Face::ALL {
            let corner = |x, y| colour(face.ray([x, y])).iter().sum::<f32>();
            assert!(corner(-0.9, -0.9) < corner(0.9, -0.9) && corner(0.9, -0.9) < corner(0.9, 0.9), "{face:?}");
            for other in Face::ALL {
                assert!(face == other || colour(face.ray([0.9, 0.9])) != colour(other.ray([0.9, 0.9])));
            }
        }
    }
}
