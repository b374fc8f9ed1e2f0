//! Pictures before they are bytes: floats, and what their values mean.

use std::borrow::Cow;

use syncline::reproject::Raster;

use super::error::OutputError;
use super::png::Rgb8;

/// What a value is proportional to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// What a display is told: sRGB.
    Srgb,
    /// Physical light, which averages and interpolates rightly.
    Linear,
}

/// Pixels with their meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The pixels.
    pub raster: Raster,
    /// What they mean.
    pub light: Light,
}

impl Picture {
    /// Values of 0 to 1 as a display is told them.
    #[must_use]
    pub fn srgb(raster: Raster) -> Self {
        Self { raster, light: Light::Srgb }
    }

    /// Light.
    #[must_use]
    pub fn linear(raster: Raster) -> Self {
        Self { raster, light: Light::Linear }
    }

    /// Its pixels as light.
    #[must_use]
    pub fn to_linear(&self) -> Cow<'_, Raster> {
        match self.light {
            Light::Linear => Cow::Borrowed(&self.raster),
            Light::Srgb => Cow::Owned(map(&self.raster, srgb_to_linear)),
        }
    }

    /// Its pixels as a display is told them.
    #[must_use]
    pub fn to_srgb(&self) -> Cow<'_, Raster> {
        match self.light {
            Light::Srgb => Cow::Borrowed(&self.raster),
            Light::Linear => Cow::Owned(map(&self.raster, linear_to_srgb)),
        }
    }

    /// Fails on NaN and infinity: such a picture is wrong even where it looks right.
    ///
    /// # Errors
    /// [`OutputError::NonFinite`].
    pub fn check_finite(&self) -> Result<(), OutputError> {
        let values = &self.raster.rgb;
        let Some(first) = values.iter().position(|v| !v.is_finite()) else { return Ok(()) };
        let count = values.iter().filter(|v| !v.is_finite()).count();
        let width = self.raster.size[1];
        Err(OutputError::NonFinite { count, total: values.len(), x: first / 3 % width, y: first / 3 / width })
    }

    /// 8 bits a channel; light above 1 is cut off.
    ///
    /// # Errors
    /// [`OutputError::NonFinite`].
    pub fn to_rgb8(&self) -> Result<Rgb8, OutputError> {
        let [height, width] = self.raster.size;
        Rgb8::from_unit(width, height, &self.to_srgb().rgb)
    }

    /// Turned clockwise by a number of quarters.
    #[must_use]
    pub fn turned(&self, quarters: u8) -> Self {
        let quarters = quarters % 4;
        if quarters == 0 {
            return self.clone();
        }
        let [height, width] = self.raster.size;
        let size = if quarters == 2 { [height, width] } else { [width, height] };
        let mut rgb = Vec::with_capacity(self.raster.rgb.len());
        for row in 0..size[0] {
            for column in 0..size[1] {
                rgb.extend(match quarters {
                    1 => self.raster.pixel(height - 1 - column, row),
                    2 => self.raster.pixel(height - 1 - row, width - 1 - column),
                    _ => self.raster.pixel(column, width - 1 - row),
                });
            }
        }
        Self { raster: Raster::new(size, rgb), light: self.light }
    }
}

fn map(raster: &Raster, f: fn(f32) -> f32) -> Raster {
    Raster::new(raster.size, raster.rgb.iter().map(|v| f(*v)).collect())
}

/// IEC 61966-2-1.
fn srgb_to_linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// Its inverse.
fn linear_to_srgb(v: f32) -> f32 {
    if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_the_way_through_light() {
        let levels: Vec<f32> = (0..=255_u8).flat_map(|v| [f32::from(v) / 255.0; 3]).collect();
        let picture = Picture::srgb(Raster::new([16, 16], levels));
        let back = Picture::linear(picture.to_linear().into_owned());
        assert_eq!(back.to_rgb8().unwrap(), picture.to_rgb8().unwrap());
        // Middle grey of a display is a fifth of its light.
        assert!((picture.to_linear().rgb[3 * 128] - 0.2158).abs() < 1e-3);
    }

    #[test]
    fn quarters_turn_clockwise() {
        let value = |v: usize| [v as f32; 3];
        let picture = |size, values: &[usize]| {
            Picture::linear(Raster::new(size, values.iter().flat_map(|v| value(*v)).collect()))
        };
        let upright = picture([2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(upright.turned(0), upright);
        assert_eq!(upright.turned(1), picture([3, 2], &[4, 1, 5, 2, 6, 3]));
        assert_eq!(upright.turned(2), picture([2, 3], &[6, 5, 4, 3, 2, 1]));
        assert_eq!(upright.turned(3), upright.turned(1).turned(2));
    }
}
