//! The tables of expected tensors against the complete lists of the published checkpoints.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keys::{diffusers, list, write};
use serde_json::{Map, Value};
use syncline_loader::ModelSource;

/// A directory with the published configurations of a model, and without weights.
fn configs(root: &Path, name: &str, controlnet: Option<&str>) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/configs");
    let read = |name: &str| -> Map<String, Value> {
        serde_json::from_str(&std::fs::read_to_string(data.join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let dir = root.join(name);
    let mut files = read(name);
    if let Some(controlnet) = controlnet {
        files.insert("controlnet/config.json".into(), read(controlnet)["config.json"].clone());
    }
    for (file, value) in files {
        let path = dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    }
    dir
}

#[test]
fn configurations_ask_for_exactly_the_published_tensors() {
    let root = tempfile::tempdir().unwrap();
    let (sd21, sdxl) = ("stable-diffusion-2-1-base", "stable-diffusion-xl-base-1.0");
    let cases = [
        (sd21, Some("controlnet-sd21-depth-diffusers"), "unet", "unet-sd21"),
        (sd21, None, "vae", "vae"),
        (sd21, None, "text_encoder", "text_encoder-sd21"),
        (sd21, None, "controlnet", "controlnet-sd21"),
        (sdxl, Some("controlnet-depth-sdxl-1.0"), "unet", "unet-sdxl"),
        (sdxl, None, "vae", "vae"),
        (sdxl, None, "text_encoder", "text_encoder-sdxl"),
        (sdxl, None, "text_encoder_2", "text_encoder_2-sdxl"),
        (sdxl, None, "controlnet", "controlnet-sdxl"),
        ("instruct-pix2pix", None, "unet", "unet-ip2p"),
        ("instruct-pix2pix", None, "vae", "vae"),
        ("instruct-pix2pix", None, "text_encoder", "text_encoder-sd1"),
    ];
    for (model, controlnet, component, keys) in cases {
        let source = ModelSource::open(&configs(root.path(), model, controlnet)).unwrap();
        let found = source.expected(component).unwrap();
        let count = found.len();
        let found: BTreeMap<String, Vec<usize>> = found.into_iter().collect();
        assert_eq!(found.len(), count, "each name once");
        let wanted: BTreeMap<String, Vec<usize>> = list(keys).into_iter().map(|key| (key.name, key.shape)).collect();
        assert_eq!(found, wanted, "{model} {component}");
    }
}

#[test]
fn what_is_missing_or_too_much_is_told_before_loading() {
    let root = tempfile::tempdir().unwrap();
    let dir = configs(root.path(), "stable-diffusion-2-1-base", None);
    let mut tensors = diffusers(&list("text_encoder-sd21"));
    tensors.remove("text_model.final_layer_norm.bias");
    tensors.insert("text_model.extra.weight".into(), (vec![1], vec![0; 2]));
    write(&dir.join("text_encoder/model.safetensors"), &tensors);
    let error = ModelSource::open(&dir).unwrap().compare("text_encoder").unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code().exit_code(), 4);
    for part in ["1 missing: text_model.final_layer_norm.bias", "misshaped", "1 not used: text_model.extra.weight"] {
        assert!(text.contains(part), "{text}");
    }
    // A configuration that asks for a million layers ends in a message, not in memory.
    let path = dir.join("text_encoder/config.json");
    let mut config: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config.insert("num_hidden_layers".into(), 30_000.into());
    std::fs::write(&path, Value::Object(config).to_string()).unwrap();
    assert!(ModelSource::open(&dir).unwrap().expected("text_encoder").is_err());
}
