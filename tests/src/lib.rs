//! Checks that cross crates.

pub mod analytic;
pub mod shaders;
pub mod stage;
