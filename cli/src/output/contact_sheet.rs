//! Several pictures on one, for comparing them at a glance.

use super::png::Rgb8;

/// Grey of the gaps: neither end of the scale, so that black and white pictures keep their edges.
const GAP_LEVEL: u8 = 64;

/// Lays `tiles` out row by row in `columns` columns with `gap` pixels between them; cells left over are grey.
///
/// # Panics
/// When there are no tiles or columns, or the tiles differ in size.
#[must_use]
pub fn contact_sheet(tiles: &[Rgb8], columns: usize, gap: usize) -> Rgb8 {
    assert!(!tiles.is_empty() && columns > 0, "contact sheet of {} tiles in {columns} columns", tiles.len());
    let (width, height) = (tiles[0].width, tiles[0].height);
    let columns = columns.min(tiles.len());
    let rows = tiles.len().div_ceil(columns);
    let sheet_width = columns * width + (columns - 1) * gap;
    let sheet_height = rows * height + (rows - 1) * gap;
    let mut pixels = vec![GAP_LEVEL; sheet_width * sheet_height * 3];
    for (i, tile) in tiles.iter().enumerate() {
        assert_eq!(
            (tile.width, tile.height),
            (width, height),
            "contact sheet: tile {i} differs from the first in size"
        );
        let (left, top) = (i % columns * (width + gap), i / columns * (height + gap));
        for (row, line) in tile.pixels.chunks_exact(width * 3).enumerate() {
            let at = ((top + row) * sheet_width + left) * 3;
            pixels[at..at + width * 3].copy_from_slice(line);
        }
    }
    Rgb8 { width: sheet_width, height: sheet_height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, level: u8) -> Rgb8 {
        Rgb8 { width, height, pixels: vec![level; width * height * 3] }
    }

    #[test]
    fn every_pixel_is_where_it_belongs() {
        let tiles: Vec<Rgb8> = (0..5).map(|i| plain(3, 2, 100 + i)).collect();
        let sheet = contact_sheet(&tiles, 2, 1);
        assert_eq!((sheet.width, sheet.height), (7, 8));
        for (i, pixel) in sheet.pixels.chunks_exact(3).enumerate() {
            let (x, y) = (i % 7, i / 7);
            let tile = y / 3 * 2 + x / 4;
            let in_gap = x % 4 == 3 || y % 3 == 2 || tile >= 5;
            let level = if in_gap { GAP_LEVEL } else { 100 + tile as u8 };
            assert_eq!(pixel, [level; 3], "x {x}, y {y}");
        }
    }

    #[test]
    fn one_tile_is_itself() {
        let tile = Rgb8 { width: 2, height: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(contact_sheet(std::slice::from_ref(&tile), 9, 5), tile);
    }

    #[test]
    #[should_panic(expected = "tile 1 differs")]
    fn tiles_of_different_sizes_are_a_mistake() {
        let _ = contact_sheet(&[plain(2, 2, 0), plain(2, 3, 0)], 2, 0);
    }
}
