use super::place::{Place, Shape};

/// Four VAE levels and 24 text layers, as in SD-2.1.
const SD2: Shape = Shape { vae_levels: 4, text_layers: 24 };

/// Lines of "diffusers name <tab> original name <tab> ...".
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split('\t').collect())
}

/// Tables of modules, made with the key lists that diffusers' own converters produce.
#[test]
fn modules_go_where_diffusers_puts_them() {
    let tables = [
        ("unet", include_str!("../../tests/data/singlefile/unet-sd.tsv")),
        ("unet", include_str!("../../tests/data/singlefile/unet-sdxl.tsv")),
        ("vae", include_str!("../../tests/data/singlefile/vae.tsv")),
        ("controlnet", include_str!("../../tests/data/singlefile/controlnet-sd.tsv")),
    ];
    let mut checked = 0;
    for (component, table) in tables {
        for line in lines(table) {
            for kind in ["weight", "bias"] {
                let expected = Place::To(component, format!("{}.{kind}", line[0]));
                assert_eq!(SD2.place(&format!("{}.{kind}", line[1])), expected);
                checked += 1;
            }
        }
    }
    assert!(checked > 900, "{checked}");
}

#[test]
fn text_encoders_go_where_diffusers_puts_them() {
    let tables = [
        ("text_encoder", include_str!("../../tests/data/singlefile/text-vith.tsv")),
        ("text_encoder_2", include_str!("../../tests/data/singlefile/text-bigg.tsv")),
    ];
    for (component, table) in tables {
        for line in lines(table) {
            let place = SD2.place(line[1]);
            let expected = match line[2] {
                "transpose" => Place::Transposed(component, line[0].to_owned()),
                "copy" => Place::To(component, line[0].to_owned()),
                rows => {
                    let third: usize = rows.trim_start_matches("rows ")[..1].parse().unwrap();
                    let Place::Thirds(part, names) = place else { panic!("{line:?} is {place:?}") };
                    assert_eq!((part, names[third].as_str()), (component, line[0]));
                    continue;
                }
            };
            assert_eq!(place, expected);
        }
    }
    let clip_l = "text_model.encoder.layers.3.mlp.fc1.weight";
    for prefix in ["cond_stage_model.transformer.", "conditioner.embedders.0.transformer."] {
        assert_eq!(SD2.place(&format!("{prefix}{clip_l}")), Place::To("text_encoder", clip_l.to_owned()));
    }
}

#[test]
fn what_nothing_reads_is_known_by_name() {
    for name in [
        "betas",
        "sqrt_alphas_cumprod",
        "posterior_mean_coef1",
        "model_ema.decay",
        "model_ema.diffusion_modelinput_blocks00weight",
        "denoiser.sigmas",
        "cond_stage_model.model.logit_scale",
        "cond_stage_model.model.text_projection",
        "cond_stage_model.model.transformer.resblocks.23.ln_1.weight",
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
        "first_stage_model.loss.logvar",
    ] {
        assert_eq!(SD2.place(name), Place::Unused, "{name}");
    }
    for name in [
        "lora_unet_x.lora_down.weight",
        "model.diffusion_model.input_blocks.x.0.weight",
        "model.diffusion_model.input_blocks.0.1.weight",
        "model.diffusion_model.input_blocks.9999999999999999999999.0.weight",
        "model.diffusion_model.middle_block.3.weight",
        "first_stage_model.decoder.up.9.block.0.conv1.weight",
        "first_stage_model.encoder.up.0.block.0.conv1.weight",
        "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_gamma",
        "conditioner.embedders.2.model.x",
        "unet.conv_in.weight",
        "",
    ] {
        assert_eq!(SD2.place(name), Place::Unknown, "{name}");
    }
    let empty = Shape { vae_levels: 0, text_layers: 0 };
    assert_eq!(empty.place("first_stage_model.decoder.up.0.block.0.conv1.weight"), Place::Unknown);
}
