//! Tiled pictures: which tiles, and how they are blended.

/// Tiles along one axis: starts of windows of `tile` that cover `length` with at least `overlap` in common.
#[must_use]
pub fn starts(length: usize, tile: usize, overlap: usize) -> Vec<usize> {
    if length <= tile {
        return vec![0];
    }
    let stride = tile - overlap.min(tile - 1);
    let count = (length - tile).div_ceil(stride);
    // Evenly spread, so that the last window is not almost a copy of its neighbour.
    (0..=count).map(|i| i * (length - tile) / count).collect()
}

/// Accumulates overlapping tiles with weights that ramp up over the overlap, so that no border shows.
#[derive(Debug)]
pub struct Blend {
    width: usize,
    channels: usize,
    sum: Vec<f32>,
    weight: Vec<f32>,
}

/// A coded tile.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// `[y, x]` of the tile's first pixel.
    pub at: [usize; 2],
    /// `[height, width]` of the tile.
    pub size: [usize; 2],
    /// Pixels over which a border that lies inside the image ramps up.
    pub ramp: usize,
    /// `height · width · channels` values.
    pub values: &'a [f32],
}

impl Blend {
    /// An empty image of `[height, width]` with `channels` values each.
    #[must_use]
    pub fn new(size: [usize; 2], channels: usize) -> Self {
        let pixels = size[0] * size[1];
        Self { width: size[1], channels, sum: vec![0.0; pixels * channels], weight: vec![0.0; pixels] }
    }

    /// Adds a tile.
    pub fn add(&mut self, tile: &Tile<'_>) {
        let ramp = |i: usize, n: usize| {
            let inside = (i + 1).min(n - i) as f32;
            (inside / (tile.ramp.max(1) as f32)).min(1.0)
        };
        for y in 0..tile.size[0] {
            for x in 0..tile.size[1] {
                let weight = ramp(y, tile.size[0]) * ramp(x, tile.size[1]);
                let target = (tile.at[0] + y) * self.width + tile.at[1] + x;
                let (from, to) = ((y * tile.size[1] + x) * self.channels, target * self.channels);
                for c in 0..self.channels {
                    self.sum[to + c] += weight * tile.values[from + c];
                }
                self.weight[target] += weight;
            }
        }
    }

    /// The weighted mean. Every pixel must have been covered.
    #[must_use]
    pub fn finish(self) -> Vec<f32> {
        let pixels = self.sum.chunks_exact(self.channels).zip(&self.weight);
        pixels.flat_map(|(values, w)| values.iter().map(move |v| v / w)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_and_overlap() {
        for length in 1..200 {
            for (tile, overlap) in [(16, 4), (64, 16), (8, 7)] {
                let starts = starts(length, tile, overlap);
                assert_eq!(starts[0], 0);
                if length > tile {
                    assert_eq!(starts[starts.len() - 1], length - tile);
                    assert!(starts.windows(2).all(|w| w[1] > w[0] && w[0] + tile - w[1] >= overlap), "{starts:?}");
                }
            }
        }
    }

    #[test]
    fn a_constant_stays_constant() {
        let mut blend = Blend::new([8, 20], 3);
        for x in starts(20, 8, 3) {
            blend.add(&Tile { at: [0, x], size: [8, 8], ramp: 3, values: &[0.25; 192] });
        }
        assert!(blend.finish().iter().all(|v| (v - 0.25).abs() < 1e-6));
    }
}
