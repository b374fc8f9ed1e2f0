//! Directories: which file is chosen, shards, reference directories, and what is said when something is not there.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod crafted;

use std::fs;
use std::path::Path;

use crafted::file;
use syncline_loader::{Dtype, ErrorCode, LoadError, ModelSource, Weights, open_controlnet};

fn scalar(name: &str, value: f32) -> Vec<u8> {
    file(&format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#), &value.to_le_bytes())
}

fn value(weights: &Weights, name: &str) -> f32 {
    weights.scope().take(name, &[1]).unwrap().to_f32()[0]
}

fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn message(error: &LoadError, parts: &[&str]) {
    let text = error.to_string();
    assert!(text.lines().count() <= 6, "{text}");
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in\n{text}");
    }
}

#[test]
fn a_component_directory_offers_plain_variant_or_only_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let error = Weights::open(dir).unwrap_err();
    message(&error, &["an empty directory", "diffusion_pytorch_model.safetensors"]);
    write(dir.join("diffusion_pytorch_model.bin"), "PK");
    message(&Weights::open(dir).unwrap_err(), &["pickles"]);
    write(dir.join("other.safetensors"), scalar("w", 1.0));
    assert_eq!(value(&Weights::open(dir).unwrap(), "w"), 1.0);
    write(dir.join("another.safetensors"), scalar("w", 1.0));
    message(&Weights::open(dir).unwrap_err(), &["another.safetensors, diffusion_pytorch_model.bin, other.safetensors"]);
    write(dir.join("model.fp16.safetensors"), scalar("w", 2.0));
    assert_eq!(value(&Weights::open(dir).unwrap(), "w"), 2.0);
    write(dir.join("model.safetensors"), scalar("w", 3.0));
    assert_eq!(value(&Weights::open(dir).unwrap(), "w"), 3.0);
    assert_eq!(value(&Weights::open_variant(dir, Some("fp16")).unwrap(), "w"), 2.0);
    assert_eq!(value(&Weights::open(&dir.join("other.safetensors")).unwrap(), "w"), 1.0);
    message(&Weights::open_variant(dir, Some("ema")).unwrap_err(), &["model.ema.safetensors"]);
    let nowhere = Weights::open(&dir.join("nowhere.safetensors")).unwrap_err();
    assert!(matches!(nowhere, LoadError::NotFound(_)));
    message(&nowhere, &["nowhere.safetensors", "ls "]);
}

#[test]
fn an_unfinished_download_is_mentioned() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.safetensors");
    let whole = scalar("w", 1.0);
    write(&path, &whole[..whole.len() - 2]);
    message(&Weights::open(&path).unwrap_err(), &["2 bytes of data", "4 bytes, as its header says", "download"]);
    for ending in ["incomplete", "aria2", "part"] {
        let neighbour = root.path().join(format!("model.safetensors.{ending}"));
        write(&neighbour, "");
        message(&Weights::open(&path).unwrap_err(), &[&format!("model.safetensors.{ending} lies beside")]);
        fs::remove_file(neighbour).unwrap();
    }
}

#[test]
fn shards_are_one_set_of_tensors() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let index = |map: &str| {
        write(
            dir.join("model.safetensors.index.json"),
            format!(r#"{{"metadata":{{"total_size":8}},"weight_map":{map}}}"#),
        )
    };
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    write(dir.join(one), scalar("a", 1.0));
    index(&format!(r#"{{"a":"{one}","b":"{two}"}}"#));
    let missing = Weights::open(dir).unwrap_err();
    assert!(matches!(missing, LoadError::BadShards(_)));
    message(&missing, &["a shard of the checkpoint is missing", two]);
    write(dir.join(two), scalar("b", 2.0));
    let weights = Weights::open(dir).unwrap();
    assert_eq!((value(&weights, "a"), value(&weights, "b")), (1.0, 2.0));
    weights.finish(&[]).unwrap();
    let bad = [
        ("{}".to_owned(), "0 shards"),
        (format!(r#"{{"a":"../{one}"}}"#), "plain file name"),
        (format!(r#"{{"a":"{}/{one}"}}"#, dir.display()), "plain file name"),
        (format!(r#"{{"a":"{one}","a":"{one}"}}"#), "duplicate key"),
        (format!(r#"{{"a":"{one}","b":"{one}"}}"#), "no such tensor"),
        (format!(r#"{{"c":"{one}"}}"#), "index and shards disagree"),
        (format!(r#"{{"a":"{two}","b":"{two}"}}"#), "no such tensor"),
        (r#"{"a":7}"#.to_owned(), "expected a string"),
        ("[]".to_owned(), "expected an object"),
    ];
    for (map, part) in bad {
        index(&map);
        let error = Weights::open(dir).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadFile);
        message(&error, &[part]);
    }
    index(&format!(r#"{{"a":"{one}","b":"{two}"}}"#));
    write(dir.join(two), "version https://git-lfs.github.com/spec/v1\nsize 12\n");
    message(&Weights::open(dir).unwrap_err(), &[two, "a Git LFS pointer to a file of 12 bytes", "git lfs pull"]);
}

/// The files of a small reference directory without weights.
fn reference(dir: &Path) {
    let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("mini/model");
    for file in [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
    ] {
        write(dir.join(file), fs::read(mini.join(file)).unwrap());
    }
    let meta = r#"{"config":"tiny","seed":3,"store":"f16","latent_hw":[16,24],"steps":5,"guidance_scale":7.5,
        "image_guidance_scale":null,"times":{"unet":1.5},"tensors":{"vae.dec":{"rms":0.6,"max":3.1,"max_abs_diff_f64":1e-6}}}"#;
    write(dir.join("golden/meta.json"), meta);
    write(dir.join("golden/expected.safetensors"), scalar("vae.dec", 0.5));
}

#[test]
fn a_reference_directory_without_weights_generates_them() {
    let root = tempfile::tempdir().unwrap();
    reference(root.path());
    let model = ModelSource::open(root.path()).unwrap();
    let meta = model.golden().unwrap();
    assert_eq!(
        (meta.seed, meta.store_dtype(), meta.latent_hw, meta.guidance_scale),
        (3, Dtype::F16, (16, 24), Some(7.5))
    );
    assert_eq!(meta.tensors["vae.dec"].max_abs_diff_f64, Some(1e-6));
    let expected = model.golden_data("expected").unwrap().unwrap();
    assert_eq!(expected.get("vae.dec").unwrap().unwrap().to_f32(), [0.5]);
    assert!(model.golden_data("taps").unwrap().is_none());
    let taken = model.weights("unet").unwrap().scope().take("conv_in.weight", &[48, 4, 3, 3]).unwrap();
    let direct = syncline_loader::generate::tensor(3, "unet", "conv_in.weight", &[48, 4, 3, 3], Dtype::F16);
    assert_eq!(taken.bytes(), direct.bytes());
    // Weights on disk win over generated ones.
    write(root.path().join("vae/diffusion_pytorch_model.safetensors"), scalar("w", 4.0));
    assert_eq!(value(&model.weights("vae").unwrap(), "w"), 4.0);
    // Without golden/meta.json absent weights are an error.
    fs::remove_file(root.path().join("golden/meta.json")).unwrap();
    let plain = ModelSource::open(root.path()).unwrap();
    message(&plain.weights("unet").unwrap_err(), &["no weights", "config.json", "diffusion_pytorch_model.safetensors"]);
}

#[test]
fn what_is_no_model_is_described() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    message(&ModelSource::open(&dir).unwrap_err(), &["there is no such file or directory"]);
    fs::create_dir(&dir).unwrap();
    message(&ModelSource::open(&dir).unwrap_err(), &["an empty directory", "model_index.json"]);
    write(dir.join("v2-1_512.safetensors"), scalar("w", 1.0));
    message(&ModelSource::open(&dir).unwrap_err(), &["single-file weights"]);
    message(
        &ModelSource::open(&dir.join("v2-1_512.safetensors")).unwrap_err(),
        &["not a whole Stable Diffusion checkpoint", "syncline inspect"],
    );
    fs::remove_file(dir.join("v2-1_512.safetensors")).unwrap();
    reference(&dir);
    message(&ModelSource::open(&dir.join("unet")).unwrap_err(), &["a single component", "pass the directory above"]);
    fs::remove_dir_all(dir.join("vae")).unwrap();
    let model = ModelSource::open(&dir).unwrap();
    assert!(!model.has("vae") && model.has("unet"));
    message(&model.vae_config().unwrap_err(), &["vae/config.json", "scheduler, text_encoder, unet"]);
    message(&model.weights("vae").unwrap_err(), &["vae"]);
    // 1069 tokens are not CLIP's vocabulary, so there is nothing to fall back on.
    message(&model.tokenizer("tokenizer").unwrap_err(), &["tokenizer"]);
    message(&open_controlnet(&dir).unwrap_err(), &["config.json"]);
}

#[test]
fn a_cache_entry_with_one_snapshot_is_a_model() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("snapshots")).unwrap();
    message(&ModelSource::open(root.path()).unwrap_err(), &["0 snapshots"]);
    reference(&root.path().join("snapshots/0123abc"));
    assert!(ModelSource::open(root.path()).unwrap().label().ends_with("0123abc"));
    reference(&root.path().join("snapshots/4567def"));
    message(&ModelSource::open(root.path()).unwrap_err(), &["2 snapshots", "pass one of"]);
}

#[test]
fn an_encoder_with_clips_vocabulary_needs_no_tokenizer_directory() {
    let root = tempfile::tempdir().unwrap();
    reference(root.path());
    let config = |width: usize| {
        let text = format!(
            r#"{{"architectures":["CLIPTextModel"],"hidden_size":{width},"vocab_size":49408,"num_attention_heads":4}}"#
        );
        write(root.path().join("text_encoder/config.json"), text);
        ModelSource::open(root.path()).unwrap().tokenizer("tokenizer").unwrap().special_ids()
    };
    assert_eq!(config(768), (49406, 49407, 49407));
    assert_eq!(config(1024), (49406, 49407, 0));
}

#[test]
fn variants_are_taken_where_they_exist() {
    let root = tempfile::tempdir().unwrap();
    reference(root.path());
    write(root.path().join("unet/diffusion_pytorch_model.safetensors"), scalar("w", 1.0));
    write(root.path().join("unet/diffusion_pytorch_model.fp16.safetensors"), scalar("w", 2.0));
    write(root.path().join("vae/diffusion_pytorch_model.safetensors"), scalar("w", 3.0));
    let model = ModelSource::open(root.path()).unwrap().with_variant(Some("fp16"));
    assert_eq!(value(&model.weights("unet").unwrap(), "w"), 2.0);
    assert_eq!(value(&model.weights("vae").unwrap(), "w"), 3.0);
}

#[test]
fn reports_describe_files_components_and_models() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("w.safetensors");
    write(&path, crafted::sound());
    let report = syncline_loader::inspect(&path).unwrap();
    assert_eq!((report.format.as_str(), report.tensors.len(), report.parameters), ("safetensors", 4, 21));
    assert_eq!(report.metadata["format"], "pt");
    let dtypes: Vec<_> = report.dtypes.iter().map(|d| (d.dtype.as_str(), d.tensors, d.bytes)).collect();
    assert_eq!(dtypes, [("BF16", 1, 8), ("F16", 1, 8), ("F32", 1, 32), ("I64", 1, 40)]);
    assert!(report.problem.is_none() && report.nonfinite.is_empty());
    write(&path, scalar("w", f32::NAN));
    let report = syncline_loader::inspect(&path).unwrap();
    assert_eq!((report.nonfinite_tensors, report.nonfinite[0].count, report.nonfinite[0].first), (1, 1, 0));
    write(&path, "version https://git-lfs.github.com/spec/v1\nsize 12\n");
    let report = syncline_loader::inspect(&path).unwrap();
    assert!(report.format.contains("LFS") && report.code == Some(ErrorCode::BadFile));
    assert!(syncline_loader::inspect(&root.path().join("nowhere")).is_err());
    let mini = syncline_loader::inspect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("mini/model")).unwrap();
    assert_eq!(mini.format, "a diffusers model (StableDiffusionPipeline)");
    assert_eq!(mini.components.keys().collect::<Vec<_>>(), ["text_encoder", "unet", "vae"]);
    assert!(mini.problem.is_none() && mini.parameters > 6_000_000, "{mini:?}");
    assert!(serde_json::to_string(&mini).unwrap().starts_with('{'));
}
