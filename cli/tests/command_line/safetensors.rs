//! Safetensors files taken apart and put together again by hand, so that every rule of the format can be broken.

use serde_json::{Map, Value, json};

/// A header and the bytes behind it.
#[derive(Clone)]
pub struct Safetensors {
    pub header: Map<String, Value>,
    pub data: Vec<u8>,
}

impl Safetensors {
    pub fn parse(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_at(8);
        let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        Self { header: serde_json::from_slice(header).unwrap(), data: data.to_vec() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        file(&serde_json::to_string(&self.header).unwrap(), &self.data)
    }

    /// Where a tensor's bytes lie in `data`.
    pub fn range(&self, name: &str) -> std::ops::Range<usize> {
        let offset = |i: usize| self.header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        offset(0)..offset(1)
    }

    /// Fills a tensor of two-byte elements with one value.
    pub fn fill(&mut self, name: &str, f16: u16) {
        let range = self.range(name);
        self.data[range].chunks_exact_mut(2).for_each(|value| value.copy_from_slice(&f16.to_le_bytes()));
    }

    /// Adds a tensor behind the last.
    pub fn append(&mut self, name: &str, dtype: &str, shape: &[usize], bytes: &[u8]) {
        let begin = self.data.len();
        self.data.extend(bytes);
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, self.data.len()] });
        self.header.insert(name.to_owned(), entry);
    }
}

/// A file of a header text and data.
pub fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}
