//! Safetensors files written by hand, right and wrong.

use half::f16;

/// A file with this header text and data, whatever they say.
pub fn file(header: &str, data: &[u8]) -> Vec<u8> {
    file_with_length(header.len() as u64, header.as_bytes(), data)
}

/// A file whose header length is a lie.
pub fn file_with_length(length: u64, header: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    bytes
}

/// A sound file: f32, f16, bf16 and i64 tensors and metadata; 88 bytes of data.
pub fn sound() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"conv.weight":{"dtype":"F32","shape":[2,2,2],"data_offsets":[0,32]},"norm.bias":{"dtype":"F16","shape":[4],"data_offsets":[32,40]},"norm.weight":{"dtype":"BF16","shape":[4],"data_offsets":[40,48]},"position_ids":{"dtype":"I64","shape":[1,5],"data_offsets":[48,88]}}"#;
    let mut data = Vec::new();
    data.extend((0..8).flat_map(|i| (i as f32 * 0.5).to_le_bytes()));
    data.extend((0..4).flat_map(|i| f16::from_f32(i as f32).to_le_bytes()));
    data.extend((0..4).flat_map(|i| half::bf16::from_f32(1.0 + i as f32).to_le_bytes()));
    data.extend((0..5i64).flat_map(i64::to_le_bytes));
    file(header, &data)
}
