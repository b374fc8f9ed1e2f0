//! Windows of a flat canvas of any size: pictures wider than a model draws, and tiles that continue themselves.
//!
//! | MultiDiffusion (Bar-Tal et al. 2023), SyncTweedies (Kim et al. 2024) | here |
//! |---|---|
//! | latent windows of 64² every 8, n = (L − window)/stride + 1 an axis, averaged | [`WindowsOptions::stride`] in pixels; the last window is flush with the border when the stride does not divide |
//! | no wrap | [`WindowsOptions::wrap`]: windows go on across the border, the picture tiles |
//! | the same windows each step | [`WindowSets`]: also shifted by a part of a window, or by a random distance each step |

#[cfg(test)]
mod tests;

use syncline_kernels::ops::views::Window;

use super::{Geometry, Interpolation, Space, View, refuse};
use crate::error::Result;
use crate::rng::{NoiseKey, Purpose};

/// Most views of a set.
const MAX_VIEWS: usize = 4096;

/// How the grid of windows differs from step to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowSets {
    /// The same windows each step.
    #[default]
    Same,
    /// This many sets in turn, set i shifted by i/n of the stride along the axes that wrap.
    Interleaved(usize),
    /// Shifted by another random distance each step, along the axes that wrap.
    Random {
        /// Where the distances come from.
        seed: u64,
    },
}

/// Options of [`Windows::new`]; sizes are `[height, width]` in pixels.
#[derive(Clone, Debug)]
pub struct WindowsOptions {
    /// The canvas.
    pub canvas: [usize; 2],
    /// A window.
    pub window: [usize; 2],
    /// Distance between windows; the window's size lays them side by side.
    pub stride: [usize; 2],
    /// Whether the canvas wraps in y and x.
    pub wrap: [bool; 2],
    /// How sets differ.
    pub sets: WindowSets,
    /// All sizes and positions are multiples of this: 8 puts the pixels of latents on pixels of a latent canvas.
    pub align: usize,
    /// How canvas and views are sampled; at whole positions both are exact copies.
    pub interpolation: Interpolation,
}

impl Default for WindowsOptions {
    /// MultiDiffusion's grid for a model of 512 pixels: 512 × 2048, windows of 512 every 64 pixels.
    fn default() -> Self {
        Self {
            canvas: [512, 2048],
            window: [512, 512],
            stride: [64, 64],
            wrap: [false, false],
            sets: WindowSets::Same,
            align: 8,
            interpolation: Interpolation::Nearest,
        }
    }
}

/// A flat canvas with its windows.
#[derive(Clone, Debug)]
pub struct Windows {
    options: WindowsOptions,
    /// Upper left corners (y, x) of the first set.
    origins: Vec<[usize; 2]>,
}

impl Windows {
    /// Checks the options and lays the grid.
    ///
    /// # Errors
    /// When a size is zero, not a multiple of `align`, or larger than the canvas, or there would be too many windows.
    pub fn new(options: &WindowsOptions) -> Result<Self> {
        let o = options;
        if o.align == 0 {
            return refuse("window alignment", o.align, "at least 1 pixel");
        }
        let sizes = [("canvas", o.canvas), ("window", o.window), ("window stride", o.stride)];
        for (what, [height, width]) in sizes {
            let ragged = [height, width].into_iter().any(|n| n == 0 || !n.is_multiple_of(o.align));
            if ragged || height.max(width) > 1 << 16 {
                let expected = format!("multiples of {} up to 65536", o.align);
                return refuse(what, format!("{width}x{height}"), expected);
            }
        }
        for axis in [0, 1] {
            if o.window[axis] > o.canvas[axis] {
                let [height, width] = o.canvas;
                let expected = format!("at most the canvas, {width}x{height}");
                return refuse("window", format!("{}x{}", o.window[1], o.window[0]), expected);
            }
            if o.stride[axis] > o.window[axis] {
                let expected =
                    format!("at most the window's {}, or parts of the canvas are never seen", o.window[axis]);
                return refuse("window stride", o.stride[axis], expected);
            }
        }
        if let WindowSets::Interleaved(sets) = o.sets
            && !(1..=64).contains(&sets)
        {
            return refuse("window sets", sets, "1 to 64");
        }
        if o.sets != WindowSets::Same && o.wrap == [false, false] {
            return refuse(
                "window sets",
                format!("{:?}", o.sets),
                "a canvas that wraps, along which windows can shift",
            );
        }
        let [rows, columns] = [0, 1].map(|axis| o.positions(axis));
        if rows.len() * columns.len() > MAX_VIEWS {
            let expected = format!("at most {MAX_VIEWS}; a larger stride gives fewer");
            return refuse("windows", rows.len() * columns.len(), expected);
        }
        let origins = rows.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect();
        Ok(Self { options: options.clone(), origins })
    }

    /// Upper left corners (y, x) of the windows of unshifted steps.
    #[must_use]
    pub fn origins(&self) -> &[[usize; 2]] {
        &self.origins
    }

    /// Distance (y, x) by which the windows of a step are shifted.
    fn shift(&self, step: usize) -> [usize; 2] {
        let o = &self.options;
        let down = |pixels: usize| pixels / o.align * o.align;
        let along = |axis: usize| match o.sets {
            _ if !o.wrap[axis] => 0,
            WindowSets::Same => 0,
            WindowSets::Interleaved(sets) => down(o.stride[axis] * (step % sets) / sets),
            WindowSets::Random { seed } => {
                let key = NoiseKey { seed, purpose: Purpose::View, trajectory: 0, view: 0, step: step as u32 };
                down((key.units(0)[axis] * o.canvas[axis] as f64) as usize)
            }
        };
        [along(0), along(1)]
    }
}

impl WindowsOptions {
    /// Where windows begin along an axis.
    fn positions(&self, axis: usize) -> Vec<usize> {
        let (length, window, stride) = (self.canvas[axis], self.window[axis], self.stride[axis]);
        if self.wrap[axis] {
            // Evenly around, as far as positions are aligned.
            let count = length.div_ceil(stride);
            return (0..count).map(|i| i * (length / self.align) / count * self.align).collect();
        }
        let last = length - window;
        (0..=last.div_ceil(stride)).map(|i| (i * stride).min(last)).collect()
    }
}

impl Space for Windows {
    fn canvas_size(&self) -> [usize; 2] {
        self.options.canvas
    }

    fn view_size(&self) -> [usize; 2] {
        self.options.window
    }

    fn geometry(&self) -> Geometry {
        Geometry::Windows
    }

    fn interpolation(&self) -> Interpolation {
        self.options.interpolation
    }

    fn set_count(&self) -> usize {
        match self.options.sets {
            WindowSets::Interleaved(sets) => sets,
            WindowSets::Same | WindowSets::Random { .. } => 1,
        }
    }

    fn view_count(&self) -> usize {
        self.origins.len()
    }

    fn views(&self, step: usize) -> Vec<View> {
        let o = &self.options;
        let flip = |[y, x]: [usize; 2]| [x, y];
        let (shift, first) = (self.shift(step), step % self.set_count() * self.origins.len());
        let view = |(i, origin): (usize, &[usize; 2])| {
            // Below the canvas's size, so that positions stay small.
            let at = [0, 1].map(|axis| (origin[axis] + shift[axis]) % o.canvas[axis]);
            let middle = [1, 0].map(|axis| {
                let middle = (at[axis] as f64 + 0.5 * o.window[axis] as f64) / o.canvas[axis] as f64;
                if o.wrap[axis] { middle.fract() } else { middle }
            });
            let window = Window {
                origin: flip(at).map(|n| n as f64),
                size: flip(o.window),
                scale: [1.0, 1.0],
                canvas: flip(o.canvas),
                wrap: [o.wrap[1], o.wrap[0]],
            };
            View { words: window.words(), id: (first + i) as u32, direction: Some(middle) }
        };
        self.origins.iter().enumerate().map(view).collect()
    }
}
