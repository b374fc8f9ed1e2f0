//! Other sizes of the same picture, on the host: averages over areas when it shrinks, linear interpolation when it grows.

use super::Raster;

/// What is beyond the left and right edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// The edge pixel again.
    Clamp,
    /// The opposite edge.
    Wrap,
}

/// A source index and its weight.
type Tap = (usize, f32);

/// `raster` at `[height, width]`. Weights of a pixel sum to one, so that plain colours stay as they are.
#[must_use]
pub fn resize(raster: &Raster, [height, width]: [usize; 2], edges: Edges) -> Raster {
    if raster.size == [height, width] {
        return raster.clone();
    }
    let [from_height, from_width] = raster.size;
    let columns = taps(from_width, width, edges);
    let rows = taps(from_height, height, Edges::Clamp);
    let mut narrow = Vec::with_capacity(from_height * width * 3);
    for line in raster.rgb.chunks_exact(from_width * 3) {
        for taps in &columns {
            narrow.extend([0, 1, 2].map(|c| taps.iter().map(|(i, w)| w * line[3 * i + c]).sum::<f32>()));
        }
    }
    let mut rgb = vec![0.0; height * width * 3];
    for (line, taps) in rgb.chunks_exact_mut(width * 3).zip(&rows) {
        for (i, w) in taps {
            let source = &narrow[i * width * 3..(i + 1) * width * 3];
            line.iter_mut().zip(source).for_each(|(sum, value)| *sum += w * value);
        }
    }
    Raster::new([height, width], rgb)
}

/// For each of `to` pixels what it takes from `from` pixels.
fn taps(from: usize, to: usize, edges: Edges) -> Vec<Vec<Tap>> {
    let scale = from as f64 / to as f64;
    (0..to).map(|i| if scale > 1.0 { area(i, scale, from) } else { between(i, scale, from, edges) }).collect()
}

fn area(i: usize, scale: f64, from: usize) -> Vec<Tap> {
    let (begin, end) = (i as f64 * scale, ((i + 1) as f64 * scale).min(from as f64));
    let last = (end.ceil() as usize).min(from);
    let part = |j: usize| (end.min((j + 1) as f64) - begin.max(j as f64)) / (end - begin);
    (begin as usize..last).map(|j| (j, part(j) as f32)).filter(|(_, w)| *w > 0.0).collect()
}

fn between(i: usize, scale: f64, from: usize, edges: Edges) -> Vec<Tap> {
    let position = (i as f64 + 0.5) * scale - 0.5;
    let left = position.floor();
    let fraction = (position - left) as f32;
    let index = |j: f64| match edges {
        Edges::Clamp => j.clamp(0.0, (from - 1) as f64) as usize,
        Edges::Wrap => j.rem_euclid(from as f64) as usize,
    };
    vec![(index(left), 1.0 - fraction), (index(left + 1.0), fraction)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(size: [usize; 2]) -> Raster {
        let [height, width] = size;
        let value = |i: usize| [(i % width) as f32, (i / width) as f32, 7.0];
        Raster::new(size, (0..height * width).flat_map(value).collect())
    }

    #[test]
    fn halves_are_means_of_four() {
        let half = resize(&ramp([4, 6]), [2, 3], Edges::Clamp);
        assert_eq!(half.pixel(0, 0), [0.5, 0.5, 7.0]);
        assert_eq!(half.pixel(1, 2), [4.5, 2.5, 7.0]);
    }

    #[test]
    fn odd_sizes_weigh_by_area_and_keep_the_mean() {
        for (from, to) in [(5, 2), (7, 3), (1023, 511), (3, 1)] {
            let small = resize(&ramp([from, from]), [to, to], Edges::Clamp);
            let mean = small.rgb.iter().step_by(3).sum::<f32>() / (to * to) as f32;
            assert!((mean - 0.5 * (from - 1) as f32).abs() < 1e-3 * from as f32, "{from} -> {to}: {mean}");
            assert!(small.rgb.iter().skip(2).step_by(3).all(|v| (v - 7.0).abs() < 1e-5));
        }
    }

    #[test]
    fn growing_interpolates_and_wraps_where_asked() {
        let wide = resize(&ramp([1, 4]), [1, 8], Edges::Clamp);
        let red: Vec<f32> = wide.rgb.iter().step_by(3).copied().collect();
        assert_eq!(red, [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
        let around = resize(&ramp([1, 4]), [1, 8], Edges::Wrap);
        assert_eq!(around.rgb[0], 0.75);
    }
}
