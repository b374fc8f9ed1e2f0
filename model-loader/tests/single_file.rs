//! Checkpoints in their original single-file layout: written from a reference directory, read back tensor by tensor.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use syncline_loader::{LoadError, ModelSource, Weights, open_controlnet};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn write(path: &Path, tensors: &Tensors) {
    let views =
        tensors.iter().map(|(name, (shape, data))| (name, TensorView::new(Dtype::F16, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Diffusers name to original name, by the longest matching module of a table.
fn original(table: &str, name: &str) -> String {
    let rows = table.lines().map(|line| line.split_once('\t').unwrap());
    let matching = rows.filter(|(module, _)| name.starts_with(&format!("{module}.")));
    let (module, to) = matching.max_by_key(|(module, _)| module.len()).unwrap();
    format!("{to}{}", &name[module.len()..])
}

fn reference() -> ModelSource {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tiny-sd21-s0");
    ModelSource::open(&path).unwrap()
}

fn tensors(component: &str) -> Tensors {
    let weights = reference().weights(component).unwrap();
    let all = weights.infos().map(|info| {
        let data = weights.get(info.name).unwrap().unwrap();
        (info.name.to_owned(), (info.shape.to_vec(), data.bytes().to_vec()))
    });
    all.collect()
}

/// OpenCLIP's names for a text encoder, with the joined projection, and one layer more that SD-2.x does not use.
fn open_clip(text: &Tensors) -> Tensors {
    let names = [
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("text_model.final_layer_norm.", "ln_final."),
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("layer_norm", "ln_"),
        ("self_attn.out_proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ];
    let mut out = Tensors::new();
    for (name, (shape, data)) in text {
        let mut to = names.iter().fold(name.clone(), |n, (new, old)| n.replace(new, old));
        let mut entry = (shape.clone(), data.clone());
        if name.contains("k_proj") || name.contains("v_proj") {
            continue;
        }
        if name.contains("q_proj") {
            for part in ["k_proj", "v_proj"] {
                entry.1.extend(&text[&name.replace("q_proj", part)].1);
            }
            entry.0[0] *= 3;
            to = to.replace("self_attn.q_proj.", "attn.in_proj_");
        }
        if to.contains("resblocks.2.") {
            out.insert(format!("cond_stage_model.model.{}", to.replace("resblocks.2.", "resblocks.3.")), entry.clone());
        }
        out.insert(format!("cond_stage_model.model.{to}"), entry);
    }
    out
}

fn checkpoint() -> Tensors {
    let mut all = open_clip(&tensors("text_encoder"));
    for (component, table) in
        [("unet", include_str!("data/singlefile/unet-sd.tsv")), ("vae", include_str!("data/singlefile/vae.tsv"))]
    {
        for (name, (mut shape, data)) in tensors(component) {
            let to = original(table, &name);
            if to.contains("attn_1") && shape.len() == 2 {
                shape.extend([1, 1]);
            }
            all.insert(to, (shape, data));
        }
    }
    all.insert("betas".into(), (vec![2], vec![0; 4]));
    all.insert("cond_stage_model.model.logit_scale".into(), (vec![1], vec![0; 2]));
    all.insert("cond_stage_model.model.text_projection".into(), (vec![2, 2], vec![0; 8]));
    all.insert("model_ema.decay".into(), (vec![1], vec![0; 2]));
    all
}

#[test]
fn a_checkpoint_is_the_directory_it_was_made_from() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("tiny-512-base.safetensors");
    write(&path, &checkpoint());
    let single = ModelSource::open(&path).unwrap();
    assert_eq!(single.components(), ["scheduler", "text_encoder", "unet", "vae"]);
    for component in ["unet", "vae", "text_encoder"] {
        let (theirs, ours) = (reference().weights(component).unwrap(), single.weights(component).unwrap());
        assert_eq!(theirs.len(), ours.len(), "{component}");
        for info in theirs.infos() {
            let a = theirs.scope().take(info.name, info.shape).unwrap();
            let b = ours.scope().take(info.name, info.shape).unwrap();
            assert!(a.bytes() == b.bytes(), "{component} {}", info.name);
        }
        ours.finish(&[]).unwrap();
    }
    assert_eq!(single.index()._class_name, "StableDiffusionPipeline");
    assert_eq!(single.unet_config().unwrap().cross_attention_dim.at(0), Some(1024));
    assert_eq!(single.clip_text_config("text_encoder").unwrap().num_hidden_layers, 23);
    assert_eq!(single.scheduler_config().unwrap().prediction_type, "epsilon");
    // SD-2.x pads with "!".
    assert_eq!(single.tokenizer("tokenizer").unwrap().special_ids(), (49406, 49407, 0));
}

#[test]
fn what_sd2_predicts_is_asked_for_unless_the_name_says_it() {
    let root = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = root.path().join(name);
        write(&path, &checkpoint());
        ModelSource::open(&path).unwrap()
    };
    let v = open("v2-1_768-ema-pruned.safetensors");
    assert_eq!(v.scheduler_config().unwrap().prediction_type, "v_prediction");
    assert_eq!(v.unet_config().unwrap().upcast_attention, Some(true));
    let silent = open("my-model.safetensors");
    let error = silent.scheduler_config().unwrap_err();
    assert!(matches!(error, LoadError::UnsupportedConfig(_)) && error.to_string().contains("--prediction"), "{error}");
    let told = silent.clone().with_prediction_type(Some("epsilon"));
    assert_eq!(told.scheduler_config().unwrap().prediction_type, "epsilon");
    assert_eq!(told.unet_config().unwrap().upcast_attention, Some(false));
    assert!(silent.with_prediction_type(Some("flow")).scheduler_config().is_err());
}

#[test]
fn strangers_and_other_files_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model-512.safetensors");
    let mut with_lora = checkpoint();
    with_lora.insert("model.diffusion_model.input_blocks.1.1.extra_gate.weight".into(), (vec![1], vec![0; 2]));
    with_lora.insert("text_encoder.stray".into(), (vec![1], vec![0; 2]));
    write(&path, &with_lora);
    let error = ModelSource::open(&path).unwrap_err();
    assert!(
        matches!(error, LoadError::Unaccounted(_)) && error.to_string().contains("1: text_encoder.stray"),
        "{error}"
    );
    // A tensor inside an attention block goes to the model's component and is found there, when nothing takes it.
    with_lora.remove("text_encoder.stray");
    write(&path, &with_lora);
    let unet = ModelSource::open(&path).unwrap().weights("unet").unwrap();
    for info in tensors("unet") {
        unet.scope().take(&info.0, &info.1.0).unwrap();
    }
    assert!(unet.finish(&[]).unwrap_err().to_string().contains("extra_gate"));
    let lora: Tensors = [("lora_unet_x.lora_down.weight".to_owned(), (vec![2], vec![0; 4]))].into();
    write(&path, &lora);
    assert!(ModelSource::open(&path).unwrap_err().to_string().contains("a LoRA"));
    std::fs::write(&path, b"\x80\x02}q\x00lots of pickled things").unwrap();
    assert!(ModelSource::open(&path).unwrap_err().to_string().contains("pickle"));
}

#[test]
fn an_sdxl_checkpoint_has_two_encoders() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("sdxl.safetensors");
    let mut all = Tensors::new();
    let mut add = |name: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        all.insert(name.to_owned(), (shape.to_vec(), (0..count as u16).flat_map(u16::to_le_bytes).collect()));
    };
    add("model.diffusion_model.input_blocks.0.0.weight", &[2, 4, 3, 3]);
    add("model.diffusion_model.label_emb.0.0.weight", &[2, 2]);
    add("conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", &[2]);
    add("conditioner.embedders.1.model.ln_final.bias", &[2]);
    add("conditioner.embedders.1.model.text_projection", &[2, 3]);
    add("conditioner.embedders.1.model.logit_scale", &[1]);
    add("denoiser.sigmas", &[4]);
    write(&path, &all);
    let model = ModelSource::open(&path).unwrap();
    assert_eq!(model.components(), ["scheduler", "text_encoder", "text_encoder_2", "unet"]);
    assert!(model.index().is_sdxl());
    assert_eq!(model.scheduler_config().unwrap()._class_name, "EulerDiscreteScheduler");
    let second = model.weights("text_encoder_2").unwrap();
    let projection = second.get("text_projection.weight").unwrap().unwrap();
    assert_eq!(projection.shape, [3, 2]);
    // Row-major [2, 3] of 0..6 turned round.
    let bits: Vec<u8> = projection.bytes().chunks(2).map(|b| b[0]).collect();
    assert_eq!(bits, [0, 3, 1, 4, 2, 5]);
    assert_eq!(model.tokenizer("tokenizer").unwrap().special_ids().2, 49407);
    assert_eq!(model.tokenizer("tokenizer_2").unwrap().special_ids().2, 0);
    assert!(model.vae_config().is_err());
}

#[test]
fn a_controlnet_may_be_one_file() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("control.safetensors");
    let table = include_str!("data/singlefile/controlnet-sd.tsv");
    let to_k = "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
    for (prefix, width, linear) in [("control_model.", 1024, true), ("", 768, false)] {
        let mut all = Tensors::new();
        let mut add = |name: &str, shape: Vec<usize>| {
            let count: usize = shape.iter().product();
            all.insert(name.replace("control_model.", prefix), (shape, vec![0; 2 * count]));
        };
        for (_, original) in table.lines().map(|line| line.split_once('\t').unwrap()) {
            add(&format!("{original}.bias"), vec![1]);
        }
        add(to_k, vec![1, width]);
        write(&path, &all);
        let (config, weights) = open_controlnet(&path).unwrap();
        assert_eq!((config.cross_attention_dim, config.use_linear_projection), (width, linear));
        for (module, _) in table.lines().map(|line| line.split_once('\t').unwrap()) {
            weights.scope().take(&format!("{module}.bias"), &[1]).unwrap();
        }
        assert!(weights.finish(&[]).is_err() && weights.finish(&[("to_k.weight", "taken elsewhere")]).is_ok());
    }
    write(&path, &[("w".to_owned(), (vec![1], vec![0; 2]))].into());
    assert!(matches!(open_controlnet(&path).unwrap_err(), LoadError::Unaccounted(_)));
    assert!(Weights::open(&path).is_ok());
}
