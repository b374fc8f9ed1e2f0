//! The RGB picture: one tensor, or four bands of rows where one would not fit a storage binding (8192 × 4096 on adapters with
//! WebGPU's limits).

use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::tensor::{Elem, Tensor};

use crate::error::{Error, Result};
use crate::spaces::{self, Fuse, Project};

/// The tensors of a picture.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    ctx: Context,
    /// Values of one band.
    band: usize,
    /// All rows, from the top.
    pub(super) bands: Vec<Tensor>,
}

impl Picture {
    /// A black picture of `height × width`.
    ///
    /// # Errors
    /// When even a quarter of it does not fit the adapter.
    pub(super) fn new(ctx: &Context, [height, width]: [usize; 2]) -> Result<Self> {
        let limit = ctx.caps().max_binding.min(ctx.caps().max_buffer);
        // RGB takes four numbers in memory.
        let bytes = |rows: usize| (rows * width * 16) as u64;
        let count = if bytes(height) <= limit { 1 } else { 4 };
        if count > 1 && (!height.is_multiple_of(4) || bytes(height / 4) > limit) {
            return Err(Error::Input {
                what: "canvas",
                found: format!("{width}x{height}, {} bytes", bytes(height)),
                expected: format!(
                    "at most {} bytes on this adapter (four storage bindings), with a height that four divides",
                    4 * limit
                ),
            });
        }
        let rows = height / count;
        let black = vec![0.0; rows * width * 3];
        let band = |_| ctx.upload_named("canvas", &black, &[rows, width, 3], Elem::F32);
        let bands = (0..count).map(band).collect::<Result<_, _>>()?;
        Ok(Self { ctx: ctx.clone(), band: black.len(), bands })
    }

    /// The only tensor, or `None` when there are bands.
    pub(super) fn whole(&self) -> Option<&Tensor> {
        if let [whole] = &self.bands[..] { Some(whole) } else { None }
    }

    /// `height · width · 3` values, row by row.
    pub(super) fn read(&self) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for band in &self.bands {
            all.append(&mut self.ctx.read(band)?);
        }
        Ok(all)
    }

    pub(super) fn write(&self, values: &[f32]) -> Result<()> {
        for (band, values) in self.bands.iter().zip(values.chunks_exact(self.band)) {
            self.ctx.write(band, values)?;
        }
        Ok(())
    }

    /// Views of the picture; `project.canvas` is its first tensor.
    pub(super) fn project(&self, rec: &mut Recorder, project: &Project<'_>) -> Tensor {
        match &self.bands[..] {
            [_, a, b, c] => spaces::project_bands(rec, project, [a, b, c]),
            _ => spaces::project(rec, project),
        }
    }

    /// Views into the picture; `fuse.canvas` is its first tensor.
    pub(super) fn fuse(&self, rec: &mut Recorder, fuse: &Fuse<'_>) -> Result<()> {
        match &self.bands[..] {
            [_, _, _, _] if fuse.regions.is_some() => {
                return Err(Error::Input {
                    what: "regions",
                    found: "a canvas larger than a storage binding of this adapter".into(),
                    expected: "a smaller canvas".into(),
                });
            }
            [_, a, b, c] => spaces::fuse_bands(rec, fuse, [a, b, c]),
            _ => spaces::fuse(rec, fuse),
        };
        Ok(())
    }
}
