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
mod contact_sheet;
mod error;
mod gpano;
mod metadata;
mod png;

pub use atomic::Target;
pub use contact_sheet::contact_sheet;
pub use error::OutputError;
pub use gpano::GPano;
pub use metadata::GenerationParameters;
pub use png::{Embedded, Rgb8};
