//! Eight-bit Y'CbCr to RGB and back (ITU-R BT.601 and BT.709), with as many chroma samples as the file has.
//!
//! A chroma sample of 4:2:0 stands for its 2 × 2 pixels, and is their mean on the way back: a frame that nobody has changed comes
//! back to the byte. Colours outside of RGB's cube stay outside it here, for the same reason.

/// Weights of red and blue in luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Matrix {
    /// Standard definition
    Bt601,
    /// High definition
    Bt709,
}

impl Matrix {
    fn weights(self) -> [f32; 3] {
        let (red, blue) = match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
        };
        [red, 1.0 - red - blue, blue]
    }
}

/// How colours are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yuv {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// One chroma sample for 2 × 2 pixels.
    pub halved: bool,
    /// 0 to 255 instead of 16 to 235 and 240.
    pub full_range: bool,
    /// The matrix.
    pub matrix: Matrix,
}

impl Yuv {
    /// `[height, width]` of a chroma plane.
    fn chroma(&self) -> [usize; 2] {
        if self.halved { self.size.map(|n| n.div_ceil(2)) } else { self.size }
    }

    /// Bytes of a frame: Y', Cb, Cr.
    pub fn bytes(&self) -> usize {
        let area = |[height, width]: [usize; 2]| height * width;
        area(self.size) + 2 * area(self.chroma())
    }

    /// Offset and scale of bytes: luma to 0..=1, chroma to −½..=½.
    fn range(&self) -> [(f32, f32); 2] {
        if self.full_range { [(0.0, 255.0), (128.0, 255.0)] } else { [(16.0, 219.0), (128.0, 224.0)] }
    }

    /// The chroma sample of a pixel.
    fn sample(&self, y: usize, x: usize) -> usize {
        if self.halved { y / 2 * self.chroma()[1] + x / 2 } else { y * self.size[1] + x }
    }

    /// RGB, mostly 0..=1, row by row.
    pub fn to_rgb(self, frame: &[u8]) -> Vec<f32> {
        let [height, width] = self.size;
        let [rows, columns] = self.chroma();
        let (luma, chroma) = frame.split_at(height * width);
        let [(y0, y_scale), (c0, c_scale)] = self.range();
        let [red, green, blue] = self.matrix.weights();
        let pixel = |i: usize| {
            let at = self.sample(i / width, i % width);
            let y = (f32::from(luma[i]) - y0) / y_scale;
            let [cb, cr] = [chroma[at], chroma[rows * columns + at]].map(|v| (f32::from(v) - c0) / c_scale);
            let (r, b) = (y + 2.0 * (1.0 - red) * cr, y + 2.0 * (1.0 - blue) * cb);
            [r, (y - red * r - blue * b) / green, b]
        };
        (0..height * width).flat_map(pixel).collect()
    }

    /// The bytes of a frame.
    pub fn encode(self, rgb: &[f32]) -> Vec<u8> {
        let [height, width] = self.size;
        let [rows, columns] = self.chroma();
        let [(y0, y_scale), (c0, c_scale)] = self.range();
        let [red, green, blue] = self.matrix.weights();
        // Rounded and held within a byte; NaN, which no edit gives, would be 0.
        let byte = |v: f32| v.round() as u8;
        let mut luma = vec![0; height * width];
        let mut sums = vec![[0.0_f32; 3]; rows * columns];
        for (i, p) in rgb.as_chunks::<3>().0.iter().enumerate() {
            let y = red * p[0] + green * p[1] + blue * p[2];
            luma[i] = byte(y0 + y_scale * y);
            let sum = &mut sums[self.sample(i / width, i % width)];
            sum[0] += (p[2] - y) / (2.0 * (1.0 - blue));
            sum[1] += (p[0] - y) / (2.0 * (1.0 - red));
            sum[2] += 1.0;
        }
        let plane = |k: usize| sums.iter().map(move |sum| byte(c0 + c_scale * sum[k] / sum[2]));
        luma.into_iter().chain(plane(0)).chain(plane(1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(size: [usize; 2]) -> impl Iterator<Item = Yuv> {
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        let matrices = [Matrix::Bt601, Matrix::Bt709];
        kinds
            .into_iter()
            .flat_map(move |(halved, full_range)| matrices.map(|matrix| Yuv { size, halved, full_range, matrix }))
    }

    #[test]
    fn primaries_and_greys_are_where_the_standards_put_them() {
        let one =
            |matrix, full_range, bytes: [u8; 3]| Yuv { size: [1, 1], halved: false, full_range, matrix }.to_rgb(&bytes);
        let near = |found: Vec<f32>, expected: [f32; 3]| {
            // Half a step of chroma, times at most 1.8856.
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.006), "{found:?} {expected:?}");
        };
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            near(one(matrix, false, [16, 128, 128]), [0.0; 3]);
            near(one(matrix, false, [235, 128, 128]), [1.0; 3]);
            near(one(matrix, true, [255, 128, 128]), [1.0; 3]);
        }
        // Red of both standards in limited range, as every table has it.
        near(one(Matrix::Bt601, false, [81, 90, 240]), [1.0, 0.0, 0.0]);
        near(one(Matrix::Bt709, false, [63, 102, 240]), [1.0, 0.0, 0.0]);
        near(one(Matrix::Bt601, true, [76, 85, 255]), [1.0, 0.0, 0.0]);
        near(one(Matrix::Bt709, false, [173, 42, 26]), [0.0, 1.0, 0.0]);
    }

    /// Every byte triple on a grid and its ends, inside RGB's cube or not, in frames with odd sides.
    #[test]
    fn frames_nobody_changed_come_back_to_the_byte() {
        let steps: Vec<u8> = (0..=255).step_by(15).collect();
        let count = steps.len();
        for yuv in all([2 * count - 1, 2 * count * count - 1]) {
            let [height, width] = yuv.size;
            let [rows, columns] = yuv.chroma();
            let luma = (0..height * width).map(|i| steps[(i / width * 7 + i % width) % count]);
            let chroma = |k: usize| {
                let steps = &steps;
                (0..rows * columns).map(move |i| {
                    let cell = i / columns * columns + i % columns;
                    if k == 0 { steps[cell % count] } else { steps[cell / count % count] }
                })
            };
            let frame: Vec<u8> = luma.chain(chroma(0)).chain(chroma(1)).collect();
            assert_eq!(frame.len(), yuv.bytes());
            assert_eq!(yuv.encode(&yuv.to_rgb(&frame)), frame, "{yuv:?}");
        }
    }

    /// Through RGB of 8 bits, inside the cube: an error of at most 1/510 in each of R, G, B is one of at most 1/510 in luma
    /// (its weights add up to 1) and in chroma (the weights' absolute values, too), that is 219/510 and 224/510 of a step in
    /// limited range, which rounds to nothing, and 255/510 in full range, which may round to one step.
    #[test]
    fn eight_bit_pictures_keep_limited_range_exactly() {
        for yuv in all([1, 1]).filter(|yuv| !yuv.halved) {
            let (mut inside, mut most) = (0, 0);
            let bytes = (0..=255_u8).step_by(3);
            for y in bytes.clone() {
                for (cb, cr) in bytes.clone().step_by(5).flat_map(|cb| bytes.clone().step_by(5).map(move |cr| (cb, cr)))
                {
                    let rgb = yuv.to_rgb(&[y, cb, cr]);
                    if rgb.iter().any(|v| !(0.0..=1.0).contains(v)) {
                        continue;
                    }
                    inside += 1;
                    let rounded: Vec<f32> = rgb.iter().map(|v| (v * 255.0).round() / 255.0).collect();
                    let back = yuv.encode(&rounded);
                    most = most.max((0..3).map(|i| back[i].abs_diff([y, cb, cr][i])).max().unwrap());
                }
            }
            assert!(inside > 1000 && most <= u8::from(yuv.full_range), "{yuv:?}: {inside} colours, {most}");
        }
    }
}
