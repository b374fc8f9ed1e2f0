//! Shapes, element types and the cheap tensor handle that recorders pass around.
//!
//! Layout: contiguous, row-major, images `[B, H, W, C]`, tokens `[B, L, C]`. The last dimension is padded with zeros
//! to a multiple of four elements in memory, so every kernel moves whole 4-vectors; the pad lanes are zero by contract
//! and every kernel that writes a tensor writes zeros there.

use std::fmt;
use std::sync::Arc;

use crate::gpu::Buffer;

/// Element type of a tensor in GPU memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elem {
    /// 32-bit float.
    F32,
    /// 16-bit float; `array<vec4<f16>>` with `SHADER_F16`, packed pairs in `u32` without it. Same bytes either way.
    F16,
    /// 32-bit unsigned integer.
    U32,
}

impl Elem {
    /// Bytes of one element.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Elem::F16 => 2,
            Elem::F32 | Elem::U32 => 4,
        }
    }
}

impl fmt::Display for Elem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Elem::F32 => "f32",
            Elem::F16 => "f16",
            Elem::U32 => "u32",
        })
    }
}

/// Up to five dimensions, outermost first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; Shape::MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The largest rank a tensor may have.
    pub const MAX_RANK: usize = 5;

    /// A shape from its dimensions.
    ///
    /// # Panics
    /// On rank 0, rank above [`Shape::MAX_RANK`] or a zero dimension: shapes come from our own layers.
    #[must_use]
    pub fn new(dims: &[usize]) -> Self {
        assert!(!dims.is_empty() && dims.len() <= Self::MAX_RANK, "shape {dims:?}: rank must be 1..=5");
        assert!(dims.iter().all(|&d| d > 0), "shape {dims:?}: zero dimension");
        let mut padded = [1; Self::MAX_RANK];
        padded[..dims.len()].copy_from_slice(dims);
        Self { dims: padded, rank: dims.len() }
    }

    /// The dimensions, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The innermost dimension (channels), without padding.
    #[must_use]
    pub fn last(&self) -> usize {
        self.dims[self.rank - 1]
    }

    /// The innermost dimension rounded up to a multiple of four: the row stride in memory, in elements.
    #[must_use]
    pub fn padded_last(&self) -> usize {
        self.last().next_multiple_of(4)
    }

    /// The product of all dimensions but the last.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.dims[..self.rank - 1].iter().product()
    }

    /// Number of meaningful elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows() * self.last()
    }

    /// Never true: shapes have no zero dimension.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Number of elements in memory, pad lanes included.
    #[must_use]
    pub fn padded_len(&self) -> usize {
        self.rows() * self.padded_last()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self::new(dims)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        Self::new(dims)
    }
}

/// Where the bytes of a tensor are.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// A buffer of its own: weights, inputs, state that outlives a recording; from this byte of its payload on.
    Resident { buffer: Arc<Buffer>, start: u64 },
    /// A value inside one recorder; gets a slot when the recording is finished.
    Virtual { recorder: u64, id: u32 },
}

/// A cheap handle: shape, element type and where the bytes are.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub(crate) shape: Shape,
    pub(crate) elem: Elem,
    pub(crate) storage: Storage,
}

impl Tensor {
    /// The dimensions, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The element type.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Bytes in memory, pad lanes included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shape.padded_len() as u64 * self.elem.bytes()
    }

    /// Whether the tensor has a buffer of its own (weights, inputs, state).
    #[must_use]
    pub fn is_resident(&self) -> bool {
        matches!(self.storage, Storage::Resident { .. })
    }

    /// Whether both are the same range of the same buffer.
    #[must_use]
    pub fn same_memory(&self, other: &Self) -> bool {
        match (&self.storage, &other.storage) {
            (Storage::Resident { buffer: a, start: i }, Storage::Resident { buffer: b, start: j }) => {
                Arc::ptr_eq(a, b) && i == j
            }
            (Storage::Virtual { recorder: a, id: i }, Storage::Virtual { recorder: b, id: j }) => a == b && i == j,
            _ => false,
        }
    }

    /// Entries `first..first + count` of the outermost dimension of a resident tensor, without a copy: one view of a
    /// set, one image of a batch.
    ///
    /// # Panics
    /// When the tensor lives inside a recording, the range is outside, or it does not begin at a multiple of 256
    /// bytes, WebGPU's alignment of storage bindings.
    #[must_use]
    pub fn slice(&self, first: usize, count: usize) -> Self {
        let Storage::Resident { buffer, start } = &self.storage else {
            panic!("slice: {:?} lives inside a recording", self.shape)
        };
        let dims = self.dims();
        assert!(count > 0 && first + count <= dims[0], "slice: {first}..{} of {dims:?}", first + count);
        let offset = start + self.bytes() / dims[0] as u64 * first as u64;
        assert!(offset.is_multiple_of(256), "slice: entry {first} of {dims:?} {} begins at byte {offset}", self.elem);
        let dims: Vec<usize> = std::iter::once(count).chain(dims[1..].iter().copied()).collect();
        let storage = Storage::Resident { buffer: buffer.clone(), start: offset };
        Self { shape: Shape::new(&dims), elem: self.elem, storage }
    }

    /// The same bytes under another shape, for example `[B, H, W, C]` as `[B, H*W, C]`.
    ///
    /// # Panics
    /// When the number of elements differs, or the last dimension does while one of both has pad lanes.
    #[must_use]
    pub fn reshape(&self, dims: &[usize]) -> Self {
        let shape = Shape::new(dims);
        let unpadded = shape.last().is_multiple_of(4) && self.shape.last().is_multiple_of(4);
        assert!(
            (shape.last() == self.shape.last() || unpadded) && shape.len() == self.shape.len(),
            "reshape {:?} -> {shape:?}: rows must keep their length",
            self.shape
        );
        Self { shape, ..self.clone() }
    }
}
