//! LoRA files that do not fit or are none, their settings, and damaged ones.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;
mod products;
mod rng;

use std::path::PathBuf;

use keys::{Tensors, diffusers, list, write};
use products::{base, everywhere, kohya, layers, lora, save, take};
use rng::Rng;
use safetensors::tensor::Dtype;
use syncline_loader::{LoadError, Lora, ModelSource};

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
