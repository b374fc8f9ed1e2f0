//! Loading a whole model.

use std::sync::Arc;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;
use syncline_loader::config::{AutoencoderKlConfig, ClipTextConfig, UNet2DConditionConfig};

use super::{SecondEncoder, StableDiffusion};
use crate::error::{Error, Result};
use crate::models::{AutoencoderKl, ClipTextModel, UNet2DConditionModel};
use crate::schedulers::{NoiseSchedule, NoiseScheduleConfig};

/// Keys that published files carry and no model reads.
const IGNORED: &[(&str, &str)] = &[("position_ids", "a constant 0..76 that old exports stored")];

/// Numbers in SDXL's time ids.
const TIME_IDS: usize = 6;

/// Storage type of the autoencoder of a model stored as `elem`. SDXL's residual stream leaves the range of f16 unless the weights
/// were trained not to (their configuration then says so): it stays f32, and with it everything that is added to it. The class
/// has the same switch for SD 1 and 2, whose streams stay small; diffusers' pipelines of those do not ask either.
pub(crate) fn vae_elem(sdxl: bool, config: &AutoencoderKlConfig, elem: Elem) -> Elem {
    if sdxl && config.force_upcast { Elem::F32 } else { elem }
}

fn unsupported<T>(component: &'static str, key: &'static str, found: impl ToString, expected: String) -> Result<T> {
    Err(Error::UnsupportedModel { component, key, found: found.to_string(), expected })
}

/// Fails unless text encoders and UNet fit together.
fn check(unet: &UNet2DConditionConfig, text: &ClipTextConfig, second: Option<&ClipTextConfig>) -> Result<()> {
    let width = text.hidden_size + second.map_or(0, |second| second.hidden_size);
    if unet.context_width() != width {
        let expected = match second {
            None => format!("{width}, the text encoder's hidden_size"),
            Some(second) => format!("{} + {}, the text encoders' hidden_size", text.hidden_size, second.hidden_size),
        };
        return unsupported("UNet2DConditionModel", "cross_attention_dim", unet.context_width(), expected);
    }
    let added = unet.addition_embed_type.is_some();
    let Some(second) = second.filter(|_| added) else {
        if added || second.is_some() {
            let found = if added { "one text encoder for a UNet with added conditions" } else { "two text encoders" };
            let expected = "two text encoders exactly with addition_embed_type \"text_time\"".to_owned();
            return unsupported("UNet2DConditionModel", "addition_embed_type", found, expected);
        }
        return Ok(());
    };
    if !second.with_projection() {
        let expected = "CLIPTextModelWithProjection".to_owned();
        return unsupported("text_encoder_2", "architectures", "no text projection", expected);
    }
    let inputs = unet.projection_class_embeddings_input_dim.unwrap_or(0);
    let ids = TIME_IDS * unet.addition_time_embed_dim.unwrap_or(0);
    if inputs != second.projection_dim + ids {
        let expected = format!("{} + {ids}, text_encoder_2's projection_dim and the time ids", second.projection_dim);
        return unsupported("UNet2DConditionModel", "projection_class_embeddings_input_dim", inputs, expected);
    }
    Ok(())
}

/// Fails on SDXL's refiner, which has the second text encoder alone and another UNet.
fn refuse_refiner(source: &ModelSource) -> Result<()> {
    if source.index().is_sdxl() && source.has("text_encoder_2") && !source.has("text_encoder") {
        let found = "text_encoder_2 alone, as in SDXL's refiner";
        let expected = "a base model, which draws finished pictures without a refiner".to_owned();
        return unsupported("StableDiffusionXLPipeline", "text_encoder", found, expected);
    }
    Ok(())
}

fn noise_schedule(source: &ModelSource) -> Result<NoiseSchedule> {
    let scheduler = source.scheduler_config()?;
    // Both configurations have diffusers' field names, so one is the other's form.
    let schedule: NoiseScheduleConfig =
        serde_json::to_value(&scheduler).and_then(serde_json::from_value).map_err(|e| Error::Input {
            what: "scheduler_config.json",
            found: e.to_string(),
            expected: "a noise schedule of the DDIM family".into(),
        })?;
    Ok(NoiseSchedule::from_config(&schedule)?)
}

impl StableDiffusion {
    /// Loads every part, with weights and activations in `elem`.
    ///
    /// # Errors
    /// When a file is bad, tensors do not fit the configuration, or the device has no room.
    pub fn load(ctx: &Context, source: &ModelSource, elem: Elem) -> Result<Arc<Self>> {
        refuse_refiner(source)?;
        let text_config = source.clip_text_config("text_encoder")?;
        let second_config =
            source.has("text_encoder_2").then(|| source.clip_text_config("text_encoder_2")).transpose()?;
        let (unet_config, vae_config) = (source.unet_config()?, source.vae_config()?);
        check(&unet_config, &text_config, second_config.as_ref())?;
        let noise_schedule = noise_schedule(source)?;
        let text = |component: &str, config: &ClipTextConfig| -> Result<ClipTextModel> {
            let weights = source.weights(component)?;
            let model = ClipTextModel::load(ctx, &weights.scope(), config, elem)?;
            weights.finish(IGNORED)?;
            Ok(model)
        };
        let text_encoder = text("text_encoder", &text_config)?;
        let second = |config: &ClipTextConfig| -> Result<SecondEncoder> {
            let text_encoder = text("text_encoder_2", config)?;
            Ok(SecondEncoder { tokenizer: source.tokenizer("tokenizer_2")?, text_encoder })
        };
        let second_encoder = second_config.as_ref().map(second).transpose()?;
        let weights = source.weights("unet")?;
        let unet = UNet2DConditionModel::load(ctx, &weights.scope(), &unet_config, elem)?;
        weights.finish(&[])?;
        let weights = source.weights("vae")?;
        let vae = vae_elem(second_encoder.is_some(), &vae_config, elem);
        let vae = AutoencoderKl::load(ctx, &weights.scope(), &vae_config, vae)?;
        weights.finish(&[])?;
        Ok(Arc::new(Self {
            ctx: ctx.clone(),
            label: source.label(),
            tokenizer: source.tokenizer("tokenizer")?,
            text_encoder,
            second_encoder,
            zero_empty_prompt: source.index().force_zeros_for_empty_prompt(),
            unet,
            vae,
            noise_schedule,
        }))
    }
}
