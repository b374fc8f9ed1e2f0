//! LoRAs merged at load: against the definition, in every trainer's names, together, and refused where they do not fit.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;
mod rng;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use keys::{Tensors, diffusers, list, write};
use rng::Rng;
use safetensors::tensor::{Dtype, TensorView};
use syncline_loader::{HostTensor, LoadError, Lora, ModelSource};

/// A tensor of any float type: shape, type and values that the type holds exactly.
#[derive(Clone)]
struct Tensor(Vec<usize>, Dtype, Vec<f32>);

fn random(rng: &mut Rng, shape: &[usize], dtype: Dtype) -> Tensor {
    let unit = |rng: &mut Rng| (rng.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
    let value = |rng: &mut Rng| match dtype {
        Dtype::F16 => f16::from_f32(unit(rng)).to_f32(),
        Dtype::BF16 => bf16::from_f32(unit(rng)).to_f32(),
        _ => unit(rng),
    };
    Tensor(shape.to_vec(), dtype, (0..shape.iter().product()).map(|_| value(rng)).collect())
}

fn save(path: &Path, tensors: &BTreeMap<String, Tensor>) {
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

/// The product by its definition, element for element: `Σ_p up[o, p] · down[p, i…]`, or with a kernel between.
fn product(down: &Tensor, up: &Tensor, mid: Option<&Tensor>, out: usize) -> Vec<f64> {
    let rank = down.0[0];
    let wide = |t: &Tensor, i: usize| f64::from(t.2[i]);
    let Some(mid) = mid else {
        let inner = down.2.len() / rank;
        let cell =
            |i: usize| (0..rank).map(|p| wide(up, i / inner * rank + p) * wide(down, p * inner + i % inner)).sum();
        return (0..out * inner).map(cell).collect();
    };
    let (inputs, kernel) = (down.0[1], mid.0[2] * mid.0[3]);
    let mut sums = vec![0.0; out * inputs * kernel];
    for o in 0..out {
        for i in 0..inputs {
            for k in 0..kernel {
                for p in 0..rank {
                    for q in 0..rank {
                        sums[(o * inputs + i) * kernel + k] += wide(up, o * rank + p)
                            * wide(mid, (p * rank + q) * kernel + k)
                            * wide(down, q * inputs + i);
                    }
                }
            }
        }
    }
    sums
}

/// Spacing of f32 (24 bits) or f16 (11 bits) around a value.
fn ulp(value: f64, bits: i32, smallest: i32) -> f64 {
    let exponent = if value == 0.0 { smallest } else { (value.abs().log2().floor() as i32).max(smallest) };
    2f64.powi(exponent - bits + 1)
}

/// One layer to merge into: its name in a UNet, the shape of its weight, and the shapes of a product.
type LayerShapes = (&'static str, Vec<usize>, Vec<usize>, Vec<usize>, Option<Vec<usize>>);

fn layers(rank: usize) -> Vec<LayerShapes> {
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
fn base(path: &Path, rng: &mut Rng, dtype: Dtype) -> BTreeMap<String, Tensor> {
    let mut tensors: BTreeMap<String, Tensor> =
        layers(1).into_iter().map(|(name, shape, ..)| (format!("{name}.weight"), random(rng, &shape, dtype))).collect();
    let to_k = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    tensors.insert(to_k.into(), random(rng, &[4, 1024], dtype));
    tensors.insert("time_embedding.linear_1.weight".into(), random(rng, &[4, 4], dtype));
    save(path, &tensors);
    tensors
}

fn lora(rng: &mut Rng, rank: usize, dtype: Dtype, alpha: Option<f32>) -> BTreeMap<String, Tensor> {
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

fn take(model: &ModelSource, name: &str, shape: &[usize]) -> HostTensor {
    model.weights("unet").unwrap().scope().take(name, shape).unwrap()
}

#[test]
fn merging_is_w_plus_the_scaled_products_to_one_ulp() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("lora.safetensors"));
    let mut rng = Rng(7);
    let (mut checked, mut worst) = (0, [0.0f64; 2]);
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let weights = base(&unet, &mut rng, dtype);
        for (rank, alpha, weight) in [(1, None, 1.0), (4, Some(2.0), 0.8), (8, Some(8.0), -0.5), (13, Some(1.0), 1.7)] {
            let tensors = lora(&mut rng, rank, dtype, alpha);
            save(&path, &tensors);
            let added = ModelSource::open(&unet).unwrap().with_lora(&Lora::open(&path).unwrap(), weight).unwrap();
            for (name, shape, ..) in layers(rank) {
                let part = |end: &str| tensors.get(&format!("lora_unet_{}.lora_{end}.weight", name.replace('.', "_")));
                let product = product(part("down").unwrap(), part("up").unwrap(), part("mid"), shape[0]);
                let scale = weight * alpha.map_or(1.0, |alpha| f64::from(alpha) / rank as f64);
                let merged = take(&added, &format!("{name}.weight"), &shape);
                let halves = merged.to_f16().unwrap();
                let w = &weights[&format!("{name}.weight")].2;
                for (i, value) in merged.to_f32().into_iter().enumerate() {
                    let exact = f64::from(w[i]) + scale * product[i];
                    let off = (f64::from(value) - exact).abs() / ulp(exact, 24, -126);
                    let half = (f64::from(halves[i].to_f32()) - exact).abs() / ulp(exact, 11, -14);
                    worst = [worst[0].max(off), worst[1].max(half)];
                    assert!(off <= 1.0 && half <= 1.0, "{name} {i}: {value} for {exact}");
                    checked += 1;
                }
            }
        }
    }
    println!("{checked} values, worst {worst:?} ulp in f32 and f16 storage");
    assert!(checked > 30_000 && worst[0] > 0.3, "{checked} values");
}

#[test]
fn loras_add_up_and_commute_to_the_bit() {
    let root = tempfile::tempdir().unwrap();
    let unet = root.path().join("unet-512.safetensors");
    let mut rng = Rng(11);
    base(&unet, &mut rng, Dtype::F32);
    let open = |n: usize, rng: &mut Rng| {
        let path = root.path().join(format!("lora{n}.safetensors"));
        save(&path, &lora(rng, 3 + n, Dtype::F32, Some(1.5)));
        Lora::open(&path).unwrap()
    };
    let loras: Vec<(Lora, f64)> = (0..3).map(|n| (open(n, &mut rng), 0.3 + n as f64)).collect();
    let merged = |order: &[usize]| -> Vec<Vec<u8>> {
        let plain = ModelSource::open(&unet).unwrap();
        let model = order.iter().fold(plain, |model, n| model.with_lora(&loras[*n].0, loras[*n].1).unwrap());
        layers(1)
            .iter()
            .map(|(name, shape, ..)| take(&model, &format!("{name}.weight"), shape).bytes().to_vec())
            .collect()
    };
    for pair in [[0, 1], [1, 2], [0, 2]] {
        assert!(merged(&pair) == merged(&[pair[1], pair[0]]), "{pair:?}");
        assert!(merged(&pair) != merged(&pair[..1]));
    }
    let first = merged(&[0, 1, 2]);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert!(merged(&order) == first, "{order:?}");
    }
    // With weight 0 nothing changes, to the bit.
    let plain = ModelSource::open(&unet).unwrap();
    let none = plain.clone().with_lora(&loras[0].0, 0.0).unwrap();
    for (name, shape, ..) in layers(1) {
        let name = format!("{name}.weight");
        assert!(take(&none, &name, &shape).bytes() == take(&plain, &name, &shape).bytes(), "{name}");
    }
    // Weights that cancel give the model back: what is left of ± the same f64 numbers is nothing.
    let both = plain.clone().with_lora(&loras[1].0, 0.7).unwrap().with_lora(&loras[1].0, -0.7).unwrap();
    let (name, shape, ..) = layers(1).swap_remove(0);
    let name = format!("{name}.weight");
    let pairs = take(&both, &name, &shape).to_f32().into_iter().zip(take(&plain, &name, &shape).to_f32());
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= f32::EPSILON * b.abs()));
}

/// All modules with matrices or kernels of a component, with rank-1 products in the names that `name` gives.
fn everywhere(lists: &[(&str, &str)], name: impl Fn(&str, &keys::Key) -> Option<String>) -> Tensors {
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

fn kohya(prefix: &str, path: &str) -> String {
    let stem = format!("{prefix}{}", path.strip_suffix(".weight").unwrap().replace('.', "_"));
    format!("{stem}.lora_up.weight|{stem}.lora_down.weight")
}

/// Every module of the complete key lists is found in every spelling: none is left over, and all spellings give one model.
#[test]
fn every_module_of_every_family_is_found_in_every_spelling() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("lora.safetensors"));
    let text = root.path().join("text.safetensors");
    type Spelling = (&'static str, fn(&str, &keys::Key) -> Option<String>);
    let spellings: [Spelling; 3] = [
        ("kohya", |component, key| {
            Some(kohya(&format!("lora_{}_", component.replace("text_encoder", "te")), &key.name))
        }),
        ("kohya with original names", |component, key| {
            let original = key.original.strip_prefix("model.diffusion_model.");
            Some(match original {
                Some(original) => kohya("lora_unet_", original),
                None => kohya(&format!("lora_{}_", component.replace("text_encoder", "te1")), &key.name),
            })
        }),
        ("PEFT", |component, key| {
            let stem = format!("{component}.{}", key.name.strip_suffix(".weight").unwrap());
            Some(format!("{stem}.lora_B.weight|{stem}.lora_A.weight"))
        }),
    ];
    for (unet_list, text_list) in
        [("unet-sd21", "text_encoder-sd21"), ("unet-ip2p", "text_encoder-sd1"), ("unet-sdxl", "text_encoder-sdxl")]
    {
        write(&unet, &diffusers(&list(unet_list)));
        write(&text, &diffusers(&list(text_list)));
        let model = ModelSource::open(&unet).unwrap().with_component("text_encoder", &text).unwrap();
        let lists = [("unet", unet_list), ("text_encoder", text_list)];
        for (spelling, name) in spellings {
            let tensors = everywhere(&lists, name);
            write(&path, &tensors);
            let lora = Lora::open(&path).unwrap();
            assert_eq!(lora.len(), tensors.len() / 2, "{spelling}");
            assert_eq!(lora.family(), model.family(), "{spelling} {unet_list}");
            let added = model.clone().with_lora(&lora, 1.0).unwrap();
            for (component, file) in lists {
                let weights = added.weights(component).unwrap();
                for key in list(file) {
                    let shape = keys::small(&key.name, &key.shape);
                    let merged = weights.scope().take(&key.name, &shape).unwrap();
                    assert_eq!(merged.shape, shape);
                }
                // Fails when a product was left over.
                weights.finish(&[]).unwrap();
            }
        }
    }
}

fn refused(what: &str, error: &LoadError, code: u8, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.code().exit_code(), code, "{what}: {text}");
    assert!(words.iter().all(|word| text.contains(word)), "{what}: {text}");
    assert!(text.lines().count() <= 6 && text.matches("next:").count() == 1, "{what}: {text}");
}

#[test]
fn a_lora_for_another_family_is_refused_with_both_names() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("lora.safetensors"));
    let lists = ["unet-sd21", "unet-ip2p", "unet-sdxl"];
    let families = ["SD-2.x", "SD-1.x", "SDXL"];
    for (own, family) in lists.iter().zip(families) {
        let is_attention =
            |_: &str, key: &keys::Key| key.name.contains("attn2.to_").then(|| kohya("lora_unet_", &key.name));
        write(&path, &everywhere(&[("unet", own)], is_attention));
        let lora = Lora::open(&path).unwrap();
        for (other, model) in lists.iter().zip(families).filter(|(other, _)| *other != own) {
            write(&unet, &diffusers(&list(other)));
            let error = ModelSource::open(&unet).unwrap().with_lora(&lora, 1.0).unwrap_err();
            let words = [&format!("a LoRA for {family}")[..], &format!("one for {model}"), "another family"];
            refused(own, &error, 4, &words);
        }
    }
    // A LoRA of a text encoder that the model does not have.
    write(&unet, &diffusers(&list("unet-sd21")));
    let of_text = |_: &str, key: &keys::Key| key.name.contains("fc1").then(|| kohya("lora_te_", &key.name));
    write(&path, &everywhere(&[("text_encoder", "text_encoder-sd1")], of_text));
    let error = ModelSource::open(&unet).unwrap().with_lora(&Lora::open(&path).unwrap(), 1.0).unwrap_err();
    refused("text", &error, 4, &["does not have", "text_encoder"]);
}

#[test]
fn what_is_no_plain_lora_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("lora.safetensors");
    let stem = "lora_unet_mid_block_attentions_0_proj_in";
    let sound: Vec<(String, Vec<usize>)> =
        vec![(format!("{stem}.lora_down.weight"), vec![2, 4]), (format!("{stem}.lora_up.weight"), vec![6, 2])];
    let open = |more: &[(&str, &[usize], u8)], less: usize| {
        let mut tensors: Tensors = sound[less..]
            .iter()
            .map(|(name, shape)| (name.clone(), (shape.clone(), vec![0; 2 * shape.iter().product::<usize>()])))
            .collect();
        for (name, shape, byte) in more {
            let count: usize = shape.iter().product();
            tensors.insert((*name).to_owned(), (shape.to_vec(), vec![*byte; 2 * count]));
        }
        write(&path, &tensors);
        Lora::open(&path)
    };
    assert!(open(&[], 0).is_ok());
    let name = |end: &str| format!("{stem}.{end}");
    for (end, kind) in [
        ("dora_scale", "DoRA"),
        ("hada_w1_a", "LoHa"),
        ("lokr_w1", "LoKr"),
        ("oft_blocks", "OFT"),
        ("diff", "full differences"),
        ("lora_magnitude_vector", "DoRA"),
    ] {
        refused(kind, &open(&[(&name(end), &[6, 1], 0)], 0).unwrap_err(), 4, &[kind, end, "not supported"]);
    }
    refused("half", &open(&[], 1).unwrap_err(), 4, &["half of a layer", "lora_up"]);
    refused("alone", &open(&[(&name("alpha"), &[1], 0)], 2).unwrap_err(), 4, &["half of a layer"]);
    let wide = open(&[(&name("lora_up.weight"), &[6, 3], 0)], 0).unwrap_err();
    refused("ranks", &wide, 4, &["different ranks", "[6, 3] and [2, 4]"]);
    let nan = open(&[(&name("lora_up.weight"), &[6, 2], 0x7e)], 0);
    refused("nan", &nan.unwrap_err(), 3, &["not finite", "12 NaN"]);
    refused("model", &open(&[("conv_in.weight", &[2, 2], 0)], 2).unwrap_err(), 4, &["not a LoRA"]);
    let twice = open(&[("unet.mid_block.attentions.0.proj_in.lora_A.weight", &[2, 4], 0)], 0);
    refused("twice", &twice.unwrap_err(), 4, &["same part of one layer"]);
    std::fs::write(&path, b"PK\x03\x04 some zip of a pickle").unwrap();
    refused("pickle", &Lora::open(&path).unwrap_err(), 3, &["pickle"]);
    // A layer that the model does not have, and one of another shape, are told when the weights are taken.
    let unet = root.path().join("unet-512.safetensors");
    base(&unet, &mut Rng(3), Dtype::F16);
    let with = |tensors: &[(&str, &[usize], u8)], less| {
        let lora = open(tensors, less).unwrap();
        ModelSource::open(&unet).unwrap().with_lora(&lora, 1.0).unwrap().weights("unet").unwrap()
    };
    let weights = with(
        &[("lora_unet_nowhere.lora_up.weight", &[2, 2], 0), ("lora_unet_nowhere.lora_down.weight", &[2, 2], 0)],
        2,
    );
    refused("stranger", &weights.finish(&[]).unwrap_err(), 4, &["does not have", "lora_unet_nowhere"]);
    let error = with(&[], 0).scope().take("mid_block.attentions.0.proj_in.weight", &[24, 40]).unwrap_err();
    refused("shape", &error, 4, &["[6, 2] · [2, 4]", "[24, 40]"]);
}

#[test]
fn settings_beside_the_tensors_count() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("adapter_model.safetensors"));
    let mut rng = Rng(5);
    base(&unet, &mut rng, Dtype::F32);
    let rename =
        |name: &str| name.replace("lora_down", "lora_A").replace("lora_up", "lora_B").replace("lora_unet_", "unet.");
    let stem = "conv_in";
    let all = lora(&mut rng, 4, Dtype::F32, None);
    let tensors = all.into_iter().filter(|(name, _)| name.contains(stem)).map(|(n, t)| (rename(&n), t)).collect();
    save(&path, &tensors);
    let merged = || -> Result<Vec<u8>, LoadError> {
        let model = ModelSource::open(&unet).unwrap().with_lora(&Lora::open(&path)?, 1.0)?;
        Ok(take(&model, "conv_in.weight", &[10, 7, 3, 3]).bytes().to_vec())
    };
    let plain = merged().unwrap();
    let settings = root.path().join("adapter_config.json");
    std::fs::write(&settings, r#"{"lora_alpha":4,"r":4,"use_dora":false,"alpha_pattern":{}}"#).unwrap();
    assert!(merged().unwrap() == plain, "α = r is what no α means");
    std::fs::write(&settings, r#"{"lora_alpha":2,"r":4}"#).unwrap();
    let half = ModelSource::open(&unet).unwrap().with_lora(&Lora::open(&path).unwrap(), 1.0).unwrap();
    let double = half.with_lora(&Lora::open(&path).unwrap(), 1.0).unwrap();
    let twice: Vec<f32> = take(&double, "conv_in.weight", &[10, 7, 3, 3]).to_f32();
    let once: Vec<f32> = plain.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert!(twice.iter().zip(&once).all(|(a, b)| (a - b).abs() <= f32::EPSILON * b.abs()), "two halves are one whole");
    for text in [r#"{"use_dora":true}"#, r#"{"use_rslora":true}"#, r#"{"alpha_pattern":{"conv_in":2}}"#] {
        std::fs::write(&settings, text).unwrap();
        refused(text, &merged().unwrap_err(), 4, &["not supported"]);
    }
    std::fs::write(&settings, "{").unwrap();
    assert!(matches!(merged().unwrap_err(), LoadError::BadJson(_)));
}

/// Two thousand damaged files: every one is opened or refused, none panics or takes long.
#[test]
fn mutants_never_panic() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("lora.safetensors"));
    let mut rng = Rng(17);
    base(&unet, &mut rng, Dtype::F16);
    let model = ModelSource::open(&unet).unwrap();
    let sound: PathBuf = root.path().join("sound.safetensors");
    let tensors = lora(&mut rng, 2, Dtype::F16, Some(1.0));
    save(
        &sound,
        &tensors.into_iter().filter(|(name, _)| name.contains("conv_out") || name.contains("proj_in")).collect(),
    );
    let bytes = std::fs::read(&sound).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (mut opened, mut merged) = (0, 0);
    for _ in 0..2000 {
        let mut mutant = bytes.clone();
        for _ in 0..=rng.below(3) {
            let at = if rng.below(4) == 0 { rng.below(mutant.len()) } else { 8 + rng.below(header - 8) };
            let digit = mutant[at].is_ascii_digit();
            mutant[at] = if digit { b'0' + rng.below(10) as u8 } else { rng.next() as u8 };
        }
        std::fs::write(&path, &mutant).unwrap();
        let Ok(lora) = Lora::open(&path) else { continue };
        opened += 1;
        let Ok(model) = model.clone().with_lora(&lora, 1.0) else { continue };
        let weights = model.weights("unet").unwrap();
        for (name, shape, ..) in layers(1) {
            merged += usize::from(weights.scope().take(&format!("{name}.weight"), &shape).is_ok());
        }
        drop(weights.finish(&[]));
    }
    assert!(opened > 50 && merged > 100, "{opened} opened, {merged} merged");
}
