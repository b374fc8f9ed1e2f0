//! Finite weights whose products are not: no picture, and the layer's name.

use crate::model_files::with_model;
use crate::runner::{Folder, PROMPT, SMALL, reference};
use crate::safetensors::Safetensors;

const UNET: &str = "model/unet/diffusion_pytorch_model.safetensors";
const VAE: &str = "model/vae/diffusion_pytorch_model.safetensors";

/// A model with one tensor filled with the largest f16.
fn overflowing(file: &str, tensor: &str) -> Folder {
    let folder = with_model();
    let mut parsed = Safetensors::parse(&folder.bytes(file));
    parsed.fill(tensor, 0x7bff);
    folder.write(file, parsed.bytes());
    folder
}

#[test]
fn overflows_are_failures_that_name_the_layer() {
    let cases = [
        (UNET, "conv_in.weight", "step 1 of 1", "conv_in"),
        (VAE, "decoder.conv_in.weight", "decode", "decoder.conv_in"),
    ];
    for (file, tensor, stage, layer) in cases {
        let folder = overflowing(file, tensor);
        let args = [&["txt2img", "--precision", "f16"], &SMALL[3..], &["-m", "model", "-p", PROMPT]].concat();
        let run = folder.run(&args).exits(8).gives_nothing();
        let run = run.says(&["numeric failure: ", stage, layer, "NaN or infinite", "try --precision f32"]);
        assert_eq!(run.stderr.matches("numeric failure").count(), 1, "said twice: {}", run.stderr);
        assert_eq!(folder.names(), ["model"], "nothing is written");
    }
}

/// NaN that was let in on purpose is still no picture, on any way through the model.
#[test]
fn nan_in_weights_is_traced_to_its_layer() {
    let cases = [
        ("model/text_encoder/model.safetensors", "text_model.encoder.layers.1.mlp.fc1.weight", "text: "),
        (UNET, "mid_block.resnets.0.conv1.weight", "step 1 of 1: "),
        (VAE, "encoder.mid_block.resnets.0.conv1.weight", "encode: "),
        (VAE, "decoder.mid_block.resnets.0.conv1.weight", "decode"),
    ];
    for (file, tensor, stage) in cases {
        let folder = with_model();
        let mut parsed = Safetensors::parse(&folder.bytes(file));
        let at = parsed.range(tensor).start;
        parsed.data[at..at + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
        folder.write(file, parsed.bytes());
        let picture = reference().path();
        let args = ["img2img", "-i", &picture, "--strength", "1", "--precision", "f32", "--steps", "1", "-p", PROMPT];
        let run = folder.run(&[&args[..], &["-m", "model", "--allow-nonfinite"]].concat()).exits(8).gives_nothing();
        run.says(&[stage, "numeric failure: ", tensor.trim_end_matches(".weight"), "NaN or infinite"]);
        assert_eq!(folder.names(), ["model"], "nothing is written");
    }
}

#[test]
fn weights_beyond_f16_are_refused_by_name() {
    let folder = with_model();
    let mut parsed = Safetensors::parse(&folder.bytes(UNET));
    // The same tensor in f32, where its values may be larger.
    let entry = parsed.header.remove("conv_in.bias").unwrap();
    let values: Vec<u8> = (0..48).flat_map(|i| if i == 7 { 1e6f32 } else { 0.0 }.to_le_bytes()).collect();
    let range =
        entry["data_offsets"][0].as_u64().unwrap() as usize..entry["data_offsets"][1].as_u64().unwrap() as usize;
    assert_eq!(range.start, 0, "the first tensor");
    parsed.data.drain(range.clone());
    for (name, entry) in &mut parsed.header {
        if name != "__metadata__" {
            let moved = |i: usize| entry["data_offsets"][i].as_u64().unwrap() - range.len() as u64;
            let offsets = serde_json::json!([moved(0), moved(1)]);
            entry["data_offsets"] = offsets;
        }
    }
    parsed.append("conv_in.bias", "F32", &[48], &values);
    folder.write(UNET, parsed.bytes());
    let args = [&["txt2img", "--precision", "f16"], &SMALL[3..], &["-m", "model", "-p", PROMPT]].concat();
    folder.run(&args).exits(8).gives_nothing().says(&["conv_in.bias", "1000000", "at most 65504", "--precision f32"]);
    assert_eq!(folder.names(), ["model"]);
    // In f32 the value is an ordinary one.
    folder.small(&["-m", "model", "-p", PROMPT]).exits(0);
}

#[test]
fn a_reference_directory_is_verified() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/tiny-sd21-s0");
    let folder = Folder::new();
    let run = folder.run(&["verify", directory]).exits(0);
    assert!(run.stdout.contains(" tensors agree, 0 skipped\nworst: "), "{}", run.stdout);
    let run = folder.run(&["verify", directory, "--json", "--precision", "f16"]).exits(0);
    let report = &run.events()[0]["report"];
    assert_eq!((&report["ok"], &report["precision"]), (&true.into(), &"f16".into()));
    // A model told to predict what it does not must not agree.
    let run = folder.run(&["verify", directory, "--prediction", "v"]).exits(8);
    assert!(run.stdout.contains("WRONG"), "{}", run.stdout);
    let mini = concat!(env!("CARGO_MANIFEST_DIR"), "/../model-loader/mini/model");
    folder
        .run(&["verify", mini])
        .exits(3)
        .gives_nothing()
        .says(&["golden/inputs.safetensors is missing", "make_golden.py"]);
}
