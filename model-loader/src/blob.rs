//! Bytes with an owner: a mapped file, an embedded array, or memory of our own.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::mmap::Mapped;

/// Immutable bytes that are cheap to clone.
#[derive(Clone, Debug)]
pub enum Blob {
    /// A memory-mapped file.
    Mapped(Arc<Mapped>),
    /// Bytes in the program itself.
    Static(&'static [u8]),
    /// Bytes on the heap.
    Owned(Arc<[u8]>),
}

impl Blob {
    /// Maps a file.
    pub fn map(path: &Path) -> Result<Self> {
        Ok(Blob::Mapped(Arc::new(Mapped::open(path)?)))
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Blob::Mapped(mapped) => mapped.bytes(),
            Blob::Static(bytes) => bytes,
            Blob::Owned(bytes) => bytes,
        }
    }

    /// Fails when a mapped file has changed its length since it was opened.
    pub fn check_length(&self) -> Result<()> {
        match self {
            Blob::Mapped(mapped) => mapped.check_length(),
            Blob::Static(_) | Blob::Owned(_) => Ok(()),
        }
    }

    /// Whether both are the same memory.
    pub(crate) fn is(&self, other: &Blob) -> bool {
        std::ptr::eq(self.bytes(), other.bytes())
    }

    /// The bytes of a range; empty if it is out of bounds, which validated headers exclude.
    pub fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes().get(range.clone()).unwrap_or(&[])
    }
}

impl From<&'static [u8]> for Blob {
    fn from(bytes: &'static [u8]) -> Self {
        Blob::Static(bytes)
    }
}

impl From<Arc<[u8]>> for Blob {
    fn from(bytes: Arc<[u8]>) -> Self {
        Blob::Owned(bytes)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Blob::Owned(bytes.into())
    }
}
