//! Jobs: what a caller starts, watches, cancels. All of them run in the one loop of [`Job`]; a program only says which
//! recording comes next.

mod canvas;
mod denoise;
mod frame_edit;
mod history;
mod job;
mod picture_edit;
mod pictures;
mod report;
mod set_edit;
mod text;
mod text_to_image;
mod tiled;
mod tiles;

use syncline_kernels::gpu::Recording;

use crate::error::{Error, Result};

pub use canvas::{
    Branched, CanvasModel, CanvasOptions, CanvasProgram, CanvasResult, Checkpoint, Keep, Preview, PromptedUNet,
    Regions, ViewPrompts,
};
pub use frame_edit::FrameEdit;
pub use job::{CancelToken, Job, Program, Progress, Status};
pub use picture_edit::{PictureEdit, edit_views};
pub use pictures::{CodePicture, PictureCodec, PictureOptions};
pub use report::{CanvasReport, ReportGeometry};
pub use set_edit::{EditTexts, SetEdit};
pub use text::Prompts;
pub use text_to_image::{Beside, ControlPicture, Images, InitImage, TextToImage, TextToImageOptions};

/// Fails with the layer's name when values that were read back, the results of `recording`, hold NaN or infinity.
fn check_host<'a>(values: impl IntoIterator<Item = &'a f32>, stage: &str, recording: &mut Recording) -> Result<()> {
    let count = values.into_iter().filter(|value| !value.is_finite()).count();
    if count == 0 {
        return Ok(());
    }
    let culprit = recording.find_nonfinite()?;
    Err(culprit.map_or_else(
        || Error::NonFinite { stage: stage.to_owned(), count: count as u32 },
        |error| Error::from(error).at_stage(stage),
    ))
}
