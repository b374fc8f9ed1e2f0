//! Six faces in one picture, and back.

use clap::ValueEnum;
use syncline::reproject::Raster;

use super::picture::Picture;

/// How the whole sphere lies in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// One 2:1 panorama
    Equirect,
    /// Six files
    Faces,
    /// 4:3, up above the front and down below it: -X +Z +X -Z in the middle row
    Cross,
    /// 3:4, the front in the second row: up above it, then down and the back, which stands on its head
    CrossVertical,
    /// Six faces side by side: +X -X +Y -Y +Z -Z
    Row,
    /// Six faces below each other: +X -X +Y -Y +Z -Z
    Column,
}

/// Where a face lies: column, row, clockwise quarter turns.
type Cell = (usize, usize, u8);

impl Layout {
    /// Every layout of faces in one picture.
    const SHEETS: [Self; 4] = [Self::Cross, Self::CrossVertical, Self::Row, Self::Column];

    /// Columns, rows and the cells of +X −X +Y −Y +Z −Z; nothing for layouts that are no sheet of faces.
    fn cells(self) -> Option<([usize; 2], [Cell; 6])> {
        Some(match self {
            Self::Equirect | Self::Faces => return None,
            Self::Row => ([6, 1], [0, 1, 2, 3, 4, 5].map(|i| (i, 0, 0))),
            Self::Column => ([1, 6], [0, 1, 2, 3, 4, 5].map(|i| (0, i, 0))),
            Self::Cross => ([4, 3], [(2, 1, 0), (0, 1, 0), (1, 0, 0), (1, 2, 0), (1, 1, 0), (3, 1, 0)]),
            Self::CrossVertical => ([3, 4], [(2, 1, 0), (0, 1, 0), (1, 0, 0), (1, 2, 0), (1, 1, 0), (1, 3, 2)]),
        })
    }

    /// The layout that a picture of `[height, width]` can only be; `Equirect` for 2:1.
    #[must_use]
    pub fn of([height, width]: [usize; 2]) -> Option<Self> {
        if width == 2 * height {
            return Some(Self::Equirect);
        }
        Self::SHEETS.into_iter().find(|layout| {
            layout.cells().is_some_and(|([columns, rows], _)| width * rows == height * columns && width % columns == 0)
        })
    }

    /// One picture of six faces; cells without a face are black. `None` for layouts that are no sheet.
    #[must_use]
    pub fn assemble(self, faces: &[Picture; 6]) -> Option<Picture> {
        let ([columns, rows], cells) = self.cells()?;
        let side = faces[0].raster.size[0];
        let width = columns * side;
        let mut rgb = vec![0.0; width * rows * side * 3];
        for (face, (column, row, turns)) in faces.iter().zip(cells) {
            let turned = face.turned(turns);
            for (y, line) in turned.raster.rgb.chunks_exact(side * 3).enumerate() {
                let at = ((row * side + y) * width + column * side) * 3;
                rgb[at..at + side * 3].copy_from_slice(line);
            }
        }
        Some(Picture { raster: Raster::new([rows * side, width], rgb), light: faces[0].light })
    }

    /// Whether the cells without a face have one colour: a photograph of 4:3 is no cross.
    #[must_use]
    pub fn is_plain_outside(self, sheet: &Picture) -> bool {
        /// What lossy files make of black.
        const TOLERANCE: f32 = 0.1;
        let Some(([columns, rows], cells)) = self.cells() else { return true };
        let side = sheet.raster.size[1] / columns;
        let empty = |(column, row): &(usize, usize)| !cells.iter().any(|cell| (cell.0, cell.1) == (*column, *row));
        let places = (0..columns).flat_map(|column| (0..rows).map(move |row| (column, row))).filter(empty);
        let mut pixels = places.flat_map(|(column, row)| {
            (0..side * side).map(move |i| sheet.raster.pixel(row * side + i / side, column * side + i % side))
        });
        let Some(first) = pixels.next() else { return true };
        pixels.all(|pixel| (0..3).all(|c| (pixel[c] - first[c]).abs() <= TOLERANCE))
    }

    /// The six faces of a picture in this layout; `None` for layouts that are no sheet.
    ///
    /// # Panics
    /// When the picture's size is not that of the layout, see [`Layout::of`].
    #[must_use]
    pub fn split(self, sheet: &Picture) -> Option<[Picture; 6]> {
        let ([columns, _], cells) = self.cells()?;
        let width = sheet.raster.size[1];
        let side = width / columns;
        Some(cells.map(|(column, row, turns)| {
            let line = |y: usize| {
                let at = ((row * side + y) * width + column * side) * 3;
                &sheet.raster.rgb[at..at + side * 3]
            };
            let rgb = (0..side).flat_map(line).copied().collect();
            Picture { raster: Raster::new([side; 2], rgb), light: sheet.light }.turned((4 - turns) % 4)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faces with different values in every pixel.
    fn faces(side: usize) -> [Picture; 6] {
        [0, 1, 2, 3, 4, 5].map(|f| {
            let value = |i: usize| [f as f32, (i / side) as f32, (i % side) as f32];
            Picture::linear(Raster::new([side; 2], (0..side * side).flat_map(value).collect()))
        })
    }

    #[test]
    fn every_sheet_gives_its_faces_back() {
        for layout in Layout::SHEETS {
            let sheet = layout.assemble(&faces(3)).unwrap();
            assert_eq!(Layout::of(sheet.raster.size), Some(layout));
            assert_eq!(layout.split(&sheet).unwrap(), faces(3), "{layout:?}");
        }
        assert!(Layout::Faces.assemble(&faces(1)).is_none());
    }

    #[test]
    fn sizes_tell_layouts_apart() {
        assert_eq!(Layout::of([512, 1024]), Some(Layout::Equirect));
        assert_eq!(Layout::of([300, 400]), Some(Layout::Cross));
        assert_eq!(Layout::of([600, 100]), Some(Layout::Column));
        for size in [[100, 100], [100, 300], [1, 1], [3, 5]] {
            assert_eq!(Layout::of(size), None, "{size:?}");
        }
    }

    #[test]
    fn photographs_are_no_crosses() {
        let mut sheet = Layout::Cross.assemble(&faces(3)).unwrap();
        assert!(Layout::Cross.is_plain_outside(&sheet));
        sheet.raster.rgb[4] = 0.5;
        assert!(!Layout::Cross.is_plain_outside(&sheet));
        assert!(Layout::Row.is_plain_outside(&Layout::Row.assemble(&faces(3)).unwrap()));
    }

    #[test]
    fn the_vertical_cross_folds_up() {
        // The lower edge of the lowest face, the back on its head, touches the upper edge of the highest: +Y.
        let sheet = Layout::CrossVertical.assemble(&faces(2)).unwrap();
        assert_eq!(sheet.raster.pixel(7, 2), [5.0, 0.0, 1.0]);
        assert_eq!(sheet.raster.pixel(0, 2), [2.0, 0.0, 0.0]);
    }
}
