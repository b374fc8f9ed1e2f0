//! Looks at a running job.

use std::path::Path;

use syncline::jobs::Preview;
use syncline::reproject::{Edges, Raster, resize};

use crate::args::PreviewArg;
use crate::output::{Embedded, OutputError, Picture, Target};

/// Most pixels in a row.
const MAX_WIDTH: usize = 1024;

/// The file that is written again and again.
#[derive(Debug)]
pub struct PreviewFile {
    target: Target,
    every: usize,
}

impl PreviewFile {
    /// Before the work.
    ///
    /// # Errors
    /// As [`Target::check`].
    pub fn check(arg: &PreviewArg, output: &Path) -> Result<Self, OutputError> {
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let path = arg.file.clone().unwrap_or_else(|| output.with_file_name(format!("{stem}_preview.png")));
        Ok(Self { target: Target::check(&path, true)?, every: arg.every })
    }

    /// Whether the canvas is shown after this many steps.
    pub fn due(&self, steps: usize) -> bool {
        steps.is_multiple_of(self.every)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// When the disk refuses, or the canvas holds NaN.
    pub fn write(&self, preview: Preview) -> Result<(), OutputError> {
        let [height, width] = preview.size;
        let mut picture = Picture::srgb(Raster::new(preview.size, preview.rgb));
        if width > MAX_WIDTH {
            let size = [(height * MAX_WIDTH / width).max(1), MAX_WIDTH];
            picture = Picture::linear(resize(&picture.to_linear(), size, Edges::Wrap));
        }
        self.target.write_png(&picture.to_rgb8()?, &Embedded::default()).map(|_| ())
    }
}
