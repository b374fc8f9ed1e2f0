//! Every tensor of every published family has exactly one place, in both directions: files with the complete key lists in
//! the original layout give the tensors of the diffusers layout, byte by byte, and nothing is left over on either side.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keys::{Key, Tensors, diffusers, list, original, write};
use syncline_loader::{Family, ModelSource, Weights, open_controlnet};

/// A family: its components and their lists, and what else its files carry that nothing reads.
struct Case {
    family: Family,
    components: &'static [(&'static str, &'static str)],
    unread: &'static [&'static str],
}

const CASES: [Case; 3] = [
    Case {
        family: Family::Sd1,
        components: &[("unet", "unet-ip2p"), ("vae", "vae"), ("text_encoder", "text_encoder-sd1")],
        unread: &["cond_stage_model.transformer.text_model.embeddings.position_ids", "betas", "model_ema.decay"],
    },
    Case {
        family: Family::Sd2,
        components: &[("unet", "unet-sd21"), ("vae", "vae"), ("text_encoder", "text_encoder-sd21")],
        unread: &[
            "alphas_cumprod",
            "sqrt_recip_alphas_cumprod",
            "posterior_log_variance_clipped",
            "cond_stage_model.model.logit_scale",
            "cond_stage_model.model.text_projection",
            "cond_stage_model.model.transformer.resblocks.23.attn.in_proj_weight",
            "cond_stage_model.model.transformer.resblocks.23.ln_1.bias",
        ],
    },
    Case {
        family: Family::Sdxl,
        components: &[
            ("unet", "unet-sdxl"),
            ("vae", "vae"),
            ("text_encoder", "text_encoder-sdxl"),
            ("text_encoder_2", "text_encoder_2-sdxl"),
        ],
        unread: &["denoiser.sigmas", "conditioner.embedders.1.model.logit_scale"],
    },
];

/// The lists of a case with the UNet's input channels set.
fn lists(case: &Case, inputs: usize) -> BTreeMap<&'static str, Vec<Key>> {
    let one = |(component, name): &(&'static str, &str)| {
        let mut keys = list(name);
        if let Some(conv_in) = keys.iter_mut().find(|key| *component == "unet" && key.name == "conv_in.weight") {
            conv_in.shape[1] = inputs;
        }
        (*component, keys)
    };
    case.components.iter().map(one).collect()
}

/// All names and bytes of `weights`, which must be those of `expected`.
fn assert_same(weights: &Weights, expected: &Tensors, what: &str) {
    let found: BTreeSet<&str> = weights.infos().map(|info| info.name).collect();
    let wanted: BTreeSet<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(found, wanted, "{what}");
    for (name, (shape, bytes)) in expected {
        let tensor = weights.scope().take(name, shape).unwrap();
        assert!(tensor.bytes() == bytes, "{what} {name}");
    }
    weights.finish(&[]).unwrap();
}

#[test]
fn whole_checkpoints_of_every_family_and_kind() {
    let root = tempfile::tempdir().unwrap();
    let mut counted = 0;
    for case in &CASES {
        for inputs in [4, 5, 8, 9] {
            let lists = lists(case, inputs);
            let parts: BTreeMap<_, Tensors> = lists.iter().map(|(name, keys)| (*name, diffusers(keys))).collect();
            let mut whole = Tensors::new();
            for (component, keys) in &lists {
                let tensors = original(keys, &parts[component]);
                counted += keys.len();
                let before = whole.len() + tensors.len();
                whole.extend(tensors);
                assert_eq!(whole.len(), before, "two components share a name");
            }
            whole.extend(case.unread.iter().map(|name| ((*name).to_owned(), (vec![1], vec![0; 2]))));
            let path = root.path().join("model-512-base.safetensors");
            write(&path, &whole);
            let model = ModelSource::open(&path).unwrap();
            assert_eq!(model.family(), Some(case.family));
            for (component, tensors) in &parts {
                let what = format!("{} with {inputs} channels: {component}", case.family);
                assert_same(&model.weights(component).unwrap(), tensors, &what);
            }
            assert_eq!(model.unet_config().unwrap().in_channels, inputs);
            let kind = match (inputs, case.family) {
                // No SDXL with depth channels was published.
                (5, Family::Sd1 | Family::Sd2) => "Depth2Img",
                (8, _) => "InstructPix2Pix",
                (9, _) => "Inpaint",
                _ => "",
            };
            let class = &model.index()._class_name;
            assert!(class.ends_with(&format!("{kind}Pipeline")), "{class}");
            assert_eq!(model.index().is_sdxl(), case.family == Family::Sdxl);
            assert_eq!(model.scheduler_config().unwrap().prediction_type, "epsilon");
        }
    }
    assert!(counted > 20_000, "{counted}");
}

#[test]
fn what_a_2x_file_predicts_is_known_from_its_channels_or_name_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mystery.safetensors");
    for (inputs, known) in [(4, None), (5, Some("epsilon")), (9, Some("epsilon"))] {
        let keys = &lists(&CASES[1], inputs)["unet"];
        write(&path, &original(keys, &diffusers(keys)));
        let model = ModelSource::open(&path).unwrap();
        let found = model.scheduler_config().map(|config| config.prediction_type);
        assert_eq!(found.as_deref().ok(), known, "{inputs} channels");
        assert_eq!(model.components(), ["scheduler", "unet"]);
    }
    // With its text encoder written back from diffusers' 23 layers, none of them is dropped.
    let lists = lists(&CASES[1], 4);
    let all: Tensors = lists.values().flat_map(|keys| original(keys, &diffusers(keys))).collect();
    write(&path, &all);
    let text = ModelSource::open(&path).unwrap().weights("text_encoder").unwrap();
    assert_eq!(text.len(), lists["text_encoder"].len());
}

#[test]
fn controlnets_in_every_layout() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("control.safetensors");
    let keys = list("controlnet-sd21");
    let tensors = diffusers(&keys);
    for prefix in ["control_model.", ""] {
        let file = original(&keys, &tensors);
        let file = file.into_iter().map(|(name, t)| (name.replace("control_model.", prefix), t)).collect();
        write(&path, &file);
        let (config, weights) = open_controlnet(&path).unwrap();
        assert_same(&weights, &tensors, "controlnet-sd21");
        assert_eq!((config.cross_attention_dim, config.use_linear_projection), (1024, true));
    }
    for (name, width) in [("controlnet-sd21", 1024), ("controlnet-sdxl", 2048)] {
        let tensors = diffusers(&list(name));
        write(&path, &tensors);
        let (config, weights) = open_controlnet(&path).unwrap();
        assert_same(&weights, &tensors, name);
        assert_eq!(config.cross_attention_dim, width);
        assert_eq!(config.addition_embed_type.is_some(), width == 2048);
    }
}

/// Component files as ComfyUI's folders have them, with and without prefixes, in both kinds of names.
#[test]
fn components_come_in_files_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let (base, path) = (root.path().join("base-512.safetensors"), root.path().join("part.safetensors"));
    for case in &CASES {
        let lists = lists(case, 4);
        let parts: BTreeMap<_, Tensors> = lists.iter().map(|(name, keys)| (*name, diffusers(keys))).collect();
        // The UNet alone, to which the other files are added.
        write(&base, &parts["unet"]);
        for (component, keys) in &lists {
            let tensors = &parts[component];
            let first = &keys.iter().find(|key| key.op == "copy").unwrap().original;
            let prefixes = ["model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."];
            let others =
                ["cond_stage_model.model.", "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."];
            let prefix = prefixes.iter().chain(&others).find(|prefix| first.starts_with(**prefix)).unwrap();
            let bare = original(keys, tensors).into_iter().map(|(n, t)| (n.replacen(prefix, "", 1), t)).collect();
            let prefixed = original(keys, tensors);
            for (kind, file) in [("diffusers", tensors), ("original", &prefixed), ("bare original", &bare)] {
                write(&path, file);
                let what = format!("{} {component} in {kind} names", case.family);
                let model = ModelSource::open(&base).unwrap().with_component(component, &path).unwrap();
                assert!(model.has(component), "{what}");
                assert_same(&model.weights(component).unwrap(), tensors, &what);
                match *component {
                    "unet" => drop(model.unet_config().unwrap()),
                    "vae" => drop(model.vae_config().unwrap()),
                    text => drop(model.clip_text_config(text).unwrap()),
                }
            }
        }
    }
}

#[test]
fn a_component_of_another_family_is_refused_with_both_names() {
    let root = tempfile::tempdir().unwrap();
    let (base, path) = (root.path().join("base-512.safetensors"), root.path().join("part.safetensors"));
    let refuse = |base: &Path, component: &str, words: &[&str]| {
        let error = ModelSource::open(base).unwrap().with_component(component, &path).unwrap_err();
        assert_eq!(error.code().exit_code(), 4);
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)) && text.contains("next:"), "{text}");
    };
    write(&base, &diffusers(&list("unet-sd21")));
    write(&path, &diffusers(&list("unet-sdxl")));
    refuse(&base, "unet", &["SDXL", "SD-2.x"]);
    refuse(&base, "vae", &["holds no vae", "an SDXL UNet"]);
    write(&path, &diffusers(&list("text_encoder-sd1")));
    refuse(&base, "text_encoder", &["SD-1.x or SDXL", "SD-2.x"]);
    write(&path, &diffusers(&list("text_encoder_2-sdxl")));
    refuse(&base, "text_encoder", &["holds no text_encoder", "bigG"]);
    // What a UNet file lacks is asked for by its flag.
    let error = ModelSource::open(&base).unwrap().weights("text_encoder").unwrap_err();
    assert!(error.to_string().contains("--text-encoder FILE"), "{error}");
    // A VAE is no model.
    write(&path, &diffusers(&list("vae")));
    let error = ModelSource::open(&path).unwrap_err();
    assert!(error.to_string().contains("a VAE"), "{error}");
}
