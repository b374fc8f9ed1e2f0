//! Pictures that share nothing: N frames of a video, or N images drawn side by side. The canvas is the frames, one below the
//! other; projecting and fusing are exact copies.

use syncline_kernels::ops::views::Window;

use super::{Geometry, Interpolation, Space, View, refuse};
use crate::error::Result;

/// Independent frames.
#[derive(Clone, Debug)]
pub struct Frames {
    count: usize,
    size: [usize; 2],
    /// Noise id of the first frame, and what the next ones' ids are larger by.
    ids: [u32; 2],
}

impl Frames {
    /// `count` frames of `size` = `[height, width]` pixels.
    ///
    /// # Errors
    /// When there are none, or more than the canvas holds.
    pub fn new(count: usize, size: [usize; 2]) -> Result<Self> {
        let [height, width] = size;
        if height == 0 || width == 0 || height.max(width) > 1 << 16 {
            return refuse("frame size", format!("{width}x{height}"), "1 to 65536 pixels");
        }
        let most = (1 << 16) / height;
        if !(1..=most).contains(&count) {
            return refuse("frames", count, format!("1 to {most} of {width}x{height} pixels"));
        }
        Ok(Self { count, size, ids: [0, 1] })
    }

    /// These frames as a part of more: they draw the noise of frame `first` and those after it, as if all were there.
    #[must_use]
    pub fn starting_at(self, first: u32) -> Self {
        Self { ids: [first, self.ids[1]], ..self }
    }

    /// All frames draw the noise of the first.
    #[must_use]
    pub fn with_one_noise(self) -> Self {
        Self { ids: [0, 0], ..self }
    }
}

impl Space for Frames {
    fn canvas_size(&self) -> [usize; 2] {
        [self.count * self.size[0], self.size[1]]
    }

    fn view_size(&self) -> [usize; 2] {
        self.size
    }

    fn geometry(&self) -> Geometry {
        Geometry::Windows
    }

    fn interpolation(&self) -> Interpolation {
        Interpolation::Nearest
    }

    fn set_count(&self) -> usize {
        1
    }

    fn view_count(&self) -> usize {
        self.count
    }

    fn views(&self, _step: usize) -> Vec<View> {
        let [height, width] = self.size;
        let view = |i: usize| {
            let (size, canvas) = ([width, height], [width, self.count * height]);
            let origin = [0.0, (i * height) as f64];
            let words = Window { origin, size, scale: [1.0, 1.0], canvas, wrap: [false, false] }.words();
            View { words, id: self.ids[0] + self.ids[1] * i as u32, direction: None }
        };
        (0..self.count).map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_lie_below_each_other() {
        let space = Frames::new(3, [48, 64]).unwrap();
        assert_eq!((space.canvas_size(), space.view_count()), ([144, 64], 3));
        let views = space.views(5);
        assert_eq!(views[2].words.numbers[..4], [32.0, 120.0, 1.0, 1.0]);
        assert_eq!((views[2].id, views[2].direction), (2, None));
        let ids = |space: Frames| space.views(0).iter().map(|view| view.id).collect::<Vec<_>>();
        assert_eq!(ids(space.clone().starting_at(7)), [7, 8, 9]);
        assert_eq!(ids(space.starting_at(7).with_one_noise()), [0, 0, 0]);
        assert!(Frames::new(0, [48, 64]).unwrap_err().to_string().contains("frames: found 0, expected 1 to 1365"));
        assert!(Frames::new(200, [512, 512]).unwrap_err().to_string().contains("1 to 128 of 512x512"));
        assert!(Frames::new(1, [0, 4]).unwrap_err().to_string().contains("frame size: found 4x0"));
    }
}
