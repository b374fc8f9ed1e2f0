//! How a kernel's WGSL source becomes a shader: a one-line head, the kernel file, shared libraries at the end.

mod link;

pub use link::{Consumer, head, link};
