//! Checks that cross crates.

pub mod shaders;
