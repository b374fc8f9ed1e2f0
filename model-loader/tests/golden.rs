//! Against the PyTorch reference: token ids, and the seeded weights of every reference directory, bit for bit.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use syncline_loader::{ModelSource, Tokenizer, Weights};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[derive(Deserialize)]
struct Tokens {
    tokenizer: String,
    length: usize,
    cases: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    ids: Vec<u32>,
}

#[test]
fn token_ids_are_those_of_transformers() {
    let tokens: Tokens =
        serde_json::from_slice(&std::fs::read(repository("tests/golden/tokenizer.json")).unwrap()).unwrap();
    let directory = Tokenizer::from_dir(&repository(&tokens.tokenizer)).unwrap();
    let embedded = ModelSource::mini().unwrap().tokenizer("tokenizer").unwrap();
    assert!(tokens.cases.len() >= 20 && directory.max_length() == tokens.length);
    for case in &tokens.cases {
        let (ids, cut) = directory.encode_padded(&case.prompt);
        assert_eq!(ids, case.ids, "{:?}", case.prompt);
        assert_eq!(embedded.encode_padded(&case.prompt), (ids, cut));
        assert_eq!(cut, directory.encode(&case.prompt).len().saturating_sub(75));
    }
}

#[test]
fn tokenizer_json_alone_is_enough() {
    let root = tempfile::tempdir().unwrap();
    let source = repository("model-loader/mini/model/tokenizer");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(source.join(file), root.path().join(file)).unwrap();
    }
    let (whole, alone) = (Tokenizer::from_dir(&source).unwrap(), Tokenizer::from_dir(root.path()).unwrap());
    for prompt in ["a sunny meadow!", "snow, night, 3 trees", "ÄÖ 東京"] {
        assert_eq!(whole.encode_padded(prompt), alone.encode_padded(prompt));
    }
}

/// All reference directories of the repository.
fn directories() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository("tests/golden")).unwrap();
    let mut found: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.join("model_index.json").is_file()).collect();
    found.sort();
    found
}

#[test]
fn stored_weights_equal_generated_ones() {
    let mut compared = 0;
    for directory in directories() {
        let model = ModelSource::open(&directory).unwrap();
        let meta = model.golden().unwrap();
        for component in model.components().iter().filter(|c| *c != "scheduler") {
            let stored = model.weights(component).unwrap();
            let generated = Weights::generated(meta.seed, component, meta.store_dtype()).scope();
            for info in stored.infos() {
                let theirs = stored.scope().take(info.name, info.shape).unwrap();
                let ours = generated.take(info.name, info.shape).unwrap();
                assert_eq!(ours.dtype, theirs.dtype, "{} {}", directory.display(), info.name);
                assert!(ours.bytes() == theirs.bytes(), "{} {}", directory.display(), info.name);
                compared += 1;
            }
            stored.finish(&[]).unwrap();
        }
    }
    assert!(compared > 900, "only {compared} tensors were compared");
}

#[test]
fn reference_directories_are_models() {
    let directories = directories();
    assert!(directories.len() >= 4);
    for directory in directories {
        let model = ModelSource::open(&directory).unwrap();
        let parts: Vec<String> = model.components();
        model.scheduler_config().unwrap();
        for component in &parts {
            match component.as_str() {
                "unet" => drop(model.unet_config().unwrap()),
                "vae" => drop(model.vae_config().unwrap()),
                "controlnet" => drop(model.controlnet_config().unwrap()),
                "text_encoder" | "text_encoder_2" => drop(model.clip_text_config(component).unwrap()),
                _ => {}
            }
        }
        for name in ["inputs", "expected"] {
            let data = model.golden_data(name).unwrap().unwrap();
            assert!(!data.is_empty());
            for info in data.infos() {
                let tensor = data.get(info.name).unwrap().unwrap();
                assert_eq!(tensor.nonfinite(), (0, None), "{} {}", directory.display(), info.name);
            }
        }
    }
}
