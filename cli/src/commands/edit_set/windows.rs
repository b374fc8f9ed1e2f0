//! Windows of a latent canvas that are edited each by itself, and their mean.

use syncline::spaces::Space;
use syncline::spaces::windows::Windows;

/// Where windows lie, in latent cells `[y, x]`. Those that reach over the right edge go on at the left.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    canvas: [usize; 2],
    window: [usize; 2],
    origins: Vec<[usize; 2]>,
}

impl Cut {
    /// The windows of a space in cells of `f` pixels.
    pub fn new(space: &Windows, f: usize) -> Self {
        let cells = |size: [usize; 2]| size.map(|n| n / f);
        let origins = space.origins().iter().map(|at| cells(*at)).collect();
        Self { canvas: cells(space.canvas_size()), window: cells(space.view_size()), origins }
    }

    /// Windows.
    pub fn count(&self) -> usize {
        self.origins.len()
    }

    /// First value of every cell of all windows on the canvas, window by window, row by row.
    fn places(&self, channels: usize) -> impl Iterator<Item = usize> {
        let [rows, columns] = self.window;
        self.origins.iter().flat_map(move |[top, left]| {
            (0..rows * columns).map(move |i| {
                let x = (left + i % columns) % self.canvas[1];
                ((top + i / columns) * self.canvas[1] + x) * channels
            })
        })
    }

    /// The windows of a canvas, one after the other.
    pub fn gather(&self, canvas: &[f32], channels: usize) -> Vec<f32> {
        self.places(channels).flat_map(|at| &canvas[at..at + channels]).copied().collect()
    }

    /// The canvas whose cells are the mean of the windows that see them.
    pub fn average(&self, windows: &[f32], channels: usize) -> Vec<f32> {
        let cells = self.canvas[0] * self.canvas[1];
        let mut sums = vec![0.0; cells * channels];
        let mut counts = vec![0.0_f32; cells];
        for (at, values) in self.places(channels).zip(windows.chunks_exact(channels)) {
            counts[at / channels] += 1.0;
            sums[at..at + channels].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        sums.iter().enumerate().map(|(i, sum)| sum / counts[i / channels]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline::spaces::windows::WindowsOptions;

    #[test]
    fn windows_go_around_and_come_back() {
        let options = WindowsOptions {
            canvas: [24, 48],
            window: [16, 16],
            stride: [8, 16],
            wrap: [false, true],
            ..WindowsOptions::default()
        };
        let cut = Cut::new(&Windows::new(&options).unwrap(), 8);
        assert_eq!(cut.origins, [[0, 0], [0, 2], [0, 4], [1, 0], [1, 2], [1, 4]]);
        let shifted = Cut { origins: vec![[0, 5], [1, 5], [0, 1], [1, 1], [0, 3], [1, 3]], ..cut };
        let canvas: Vec<f32> = (0..18 * 2).map(|v| v as f32).collect();
        let windows = shifted.gather(&canvas, 2);
        // The last column, then the first.
        assert_eq!(windows[..8], [10.0, 11.0, 0.0, 1.0, 22.0, 23.0, 12.0, 13.0]);
        assert_eq!(shifted.average(&windows, 2), canvas);
        let mut changed = windows.clone();
        changed[0] += 3.0;
        assert_eq!(shifted.average(&changed, 2)[10], 13.0);
        // Row 1 is seen by two windows.
        changed[4] += 3.0;
        assert_eq!(shifted.average(&changed, 2)[22], 23.5);
    }
}
