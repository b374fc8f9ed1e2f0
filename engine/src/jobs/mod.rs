//! Jobs: what a caller starts, watches, cancels. All of them run in the one loop of [`Job`]; a program only says which
//! recording comes next.

mod canvas;
mod canvas_work;
mod decode;
mod denoise;
mod job;
mod report;
mod text;
mod text_to_image;
mod tiles;
mod view_codec;

pub use canvas::{CanvasOptions, CanvasProgram, CanvasResult};
pub use job::{CancelToken, Job, Program, Progress, Status};
pub use report::{CanvasReport, ReportGeometry};
pub use text::Prompts;
pub use text_to_image::{Images, InitImage, TextToImage, TextToImageOptions};
