//! What comes in: single pictures, and sets of them (frames of a video, photos with cameras). Nothing read is trusted.

mod cameras;
mod frames;
mod gif;
mod picture;
mod set;
mod spool;
mod video;

pub use cameras::{Scene, is_scene};
pub use frames::is_picture;
pub use gif::Timing;
pub use picture::{Photo, picture_size, read_photo, read_picture};
pub use set::{PictureSet, SetKind, SetOptions};
pub use spool::Spool;
pub use video::{Matrix, StreamHead};
