//! `-m` with a copy of the built-in model that is broken in one place: the file is named, nothing is written.

use std::path::{Path, PathBuf};

use crate::runner::{Folder, PROMPT, SMALL};
use crate::safetensors::{Safetensors, file};

const TEXT: &str = "text_encoder/model.safetensors";
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// The directory that the built-in model was made from.
fn mini() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model-loader/mini/model")
}

/// A folder with a copy of the model in `model/`.
pub fn with_model() -> Folder {
    let folder = Folder::new();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    copy(&mini(), &model);
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A folder whose `model/` has other bytes in one file.
fn broken(file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>) -> Folder {
    let folder = with_model();
    let path = format!("model/{file}");
    let bytes = change(folder.bytes(&path));
    folder.write(&path, bytes);
    folder
}

/// Fails with `code`, names the file and says what to do; `inspect` finds the same.
#[track_caller]
fn refused(folder: &Folder, code: i32, parts: &[&str]) {
    let run =
        folder.run(&[&SMALL[..], &["-m", "model", "-p", PROMPT]].concat()).exits(code).gives_nothing().says(parts);
    assert!(run.stderr.lines().count() <= 6, "{}", run.stderr);
    assert!(run.stderr.contains("\n  next: "), "what next? {}", run.stderr);
    assert_eq!(folder.names(), ["model"], "nothing is written");
}

#[test]
fn files_of_other_formats_are_recognised() {
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3463726504\n".to_vec();
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        ("LFS pointer", lfs, &["a Git LFS pointer to a file of 3463726504 bytes", "next: git lfs pull"]),
        ("zipped pickle", b"PK\x03\x04archive/data.pkl and more".to_vec(), &["PyTorch pickle", "never loaded"]),
        ("bare pickle", b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dict and more".to_vec(), &["a Python pickle"]),
        ("GGUF", b"GGUF\x03\x00\x00\x00lots and lots".to_vec(), &["a GGUF/GGML file"]),
        ("web page", b"<!DOCTYPE html><html><title>401</title>".to_vec(), &["a web page", "download it again"]),
        ("JSON", b"{\"error\":\"Access to model is restricted\"}".to_vec(), &["a JSON text"]),
        ("text", b"Entry not found".to_vec(), &["a text that begins \"Entry not found\""]),
        ("picture", b"\x89PNG\r\n\x1a\nIHDR and so on".to_vec(), &["a picture", "pass a .safetensors file"]),
        ("nothing", Vec::new(), &["the file is incomplete", "no bytes at all"]),
        ("zeros", vec![0; 4096], &["only zero bytes, most likely an unfinished download"]),
        ("noise", vec![0xfe; 4096], &["bytes of no known weight format"]),
    ];
    let folder = with_model();
    for (name, bytes, parts) in cases {
        folder.write(&format!("model/{TEXT}"), bytes);
        refused(&folder, 3, &[&[TEXT, "expected: a safetensors file"], parts].concat());
        let inspected = folder.run(&["inspect", &format!("model/{TEXT}"), "--json"]);
        assert_eq!(inspected.code, Some(3), "{name}: {}", inspected.stdout);
        let events = inspected.events();
        assert_eq!(events.last().unwrap()["code"], 3, "{name}");
    }
}

#[test]
fn broken_headers_are_refused() {
    let whole = std::fs::read(mini().join(TEXT)).unwrap();
    let parsed = Safetensors::parse(&whole);
    let header = serde_json::to_string(&parsed.header).unwrap();
    let bias = "text_model.encoder.layers.0.layer_norm1.bias";
    let changed = |change: &dyn Fn(&mut Safetensors)| {
        let mut parsed = parsed.clone();
        change(&mut parsed);
        parsed.bytes()
    };
    let twice = format!("{{\"{bias}\":{},{}", parsed.header[bias], &header[1..]);
    let mut long = whole.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let range = parsed.range(bias);
    let cases: [(Vec<u8>, &[&str]); 10] = [
        (whole[..whole.len() - 1000].to_vec(), &["next: "]),
        (whole[..2000].to_vec(), &["a safetensors header that does not end within the file"]),
        ([&whole[..], b"more"].concat(), &["next: "]),
        (long, &["bytes of no known weight format"]),
        (file(&twice, &parsed.data), &[bias]),
        (file(&format!(" {header}"), &parsed.data), &["next: "]),
        (
            changed(&|s| s.header[bias]["data_offsets"] = serde_json::json!([range.start - 128, range.end - 128])),
            &["text_model."],
        ),
        (changed(&|s| s.header[bias]["data_offsets"] = serde_json::json!([range.end, range.start])), &[bias]),
        (changed(&|s| s.header[bias]["shape"] = serde_json::json!([1u64 << 63, 2])), &[bias]),
        (changed(&|s| s.header[bias]["dtype"] = "F17".into()), &[bias, "F17"]),
    ];
    let folder = with_model();
    for (bytes, parts) in cases {
        folder.write(&format!("model/{TEXT}"), bytes);
        refused(&folder, 3, &[&[TEXT], parts].concat());
        folder.run(&["inspect", &format!("model/{TEXT}")]).exits(3).says(parts);
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let layer = "text_model.encoder.layers.1.mlp.fc1.weight";
    for (value, name) in [(0x7e00u16, "NaN"), (0x7c00, "infinity")] {
        let folder = broken(TEXT, &|bytes| {
            let mut parsed = Safetensors::parse(&bytes);
            let at = parsed.range(layer).start + 10;
            parsed.data[at..at + 2].copy_from_slice(&value.to_le_bytes());
            parsed.bytes()
        });
        refused(&folder, 3, &[TEXT, layer]);
        let run = folder.run(&["inspect", "model"]);
        assert!(
            run.stdout.contains(&format!("{layer}: 1 NaN or infinite values, the first at 5")),
            "{name}: {}",
            run.stdout
        );
    }
}

/// Sound files that are not this model.
#[test]
fn other_models_are_told_from_broken_files() {
    let bias = "text_model.encoder.layers.0.layer_norm1.bias";
    let change = |change: &'static dyn Fn(&mut Safetensors)| {
        move |bytes: Vec<u8>| {
            let mut parsed = Safetensors::parse(&bytes);
            change(&mut parsed);
            parsed.bytes()
        }
    };
    let rename = change(&|s| {
        let entry = s.header.remove("text_model.encoder.layers.0.layer_norm1.bias").unwrap();
        s.header.insert("text_model.encoder.layers.0.layer_norm1.offset".into(), entry);
    });
    refused(&broken(TEXT, &rename), 4, &[TEXT, bias, "text_model.encoder.layers.0.layer_norm1.offset"]);
    let extra = change(&|s| s.append("text_model.extra.weight", "F16", &[2], &[0; 4]));
    refused(&broken(TEXT, &extra), 4, &[TEXT, "text_model.extra.weight"]);
    let shape =
        change(&|s| s.header["text_model.encoder.layers.0.layer_norm1.bias"]["shape"] = serde_json::json!([8, 8]));
    refused(&broken(TEXT, &shape), 4, &[TEXT, bias, "[8, 8]", "[64]"]);
    let dtype = change(&|s| s.header["text_model.encoder.layers.0.layer_norm1.bias"]["dtype"] = "I16".into());
    refused(&broken(TEXT, &dtype), 4, &[TEXT, bias, "I16"]);
    let unet = std::fs::read(mini().join(UNET)).unwrap();
    refused(&broken(TEXT, &|_| unet.clone()), 4, &[TEXT, "UNet"]);
    let lora = || {
        let mut file = Safetensors { header: serde_json::Map::new(), data: Vec::new() };
        file.append("lora_unet_x.lora_down.weight", "F16", &[2, 2], &[0; 8]);
        file.append("lora_unet_x.lora_up.weight", "F16", &[2, 2], &[0; 8]);
        file.bytes()
    };
    refused(&broken(UNET, &|_| lora()), 4, &[UNET, "a LoRA"]);

    // The same as a single file.
    let folder = Folder::new();
    folder.write("lora.safetensors", lora());
    let run = folder.run(&[&SMALL[..], &["-m", "lora.safetensors"]].concat()).exits(4).gives_nothing();
    run.says(&["lora.safetensors", "not a whole Stable Diffusion checkpoint", "a LoRA", "next: "]);
    let run = folder.run(&["inspect", "lora.safetensors"]).exits(0);
    assert!(run.stdout.contains("looks like a LoRA"), "{}", run.stdout);
}

#[test]
fn incomplete_directories_are_refused() {
    let remove = |file: &str| {
        let folder = with_model();
        std::fs::remove_file(folder.path().join("model").join(file)).unwrap();
        folder
    };
    refused(&remove("model_index.json"), 3, &["this is not a model directory", "model_index.json"]);
    refused(&remove("unet/config.json"), 3, &["unet/config.json"]);
    refused(&remove("scheduler/scheduler_config.json"), 3, &["scheduler/scheduler_config.json"]);
    refused(&remove(TEXT), 3, &["text_encoder", "model.safetensors"]);
    let pickled = remove(UNET);
    pickled.write("model/unet/diffusion_pytorch_model.bin", "PK");
    refused(&pickled, 3, &["unet", "diffusion_pytorch_model.bin", "pickles"]);
    let sharded = remove(UNET);
    let index =
        r#"{"metadata":{},"weight_map":{"conv_in.weight":"diffusion_pytorch_model-00001-of-00002.safetensors"}}"#;
    sharded.write("model/unet/diffusion_pytorch_model.safetensors.index.json", index);
    refused(&sharded, 3, &["diffusion_pytorch_model-00001-of-00002.safetensors"]);
    let speechless = remove("tokenizer/merges.txt");
    std::fs::remove_file(speechless.path().join("model/tokenizer/tokenizer.json")).unwrap();
    refused(&speechless, 3, &["tokenizer"]);
    let unfinished = broken(TEXT, &|bytes| bytes[..3000].to_vec());
    unfinished.write(&format!("model/{TEXT}.incomplete"), "");
    refused(&unfinished, 3, &["let the download finish first: model.safetensors.incomplete"]);

    let folder = Folder::new();
    for (model, code, parts) in [
        ("nowhere", 3, &["nowhere: there is no such file, directory or preset"][..]),
        (".", 3, &["this is not a model directory", "an empty directory"]),
    ] {
        folder.run(&[&SMALL[..], &["-m", model]].concat()).exits(code).gives_nothing().says(parts);
    }
}

#[test]
fn configurations_are_not_believed() {
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "{from} in {text}");
            text.replacen(from, to, 1).into_bytes()
        }
    };
    let cases: [(&str, &str, &str, i32, &[&str]); 9] = [
        ("unet/config.json", "\"in_channels\": 4", "\"in_channels\": 4,,", 3, &["unet/config.json"]),
        ("unet/config.json", "\"in_channels\": 4", "\"in_channels\": 4, \"in_channels\": 5", 3, &["in_channels"]),
        (
            "unet/config.json",
            "\"in_channels\": 4",
            "\"in_channels\": \"four\"",
            4,
            &["unet/config.json", "in_channels"],
        ),
        ("unet/config.json", "\"act_fn\": \"silu\"", "\"act_fn\": \"mish\"", 4, &["act_fn", "mish"]),
        ("unet/config.json", "\"cross_attention_dim\": 64", "\"cross_attention_dim\": 768", 4, &["768", "64"]),
        ("unet/config.json", "\"norm_num_groups\": 4", "\"norm_num_groups\": 5", 4, &["norm_num_groups", "5"]),
        ("vae/config.json", "\"latent_channels\": 4", "\"latent_channels\": 16", 4, &["[32, 32, 1, 1]"]),
        ("text_encoder/config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", 4, &["layers.2."]),
        ("scheduler/scheduler_config.json", "\"epsilon\"", "\"flow\"", 4, &["prediction_type", "flow"]),
    ];
    for (file, from, to, code, parts) in cases {
        let folder = broken(file, &replace(from, to));
        let run = folder.run(&[&SMALL[..], &["-m", "model", "-p", PROMPT]].concat());
        let run = run.exits(code).gives_nothing().says(parts);
        assert!(run.stderr.contains("expected") && run.stderr.lines().count() <= 6, "{}", run.stderr);
        assert_eq!(folder.names(), ["model"]);
    }
}

/// An inpainting model is sound, but wants more than latents.
#[test]
fn models_for_other_jobs_are_refused() {
    let folder = broken(UNET, &|bytes| {
        let mut parsed = Safetensors::parse(&bytes);
        let range = parsed.range("conv_in.weight");
        let old = parsed.data[range.clone()].to_vec();
        // Five more input channels of zeros, in the place of the old tensor.
        let kernel = 9 * 2;
        let new: Vec<u8> = old.chunks_exact(4 * kernel).flat_map(|row| [row, &[0; 90]].concat()).collect();
        let grown = new.len() - old.len();
        parsed.data.splice(range.clone(), new);
        for (name, entry) in parsed.header.iter_mut().filter(|(name, _)| *name != "__metadata__") {
            let offsets = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
            let moved = offsets.map(|offset| if offset >= range.end { offset + grown } else { offset });
            entry["data_offsets"] = serde_json::json!(moved);
            if name == "conv_in.weight" {
                entry["shape"] = serde_json::json!([48, 9, 3, 3]);
            }
        }
        parsed.bytes()
    });
    let config = String::from_utf8(folder.bytes("model/unet/config.json")).unwrap();
    folder.write("model/unet/config.json", config.replace("\"in_channels\": 4", "\"in_channels\": 9"));
    let run = folder.run(&["inspect", "model"]).exits(0);
    assert!(run.stdout.contains("inpainting"), "{}", run.stdout);
    let run = folder.run(&["txt2img", "-m", "model", "-p", PROMPT]).exits(2).gives_nothing();
    run.says(&["an inpainting model fills in (img2img --mask)"]);
    let run = folder.run(&["panorama", "-m", "model", "-p", PROMPT]).exits(4).gives_nothing();
    run.says(&["in_channels is 9 ", "expected 4"]);
    assert_eq!(folder.names(), ["model"]);
}

#[test]
fn a_copy_of_the_model_draws_the_same_picture() {
    let folder = with_model();
    let more = ["-m", "model", "-p", PROMPT, "--cfg-scale", "5"];
    folder.small(&more).exits(0);
    let expected = &crate::runner::reference().png;
    let found = folder.bytes("output.png");
    assert_eq!(crate::runner::pixels(&found), crate::runner::pixels(expected));
    assert!(crate::runner::text(&found, "parameters").contains("Model: model,"));
    let run = folder.run(&["inspect", "model"]).exits(0);
    for part in ["a diffusers model (StableDiffusionPipeline)", "M parameters", "a VAE in diffusers layout"] {
        assert!(run.stdout.contains(part), "{}", run.stdout);
    }
    // A v-prediction model run as what it is not draws something else.
    folder.small(&[&more[..], &["--prediction", "v", "-o", "v.png"]].concat()).exits(0);
    assert_ne!(crate::runner::pixels(&folder.bytes("v.png")), crate::runner::pixels(expected));
    // A variant that no component has changes nothing; one that a component has is taken.
    let half = folder.bytes(&format!("model/{TEXT}"));
    let mut other = Safetensors::parse(&half);
    other.fill("text_model.final_layer_norm.weight", 0);
    folder.write("model/text_encoder/model.other.safetensors", other.bytes());
    folder.small(&[&more[..], &["--variant", "fp16", "-o", "a.png"]].concat()).exits(0);
    assert_eq!(folder.bytes("a.png"), found);
    folder.small(&[&more[..], &["--variant", "other", "-o", "b.png"]].concat()).exits(0);
    assert_ne!(crate::runner::pixels(&folder.bytes("b.png")), crate::runner::pixels(expected));
}
