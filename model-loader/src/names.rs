//! Older and newer spellings of the same state-dict keys.
//!
//! The engine asks for today's diffusers names and for transformers' published names. Files saved before diffusers 0.17
//! call the VAE attention query/key/value/proj_attn, and transformers 5.6 and later drop `text_model.` from CLIPTextModel.

const VAE_ATTENTION: [(&str, &str); 4] =
    [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")];
const TEXT_PREFIX: &str = "text_model.";

/// Other names under which a file may hold `name`, most likely first.
pub fn aliases(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((head, tail)) = vae_attention(name) {
        for (new, old) in VAE_ATTENTION {
            if let Some(end) = tail.strip_prefix(new).filter(|end| end.starts_with('.')) {
                found.push(format!("{head}{old}{end}"));
            } else if let Some(end) = tail.strip_prefix(old).filter(|end| end.starts_with('.')) {
                found.push(format!("{head}{new}{end}"));
            }
        }
    }
    match name.strip_prefix(TEXT_PREFIX) {
        Some(short) => found.push(short.to_owned()),
        None if is_flat_text_name(name) => found.push(format!("{TEXT_PREFIX}{name}")),
        None => {}
    }
    found
}

/// Splits `decoder.mid_block.attentions.0.to_q.weight` before `to_q`, for the one attention of a VAE half.
fn vae_attention(name: &str) -> Option<(&str, &str)> {
    const INNER: &str = "mid_block.attentions.0.";
    if !name.starts_with("encoder.") && !name.starts_with("decoder.") {
        return None;
    }
    let cut = name.find(INNER)? + INNER.len();
    Some(name.split_at(cut))
}

fn is_flat_text_name(name: &str) -> bool {
    ["embeddings.", "encoder.layers.", "final_layer_norm."].iter().any(|prefix| name.starts_with(prefix))
}

/// Name under which generated weights know a tensor: always the published layout.
pub fn published(component: &str, name: &str) -> String {
    if component.starts_with("text_encoder") && is_flat_text_name(name) {
        format!("{TEXT_PREFIX}{name}")
    } else {
        name.to_owned()
    }
}

/// Whether a tensor of shape `found` may stand for one of shape `wanted`: the same, or a VAE attention weight that was
/// saved as a 1×1 convolution `[C, C, 1, 1]`, which has the same elements in the same order.
pub fn shape_fits(name: &str, found: &[usize], wanted: &[usize]) -> bool {
    if found == wanted {
        return true;
    }
    let squeezed = found.strip_suffix(&[1, 1]).filter(|squeezed| squeezed.len() == 2);
    vae_attention(name).is_some() && squeezed == Some(wanted)
}

/// Buffers that published files carry and no model reads.
pub fn never_read(name: &str) -> bool {
    name == "embeddings.position_ids" || name.ends_with(".embeddings.position_ids")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vae_attention_has_two_spellings() {
        let new = "decoder.mid_block.attentions.0.to_out.0.bias";
        let old = "decoder.mid_block.attentions.0.proj_attn.bias";
        assert_eq!(aliases(new), [old]);
        assert_eq!(aliases(old), [new]);
        assert!(aliases("mid_block.attentions.0.to_q.weight").is_empty(), "not in a UNet");
        assert!(aliases("decoder.mid_block.attentions.0.group_norm.weight").is_empty());
    }

    #[test]
    fn text_encoders_have_two_spellings() {
        assert_eq!(aliases("text_model.final_layer_norm.bias"), ["final_layer_norm.bias"]);
        assert_eq!(aliases("final_layer_norm.bias"), ["text_model.final_layer_norm.bias"]);
        assert!(aliases("text_projection.weight").is_empty());
        assert_eq!(
            published("text_encoder_2", "encoder.layers.0.mlp.fc1.bias"),
            "text_model.encoder.layers.0.mlp.fc1.bias"
        );
        assert_eq!(published("text_encoder_2", "text_projection.weight"), "text_projection.weight");
        assert_eq!(published("vae", "encoder.conv_in.bias"), "encoder.conv_in.bias");
    }

    #[test]
    fn only_vae_attention_is_squeezed() {
        assert!(shape_fits("encoder.mid_block.attentions.0.to_q.weight", &[8, 8, 1, 1], &[8, 8]));
        assert!(!shape_fits("encoder.mid_block.attentions.0.to_q.weight", &[8, 8, 3, 3], &[8, 8]));
        assert!(!shape_fits("down_blocks.0.attentions.0.proj_in.weight", &[8, 8, 1, 1], &[8, 8]));
    }
}
