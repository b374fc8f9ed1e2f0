//! Where each tensor of a single-file checkpoint belongs in diffusers' layout.
//!
//! The original names are those of CompVis' latent-diffusion and Stability's generative-models; a UNet level has two resnets
//! there, so each level takes three input and three output blocks.

/// Blocks of a level in the original numbering.
const BLOCKS: usize = 3;
/// Layers of SD-2.x's text encoder that are used; the original has one more.
const SD2_LAYERS: usize = 23;

/// The place of one original tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Component and name.
    To(&'static str, String),
    /// Component and the names of the first, second and third part of the rows.
    Thirds(&'static str, [String; 3]),
    /// Component and name of the transposed matrix.
    Transposed(&'static str, String),
    /// Nothing reads it.
    Unused,
    /// Not part of any model known here.
    Unknown,
}

/// What has to be known of the whole file to place one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Levels of the VAE: its decoder counts them from the other end.
    pub vae_levels: usize,
    /// Layers of SD-2.x's text encoder, of which the last one is not used.
    pub text_layers: usize,
}

impl Shape {
    /// Counts levels and layers in a list of names.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Shape {
        let mut shape = Shape { vae_levels: 0, text_layers: 0 };
        for name in names {
            let number = |prefix: &str| name.strip_prefix(prefix).and_then(number).map_or(0, |(n, _)| n + 1);
            shape.vae_levels = shape.vae_levels.max(number("first_stage_model.decoder.up."));
            shape.text_layers = shape.text_layers.max(number("cond_stage_model.model.transformer.resblocks."));
        }
        shape
    }

    /// The place of the tensor `name`.
    pub fn place(&self, name: &str) -> Place {
        let to = |component, found: Option<String>| found.map_or(Place::Unknown, |name| Place::To(component, name));
        if unused(name) {
            Place::Unused
        } else if let Some(rest) = name.strip_prefix("model.diffusion_model.") {
            to("unet", unet(rest))
        } else if let Some(rest) = name.strip_prefix("control_model.") {
            to("controlnet", controlnet(rest))
        } else if let Some(rest) = name.strip_prefix("first_stage_model.") {
            to("vae", self.vae(rest))
        } else if let Some(rest) = name.strip_prefix("cond_stage_model.transformer.") {
            to("text_encoder", Some(rest.to_owned()))
        } else if let Some(rest) = name.strip_prefix("conditioner.embedders.0.transformer.") {
            to("text_encoder", Some(rest.to_owned()))
        } else if let Some(rest) = name.strip_prefix("cond_stage_model.model.") {
            self.sd2_text(rest)
        } else if let Some(rest) = name.strip_prefix("conditioner.embedders.1.model.") {
            open_clip("text_encoder_2", rest)
        } else {
            Place::Unknown
        }
    }

    fn sd2_text(&self, name: &str) -> Place {
        let last = format!("transformer.resblocks.{}.", self.text_layers.wrapping_sub(1));
        // SD-2.x was trained on the output of the layer before the last one. Files written back from diffusers' 23 layers
        // do not have it.
        let is_last = self.text_layers != SD2_LAYERS && name.starts_with(&last);
        if name == "text_projection" || is_last {
            return Place::Unused;
        }
        open_clip("text_encoder", name)
    }

    fn vae(&self, name: &str) -> Option<String> {
        if name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.") {
            return Some(name.to_owned());
        }
        let (half, rest) = name.split_once('.')?;
        let (part, inner) = rest.split_once('.')?;
        let inner = match (half, part) {
            ("encoder" | "decoder", "conv_in" | "conv_out") => rest.to_owned(),
            ("encoder" | "decoder", "norm_out") => format!("conv_norm_out.{inner}"),
            ("encoder" | "decoder", "mid") => vae_middle(inner)?,
            ("encoder", "down") => {
                let (level, inner) = number(inner)?;
                format!("down_blocks.{level}.{}", vae_level(inner)?)
            }
            ("decoder", "up") => {
                let (level, inner) = number(inner)?;
                format!("up_blocks.{}.{}", self.vae_levels.checked_sub(level + 1)?, vae_level(inner)?)
            }
            _ => return None,
        };
        Some(format!("{half}.{inner}"))
    }
}

/// Buffers of the training code, which whole checkpoints carry along.
fn unused(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "betas",
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "denoiser.sigmas",
        "logvar",
        "lvlb_weights",
        "v_pred",
        "ztsnr",
        "cond_stage_model.model.attn_mask",
        "edm_mean",
    ];
    const PREFIXES: [&str; 5] = ["sqrt_", "log_one_minus_", "posterior_", "model_ema.", "first_stage_model.loss."];
    const SUFFIXES: [&str; 2] = [".logit_scale", ".position_ids"];
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Splits `12.rest` into the number and the rest.
fn number(text: &str) -> Option<(usize, &str)> {
    let (digits, rest) = text.split_once('.')?;
    if digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

/// Replaces the first matching beginning.
fn renamed(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(old, new)| name.strip_prefix(old).map(|rest| format!("{new}{rest}")))
}

/// diffusers' name of a UNet tensor, given without the prefix of the whole checkpoint.
pub(crate) fn unet(name: &str) -> Option<String> {
    let (head, rest) = name.split_once('.')?;
    match head {
        "time_embed" => renamed(rest, &[("0.", "time_embedding.linear_1."), ("2.", "time_embedding.linear_2.")]),
        "label_emb" => renamed(rest, &[("0.0.", "add_embedding.linear_1."), ("0.2.", "add_embedding.linear_2.")]),
        "input_blocks" => input_block(rest),
        "middle_block" => middle_block(rest),
        "output_blocks" => output_block(rest),
        "out" => renamed(rest, &[("0.", "conv_norm_out."), ("2.", "conv_out.")]),
        _ => None,
    }
}

fn input_block(name: &str) -> Option<String> {
    let (block, rest) = number(name)?;
    let (part, inner) = number(rest)?;
    if block == 0 {
        return (part == 0).then(|| format!("conv_in.{inner}"));
    }
    let (level, layer) = ((block - 1) / BLOCKS, (block - 1) % BLOCKS);
    match (part, inner.strip_prefix("op.")) {
        (0, Some(conv)) => Some(format!("down_blocks.{level}.downsamplers.0.conv.{conv}")),
        (0, None) => Some(format!("down_blocks.{level}.resnets.{layer}.{}", resnet(inner)?)),
        (1, None) => Some(format!("down_blocks.{level}.attentions.{layer}.{inner}")),
        _ => None,
    }
}

fn output_block(name: &str) -> Option<String> {
    let (block, rest) = number(name)?;
    let (part, inner) = number(rest)?;
    let (level, layer) = (block / BLOCKS, block % BLOCKS);
    // The upsampler follows the attention, or the resnet where a level has none.
    match (part, inner.strip_prefix("conv.")) {
        (0, None) => Some(format!("up_blocks.{level}.resnets.{layer}.{}", resnet(inner)?)),
        (1 | 2, Some(conv)) => Some(format!("up_blocks.{level}.upsamplers.0.conv.{conv}")),
        (1, None) => Some(format!("up_blocks.{level}.attentions.{layer}.{inner}")),
        _ => None,
    }
}

fn middle_block(name: &str) -> Option<String> {
    match number(name)? {
        (0, inner) => Some(format!("mid_block.resnets.0.{}", resnet(inner)?)),
        (1, inner) => Some(format!("mid_block.attentions.0.{inner}")),
        (2, inner) => Some(format!("mid_block.resnets.1.{}", resnet(inner)?)),
        _ => None,
    }
}

fn resnet(name: &str) -> Option<String> {
    const NAMES: [(&str, &str); 6] = [
        ("in_layers.0.", "norm1."),
        ("in_layers.2.", "conv1."),
        ("emb_layers.1.", "time_emb_proj."),
        ("out_layers.0.", "norm2."),
        ("out_layers.3.", "conv2."),
        ("skip_connection.", "conv_shortcut."),
    ];
    renamed(name, &NAMES)
}

fn controlnet(name: &str) -> Option<String> {
    let (head, rest) = name.split_once('.')?;
    match head {
        "zero_convs" => {
            let (block, inner) = number(rest)?;
            Some(format!("controlnet_down_blocks.{block}.{}", inner.strip_prefix("0.")?))
        }
        "middle_block_out" => Some(format!("controlnet_mid_block.{}", rest.strip_prefix("0.")?)),
        "input_hint_block" => match number(rest)? {
            (0, inner) => Some(format!("controlnet_cond_embedding.conv_in.{inner}")),
            (14, inner) => Some(format!("controlnet_cond_embedding.conv_out.{inner}")),
            (even @ 2..=12, inner) if even % 2 == 0 => {
                Some(format!("controlnet_cond_embedding.blocks.{}.{inner}", even / 2 - 1))
            }
            _ => None,
        },
        "time_embed" | "label_emb" | "input_blocks" | "middle_block" => unet(name),
        _ => None,
    }
}

fn vae_middle(name: &str) -> Option<String> {
    const ATTENTION: [(&str, &str); 5] =
        [("norm.", "group_norm."), ("q.", "to_q."), ("k.", "to_k."), ("v.", "to_v."), ("proj_out.", "to_out.0.")];
    let (part, inner) = name.split_once('.')?;
    match part {
        "block_1" => Some(format!("mid_block.resnets.0.{inner}")),
        "block_2" => Some(format!("mid_block.resnets.1.{inner}")),
        "attn_1" => Some(format!("mid_block.attentions.0.{}", renamed(inner, &ATTENTION)?)),
        _ => None,
    }
}

fn vae_level(name: &str) -> Option<String> {
    if let Some(resnet) = name.strip_prefix("block.") {
        let (layer, inner) = number(resnet)?;
        let inner = renamed(inner, &[("nin_shortcut.", "conv_shortcut.")]).unwrap_or_else(|| inner.to_owned());
        return Some(format!("resnets.{layer}.{inner}"));
    }
    renamed(name, &[("downsample.conv.", "downsamplers.0.conv."), ("upsample.conv.", "upsamplers.0.conv.")])
}

fn open_clip(component: &'static str, name: &str) -> Place {
    const OUTER: [(&str, &str); 3] = [
        ("token_embedding.", "text_model.embeddings.token_embedding."),
        ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        ("ln_final.", "text_model.final_layer_norm."),
    ];
    const LAYER: [(&str, &str); 5] = [
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("attn.out_proj.", "self_attn.out_proj."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ];
    if name == "text_projection" {
        return Place::Transposed(component, "text_projection.weight".to_owned());
    }
    if let Some(name) = renamed(name, &OUTER) {
        return Place::To(component, name);
    }
    let Some((layer, inner)) = name.strip_prefix("transformer.resblocks.").and_then(number) else {
        return Place::Unknown;
    };
    let prefix = format!("text_model.encoder.layers.{layer}.");
    if let Some(kind @ ("weight" | "bias")) = inner.strip_prefix("attn.in_proj_") {
        return Place::Thirds(component, ["q", "k", "v"].map(|part| format!("{prefix}self_attn.{part}_proj.{kind}")));
    }
    renamed(inner, &LAYER).map_or(Place::Unknown, |name| Place::To(component, format!("{prefix}{name}")))
}
