//! ControlNets beside a model: what each adds, and when.

use std::sync::Arc;

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::Weights;
use syncline_loader::config::ControlNetConfig;

use super::{Conditioning, StableDiffusion};
use crate::error::{Error, Result};
use crate::models::{ContextKeysValues, ControlInputs, ControlNetModel, ControlStates, UNetInputs, Wrap};

/// A ControlNet on the device, with the weight of what it adds.
#[derive(Debug)]
pub struct ControlNet {
    model: ControlNetModel,
    config: ControlNetConfig,
    weight: f64,
}

impl ControlNet {
    /// Loads one that adds `weight` times what it was trained to add. At weight 0 nothing is loaded and `None` returned: the
    /// pictures are those without it, to the byte.
    ///
    /// # Errors
    /// When the weight is no number, a tensor is missing or wrong, or the device has no room.
    pub fn load(
        ctx: &Context,
        config: &ControlNetConfig,
        weights: &Weights,
        elem: Elem,
        weight: f64,
    ) -> Result<Option<Arc<Self>>> {
        if !weight.is_finite() {
            let (what, found) = ("control-strength", weight.to_string());
            return Err(Error::Input { what, found, expected: "a finite number, 1 as trained".into() });
        }
        if weight == 0.0 {
            return Ok(None);
        }
        let model = ControlNetModel::load(ctx, &weights.scope(), config, elem, weight)?;
        weights.finish(&[])?;
        Ok(Some(Arc::new(Self { model, config: config.clone(), weight })))
    }

    /// What it was loaded to add, in units of what it was trained to.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Whether it was made for models like this one.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] with the first key that differs.
    pub fn require_fits(&self, model: &StableDiffusion) -> Result<()> {
        let (own, unet) = (&self.config, model.unet.config());
        let different = [
            ("cross_attention_dim", own.cross_attention_dim.to_string(), unet.context_width().to_string()),
            ("block_out_channels", format!("{:?}", own.block_out_channels), format!("{:?}", unet.block_out_channels)),
            ("down_block_types", format!("{:?}", own.down_block_types), format!("{:?}", unet.down_block_types)),
            ("in_channels", own.in_channels.to_string(), unet.in_channels.to_string()),
            (
                "addition_embed_type",
                format!("{:?}", own.addition_embed_type.as_deref().unwrap_or("none")),
                format!("{:?}", unet.addition_embed_type.as_deref().unwrap_or("none")),
            ),
        ];
        match different.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((key, found, expected)) => Err(Error::UnsupportedModel {
                component: "ControlNetModel",
                key,
                found,
                expected: format!("{expected} as the UNet: it was made for another base model"),
            }),
        }
    }
}

/// A ControlNet with its picture and the texts of one batch.
#[derive(Debug)]
pub struct ControlRows {
    net: Arc<ControlNet>,
    recording: Recording,
    keys_values: ContextKeysValues,
    condition: Tensor,
    /// Whether the steps that are recorded from now on see it.
    pub active: bool,
}

impl ControlRows {
    /// Records the features of a picture, `[height, width]` RGB in 0..=1, and keys and values of the texts of `conditioning`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(
        ctx: &Context,
        net: &Arc<ControlNet>,
        conditioning: &Conditioning,
        ([height, width], rgb): ([usize; 2], &[f32]),
        wrap: Wrap,
    ) -> Result<Self> {
        let rows = conditioning.context.dims()[0];
        let picture = ctx.upload_named("control image", &rgb.repeat(rows), &[rows, height, width, 3], Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        let condition = net.model.record_condition(&mut rec, &picture, wrap);
        let condition = rec.keep(&condition)?;
        let mut keys_values = net.model.record_context(&mut rec, &conditioning.context);
        for tensor in keys_values.tensors_mut() {
            *tensor = rec.keep(tensor)?;
        }
        Ok(Self { net: net.clone(), recording: rec.finish()?, keys_values, condition, active: true })
    }

    /// The recording to run before the first step, after that of the conditioning it was made from.
    pub fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    /// Its way down beside the UNet's, on the same inputs.
    pub(super) fn record<'a>(
        &'a self,
        rec: &mut Recorder,
        unet: &UNetInputs<'_>,
    ) -> (&'a ControlNetModel, ControlStates) {
        let unet = UNetInputs { context: &self.keys_values, ..*unet };
        (&self.net.model, self.net.model.record(rec, &ControlInputs { unet, condition: &self.condition }))
    }
}
