//! At which size a picture is edited, and how the edit comes back into it.

use syncline::jobs::PictureOptions;
use syncline::models::Wrap;
use syncline::pipeline::StableDiffusion;
use syncline::reproject::{Edges, Raster, resize};

use crate::args::{Large, Paste, SetFilesArgs};

/// A picture's own size and the one it is edited at, `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    own: [usize; 2],
    /// What the model sees.
    pub work: [usize; 2],
    edges: Edges,
    paste: Paste,
    tile: Option<usize>,
}

/// What a model can take.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// Sides are multiples of this.
    pub multiple: usize,
    /// Side of the pictures it was trained on.
    pub native: usize,
}

impl Sides {
    /// Of a model.
    pub fn of(model: &StableDiffusion) -> Self {
        Self { multiple: model.downscale() * model.unet.size_multiple(), native: model.native_size() }
    }
}

impl Place {
    /// Pictures as a whole: larger ones are edited with their shorter side at the model's.
    pub fn whole(own: [usize; 2], sides: Sides, files: &SetFilesArgs) -> Self {
        let shorter = own[0].min(own[1]);
        let fit = shorter > sides.native && files.large == Large::Whole;
        let wish = files.edit_side.or(fit.then_some(sides.native));
        Self { own, work: scaled(own, wish, sides), edges: Edges::Clamp, paste: files.paste, tile: files.vae_tile_size }
    }

    /// A panorama, which is edited in windows at its own size.
    pub fn panorama(own: [usize; 2], sides: Sides, files: &SetFilesArgs, wrap: bool) -> Self {
        let mut work = scaled(own, files.edit_side, sides);
        if wrap {
            work[1] = nearest(work[1] as f64, sides.multiple);
        }
        let edges = if wrap { Edges::Wrap } else { Edges::Clamp };
        Self { own, work, edges, paste: files.paste, tile: files.vae_tile_size }
    }

    /// For its codec.
    pub fn options(&self) -> PictureOptions {
        let wrap = Wrap { x: self.edges == Edges::Wrap, y: false };
        PictureOptions { tile: self.tile, wrap, ..PictureOptions::default() }
    }

    /// The picture as the model sees it.
    pub fn to_work(self, raster: &Raster) -> Vec<f32> {
        let mut seen = resize(raster, self.work, self.edges).rgb;
        seen.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        seen
    }

    /// Whether [`Place::back`] asks for the source as the autoencoder gives it back.
    pub fn needs_source(&self) -> bool {
        self.paste == Paste::Difference
    }

    /// The edited picture at its own size, from what the autoencoder makes of edit and source.
    pub fn back(self, raster: &Raster, edited: Vec<f32>, source: Option<Vec<f32>>) -> Raster {
        let Some(source) = source else { return resize(&Raster::new(self.work, edited), self.own, self.edges) };
        let change = edited.iter().zip(&source).map(|(a, b)| a - b).collect();
        let change = resize(&Raster::new(self.work, change), self.own, self.edges);
        Raster::new(self.own, raster.rgb.iter().zip(&change.rgb).map(|(a, b)| a + b).collect())
    }
}

/// With the shorter side at `side`, and multiples of what the model takes: an edge that is stretched by a little is better than one
/// that is made up. Without a wish the size stays, and is extended.
fn scaled(own: [usize; 2], side: Option<usize>, sides: Sides) -> [usize; 2] {
    let Some(side) = side else { return own };
    let factor = side as f64 / own[0].min(own[1]) as f64;
    own.map(|n| nearest(n as f64 * factor, sides.multiple))
}

fn nearest(n: f64, multiple: usize) -> usize {
    ((n / multiple as f64).round() as usize).max(1) * multiple
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(words: &[&str]) -> SetFilesArgs {
        use clap::{Args, FromArgMatches};
        let command = SetFilesArgs::augment_args(clap::Command::new("test"));
        let words = [&["test", "-i", "a", "-o", "b"], words].concat();
        SetFilesArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
    }

    const SIDES: Sides = Sides { multiple: 64, native: 512 };

    #[test]
    fn sizes_suit_the_model() {
        let whole = |own, words: &[&str]| Place::whole(own, SIDES, &files(words)).work;
        assert_eq!(whole([480, 500], &[]), [480, 500]);
        assert_eq!(whole([1080, 1920], &[]), [512, 896]);
        assert_eq!(whole([512, 900], &[]), [512, 900]);
        assert_eq!(whole([1080, 1920], &["--edit-side", "768"]), [768, 1344]);
        assert_eq!(whole([1080, 1920], &["--large", "windows"]), [1080, 1920]);
        assert_eq!(whole([100, 9000], &["--edit-side", "8"]), [64, 704]);
        let around = |own, wrap| Place::panorama(own, SIDES, &files(&[]), wrap).work;
        assert_eq!((around([500, 1000], true), around([500, 1000], false)), ([500, 1024], [500, 1000]));
    }

    #[test]
    fn what_no_edit_has_changed_stays_to_the_bit() {
        let place = Place::whole([600, 700], SIDES, &files(&[]));
        let raster = Raster::new([600, 700], (0..600 * 700 * 3).map(|i| (i % 251) as f32 / 200.0 - 0.1).collect());
        let seen = place.to_work(&raster);
        assert_eq!(seen.len(), 512 * 576 * 3);
        assert!(seen.iter().all(|v| (0.0..=1.0).contains(v)));
        assert_eq!(place.back(&raster, seen.clone(), Some(seen.clone())), raster);
        // A change by a constant is a change by that constant at any size.
        let brighter: Vec<f32> = seen.iter().map(|v| v + 0.25).collect();
        let back = place.back(&raster, brighter, Some(seen.clone()));
        assert!(back.rgb.iter().zip(&raster.rgb).all(|(a, b)| (a - b - 0.25).abs() < 1e-5));
        let decoded = Place::whole([600, 700], SIDES, &files(&["--paste", "decoded"]));
        assert_eq!((decoded.needs_source(), decoded.back(&raster, seen, None).size), (false, [600, 700]));
    }
}
