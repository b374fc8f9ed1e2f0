//! The names that trainers give to the parts of a LoRA.
//!
//! kohya joins a module's path with underscores behind `lora_unet_` or `lora_te_`; for SDXL the path is often the original
//! checkpoint's. diffusers and PEFT keep the dots. All of them become diffusers' path with underscores here, which is compared
//! with the model's own names folded the same way, so that an underscore never has to be guessed back to a dot.

use crate::checkpoint::place;

/// One half of a low-rank product, or what scales it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Half {
    /// `A`, `[r, in]`.
    Down,
    /// `B`, `[out, r]`.
    Up,
    /// The kernel between them, `[r, r, kh, kw]`.
    Mid,
    /// The scalar that is divided by the rank.
    Alpha,
}

/// A parsed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Component that is changed.
    pub component: &'static str,
    /// Its module, folded: dots are underscores.
    pub module: String,
    /// The part.
    pub half: Half,
}

/// Additions of other kinds by a part of their tensors' names.
const OTHER_KINDS: [(&str, &str); 12] = [
    ("dora_scale", "DoRA (weight-decomposed)"),
    ("lora_magnitude_vector", "DoRA (weight-decomposed)"),
    ("hada_", "LoHa"),
    ("lokr_", "LoKr"),
    ("oft_", "OFT"),
    ("boft_", "BOFT"),
    ("on_input", "(IA)³"),
    (".diff", "full differences of weights"),
    ("w_norm", "differences of norms"),
    ("b_norm", "differences of norms"),
    (".a1.weight", "GLoRA"),
    (".lora_B.bias", "LoRA with biases"),
];

const ENDS: [(&str, Half); 15] = [
    (".lora_down.weight", Half::Down),
    (".lora_up.weight", Half::Up),
    (".lora_mid.weight", Half::Mid),
    (".alpha", Half::Alpha),
    (".lora_A.weight", Half::Down),
    (".lora_B.weight", Half::Up),
    (".lora_A.default.weight", Half::Down),
    (".lora_B.default.weight", Half::Up),
    (".lora.down.weight", Half::Down),
    (".lora.up.weight", Half::Up),
    (".lora_linear_layer.down.weight", Half::Down),
    (".lora_linear_layer.up.weight", Half::Up),
    ("_lora.down.weight", Half::Down),
    ("_lora.up.weight", Half::Up),
    (".lora_A.default_0.weight", Half::Down),
];

const PREFIXES: [(&str, &str); 8] = [
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("unet.", "unet"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("diffusion_model.", "unet"),
];

/// The kind of addition, when it is none that is a plain product.
pub fn other_kind(name: &str) -> Option<&'static str> {
    OTHER_KINDS.iter().find(|(part, _)| name.contains(part)).map(|(_, kind)| *kind)
}

/// Takes a name apart; `None` when it belongs to no LoRA.
pub fn parse(name: &str) -> Option<Name> {
    let (body, half) = ENDS.iter().find_map(|(end, half)| Some((name.strip_suffix(end)?, *half)))?;
    let body = body.strip_prefix("base_model.model.").unwrap_or(body);
    let body = body.strip_prefix("model.diffusion_model.").map_or(body.to_owned(), |rest| format!("unet.{rest}"));
    let prefixed = PREFIXES.iter().find_map(|(prefix, component)| Some((*component, body.strip_prefix(prefix)?)));
    let (component, path) = prefixed.or_else(|| Some((by_path(&body)?, body.as_str())))?;
    let path = path.strip_prefix("base_model.model.").unwrap_or(path);
    // diffusers' first form trained attention processors.
    let path = path.replace(".processor.", ".");
    let mut module = folded(&path);
    if module.ends_with("_to_out") {
        module.push_str("_0");
    }
    if component == "unet" {
        module = original(&module).unwrap_or(module);
    } else if module.starts_with("encoder_layers_") {
        module = format!("text_model_{module}");
    }
    (!module.is_empty()).then_some(Name { component, module, half })
}

/// A path with underscores only.
pub fn folded(path: &str) -> String {
    path.replace('.', "_")
}

fn by_path(body: &str) -> Option<&'static str> {
    let begins = |parts: &[&str]| parts.iter().any(|part| body.starts_with(part));
    if begins(&["down_blocks.", "up_blocks.", "mid_block.", "conv_in", "conv_out", "time_embedding.", "add_embedding."])
    {
        Some("unet")
    } else if begins(&["text_model.", "encoder.layers."]) {
        Some("text_encoder")
    } else {
        None
    }
}

/// diffusers' folded name of a module that is named as in the original checkpoint.
fn original(module: &str) -> Option<String> {
    const HEADS: [(&str, usize); 6] = [
        ("input_blocks_", 2),
        ("output_blocks_", 2),
        ("middle_block_", 1),
        ("time_embed_", 1),
        ("label_emb_", 2),
        ("out_", 1),
    ];
    let (head, numbers) = HEADS.iter().find(|(head, _)| module.starts_with(head))?;
    let mut parts = module.strip_prefix(head)?.splitn(numbers + 1, '_');
    let mut name = head.trim_end_matches('_').to_owned();
    for _ in 0..*numbers {
        name = format!("{name}.{}", parts.next()?);
    }
    if let Some(inner) = parts.next() {
        name = format!("{name}.{}", dotted(inner));
    }
    let found = place::unet(&format!("{name}.weight"))?;
    Some(folded(found.strip_suffix(".weight")?))
}

/// Inside a resnet the original names have numbers; inside an attention block they are diffusers' own and stay folded.
fn dotted(inner: &str) -> String {
    for layers in ["in_layers_", "emb_layers_", "out_layers_"] {
        if let Some(number) = inner.strip_prefix(layers) {
            return format!("{}.{number}", layers.trim_end_matches('_'));
        }
    }
    inner.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unet(name: &str) -> (String, Half) {
        let name = parse(name).unwrap();
        assert_eq!(name.component, "unet");
        (name.module, name.half)
    }

    #[test]
    fn every_trainers_spelling_is_one_module() {
        let query = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_q".to_owned();
        for name in [
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_q.lora_down.weight",
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_q.lora_down.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.lora_A.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.lora.down.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.to_q_lora.down.weight",
            "base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.lora_A.default.weight",
            "unet.base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.lora_A.weight",
            "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.lora_A.weight",
            "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_q.lora_A.weight",
            "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_q.lora_down.weight",
        ] {
            assert_eq!(unet(name), (query.clone(), Half::Down), "{name}");
        }
        let out = "up_blocks.1.attentions.2.transformer_blocks.0.attn1";
        for name in
            [format!("unet.{out}.processor.to_out_lora.up.weight"), format!("unet.{out}.to_out.0.lora_B.weight")]
        {
            assert_eq!(unet(&name), (format!("{}_to_out_0", folded(out)), Half::Up), "{name}");
        }
    }

    #[test]
    fn original_resnets_and_edges() {
        for (name, module) in [
            ("input_blocks_0_0", "conv_in"),
            ("input_blocks_3_0_op", "down_blocks_0_downsamplers_0_conv"),
            ("input_blocks_4_0_in_layers_2", "down_blocks_1_resnets_0_conv1"),
            ("input_blocks_4_0_skip_connection", "down_blocks_1_resnets_0_conv_shortcut"),
            ("middle_block_0_out_layers_3", "mid_block_resnets_0_conv2"),
            ("middle_block_1_proj_in", "mid_block_attentions_0_proj_in"),
            ("output_blocks_2_2_conv", "up_blocks_0_upsamplers_0_conv"),
            ("output_blocks_5_0_emb_layers_1", "up_blocks_1_resnets_2_time_emb_proj"),
            ("time_embed_2", "time_embedding_linear_2"),
            ("label_emb_0_0", "add_embedding_linear_1"),
            ("out_2", "conv_out"),
        ] {
            assert_eq!(unet(&format!("lora_unet_{name}.alpha")), (module.to_owned(), Half::Alpha));
        }
    }

    #[test]
    fn text_encoders() {
        let module = "text_model_encoder_layers_0_self_attn_q_proj";
        for (name, component) in [
            ("lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight", "text_encoder"),
            ("lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight", "text_encoder"),
            ("lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight", "text_encoder_2"),
            ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.up.weight", "text_encoder"),
            ("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight", "text_encoder_2"),
            ("text_encoder.encoder.layers.0.self_attn.q_proj.lora_B.weight", "text_encoder"),
        ] {
            let name = parse(name).unwrap();
            assert_eq!((name.component, name.module.as_str(), name.half), (component, module, Half::Up));
        }
    }

    #[test]
    fn others_are_none() {
        for name in ["", ".alpha", "unet..alpha", "conv_in.weight", "lora_unet_.lora_down.weight", "x.y.lora_A.weight"]
        {
            let found = parse(name);
            assert!(found.is_none() || name == "unet..alpha", "{name}: {found:?}");
        }
        assert_eq!(other_kind("lora_unet_x.dora_scale"), Some("DoRA (weight-decomposed)"));
        assert_eq!(other_kind("lora_unet_x.hada_w1_a"), Some("LoHa"));
        assert_eq!(other_kind("lora_unet_x.lora_down.weight"), None);
    }
}
