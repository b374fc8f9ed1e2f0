//! The header of a safetensors file, checked before anything is believed.
//!
//! The reference reader accepts duplicate keys, a header that does not begin with `{`, empty names, thousands of
//! dimensions and zero-size tensors that share an offset. These rules are stricter; every file accepted here is accepted
//! there too, which a test checks.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::{Detail, LoadError, Result, escaped};
use crate::strict_json::StrictMap;
use crate::tensor::Dtype;

/// The format's limit for the header.
pub const MAX_HEADER: u64 = 100_000_000;
/// Dimensions that a tensor may have.
pub const MAX_RANK: usize = 8;
/// Tensors that one file may have: thirteen times SDXL in one file, and a bound on memory for hostile headers.
pub const MAX_TENSORS: usize = 1 << 15;
/// Bytes of a tensor's name.
const MAX_NAME: usize = 1024;

/// Where one tensor lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Element type.
    pub dtype: Dtype,
    /// Extents.
    pub shape: Vec<usize>,
    /// Bytes within the whole file.
    pub range: Range<usize>,
}

/// The checked header of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// All tensors by name.
    pub tensors: BTreeMap<String, Entry>,
    /// Free-form text pairs.
    pub metadata: BTreeMap<String, String>,
}

impl Header {
    /// Reads and checks the header of a whole file. `file` is its name for messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Header> {
        crate::sniff::sniff(bytes).require_safetensors(file, bytes.len())?;
        let length = bytes.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b)) as usize;
        // `sniff` has checked that the header lies within the file.
        let text = bytes.get(8..8 + length).unwrap_or(&[]);
        let text = std::str::from_utf8(text).map_err(|e| bad_header(file, format!("is not UTF-8: {e}")))?;
        if !text.starts_with('{') {
            return Err(bad_header(file, "it does not begin with {".into()));
        }
        let raw = parse_json(text).map_err(|e| bad_header(file, e.to_string()))?;
        if let Some(field) = raw.tensors.values().find_map(|entry| entry.unknown.as_deref()) {
            tracing::warn!("{file}: unknown field \"{field}\" in the header");
        }
        let data_start = 8 + length;
        let tensors = check_entries(file, raw.tensors, data_start, bytes.len())?;
        Ok(Header { tensors, metadata: raw.metadata })
    }
}

fn bad_header(file: &str, found: String) -> LoadError {
    let detail = Detail::new(file, "the safetensors header is malformed").found(found);
    let detail = detail.expected("one JSON object with each tensor once: {\"name\": {dtype, shape, data_offsets}}");
    LoadError::BadHeader(Box::new(
        detail.next("download the file again, or save it again with safetensors.torch.save_file"),
    ))
}

fn bad_tensor(file: &str, name: &str, found: String, expected: String) -> LoadError {
    let detail =
        Detail::new(file, "a tensor entry of the header is invalid").item(name).found(found).expected(expected);
    LoadError::BadTensor(Box::new(
        detail.next("download the file again, or save it again with safetensors.torch.save_file"),
    ))
}

#[derive(Default)]
struct Raw {
    tensors: BTreeMap<String, RawEntry>,
    metadata: BTreeMap<String, String>,
}

struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
    /// A field that the format does not have.
    unknown: Option<String>,
}

fn parse_json(text: &str) -> serde_json::Result<Raw> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let raw = reader.deserialize_map(RawVisitor)?;
    reader.end()?;
    Ok(raw)
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Raw, M::Error> {
        let mut raw = Raw::default();
        let mut seen_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut seen_metadata, true) {
                    return Err(de::Error::custom("duplicate key \"__metadata__\""));
                }
                raw.metadata = map.next_value::<StrictMap<String>>()?.0;
                continue;
            }
            let entry = map.next_value_seed(EntrySeed)?;
            if raw.tensors.len() == MAX_TENSORS {
                return Err(de::Error::custom(format!("more than {MAX_TENSORS} tensors")));
            }
            if raw.tensors.contains_key(&name) {
                return Err(de::Error::custom(format!("duplicate key \"{}\"", escaped(&name, 100))));
            }
            raw.tensors.insert(name, entry);
        }
        Ok(raw)
    }
}

struct EntrySeed;

impl<'de> DeserializeSeed<'de> for EntrySeed {
    type Value = RawEntry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawEntry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed {
    type Value = RawEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawEntry, M::Error> {
        let (mut dtype, mut shape, mut data_offsets, mut unknown) = (None, None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            let repeated = match key.as_str() {
                "dtype" => dtype.replace(map.next_value()?).is_some(),
                "shape" => shape.replace(map.next_value::<BoundedShape>()?.0).is_some(),
                "data_offsets" => data_offsets.replace(map.next_value()?).is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    unknown = Some(escaped(&key, 60));
                    false
                }
            };
            if repeated {
                return Err(de::Error::custom(format!("duplicate key \"{key}\" in a tensor entry")));
            }
        }
        Ok(RawEntry {
            dtype: dtype.ok_or_else(|| de::Error::missing_field("dtype"))?,
            shape: shape.ok_or_else(|| de::Error::missing_field("shape"))?,
            data_offsets: data_offsets.ok_or_else(|| de::Error::missing_field("data_offsets"))?,
            unknown,
        })
    }
}

/// A shape that stops reading after [`MAX_RANK`] extents.
struct BoundedShape(Vec<u64>);

impl<'de> de::Deserialize<'de> for BoundedShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Extents;
        impl<'de> Visitor<'de> for Extents {
            type Value = BoundedShape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX_RANK} extents")
            }
            fn visit_seq<S: de::SeqAccess<'de>>(self, mut seq: S) -> Result<BoundedShape, S::Error> {
                let mut shape = Vec::new();
                while let Some(extent) = seq.next_element()? {
                    if shape.len() == MAX_RANK {
                        return Err(de::Error::custom(format!("more than {MAX_RANK} dimensions")));
                    }
                    shape.push(extent);
                }
                Ok(BoundedShape(shape))
            }
        }
        deserializer.deserialize_seq(Extents)
    }
}

fn check_entries(
    file: &str,
    raw: BTreeMap<String, RawEntry>,
    data_start: usize,
    file_length: usize,
) -> Result<BTreeMap<String, Entry>> {
    if raw.is_empty() {
        return Err(bad_header(file, "no tensors".into()));
    }
    let mut tensors = BTreeMap::new();
    let mut order: Vec<(u64, u64, &str)> = Vec::with_capacity(raw.len());
    for (name, entry) in &raw {
        let checked = check_entry(file, name, entry, data_start)?;
        order.push((entry.data_offsets.0, entry.data_offsets.1, name));
        tensors.insert(name.clone(), checked);
    }
    order.sort_unstable();
    let mut end = 0;
    for (from, to, name) in order {
        if from != end {
            let kind = if from < end { "overlaps the tensor before it" } else { "leaves a hole before it" };
            let found = format!("data from byte {from}, which {kind}");
            return Err(bad_tensor(file, name, found, format!("data from byte {end}")));
        }
        end = to;
    }
    check_total(file, end, (file_length - data_start) as u64)?;
    Ok(tensors)
}

fn check_total(file: &str, promised: u64, present: u64) -> Result<()> {
    if promised == present {
        return Ok(());
    }
    let detail =
        Detail::new(file, if promised > present { "the file is incomplete" } else { "bytes follow the last tensor" });
    let detail =
        detail.found(format!("{present} bytes of data")).expected(format!("{promised} bytes, as its header says"));
    let detail = Box::new(detail.next("download the file again and compare its size"));
    Err(if promised > present { LoadError::Truncated(detail) } else { LoadError::BadHeader(detail) })
}

fn check_entry(file: &str, name: &str, entry: &RawEntry, data_start: usize) -> Result<Entry> {
    let bad = |found: String, expected: &str| Err(bad_tensor(file, name, found, expected.into()));
    if name.is_empty() {
        return bad("an empty name".into(), "a name for each tensor");
    }
    if name.len() > MAX_NAME {
        return bad(format!("a name of {} bytes", name.len()), "a name of at most 1024 bytes");
    }
    let Some(dtype) = Dtype::from_name(&entry.dtype) else {
        return bad(format!("element type {}", entry.dtype), "F32, F16 or BF16");
    };
    let mut bytes = dtype.size() as u64;
    for extent in &entry.shape {
        if *extent == 0 {
            return bad(format!("shape {:?} with no elements", entry.shape), "at least one element");
        }
        bytes = match bytes.checked_mul(*extent) {
            Some(bytes) => bytes,
            None => {
                return bad(format!("shape {:?}, larger than 2^64 bytes", entry.shape), "a shape that fits the file");
            }
        };
    }
    let (from, to) = entry.data_offsets;
    if from > to || to - from != bytes {
        let found = format!("data_offsets [{from}, {to}]");
        return bad(found, &format!("{bytes} bytes for {dtype} {:?}", entry.shape));
    }
    let position = |offset: u64| usize::try_from(offset).ok().and_then(|o| o.checked_add(data_start));
    let extents = entry.shape.iter().map(|e| usize::try_from(*e).ok()).collect::<Option<Vec<_>>>();
    match (position(from), position(to), extents) {
        (Some(from), Some(to), Some(shape)) => Ok(Entry { dtype, shape, range: from..to }),
        _ => bad(format!("data_offsets [{from}, {to}]"), "offsets that this machine can address"),
    }
}
