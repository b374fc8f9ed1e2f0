//! Element types and host tensors.

use std::fmt;
use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::blob::Blob;

/// Element type of a tensor as safetensors names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F8E4M3,
    F8E5M2,
    F16,
    BF16,
    F32,
    F64,
}

const NAMES: [(&str, Dtype, usize); 15] = [
    ("BOOL", Dtype::Bool, 1),
    ("U8", Dtype::U8, 1),
    ("I8", Dtype::I8, 1),
    ("U16", Dtype::U16, 2),
    ("I16", Dtype::I16, 2),
    ("U32", Dtype::U32, 4),
    ("I32", Dtype::I32, 4),
    ("U64", Dtype::U64, 8),
    ("I64", Dtype::I64, 8),
    ("F8_E4M3", Dtype::F8E4M3, 1),
    ("F8_E5M2", Dtype::F8E5M2, 1),
    ("F16", Dtype::F16, 2),
    ("BF16", Dtype::BF16, 2),
    ("F32", Dtype::F32, 4),
    ("F64", Dtype::F64, 8),
];

impl Dtype {
    /// The type that a safetensors header calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// Name in a safetensors header.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|row| row.1 == self).map_or("?", |row| row.0)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        NAMES.iter().find(|row| row.1 == self).map_or(1, |row| row.2)
    }

    /// Whether this engine takes weights of this type.
    pub fn is_weight(self) -> bool {
        matches!(self, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A named array's content on the host: element type, shape and little-endian bytes. Clones share the bytes.
#[derive(Clone)]
pub struct HostTensor {
    /// Element type.
    pub dtype: Dtype,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    blob: Blob,
    range: Range<usize>,
}

impl fmt::Debug for HostTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostTensor({} {:?}, {} bytes)", self.dtype, self.shape, self.range.len())
    }
}

impl HostTensor {
    pub(crate) fn view(dtype: Dtype, shape: Vec<usize>, blob: Blob, range: Range<usize>) -> Self {
        HostTensor { dtype, shape, blob, range }
    }

    /// A tensor from little-endian bytes.
    ///
    /// # Panics
    /// When `bytes` has not the length that `dtype` and `shape` ask for.
    pub fn from_bytes(dtype: Dtype, shape: impl Into<Vec<usize>>, bytes: Vec<u8>) -> Self {
        let shape = shape.into();
        let count: usize = shape.iter().product();
        assert_eq!(count * dtype.size(), bytes.len(), "HostTensor {dtype} {shape:?} from {} bytes", bytes.len());
        let range = 0..bytes.len();
        HostTensor { dtype, shape, blob: bytes.into(), range }
    }

    /// An f32 tensor.
    ///
    /// # Panics
    /// When `values` has not as many elements as `shape` says.
    pub fn from_f32(shape: impl Into<Vec<usize>>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::from_bytes(Dtype::F32, shape, bytes)
    }

    /// Little-endian elements in row-major order. Their start may be misaligned: copy, do not cast.
    pub fn bytes(&self) -> &[u8] {
        self.blob.slice(&self.range)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.range.len() / self.dtype.size()
    }

    /// Whether there are no elements. Weight files with such tensors are refused.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The same elements under another shape of as many elements.
    ///
    /// # Panics
    /// When the element counts differ.
    pub fn reshaped(mut self, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), self.len(), "reshape {:?} to {shape:?}", self.shape);
        self.shape = shape;
        self
    }

    /// All elements as f32; integers and f64 are rounded to the nearest value.
    pub fn to_f32(&self) -> Vec<f32> {
        let bytes = self.bytes();
        match self.dtype {
            Dtype::F32 => map_le(bytes, f32::from_le_bytes),
            Dtype::F16 => halves(bytes, f16::from_le_bytes, |from, to| from.convert_to_f32_slice(to)),
            Dtype::BF16 => halves(bytes, bf16::from_le_bytes, |from, to| from.convert_to_f32_slice(to)),
            Dtype::F64 => map_le(bytes, |b| f64::from_le_bytes(b) as f32),
            Dtype::Bool | Dtype::U8 => bytes.iter().map(|&b| f32::from(b)).collect(),
            Dtype::I8 => bytes.iter().map(|&b| f32::from(b as i8)).collect(),
            Dtype::U16 => map_le(bytes, |b| f32::from(u16::from_le_bytes(b))),
            Dtype::I16 => map_le(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Dtype::U32 => map_le(bytes, |b| u32::from_le_bytes(b) as f32),
            Dtype::I32 => map_le(bytes, |b| i32::from_le_bytes(b) as f32),
            Dtype::U64 => map_le(bytes, |b| u64::from_le_bytes(b) as f32),
            Dtype::I64 => map_le(bytes, |b| i64::from_le_bytes(b) as f32),
            Dtype::F8E4M3 => bytes.iter().map(|&b| f8(b, 3)).collect(),
            Dtype::F8E5M2 => bytes.iter().map(|&b| f8(b, 2)).collect(),
        }
    }

    /// All elements as f16, or `None` when a finite value is too large for f16 (magnitude above 65504 after rounding).
    pub fn to_f16(&self) -> Option<Vec<f16>> {
        if self.dtype == Dtype::F16 {
            return Some(map_le(self.bytes(), f16::from_le_bytes));
        }
        let wide = self.to_f32();
        let narrow: Vec<f16> = wide.iter().map(|&v| f16::from_f32(v)).collect();
        let fits = wide.iter().zip(&narrow).all(|(w, n)| n.is_finite() || !w.is_finite());
        fits.then_some(narrow)
    }

    /// All elements as i64; floats are truncated.
    pub fn to_i64(&self) -> Vec<i64> {
        let bytes = self.bytes();
        match self.dtype {
            Dtype::I64 => map_le(bytes, i64::from_le_bytes),
            Dtype::U64 => map_le(bytes, |b| u64::from_le_bytes(b) as i64),
            Dtype::I32 => map_le(bytes, |b| i64::from(i32::from_le_bytes(b))),
            Dtype::U32 => map_le(bytes, |b| i64::from(u32::from_le_bytes(b))),
            Dtype::F64 => map_le(bytes, |b| f64::from_le_bytes(b) as i64),
            _ => self.to_f32().into_iter().map(|v| v as i64).collect(),
        }
    }

    /// Number of NaN or infinite elements and the index of the first one, found by bit pattern.
    pub fn nonfinite(&self) -> (usize, Option<usize>) {
        let bytes = self.bytes();
        match self.dtype {
            Dtype::F16 => scan(bytes, |b| u16::from_le_bytes(b) & 0x7c00 == 0x7c00),
            Dtype::BF16 => scan(bytes, |b| u16::from_le_bytes(b) & 0x7f80 == 0x7f80),
            Dtype::F32 => scan(bytes, |b| u32::from_le_bytes(b) & 0x7f80_0000 == 0x7f80_0000),
            Dtype::F64 => scan(bytes, |b| (u64::from_le_bytes(b) >> 52) & 0x7ff == 0x7ff),
            Dtype::F8E4M3 => scan(bytes, |[b]| b & 0x7f == 0x7f),
            Dtype::F8E5M2 => scan(bytes, |[b]| b & 0x7c == 0x7c),
            _ => (0, None),
        }
    }
}

fn map_le<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

/// Converts in blocks through an aligned buffer, so that the CPU's half instructions work on whole slices.
fn halves<H: Copy + Default>(
    bytes: &[u8],
    read: impl Fn([u8; 2]) -> H,
    convert: impl Fn(&[H], &mut [f32]),
) -> Vec<f32> {
    let elements = bytes.as_chunks::<2>().0;
    let mut out = vec![0.0; elements.len()];
    let mut block = [H::default(); 1024];
    for (from, to) in elements.chunks(1024).zip(out.chunks_mut(1024)) {
        for (slot, element) in block.iter_mut().zip(from) {
            *slot = read(*element);
        }
        let (aligned, _) = block.split_at(from.len());
        convert(aligned, to);
    }
    out
}

/// Counts per block without a branch per element; only a block with a hit is searched for the first one.
fn scan<const N: usize>(bytes: &[u8], bad: impl Fn([u8; N]) -> bool) -> (usize, Option<usize>) {
    let elements = bytes.as_chunks::<N>().0;
    let (mut count, mut first) = (0, None);
    for (block, chunk) in elements.chunks(4096).enumerate() {
        // 16 bits keep more elements in a vector register than usize would.
        let hits: u16 = chunk.iter().map(|e| u16::from(bad(*e))).sum();
        if hits > 0 && first.is_none() {
            first = chunk.iter().position(|e| bad(*e)).map(|i| block * 4096 + i);
        }
        count += usize::from(hits);
    }
    (count, first)
}

/// OCP 8-bit floats: E4M3 (3 mantissa bits, no infinity) and E5M2 (2 mantissa bits).
fn f8(byte: u8, mantissa_bits: i32) -> f32 {
    let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
    let bits = i32::from(byte & 0x7f);
    let (exponent, mantissa) = (bits >> mantissa_bits, bits & ((1 << mantissa_bits) - 1));
    let (bias, top) = if mantissa_bits == 3 { (7, 15) } else { (15, 31) };
    if exponent == top && mantissa_bits == 2 {
        return if mantissa == 0 { sign * f32::INFINITY } else { f32::NAN };
    }
    if bits == 0x7f {
        return f32::NAN;
    }
    let unit = f32::from(1u16 << mantissa_bits);
    let fraction = mantissa as f32 / unit;
    let (lead, power) = if exponent == 0 { (0.0, 1 - bias) } else { (1.0, exponent - bias) };
    sign * (lead + fraction) * 2f32.powi(power)
}

#[cfg(test)]
mod tests;
