//! Published configurations parse; unsupported and broken ones give the error that names the key.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::collections::BTreeMap;

use serde_json::Value;
use syncline_loader::config::{
    AutoencoderKlConfig, ClipTextConfig, ControlNetConfig, ModelIndex, PerLevel, SchedulerConfig, UNet2DConditionConfig,
};
use syncline_loader::{ErrorCode, LoadError, Result};

const SD21_BASE: &str = include_str!("../data/configs/stable-diffusion-2-1-base.json");
const SD21: &str = include_str!("../data/configs/stable-diffusion-2-1.json");
const SDXL: &str = include_str!("../data/configs/stable-diffusion-xl-base-1.0.json");
const IP2P: &str = include_str!("../data/configs/instruct-pix2pix.json");
const CONTROLNET_SD21: &str = include_str!("../data/configs/controlnet-sd21-depth-diffusers.json");
const CONTROLNET_SDXL: &str = include_str!("../data/configs/controlnet-depth-sdxl-1.0.json");

fn file(all: &str, name: &str) -> Value {
    let mut files: BTreeMap<String, Value> = serde_json::from_str(all).unwrap();
    files.remove(name).unwrap_or_else(|| panic!("no {name}"))
}

fn unet(all: &str) -> UNet2DConditionConfig {
    UNet2DConditionConfig::from_json("unet/config.json", &file(all, "unet/config.json").to_string()).unwrap()
}

fn vae(all: &str) -> AutoencoderKlConfig {
    AutoencoderKlConfig::from_json("vae/config.json", &file(all, "vae/config.json").to_string()).unwrap()
}

fn text(all: &str, name: &str) -> ClipTextConfig {
    ClipTextConfig::from_json(name, &file(all, name).to_string()).unwrap()
}

fn scheduler(all: &str) -> SchedulerConfig {
    let name = "scheduler/scheduler_config.json";
    SchedulerConfig::from_json(name, &file(all, name).to_string()).unwrap()
}

#[test]
fn every_published_file_parses() {
    for all in [SD21_BASE, SD21, SDXL, IP2P, CONTROLNET_SD21, CONTROLNET_SDXL] {
        let files: BTreeMap<String, Value> = serde_json::from_str(all).unwrap();
        for (name, value) in files {
            let content = value.to_string();
            match name.as_str() {
                "model_index.json" => drop(ModelIndex::from_json(&name, &content).unwrap()),
                "unet/config.json" => drop(UNet2DConditionConfig::from_json(&name, &content).unwrap()),
                "vae/config.json" => drop(AutoencoderKlConfig::from_json(&name, &content).unwrap()),
                "scheduler/scheduler_config.json" => drop(SchedulerConfig::from_json(&name, &content).unwrap()),
                "config.json" => drop(ControlNetConfig::from_json(&name, &content).unwrap()),
                n if n.starts_with("text_encoder") => drop(ClipTextConfig::from_json(&name, &content).unwrap()),
                n => assert!(n.starts_with("tokenizer"), "{n}"),
            }
        }
    }
}

#[test]
fn sd21_reads_as_published() {
    let u = unet(SD21_BASE);
    assert_eq!((u.in_channels, u.levels(), u.context_width(), u.use_linear_projection), (4, 4, 1024, true));
    assert_eq!((0..4).map(|i| u.heads(i)).collect::<Vec<_>>(), [5, 10, 20, 20]);
    assert_eq!((u.layers(0), u.transformer_layers(3), u.sample_hw()), (2, 1, Some((64, 64))));
    assert_eq!(u.mid_block_type.as_deref(), Some("UNetMidBlock2DCrossAttn"));
    assert_eq!(u.upcast_attention, Some(false));
    assert_eq!(unet(SD21).upcast_attention, Some(true));
    let v = vae(SD21_BASE);
    assert_eq!((v.scaling_factor, v.downscale(), v.latent_channels), (0.18215, 8, 4));
    let t = text(SD21_BASE, "text_encoder/config.json");
    assert_eq!(
        (t.num_hidden_layers, t.hidden_size, t.hidden_act.as_str(), t.with_projection()),
        (23, 1024, "gelu", false)
    );
    assert!(t.eos_is_largest_id());
    assert_eq!(t.pooled_position(&[49406, 320, 49407, 0, 0]), 2);
    assert_eq!(scheduler(SD21_BASE).prediction_type, "epsilon");
    let s = scheduler(SD21);
    assert_eq!(
        (s.prediction_type.as_str(), s.beta_schedule.as_str(), s.steps_offset),
        ("v_prediction", "scaled_linear", 1)
    );
    assert_eq!((s.timestep_spacing, s.set_alpha_to_one, s.beta_start), (None, false, 0.00085));
}

#[test]
fn sdxl_reads_as_published() {
    let u = unet(SDXL);
    assert_eq!((0..3).map(|i| u.transformer_layers(i)).collect::<Vec<_>>(), [1, 2, 10]);
    assert_eq!(u.addition_embed_type.as_deref(), Some("text_time"));
    assert_eq!((u.addition_time_embed_dim, u.projection_class_embeddings_input_dim), (Some(256), Some(2816)));
    let v = vae(SDXL);
    assert_eq!((v.scaling_factor, v.force_upcast), (0.13025, true));
    assert_eq!(text(SDXL, "text_encoder/config.json").hidden_act, "quick_gelu");
    let t = text(SDXL, "text_encoder_2/config.json");
    assert_eq!((t.hidden_size, t.projection_dim, t.with_projection()), (1280, 1280, true));
    let index = ModelIndex::from_json("model_index.json", &file(SDXL, "model_index.json").to_string()).unwrap();
    assert!(index.is_sdxl() && index.force_zeros_for_empty_prompt());
    assert_eq!(index.class_of("text_encoder_2"), Some("CLIPTextModelWithProjection"));
}

#[test]
fn instruct_pix2pix_and_controlnets_read_as_published() {
    let u = unet(IP2P);
    assert_eq!((u.in_channels, u.out_channels, u.use_linear_projection), (8, 4, false));
    assert_eq!((u.attention_head_dim.clone(), u.heads(2)), (PerLevel::All(8), 8));
    let index = ModelIndex::from_json("model_index.json", &file(IP2P, "model_index.json").to_string()).unwrap();
    assert!(index.is_instruct_pix2pix() && !index.is_sdxl() && !index.force_zeros_for_empty_prompt());
    let c = ControlNetConfig::from_json("config.json", &file(CONTROLNET_SD21, "config.json").to_string()).unwrap();
    assert_eq!((c.conditioning_channels, c.conditioning_embedding_out_channels.len(), c.heads(3)), (3, 4, 20));
    let c = ControlNetConfig::from_json("config.json", &file(CONTROLNET_SDXL, "config.json").to_string()).unwrap();
    assert_eq!((c.upcast_attention, c.transformer_layers(2), c.cross_attention_dim), (None, 10, 2048));
}

/// Changes one key of a published file and expects an error that names it.
fn refused<T>(parse: impl Fn(&str, &str) -> Result<T>, base: &Value, key: &str, value: Value) {
    let mut changed = base.clone();
    changed[key] = value.clone();
    let Err(error) = parse("dir/config.json", &changed.to_string()) else { panic!("{key} = {value} was accepted") };
    assert!(matches!(error, LoadError::UnsupportedConfig(_)), "{error}");
    assert_eq!(error.code(), ErrorCode::ModelMismatch);
    let text = error.to_string();
    assert!(text.contains("dir/config.json") && text.contains(key) && text.contains("expected"), "{key}: {text}");
    assert!(text.lines().count() <= 6, "{text}");
}

#[test]
fn what_a_unet_cannot_be_is_named() {
    let base = file(SD21_BASE, "unet/config.json");
    let cases = r#"[
        ["_class_name", "Transformer2DModel"], ["_class_name", "FluxTransformer2DModel"], ["act_fn", "gelu"],
        ["down_block_types", ["DownBlock2D"]], ["down_block_types", ["AttnDownBlock2D","DownBlock2D","DownBlock2D","DownBlock2D"]],
        ["up_block_types", ["UpBlock2D","UpBlock2D","UpBlock2D","UpBlock2D"]], ["up_block_types", []],
        ["mid_block_type", null], ["mid_block_type", "UNetMidBlock2DSimpleCrossAttn"],
        ["block_out_channels", []], ["block_out_channels", [320,640,1280,0]], ["block_out_channels", [320,640,1280,1000000]],
        ["block_out_channels", [320,640,1280,1281]], ["block_out_channels", "320"], ["block_out_channels", [-1,2,3,4]],
        ["norm_num_groups", 0], ["norm_num_groups", 33], ["norm_eps", 0.0], ["norm_eps", "x"],
        ["layers_per_block", 0], ["layers_per_block", [2,2]], ["layers_per_block", 1000000000], ["layers_per_block", 2.5],
        ["attention_head_dim", 7], ["attention_head_dim", [5,10,20]], ["attention_head_dim", 0], ["attention_head_dim", null],
        ["transformer_layers_per_block", [[1],[1],[1],[1]]], ["cross_attention_dim", 0], ["cross_attention_dim", [1,2]],
        ["class_embed_type", "timestep"], ["addition_embed_type", "image"], ["addition_embed_type", "text_time"],
        ["time_embedding_type", "fourier"], ["time_cond_proj_dim", 256], ["timestep_post_act", "silu"], ["num_class_embeds", 10],
        ["encoder_hid_dim", 1024], ["encoder_hid_dim_type", "ip_image_proj"], ["resnet_time_scale_shift", "scale_shift"],
        ["resnet_skip_time_act", true], ["resnet_out_scale_factor", 2.0], ["mid_block_scale_factor", 1.4142], ["conv_in_kernel", 1],
        ["conv_out_kernel", 5], ["downsample_padding", 0], ["dual_cross_attention", true], ["only_cross_attention", true],
        ["only_cross_attention", [false,true,false,false]], ["center_input_sample", true], ["attention_type", "gated"],
        ["cross_attention_norm", "group_norm"], ["reverse_transformer_layers_per_block", [1,1,1,1]], ["in_channels", 0],
        ["class_embeddings_concat", true], ["mid_block_only_cross_attention", true], ["freq_shift", null]
    ]"#;
    let cases: Vec<(String, Value)> = serde_json::from_str(cases).unwrap();
    assert!(cases.len() >= 50);
    for (key, value) in cases {
        // The message may name the key that contradicts the changed one, so only direct contradictions are listed here.
        let expected = match (key.as_str(), value.to_string().as_str()) {
            ("block_out_channels", "[320,640,1280,1281]") => "norm_num_groups",
            ("addition_embed_type", "\"text_time\"") => "addition_time_embed_dim",
            (key, _) => key,
        }
        .to_owned();
        let mut changed = base.clone();
        changed[&key] = value.clone();
        let Err(error) = UNet2DConditionConfig::from_json("unet/config.json", &changed.to_string()) else {
            panic!("{key} = {value} was accepted")
        };
        assert_eq!(error.code(), ErrorCode::ModelMismatch, "{error}");
        assert_eq!(error.detail().item.as_deref(), Some(expected.as_str()), "{error}");
        assert!(error.to_string().lines().count() <= 6, "{error}");
    }
}

#[test]
fn what_other_components_cannot_be_is_named() {
    let base = file(SD21_BASE, "vae/config.json");
    for (key, value) in [
        ("_class_name", Value::from("AutoencoderTiny")),
        ("latents_mean", serde_json::json!([0.1])),
        ("scaling_factor", Value::from(0.0)),
        ("shift_factor", Value::from(0.1159)),
        ("use_quant_conv", Value::from(false)),
        ("mid_block_add_attention", Value::from(false)),
        ("norm_num_groups", Value::from(7)),
        ("down_block_types", serde_json::json!(["AttnDownEncoderBlock2D", "a", "b", "c"])),
    ] {
        refused(AutoencoderKlConfig::from_json, &base, key, value);
    }
    let base = file(SD21_BASE, "text_encoder/config.json");
    for (key, value) in [
        ("architectures", serde_json::json!(["T5EncoderModel"])),
        ("architectures", serde_json::json!([])),
        ("model_type", Value::from("t5")),
        ("hidden_act", Value::from("relu")),
        ("num_attention_heads", Value::from(7)),
        ("vocab_size", Value::from(0)),
        ("max_position_embeddings", Value::from(1)),
        ("num_hidden_layers", Value::from(100_000)),
        ("layer_norm_eps", Value::from(-1.0)),
    ] {
        refused(ClipTextConfig::from_json, &base, key, value);
    }
    let base = file(SD21_BASE, "scheduler/scheduler_config.json");
    for (key, value) in [
        ("_class_name", Value::from("FlowMatchEulerDiscreteScheduler")),
        ("prediction_type", Value::from("flow")),
        ("beta_schedule", Value::from("sigmoid")),
        ("beta_start", Value::from(-1.0)),
        ("num_train_timesteps", Value::from(0)),
        ("timestep_spacing", Value::from("random")),
        ("steps_offset", Value::from(1000)),
        ("trained_betas", serde_json::json!([0.1, 0.2])),
        ("thresholding", Value::from(true)),
    ] {
        refused(SchedulerConfig::from_json, &base, key, value);
    }
    let base = file(CONTROLNET_SD21, "config.json");
    for (key, value) in [
        ("_class_name", Value::from("T2IAdapter")),
        ("global_pool_conditions", Value::from(true)),
        ("controlnet_conditioning_channel_order", Value::from("grb")),
        ("conditioning_embedding_out_channels", serde_json::json!([])),
        ("class_embed_type", Value::from("timestep")),
    ] {
        refused(ControlNetConfig::from_json, &base, key, value);
    }
    let base = file(SD21_BASE, "model_index.json");
    for value in ["FluxPipeline", "StableDiffusion3Pipeline", "WanPipeline"] {
        refused(ModelIndex::from_json, &base, "_class_name", Value::from(value));
    }
}

#[test]
fn broken_json_is_a_bad_file() {
    let texts = [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{\"_class_name\":\"UNet2DConditionModel\",}",
        "{'a':1}",
        "{\"a\":NaN}",
        "{\"_class_name\":\"UNet2DConditionModel\",\"_class_name\":\"UNet2DConditionModel\"}",
        "{\"x\":1,\"x\":1,\"_class_name\":\"UNet2DConditionModel\"}",
        "<!DOCTYPE html>",
        "version https://git-lfs.github.com/spec/v1\nsize 5\n",
    ];
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in texts.into_iter().chain([nested.as_str()]) {
        let error = UNet2DConditionConfig::from_json("c.json", text).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadFile, "{text:.60}: {error}");
        assert!(matches!(error, LoadError::BadJson(_)));
        assert!(ModelIndex::from_json("c.json", text).is_err());
    }
}
