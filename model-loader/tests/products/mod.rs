//! LoRA files and models for them, made of random numbers.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use syncline_loader::{HostTensor, ModelSource};

use crate::keys::{self, Tensors, list};
use crate::rng::Rng;

/// A tensor of any float type: shape, type and values that the type holds exactly.
#[derive(Clone)]
pub struct Tensor(pub Vec<usize>, pub Dtype, pub Vec<f32>);

pub fn random(rng: &mut Rng, shape: &[usize], dtype: Dtype) -> Tensor {
    let unit = |rng: &mut Rng| rng.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0;
    let value = |rng: &mut Rng| match dtype {
        Dtype::F16 => f16::from_f32(unit(rng)).to_f32(),
        Dtype::BF16 => bf16::from_f32(unit(rng)).to_f32(),
        _ => unit(rng),
    };
    Tensor(shape.to_vec(), dtype, (0..shape.iter().product()).map(|_| value(rng)).collect())
}

pub fn save(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let bytes = |t: &Tensor| -> Vec<u8> {
        match t.1 {
            Dtype::F16 => t.2.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            Dtype::BF16 => t.2.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            _ => t.2.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    };
    let all: Vec<(&String, &Tensor, Vec<u8>)> = tensors.iter().map(|(name, t)| (name, t, bytes(t))).collect();
    let views = all.iter().map(|(name, t, bytes)| (*name, TensorView::new(t.1, t.0.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// One layer to merge into: its name in a UNet, the shape of its weight, and the shapes of a product.
pub type LayerShapes = (&'static str, Vec<usize>, Vec<usize>, Vec<usize>, Option<Vec<usize>>);

pub fn layers(rank: usize) -> Vec<LayerShapes> {
    let r = rank;
    vec![
        ("mid_block.attentions.0.proj_in", vec![24, 40], vec![r, 40], vec![24, r], None),
        // A convolution's product on a linear layer: SD-1.x' projections and SD-2.x' have the same elements.
        ("mid_block.attentions.0.proj_out", vec![24, 40], vec![r, 40, 1, 1], vec![24, r, 1, 1], None),
        ("conv_in", vec![10, 7, 3, 3], vec![r, 7, 3, 3], vec![10, r, 1, 1], None),
        ("conv_out", vec![10, 7, 3, 3], vec![r, 7, 1, 1], vec![10, r, 1, 1], Some(vec![r, r, 3, 3])),
        ("mid_block.resnets.0.conv_shortcut", vec![9, 5, 1, 1], vec![r, 5, 1, 1], vec![9, r, 1, 1], None),
    ]
}

/// A UNet file with the layers above and what else a UNet is recognised by.
pub fn base(path: &Path, rng: &mut Rng, dtype: Dtype) -> BTreeMap<String, Tensor> {
    let mut tensors: BTreeMap<String, Tensor> =
        layers(1).into_iter().map(|(name, shape, ..)| (format!("{name}.weight"), random(rng, &shape, dtype))).collect();
    let to_k = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    tensors.insert(to_k.into(), random(rng, &[4, 1024], dtype));
    tensors.insert("time_embedding.linear_1.weight".into(), random(rng, &[4, 4], dtype));
    save(path, &tensors);
    tensors
}

pub fn lora(rng: &mut Rng, rank: usize, dtype: Dtype, alpha: Option<f32>) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    for (name, _, down, up, mid) in layers(rank) {
        let name = format!("lora_unet_{}", name.replace('.', "_"));
        tensors.insert(format!("{name}.lora_down.weight"), random(rng, &down, dtype));
        tensors.insert(format!("{name}.lora_up.weight"), random(rng, &up, dtype));
        if let Some(mid) = mid {
            tensors.insert(format!("{name}.lora_mid.weight"), random(rng, &mid, dtype));
        }
        if let Some(alpha) = alpha {
            tensors.insert(format!("{name}.alpha"), Tensor(vec![], Dtype::F32, vec![alpha]));
        }
    }
    tensors
}

pub fn take(model: &ModelSource, name: &str, shape: &[usize]) -> HostTensor {
    model.weights("unet").unwrap().scope().take(name, shape).unwrap()
}

/// All modules with matrices or kernels of a component, with rank-1 products in the names that `name` gives.
pub fn everywhere(lists: &[(&str, &str)], name: impl Fn(&str, &keys::Key) -> Option<String>) -> Tensors {
    let mut tensors = Tensors::new();
    for (component, file) in lists {
        for key in list(file).iter().filter(|key| key.name.ends_with(".weight") && key.shape.len() > 1) {
            let Some(stem) = name(component, key) else { continue };
            let mut shape = keys::small(&key.name, &key.shape);
            let (up, down) = stem.split_once('|').unwrap();
            tensors.insert(up.into(), (vec![shape[0], 1], keys::values(&key.name, shape[0])));
            shape[0] = 1;
            let count = shape.iter().product();
            tensors.insert(down.into(), (shape, keys::values(&stem, count)));
        }
    }
    tensors
}

pub fn kohya(prefix: &str, path: &str) -> String {
    let stem = format!("{prefix}{}", path.strip_suffix(".weight").unwrap().replace('.', "_"));
    format!("{stem}.lora_up.weight|{stem}.lora_down.weight")
}
