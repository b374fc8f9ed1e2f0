//! What the command line writes: pictures that are complete or absent, never overwrite by accident, and say how they
//! were made.
//!
//! ```ignore
//! let target = Target::check(path, force)?;              // before the long computation
//! let image = Rgb8::from_unit(width, height, &pixels)?;  // refuses NaN and infinity
//! let written = target.write_png(&image, &Embedded { parameters, json, xmp })?;
//! println!("{}", written.display());                     // the name may have got a _2
//! ```

mod atomic;
mod consumer;
mod contact_sheet;
mod environment;
mod error;
mod file_set;
mod folder;
mod format;
mod gpano;
mod html;
mod ktx2;
mod layout;
mod metadata;
mod photo;
mod picture;
mod picture_set;
mod png;
mod report_html;
mod test_card;
mod unnamed;
mod viewer;

pub use atomic::Target;
pub use consumer::{Consumer, ConsumerName};
pub use contact_sheet::contact_sheet;
pub use environment::{Drawing, EnvironmentFiles, Sphere, Turn, format_of, with_front_at};
pub use error::OutputError;
pub use folder::FolderTarget;
pub use format::Format;
pub use gpano::GPano;
pub use layout::Layout;
pub use metadata::GenerationParameters;
pub use photo::{Kept, photo_bytes};
pub use picture::Picture;
pub use picture_set::SetTarget;
pub use png::{Embedded, Rgb8};
pub use report_html::{ReportFiles, ReportPage, Table};
pub use test_card::test_card;
pub use viewer::viewer_page;
