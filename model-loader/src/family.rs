//! Which model a set of tensor names belongs to, for messages and `inspect`.

use crate::weights::TensorInfo;

/// What people pass as a model although it is not one, and what to do with it.
const ADVICE: [(&str, &str); 10] = [
    ("a LoRA", "pass it beside a model: -m MODEL --lora"),
    ("a textual-inversion", "pass it beside a model: -m MODEL --embedding"),
    ("a ControlNet", "pass it with a picture beside a model: -m MODEL --control-image PICTURE --control-net"),
    ("a VAE", "pass it beside a model: -m MODEL --vae"),
    ("a CLIP text encoder of width 1280", "pass it beside a model: -m MODEL --text-encoder-2"),
    ("a CLIP text encoder", "pass it beside a model: -m MODEL --text-encoder"),
    ("an SDXL refiner", "the base model needs no refiner: syncline txt2img -m sdxl -p \"a harbour\""),
    ("a Flux", "this engine runs SD-1.x, SD-2.x and SDXL: syncline txt2img -m sdxl -p \"a harbour\""),
    ("Stable Diffusion 3", "this engine runs SD-1.x, SD-2.x and SDXL: syncline txt2img -m sdxl -p \"a harbour\""),
    ("a Stable Diffusion 3", "this engine runs SD-1.x, SD-2.x and SDXL: syncline txt2img -m sdxl -p \"a harbour\""),
];

/// The next command for someone who passed such a file as a model.
pub fn advice(family: &str, file: &str) -> String {
    match ADVICE.iter().find(|(kind, _)| family.starts_with(kind)) {
        Some((_, advice)) if advice.contains("--") => format!("{advice} {file}"),
        Some((_, advice)) => (*advice).to_owned(),
        None => format!("syncline inspect {file}"),
    }
}

/// Names that decide by themselves; the first that occurs wins, so additions to models come before whole models.
const BY_NAME: [(&str, &str); 33] = [
    ("dora_scale", "a DoRA/LyCORIS addition, not a model"),
    (".lora_magnitude_vector", "a DoRA/LyCORIS addition, not a model"),
    (".lora_down.", "a LoRA (an addition to a model, not a model)"),
    (".lora_up.", "a LoRA (an addition to a model, not a model)"),
    (".lora_A.", "a LoRA (an addition to a model, not a model)"),
    (".lora_B.", "a LoRA (an addition to a model, not a model)"),
    (".lora.down.", "a LoRA (an addition to a model, not a model)"),
    (".lora.up.", "a LoRA (an addition to a model, not a model)"),
    ("_lora.down.", "a LoRA (an addition to a model, not a model)"),
    (".hada_w1_a", "a LoHa/LyCORIS addition, not a model"),
    (".lokr_w1", "a LoKr/LyCORIS addition, not a model"),
    ("ip_adapter.", "an IP-Adapter"),
    ("motion_modules.", "an AnimateDiff motion module"),
    ("oft_blocks", "an OFT/LyCORIS addition, not a model"),
    ("emb_params", "a textual-inversion embedding"),
    ("controlnet_cond_embedding.", "a ControlNet in diffusers layout"),
    ("control_model.", "a ControlNet in its original single-file layout"),
    ("input_hint_block.", "a ControlNet in its original single-file layout"),
    ("t2iadapter", "a T2I-Adapter"),
    ("adapter.body.", "a T2I-Adapter"),
    ("temporal_transformer_blocks.", "a video model"),
    (".time_stack.", "a video model"),
    ("decoder.layers.", "a TAESD preview decoder"),
    ("double_blocks.", "a Flux transformer in its original layout"),
    ("single_transformer_blocks.", "a Flux transformer in diffusers layout"),
    ("joint_blocks.", "Stable Diffusion 3 in its original layout"),
    ("time_text_embed.", "a transformer model of the Flux or Stable Diffusion 3 kind in diffusers layout"),
    (".attn.add_q_proj.", "a Stable Diffusion 3 transformer in diffusers layout"),
    ("conditioner.embedders.1.", "an SDXL checkpoint in its original single-file layout"),
    ("conditioner.embedders.0.model.", "an SDXL refiner checkpoint in its original single-file layout"),
    ("encoder.block.0.layer.", "a T5 text encoder"),
    ("encoder.down.0.", "a VAE in its original layout"),
    ("vision_model.", "a CLIP model with its image half"),
];

/// Says what the tensors look like, such as "an SDXL UNet in diffusers layout".
pub fn guess<'a>(tensors: impl Iterator<Item = TensorInfo<'a>> + Clone) -> String {
    // In a whole checkpoint the VAE part must not decide.
    let whole = tensors.clone().any(|t| t.name.starts_with("model.diffusion_model."));
    for (part, family) in BY_NAME {
        let in_vae = part == "encoder.down.0.";
        if !(whole && in_vae) && tensors.clone().any(|t| t.name.starts_with(part) || t.name.contains(part)) {
            return family.to_owned();
        }
    }
    let shape = |name: &str| tensors.clone().find(|t| t.name == name).map(|t| t.shape);
    if whole {
        return whole_checkpoint(&shape);
    }
    if shape("input_blocks.0.0.weight").is_some() && shape("out.2.weight").is_some() {
        return original_unet(tensors.clone(), &shape);
    }
    if tensors.clone().count() < 4 && ["clip_l", "clip_g"].iter().any(|name| shape(name).is_some()) {
        return "a textual-inversion embedding of SDXL".to_owned();
    }
    if tensors.clone().any(|t| t.name.starts_with("down_blocks.")) {
        return unet(tensors.clone(), &shape);
    }
    if shape("decoder.conv_in.weight").is_some() || shape("encoder.conv_in.weight").is_some() {
        return "a VAE in diffusers layout".to_owned();
    }
    let tokens = ["text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight"];
    if let Some(width) = tokens.iter().find_map(|name| shape(name)).and_then(|s| s.last()) {
        let which = match width {
            768 => " (CLIP-L: SD-1.x and SDXL)",
            1024 => " (ViT-H: SD-2.x)",
            1280 => " (bigG: SDXL's second)",
            _ => "",
        };
        return format!("a CLIP text encoder of width {width}{which}");
    }
    "no model family known here".to_owned()
}

fn whole_checkpoint<'a>(shape: &impl Fn(&str) -> Option<&'a [usize]>) -> String {
    let key = "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight";
    let family = match shape(key).and_then(|s| s.last()) {
        Some(768) => "SD-1.x",
        Some(1024) => "SD-2.x",
        _ => "Stable Diffusion",
    };
    let input = shape("model.diffusion_model.input_blocks.0.0.weight").and_then(|s| s.get(1));
    format!("{family} checkpoint{} in its original single-file layout", by_channels(input))
}

fn unet<'a>(mut tensors: impl Iterator<Item = TensorInfo<'a>>, shape: &impl Fn(&str) -> Option<&'a [usize]>) -> String {
    let context = tensors.find(|t| t.name.ends_with(".attn2.to_k.weight")).and_then(|t| t.shape.last());
    let family = match (shape("add_embedding.linear_1.weight").is_some(), context) {
        (true, Some(2048)) => "an SDXL UNet".to_owned(),
        (true, Some(1280)) => "an SDXL refiner UNet".to_owned(),
        (false, Some(768)) => "an SD-1.x UNet".to_owned(),
        (false, Some(1024)) => "an SD-2.x UNet".to_owned(),
        (added, Some(width)) => {
            format!("a UNet with context width {width}{}", if added { " and added conditions as in SDXL" } else { "" })
        }
        (_, None) => "a UNet without text conditioning".to_owned(),
    };
    format!("{family}{} in diffusers layout", by_channels(shape("conv_in.weight").and_then(|s| s.get(1))))
}

fn original_unet<'a>(
    mut tensors: impl Iterator<Item = TensorInfo<'a>>,
    shape: &impl Fn(&str) -> Option<&'a [usize]>,
) -> String {
    let context = tensors.find(|t| t.name.ends_with(".attn2.to_k.weight")).and_then(|t| t.shape.last());
    let family = match context {
        Some(768) => "an SD-1.x UNet",
        Some(1024) => "an SD-2.x UNet",
        Some(1280) => "an SDXL refiner UNet",
        Some(2048) => "an SDXL UNet",
        _ => "a UNet",
    };
    let channels = by_channels(shape("input_blocks.0.0.weight").and_then(|s| s.get(1)));
    format!("{family}{channels} in its original layout")
}

fn by_channels(input: Option<&usize>) -> &'static str {
    match input {
        Some(5) => " with depth (5 input channels)",
        Some(8) => " for instruct-pix2pix (8 input channels)",
        Some(9) => " for inpainting (9 input channels)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    fn of(rows: &[(&str, &[usize])]) -> String {
        guess(rows.iter().map(|(name, shape)| TensorInfo { name, shape, dtype: Dtype::F16 }))
    }

    #[test]
    fn families() {
        let to_k = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
        assert!(of(&[(to_k, &[320, 1024])]).starts_with("an SD-2.x UNet"));
        assert!(of(&[(to_k, &[320, 768]), ("conv_in.weight", &[320, 8, 3, 3])]).contains("instruct-pix2pix"));
        assert!(
            of(&[(to_k, &[640, 2048]), ("add_embedding.linear_1.weight", &[1280, 2816])]).starts_with("an SDXL UNet")
        );
        assert!(of(&[("lora_unet_x.lora_down.weight", &[4, 320])]).starts_with("a LoRA"));
        assert!(of(&[("double_blocks.0.img_attn.qkv.weight", &[9, 3])]).contains("Flux"));
        assert!(of(&[("decoder.conv_in.weight", &[512, 4, 3, 3])]).starts_with("a VAE"));
        assert!(of(&[("embeddings.token_embedding.weight", &[49408, 1024])]).contains("ViT-H"));
        let sd1 = "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight";
        assert!(
            of(&[(sd1, &[320, 768]), ("first_stage_model.encoder.down.0.block.0.conv1.weight", &[1])])
                .starts_with("SD-1.x")
        );
        assert_eq!(of(&[("a", &[1])]), "no model family known here");
    }
}
