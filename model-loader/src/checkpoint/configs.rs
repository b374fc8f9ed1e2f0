//! Published configurations of the families that exist as single files.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Family;

const SD1: &str = include_str!("../../data/configs/instruct-pix2pix.json");
const SD2: &str = include_str!("../../data/configs/stable-diffusion-2-1-base.json");
const SDXL: &str = include_str!("../../data/configs/stable-diffusion-xl-base-1.0.json");
const CONTROLNET_SD2: &str = include_str!("../../data/configs/controlnet-sd21-depth-diffusers.json");
const CONTROLNET_SDXL: &str = include_str!("../../data/configs/controlnet-depth-sdxl-1.0.json");

/// Configuration files as a diffusers directory of this family would have them. `inputs` is the number of channels that the
/// UNet takes: 4, with depth 5, with the image to edit 8, with mask and masked image 9.
pub fn files(family: Family, inputs: usize) -> BTreeMap<String, String> {
    let text = match family {
        Family::Sd1 => SD1,
        Family::Sd2 => SD2,
        Family::Sdxl => SDXL,
    };
    let mut files: BTreeMap<String, Value> = serde_json::from_str(text).unwrap_or_default();
    // The vocabulary is the built-in one, whose padding token depends on the encoder.
    files.retain(|name, _| !name.starts_with("tokenizer"));
    let mut set = |file: &str, key: &str, value: Value| {
        if let Some(object) = files.get_mut(file).and_then(Value::as_object_mut) {
            object.insert(key.to_owned(), value);
        }
    };
    set("unet/config.json", "in_channels", json!(inputs));
    set("model_index.json", "_class_name", json!(class(family, inputs)));
    files.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

/// diffusers' pipeline for a UNet that takes so many channels.
pub fn class(family: Family, inputs: usize) -> String {
    let kind = match inputs {
        5 if family != Family::Sdxl => "Depth2ImgPipeline",
        8 => "InstructPix2PixPipeline",
        9 => "InpaintPipeline",
        _ => "Pipeline",
    };
    let base = if family == Family::Sdxl { "StableDiffusionXL" } else { "StableDiffusion" };
    format!("{base}{kind}")
}

/// Configuration of a ControlNet of this family.
pub fn controlnet(family: Family) -> String {
    let text = if family == Family::Sdxl { CONTROLNET_SDXL } else { CONTROLNET_SD2 };
    let mut files: BTreeMap<String, Map<String, Value>> = serde_json::from_str(text).unwrap_or_default();
    let mut config = files.remove("config.json").unwrap_or_default();
    if family == Family::Sd1 {
        config.insert("cross_attention_dim".to_owned(), json!(768));
        config.insert("attention_head_dim".to_owned(), json!(8));
        config.insert("use_linear_projection".to_owned(), json!(false));
    }
    Value::Object(config).to_string()
}
