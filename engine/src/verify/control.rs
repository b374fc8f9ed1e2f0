//! UNets with and without a ControlNet, and the ControlNet's own residuals.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::tensor::{Elem, Tensor};

use super::modules::{Modules, run};
use super::texts::{Text, UploadedTexts};
use crate::error::Result;
use crate::models::{Control, ControlInputs, ControlNetModel, ControlStates, UNet2DConditionModel, UNetInputs, Wrap};

/// The timestep at which the reference computes residuals, for the UNet at any timestep.
pub(super) const RESIDUAL_TIMESTEP: f32 = 601.0;

/// A UNet and what steers it.
pub(super) struct Network<'a> {
    pub unet: &'a UNet2DConditionModel,
    pub control: Option<&'a ControlNetModel>,
}

/// What a [`Network`] is recorded on.
pub(super) struct NetworkInputs<'a> {
    pub sample: &'a Tensor,
    pub timesteps: &'a Tensor,
    /// The ControlNet's, which a golden may want to differ.
    pub control_timesteps: &'a Tensor,
    pub texts: &'a UploadedTexts,
    /// `[B, H, W, 3]`, given where there is a ControlNet.
    pub picture: Option<&'a Tensor>,
}

impl Network<'_> {
    pub fn record(&self, rec: &mut Recorder, inputs: &NetworkInputs<'_>) -> Tensor {
        let context = self.unet.record_context(rec, &inputs.texts.context);
        let states = self.control.zip(inputs.picture).map(|(model, picture)| {
            let states = record_states(rec, model, inputs, picture);
            (model, states)
        });
        let controls: Vec<Control<'_>> = states.iter().map(|(model, states)| Control { model, states }).collect();
        let NetworkInputs { sample, timesteps, texts, .. } = *inputs;
        let unet = UNetInputs { sample, timesteps, context: &context, added: texts.added(), wrap: Wrap::default() };
        self.unet.record_controlled(rec, &unet, &controls)
    }
}

fn record_states(
    rec: &mut Recorder,
    model: &ControlNetModel,
    inputs: &NetworkInputs<'_>,
    picture: &Tensor,
) -> ControlStates {
    let condition = model.record_condition(rec, picture, Wrap::default());
    let context = model.record_context(rec, &inputs.texts.context);
    let (sample, timesteps) = (inputs.sample, inputs.control_timesteps);
    let (context, added) = (&context, inputs.texts.added());
    let unet = UNetInputs { sample, timesteps, context, added, wrap: Wrap::default() };
    model.record(rec, &ControlInputs { unet, condition: &condition })
}

impl Modules<'_> {
    /// The ControlNet's picture in every row of a batch, in 0..1; nothing without a ControlNet.
    pub fn control_picture(&self, batch: usize) -> Result<Option<Tensor>> {
        if !self.is_controlled() {
            return Ok(None);
        }
        let (bytes, [_, h, w, c]) = self.golden.image("control.image.u8")?;
        let picture: Vec<f32> = bytes.iter().map(|v| v / 255.0).collect();
        Ok(Some(self.ctx.upload(&picture.repeat(batch), &[batch, h, w, c], Elem::F32)?))
    }

    /// `controlnet.down.NN` and `controlnet.mid`, of the row with the prompt.
    pub fn control_residuals(&mut self) -> Result<()> {
        let Some(picture) = self.control_picture(1)? else { return Ok(()) };
        let (sample, [batch, h, w, c]) = self.golden.image("unet.sample")?;
        let cond: Text = self.reference_text("cond")?;
        let ctx = self.ctx;
        let Network { unet, control } = self.network()?;
        let Some(model) = control else { return Ok(()) };
        let sample = &sample[sample.len() / batch * (batch - 1)..];
        let sample = ctx.upload(sample, &[1, h, w, c], Elem::F32)?;
        let timesteps = ctx.upload(&[RESIDUAL_TIMESTEP], &[1], Elem::F32)?;
        let texts = UploadedTexts::new(ctx, unet, &[&cond], [h, w])?;
        let mut dims = Vec::new();
        let values = run(ctx, |rec| {
            let (sample, timesteps, picture) = (&sample, &timesteps, &picture);
            let inputs = NetworkInputs {
                sample,
                timesteps,
                control_timesteps: timesteps,
                texts: &texts,
                picture: Some(picture),
            };
            let states = record_states(rec, model, &inputs, picture);
            let residuals = model.record_residuals(rec, &states);
            dims.extend(residuals.iter().map(|r| [r.dims()[0], r.dims()[1], r.dims()[2], r.dims()[3]]));
            residuals
        })?;
        let last = values.len() - 1;
        for (i, (values, dims)) in values.iter().zip(dims).enumerate() {
            let name = if i == last { "controlnet.mid".to_owned() } else { format!("controlnet.down.{i:02}") };
            self.put(&name, values, dims);
        }
        Ok(())
    }
}
