//! Sets of pictures (frames of a video, photos of a scene): how near they are to their sources, how much they flicker, how far
//! their colours lie apart, how sharp they are. Pictures come one at a time; two of them are kept.

use super::detail::Detail;
use super::plane::mean;
use super::ssim::{SSIM_WINDOW, ssim};

/// How near pictures are to their sources.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Fidelity {
    /// −10 log10 of the mean squared difference of all pictures, in dB; infinite (in JSON null) when nothing differs.
    pub psnr: f64,
    /// Mean SSIM of brightness; none for pictures below 11 pixels.
    pub ssim: Option<f64>,
    /// Mean absolute difference of RGB 0..=1.
    pub l1: f64,
    /// Root of the mean squared difference.
    pub l2: f64,
}

/// Changes from one picture to the next, without any warp: what moves counts as well as what flickers, and the source's own
/// motion is the yardstick.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Motion {
    /// Mean |S(t) − S(t−1)|.
    pub difference: f64,
    /// Mean |S(t+1) − 2 S(t) + S(t−1)|; none for two pictures.
    pub flicker: Option<f64>,
}

/// How far the mean colours of the pictures lie apart: root mean squared distance from their mean.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ColourSpread {
    /// In CIE L*a*b* (D65): about 1 can just be seen.
    pub lab: f64,
    /// In linear RGB 0..=1.
    pub linear: f64,
}

/// Of one side: the pictures, or their sources.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Appearance {
    /// From picture to picture; none for one picture.
    pub motion: Option<Motion>,
    /// Across pictures.
    pub colour_spread: ColourSpread,
    /// Mean over pictures.
    pub detail: Detail,
}

/// All measures of a set.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PictureSetMeasures {
    /// Pictures.
    pub count: usize,
    /// `[height, width]`.
    pub size: [usize; 2],
    /// The pictures.
    pub pictures: Appearance,
    /// Their sources.
    pub source: Option<Appearance>,
    /// Against the sources, over all.
    pub fidelity: Option<Fidelity>,
    /// Mean |(S(t) − S(t−1)) − (I(t) − I(t−1))|: changes that the source does not have.
    pub frame_difference: Option<f64>,
    /// Flicker less the source's.
    pub added_flicker: Option<f64>,
    /// Against the source, picture by picture.
    pub each: Vec<Fidelity>,
}

/// Takes the pictures of a set one by one.
#[derive(Clone, Debug)]
pub struct PictureSetMeter {
    size: [usize; 2],
    pictures: Side,
    source: Option<Side>,
    squared: Vec<f64>,
    each: Vec<Fidelity>,
    difference: Vec<f64>,
}

/// What is known of one side so far.
#[derive(Clone, Debug, Default)]
struct Side {
    /// The last two, the older first.
    last: [Vec<f32>; 2],
    count: usize,
    difference: Vec<f64>,
    flicker: Vec<f64>,
    lab: Vec<[f64; 3]>,
    linear: Vec<[f64; 3]>,
    detail: Vec<Detail>,
}

impl Side {
    /// Changes since the last picture, for comparisons.
    fn push(&mut self, rgb: &[f32], size: [usize; 2]) {
        let absolute = |f: &dyn Fn(usize) -> f32| mean((0..rgb.len()).map(|i| f64::from(f(i).abs())));
        let [before, last] = &self.last;
        if self.count >= 1 {
            self.difference.push(absolute(&|i| rgb[i] - last[i]));
        }
        if self.count >= 2 {
            self.flicker.push(absolute(&|i| (rgb[i] - last[i]) - (last[i] - before[i])));
        }
        let (lab, linear) = mean_colours(rgb);
        self.lab.push(lab);
        self.linear.push(linear);
        self.detail.push(Detail::of(rgb, size, 0));
        self.last.rotate_left(1);
        self.last[1] = rgb.to_vec();
        self.count += 1;
    }

    fn appearance(&self) -> Appearance {
        let flicker = (!self.flicker.is_empty()).then(|| mean(self.flicker.iter().copied()));
        let difference = mean(self.difference.iter().copied());
        Appearance {
            motion: (self.count > 1).then_some(Motion { difference, flicker }),
            colour_spread: ColourSpread { lab: spread(&self.lab), linear: spread(&self.linear) },
            detail: Detail::mean(&self.detail),
        }
    }
}

impl PictureSetMeter {
    /// For pictures of `[height, width]`, at least 3 × 3. `sourced`: each comes with its source.
    #[must_use]
    pub fn new(size: [usize; 2], sourced: bool) -> Self {
        let source = sourced.then(Side::default);
        let (squared, each, difference) = (Vec::new(), Vec::new(), Vec::new());
        Self { size, pictures: Side::default(), source, squared, each, difference }
    }

    /// The next picture, RGB 0..=1 row by row.
    ///
    /// # Panics
    /// When a size differs, or there is a source where none was announced, or none where one was.
    pub fn push(&mut self, rgb: &[f32], source: Option<&[f32]>) {
        let values = self.size[0] * self.size[1] * 3;
        assert!(rgb.len() == values && source.is_none_or(|s| s.len() == values), "pictures of {:?}", self.size);
        assert_eq!(source.is_some(), self.source.is_some(), "a source for each picture, or none");
        if let (Some(side), Some(source)) = (&mut self.source, source) {
            let squared = mean(rgb.iter().zip(source).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)));
            self.squared.push(squared);
            self.each.push(fidelity(rgb, source, self.size, squared));
            if side.count > 0 {
                let (last, last_source) = (&self.pictures.last[1], &side.last[1]);
                let change = |i: usize| f64::from(((rgb[i] - last[i]) - (source[i] - last_source[i])).abs());
                self.difference.push(mean((0..values).map(change)));
            }
            side.push(source, self.size);
        }
        self.pictures.push(rgb, self.size);
    }

    /// The measures of all pictures so far.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn finish(&self) -> PictureSetMeasures {
        assert!(self.pictures.count > 0, "measures of a set without pictures");
        let (pictures, source) = (self.pictures.appearance(), self.source.as_ref().map(Side::appearance));
        let flicker = |side: &Appearance| side.motion.and_then(|motion| motion.flicker);
        let added_flicker = source.as_ref().and_then(|source| Some(flicker(&pictures)? - flicker(source)?));
        let squared = mean(self.squared.iter().copied());
        let fidelity = (!self.each.is_empty()).then(|| Fidelity {
            psnr: -10.0 * squared.log10(),
            ssim: self.each[0].ssim.map(|_| mean(self.each.iter().filter_map(|one| one.ssim))),
            l1: mean(self.each.iter().map(|one| one.l1)),
            l2: squared.sqrt(),
        });
        PictureSetMeasures {
            count: self.pictures.count,
            size: self.size,
            pictures,
            source,
            fidelity,
            frame_difference: (!self.difference.is_empty()).then(|| mean(self.difference.iter().copied())),
            added_flicker,
            each: self.each.clone(),
        }
    }
}

fn fidelity(rgb: &[f32], source: &[f32], size: [usize; 2], squared: f64) -> Fidelity {
    Fidelity {
        psnr: -10.0 * squared.log10(),
        ssim: size.iter().all(|n| *n >= SSIM_WINDOW).then(|| ssim(rgb, source, size)),
        l1: mean(rgb.iter().zip(source).map(|(a, b)| f64::from((a - b).abs()))),
        l2: squared.sqrt(),
    }
}

/// Root mean squared distance from the mean.
fn spread(colours: &[[f64; 3]]) -> f64 {
    let middle = [0, 1, 2].map(|c| mean(colours.iter().map(|colour| colour[c])));
    mean(colours.iter().map(|colour| (0..3).map(|c| (colour[c] - middle[c]).powi(2)).sum())).sqrt()
}

/// Means over the pixels in L*a*b* and in linear RGB.
fn mean_colours(rgb: &[f32]) -> ([f64; 3], [f64; 3]) {
    let (mut lab_sum, mut linear_sum) = ([0.0; 3], [0.0; 3]);
    let pixels = rgb.as_chunks::<3>().0;
    for pixel in pixels {
        let linear = pixel.map(|v| to_linear(f64::from(v)));
        let lab = to_lab(linear);
        for c in 0..3 {
            linear_sum[c] += linear[c];
            lab_sum[c] += lab[c];
        }
    }
    let count = pixels.len() as f64;
    (lab_sum.map(|sum| sum / count), linear_sum.map(|sum| sum / count))
}

/// IEC 61966-2-1.
fn to_linear(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// CIE 1976 L*a*b* of linear sRGB, white D65.
fn to_lab([r, g, b]: [f64; 3]) -> [f64; 3] {
    // Rows of IEC 61966-2-1, each divided by its sum, the white.
    const XYZ: [[f64; 3]; 3] = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];
    let [x, y, z] = XYZ.map(|[p, q, s]| {
        let t = (p * r + q * g + s * b) / (p + q + s);
        // The curve below (6/29)³ is a line.
        if t > 216.0 / 24389.0 { t.cbrt() } else { t * 841.0 / 108.0 + 4.0 / 29.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [12, 13];

    fn plain(colour: [f32; 3]) -> Vec<f32> {
        colour.repeat(SIZE[0] * SIZE[1])
    }

    fn grey(level: f32) -> Vec<f32> {
        plain([level; 3])
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "{a} {b}");
    }

    #[test]
    fn constant_differences() {
        let mut meter = PictureSetMeter::new(SIZE, true);
        meter.push(&grey(0.5), Some(&grey(0.4)));
        meter.push(&grey(0.5), Some(&grey(0.8)));
        let found = meter.finish();
        let all = found.fidelity.unwrap();
        // Mean squares 0.01 and 0.09.
        near(all.l1, 0.2);
        near(all.l2, 0.05_f64.sqrt());
        near(all.psnr, -10.0 * 0.05_f64.log10());
        near(found.each[0].psnr, 20.0);
        near(found.each[1].l2, 0.3);
        let expected = |a: f64, b: f64| (2.0 * a * b + 1e-4) / (a * a + b * b + 1e-4);
        near(all.ssim.unwrap(), 0.5 * (expected(0.5, 0.4) + expected(0.5, 0.8)));
        // The source changes by 0.4, the pictures do not.
        near(found.frame_difference.unwrap(), 0.4);
        assert_eq!((found.added_flicker, found.pictures.motion.unwrap().flicker), (None, None));
        let mut same = PictureSetMeter::new(SIZE, true);
        same.push(&grey(0.3), Some(&grey(0.3)));
        let same = same.finish();
        assert_eq!((same.fidelity.unwrap().psnr, same.fidelity.unwrap().ssim), (f64::INFINITY, Some(1.0)));
        assert_eq!((same.pictures.motion, same.frame_difference), (None, None));
    }

    /// Levels a t²: differences a (2t + 1), second differences 2a. A source that moves evenly has none.
    #[test]
    fn flicker_is_the_second_difference() {
        let a = 0.01_f32;
        let mut meter = PictureSetMeter::new(SIZE, true);
        for t in 0..5 {
            let t = t as f32;
            meter.push(&grey(a * t * t), Some(&grey(0.1 * t)));
        }
        let found = meter.finish();
        let motion = found.pictures.motion.unwrap();
        near(motion.difference, 0.01 * (1.0 + 3.0 + 5.0 + 7.0) / 4.0);
        near(motion.flicker.unwrap(), 0.02);
        let source = found.source.unwrap().motion.unwrap();
        near(source.difference, 0.1);
        assert!(source.flicker.unwrap() < 1e-6);
        near(found.added_flicker.unwrap(), 0.02 - source.flicker.unwrap());
        // |0.01 (2t + 1) − 0.1| over t.
        near(found.frame_difference.unwrap(), (0.09 + 0.07 + 0.05 + 0.03) / 4.0);
    }

    #[test]
    fn colours_of_pictures_spread() {
        let (dark, light) = (0.2_f32, 0.7_f32);
        let mut meter = PictureSetMeter::new(SIZE, false);
        for level in [dark, light, dark, light] {
            meter.push(&grey(level), None);
        }
        let found = meter.finish();
        let linear = |v: f32| ((f64::from(v) + 0.055) / 1.055).powf(2.4);
        let lightness = |v: f32| 116.0 * linear(v).cbrt() - 16.0;
        let spread = found.pictures.colour_spread;
        near(spread.linear, 3.0_f64.sqrt() * 0.5 * (linear(light) - linear(dark)));
        near(spread.lab, 0.5 * (lightness(light) - lightness(dark)));
        assert_eq!((found.source, found.fidelity, found.each.len()), (None, None, 0));
        near(found.pictures.detail.sharpness, 0.0);
    }

    #[test]
    fn lab_of_white_black_and_red() {
        let close = |found: [f64; 3], expected: [f64; 3]| {
            assert!((0..3).all(|c| (found[c] - expected[c]).abs() < 0.02), "{found:?} {expected:?}");
        };
        close(to_lab([1.0; 3]), [100.0, 0.0, 0.0]);
        close(to_lab([0.0; 3]), [0.0; 3]);
        // As every converter says for #ff0000.
        close(to_lab([1.0, 0.0, 0.0]), [53.23, 80.11, 67.22]);
    }

    #[test]
    fn a_ramps_slope_is_its_sharpness() {
        let ramp: Vec<f32> = (0..SIZE[0] * SIZE[1]).flat_map(|i| [0.02 * (i % SIZE[1]) as f32; 3]).collect();
        let mut meter = PictureSetMeter::new(SIZE, false);
        meter.push(&ramp, None);
        meter.push(&grey(0.5), None);
        near(meter.finish().pictures.detail.sharpness, 0.01);
    }
}
