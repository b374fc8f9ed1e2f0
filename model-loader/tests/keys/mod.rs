//! The complete key lists of published checkpoints, and checkpoints made of them with small tensors.
//!
//! Each list has lines of diffusers' name, shape, original name and how the original becomes the diffusers tensor. They are
//! what diffusers 0.42's own converters make of checkpoints of these families.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// One tensor of a list.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub shape: Vec<usize>,
    pub original: String,
    pub op: String,
}

/// A list by the name of its file.
pub fn list(name: &str) -> Vec<Key> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/keys/{name}.tsv.gz"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let key = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let shape = cells[1].split('x').map(|n| n.parse().unwrap()).collect();
        Key { name: cells[0].into(), shape, original: cells[2].into(), op: cells[3].into() }
    };
    text.lines().map(key).collect()
}

/// A small shape in place of a published one: kernels and the widths that tell families apart stay.
pub fn small(name: &str, shape: &[usize]) -> Vec<usize> {
    let last = shape.len() - 1;
    let tells = name.ends_with("attn2.to_k.weight") || name.ends_with("token_embedding.weight");
    let side = |(i, n): (usize, &usize)| if *n < 10 || (tells && i == last) { *n } else { (n / 160).max(1) };
    shape.iter().enumerate().map(side).collect()
}

/// f16 values below two that belong to a name.
pub fn values(name: &str, count: usize) -> Vec<u8> {
    let mut state =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as u16 & 0xbfff).to_le_bytes()
    };
    (0..count).flat_map(next).collect()
}

/// The tensors of a list under diffusers' names, small.
pub fn diffusers(keys: &[Key]) -> Tensors {
    let tensor = |key: &Key| {
        let shape = small(&key.name, &key.shape);
        let count = shape.iter().product();
        (key.name.clone(), (shape, values(&key.name, count)))
    };
    keys.iter().map(tensor).collect()
}

/// The same tensors as the original checkpoint has them.
pub fn original(keys: &[Key], tensors: &Tensors) -> Tensors {
    let mut out = Tensors::new();
    let mut thirds: BTreeMap<(String, String), String> = BTreeMap::new();
    for key in keys {
        let (mut shape, mut bytes) = tensors[&key.name].clone();
        match key.op.as_str() {
            "copy" => {}
            "conv1x1" => shape.extend([1, 1]),
            "transpose" => {
                let (rows, columns) = (shape[0], shape[1]);
                let cell = |i: usize| &tensors[&key.name].1[2 * i..2 * i + 2];
                bytes = (0..rows * columns).flat_map(|i| cell(i % rows * columns + i / rows).to_vec()).collect();
                shape = vec![columns, rows];
            }
            rows => {
                thirds.insert((key.original.clone(), rows.to_owned()), key.name.clone());
                continue;
            }
        }
        assert!(out.insert(key.original.clone(), (shape, bytes)).is_none(), "{} twice", key.original);
    }
    for ((original, _), name) in thirds {
        let (shape, bytes) = tensors[&name].clone();
        let entry = out.entry(original).or_insert_with(|| ([&[0], &shape[1..]].concat(), Vec::new()));
        entry.0[0] += shape[0];
        entry.1.extend(bytes);
    }
    out
}

/// Writes a safetensors file.
pub fn write(path: &Path, tensors: &Tensors) {
    let views =
        tensors.iter().map(|(name, (shape, data))| (name, TensorView::new(Dtype::F16, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}
