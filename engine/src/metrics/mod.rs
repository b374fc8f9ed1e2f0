//! Measures that need no downloads: how well views agree, whether seams show, and whether it was bought with blur.

mod panorama;
mod sample;

pub use panorama::{Seam, disagreement, seam};
pub use sample::{Equirect, perspective, sharpness};
