//! The soft mask of seam removal: 0 at the border of a view, 1 in its middle.

/// A mask over latent pixels, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct BlendMask {
    /// `height · width` values in 0..=1.
    pub values: Vec<f32>,
}

impl BlendMask {
    /// The authors' "horizontal" mask: a triangle over the width of the image, min-pooled to latent resolution. At step
    /// i of N the pixels with mask ≥ 1 − i/N are free; the others follow the old canvas.
    #[must_use]
    pub fn horizontal(height: usize, width: usize, downscale: usize) -> Self {
        let pixels = width * downscale;
        let half = (pixels / 2).max(2);
        let triangle = |x: usize| x.min(pixels - 1 - x) as f64 / (half - 1) as f64;
        let row: Vec<f32> =
            (0..width).map(|x| (x * downscale..(x + 1) * downscale).map(triangle).fold(1.0, f64::min) as f32).collect();
        Self { values: row.repeat(height) }
    }

    /// The authors' mask for views with neighbours on all sides ("both"): the smaller of the triangles over width and height.
    #[must_use]
    pub fn both(height: usize, width: usize, downscale: [usize; 2]) -> Self {
        let row = Self::horizontal(1, width, downscale[1]).values;
        let column = Self::horizontal(1, height, downscale[0]).values;
        Self { values: column.iter().flat_map(|y| row.iter().map(|x| x.min(*y))).collect() }
    }

    /// Free pixels have a mask of at least this, at step `i` of `count`.
    #[must_use]
    pub fn threshold(i: usize, count: usize) -> f32 {
        1.0 - i as f32 / count as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_borders_follow_the_canvas() {
        let mask = BlendMask::both(32, 64, [8, 8]);
        let at = |y: usize, x: usize| mask.values[64 * y + x];
        let (row, column) = (BlendMask::horizontal(1, 64, 8), BlendMask::horizontal(1, 32, 8));
        assert_eq!((at(16, 5), at(5, 32)), (row.values[5], column.values[5]));
        assert_eq!([at(0, 32), at(31, 32), at(16, 0), at(16, 63)], [0.0; 4]);
        assert!((0..32).all(|y| (0..64).all(|x| at(y, x) == row.values[x].min(column.values[y]))));
    }

    #[test]
    fn nothing_is_free_at_first_and_only_borders_are_kept_at_last() {
        let mask = BlendMask::horizontal(2, 64, 8);
        let free = |i| mask.values.iter().filter(|&&m| m >= BlendMask::threshold(i, 51)).count();
        assert_eq!(free(0), 0);
        assert_eq!(free(50), 2 * (64 - 2), "one latent column per side follows the canvas to the end");
        assert!(mask.values.iter().all(|m| (0.0..=1.0).contains(m)));
        assert_eq!(mask.values[0], mask.values[63]);
    }
}
