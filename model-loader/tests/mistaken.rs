//! Files that people pass as a model, each named for what it is, with its exit code and one next command.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;

use std::path::Path;

use keys::{Tensors, diffusers, list, write};
use syncline_loader::{LoadError, ModelSource, Weights};

/// Small tensors of these names; every shape is given or `[2, 2]`.
fn tensors(rows: &[(&str, &[usize])]) -> Tensors {
    let tensor = |(name, shape): &(&str, &[usize])| {
        let shape = if shape.is_empty() { vec![2, 2] } else { shape.to_vec() };
        let count: usize = shape.iter().product();
        ((*name).to_owned(), (shape, vec![0; 2 * count]))
    };
    rows.iter().map(tensor).collect()
}

/// Checks class, words and form of a refusal.
fn refused(what: &str, error: &LoadError, code: u8, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.code().exit_code(), code, "{what}: {text}");
    assert!(words.iter().all(|word| text.contains(word)), "{what}: {text}");
    assert!(text.lines().count() <= 6 && text.matches("next:").count() == 1, "{what}: {text}");
}

#[test]
fn sound_files_of_other_things_are_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.safetensors");
    let unet_refiner = [
        ("conv_in.weight", &[8usize, 4, 3, 3][..]),
        ("conv_out.weight", &[4, 8, 3, 3]),
        ("time_embedding.linear_1.weight", &[]),
        ("add_embedding.linear_1.weight", &[8, 2560]),
        ("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight", &[8, 1280]),
    ];
    let refiner = [
        ("model.diffusion_model.input_blocks.0.0.weight", &[8usize, 4, 3, 3][..]),
        ("model.diffusion_model.label_emb.0.0.weight", &[8, 2560]),
        ("conditioner.embedders.0.model.ln_final.bias", &[2]),
    ];
    let cases: [(&str, Tensors, &[&str]); 17] = [
        (
            "kohya LoRA",
            tensors(&[("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", &[])]),
            &["a LoRA", "--lora"],
        ),
        ("PEFT LoRA", tensors(&[("unet.mid_block.attentions.0.proj_in.lora_A.weight", &[])]), &["a LoRA", "--lora"]),
        ("DoRA", tensors(&[("lora_unet_x.dora_scale", &[]), ("lora_unet_x.lora_down.weight", &[])]), &["a DoRA"]),
        ("embedding", tensors(&[("emb_params", &[2, 768])]), &["textual-inversion", "--embedding"]),
        (
            "SDXL embedding",
            tensors(&[("clip_l", &[2, 768]), ("clip_g", &[2, 1280])]),
            &["textual-inversion", "--embedding"],
        ),
        ("Flux", tensors(&[("double_blocks.0.img_attn.qkv.weight", &[])]), &["a Flux", "-m sdxl"]),
        ("ComfyUI Flux", tensors(&[("model.diffusion_model.double_blocks.0.img_mod.lin.weight", &[])]), &["a Flux"]),
        ("diffusers Flux", tensors(&[("single_transformer_blocks.0.proj_mlp.weight", &[])]), &["a Flux"]),
        (
            "SD3",
            tensors(&[("model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight", &[])]),
            &["Stable Diffusion 3"],
        ),
        ("T5", tensors(&[("encoder.block.0.layer.0.SelfAttention.q.weight", &[])]), &["T5"]),
        ("refiner", tensors(&refiner), &["refiner", "-m sdxl"]),
        ("refiner UNet", tensors(&unet_refiner), &["refiner"]),
        ("IP-Adapter", tensors(&[("ip_adapter.1.to_k_ip.weight", &[])]), &["IP-Adapter"]),
        ("ControlNet", diffusers(&list("controlnet-sd21")), &["a ControlNet", "--control-net"]),
        ("VAE", diffusers(&list("vae")), &["a VAE", "--vae"]),
        ("bigG", diffusers(&list("text_encoder_2-sdxl")), &["bigG", "--text-encoder-2"]),
        ("anything", tensors(&[("w", &[])]), &["no model family known here", "syncline inspect"]),
    ];
    for (what, tensors, words) in cases {
        write(&path, &tensors);
        refused(what, &ModelSource::open(&path).unwrap_err(), 4, words);
    }
}

#[test]
fn foreign_files_are_named_whatever_they_are_opened_as() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.safetensors");
    let mut lie = 1_000_000u64.to_le_bytes().to_vec();
    lie.extend(b"{\"a\":");
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("pickle zip", [&b"PK\x03\x04"[..], &[7; 99]].concat(), &["pickle", "get the .safetensors"]),
        ("pickle", [&b"\x80\x02}q\x00"[..], &[7; 99]].concat(), &["pickle", "never loaded"]),
        ("gguf", [&b"GGUF\x03\0\0\0"[..], &[7; 99]].concat(), &["GGUF"]),
        (
            "lfs",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5214865028\n".to_vec(),
            &["Git LFS pointer", "5214865028", "git lfs pull"],
        ),
        ("html", b"<!DOCTYPE html><title>401</title>".to_vec(), &["web page"]),
        ("json", b"{\"error\":\"Repository not found\"}".to_vec(), &["a JSON text"]),
        ("empty", Vec::new(), &["no bytes"]),
        ("zeros", vec![0; 9000], &["unfinished download"]),
        ("cut", lie, &["incomplete"]),
    ];
    let base = root.path().join("unet-512.safetensors");
    write(&base, &diffusers(&list("unet-sd21")));
    for (what, bytes, words) in cases {
        std::fs::write(&path, bytes).unwrap();
        let model = ModelSource::open(&base).unwrap();
        refused(what, &ModelSource::open(&path).unwrap_err(), 3, words);
        refused(what, &Weights::open(&path).unwrap_err(), 3, words);
        refused(what, &model.clone().with_component("vae", &path).unwrap_err(), 3, words);
        refused(what, &model.controlnet(&path).unwrap_err(), 3, words);
    }
}

#[test]
fn a_half_downloaded_shard_is_named() {
    let root = tempfile::tempdir().unwrap();
    let all = diffusers(&list("unet-sd21"));
    let (first, second) = ("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors");
    let split = all.keys().nth(300).unwrap().clone();
    let (mut low, high): (Tensors, Tensors) = all.clone().into_iter().partition(|(name, _)| *name < split);
    write(&root.path().join(first), &low);
    write(&root.path().join(second), &high);
    let of = |name: &String| if *name < split { first } else { second };
    let map: std::collections::BTreeMap<&String, &str> = all.keys().map(|name| (name, of(name))).collect();
    let index = root.path().join("diffusion_pytorch_model.safetensors.index.json");
    std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    assert_eq!(Weights::open(root.path()).unwrap().len(), all.len());
    let whole = std::fs::read(root.path().join(second)).unwrap();
    std::fs::write(root.path().join(second), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(root.path().join(format!("{second}.incomplete")), b"").unwrap();
    refused("cut shard", &Weights::open(root.path()).unwrap_err(), 3, &[second, "let the download finish first"]);
    std::fs::remove_file(root.path().join(second)).unwrap();
    refused("no shard", &Weights::open(root.path()).unwrap_err(), 3, &[second, "a shard of the checkpoint is missing"]);
    // A shard of another revision.
    low.pop_last();
    write(&root.path().join(first), &low);
    std::fs::write(root.path().join(second), &whole).unwrap();
    refused("other shard", &Weights::open(root.path()).unwrap_err(), 3, &["not in the shard that the index names"]);
}

#[test]
fn a_config_that_contradicts_the_tensors_is_named() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("diffusion_pytorch_model.safetensors"), &diffusers(&list("unet-sd21")));
    let weights = Weights::open(root.path()).unwrap();
    let to_k = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    let words = ["another shape", to_k, "[2, 1024]", "an SD-2.x UNet", "[2, 768]", "next: syncline inspect"];
    refused("narrower", &weights.scope().take(to_k, &[2, 768]).unwrap_err(), 4, &words);
    let deeper = "down_blocks.0.resnets.2.norm1.weight";
    refused("deeper", &weights.scope().take(deeper, &[2]).unwrap_err(), 4, &["missing", deeper, "syncline inspect"]);
    refused("less", &weights.finish(&[]).unwrap_err(), 4, &["not used", "and 675 more", "syncline inspect"]);
}

#[test]
fn a_controlnet_of_another_base_is_refused_with_both_names() {
    let root = tempfile::tempdir().unwrap();
    let (base, path) = (root.path().join("base-512.safetensors"), root.path().join("control.safetensors"));
    let open = |unet: &str, control: &str| {
        write(&base, &diffusers(&list(unet)));
        write(&path, &diffusers(&list(control)));
        ModelSource::open(&base).unwrap().controlnet(&path)
    };
    assert!(open("unet-sd21", "controlnet-sd21").is_ok());
    assert!(open("unet-sdxl", "controlnet-sdxl").is_ok());
    refused(
        "sdxl on 2",
        &open("unet-sd21", "controlnet-sdxl").unwrap_err(),
        4,
        &["for SDXL", "for SD-2.x", "hf download"],
    );
    refused(
        "2 on sdxl",
        &open("unet-sdxl", "controlnet-sd21").unwrap_err(),
        4,
        &["for SD-2.x", "for SDXL", "hf download"],
    );
    refused("2 on 1", &open("unet-ip2p", "controlnet-sd21").unwrap_err(), 4, &["for SD-2.x", "for SD-1.x"]);
    write(&path, &diffusers(&list("vae")));
    let model = ModelSource::open(Path::new(&base)).unwrap();
    refused("a VAE", &model.controlnet(&path).unwrap_err(), 4, &["not a ControlNet", "a VAE"]);
}

#[test]
fn directories_of_other_pipelines_are_named() {
    let root = tempfile::tempdir().unwrap();
    let index = root.path().join("model_index.json");
    let cases = [
        (r#"{"_class_name":"FluxPipeline"}"#, "FluxPipeline"),
        (r#"{"_class_name":"StableDiffusion3Pipeline"}"#, "StableDiffusion3Pipeline"),
        (r#"{"_class_name":"StableDiffusionXLImg2ImgPipeline","requires_aesthetics_score":true}"#, "refiner"),
    ];
    for (text, word) in cases {
        std::fs::write(&index, text).unwrap();
        refused(word, &ModelSource::open(root.path()).unwrap_err(), 4, &[word]);
    }
}
