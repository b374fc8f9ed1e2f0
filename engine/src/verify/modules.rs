//! Single modules on the reference's own inputs.

use std::collections::BTreeMap;

use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::ModelSource;

use super::control::{Network, NetworkInputs, RESIDUAL_TIMESTEP};
use super::data::{Golden, channels_first};
use super::texts::{Text, UploadedTexts};
use crate::error::Result;
use crate::models::vae::LOGVAR_RANGE;
use crate::models::{AutoencoderKl, ClipTextModel, ControlNetModel, UNet2DConditionModel, Wrap};
use crate::nn::cast;
use crate::pipeline::vae_elem;

/// Models of a golden directory, loaded when the first tensor needs them, and results that come in groups.
pub(super) struct Modules<'a> {
    pub ctx: &'a Context,
    source: &'a ModelSource,
    pub golden: &'a Golden,
    elem: Elem,
    text_encoders: [Option<ClipTextModel>; 2],
    unet: Option<UNet2DConditionModel>,
    controlnet: Option<ControlNetModel>,
    vae: Option<AutoencoderKl>,
    /// Results by name, in the reference's layout, taken as they are compared.
    ready: BTreeMap<String, Vec<f32>>,
    /// Texts as this engine encodes them, by half.
    pub texts: BTreeMap<String, Text>,
}

/// Runs what `record` records and returns the tensors it returns, as f32 on the host.
///
/// # Errors
/// When the device fails, or a layer writes NaN or infinity: the error names it.
pub(super) fn run(ctx: &Context, record: impl FnOnce(&mut Recorder) -> Vec<Tensor>) -> Result<Vec<Vec<f32>>> {
    let mut rec = Recorder::new(ctx);
    let outputs = record(&mut rec);
    let mut kept = Vec::new();
    for output in &outputs {
        let wide = cast(&mut rec, output, Elem::F32);
        kept.push(rec.keep(&wide)?);
    }
    let mut recording = rec.finish()?;
    recording.run()?;
    let values: Vec<Vec<f32>> = kept.iter().map(|t| ctx.read(t)).collect::<Result<_, _>>()?;
    if values.iter().flatten().any(|v| !v.is_finite())
        && let Some(error) = recording.find_nonfinite()?
    {
        return Err(error.into());
    }
    Ok(values)
}

impl<'a> Modules<'a> {
    pub fn new(ctx: &'a Context, source: &'a ModelSource, golden: &'a Golden, elem: Elem) -> Self {
        let (ready, texts) = (BTreeMap::new(), BTreeMap::new());
        Self {
            ctx,
            source,
            golden,
            elem,
            text_encoders: [None, None],
            unet: None,
            controlnet: None,
            vae: None,
            ready,
            texts,
        }
    }

    /// The expected tensor `name` as this engine computes it, in the reference's layout; `None` when it is not known.
    pub fn compute(&mut self, name: &str) -> Result<Option<Vec<f32>>> {
        if !self.ready.contains_key(name) {
            let parts: Vec<&str> = name.split('.').collect();
            match parts[..] {
                ["te" | "te2", half @ ("cond" | "uncond"), _] | [half @ ("cond" | "uncond"), "prompt_embeds"] => {
                    self.encode_text(half)?;
                }
                ["unet", "out", ..] => self.unet_outputs()?,
                ["controlnet", ..] => self.control_residuals()?,
                ["vae", "enc", _] => self.encode()?,
                ["vae", "dec"] => self.decode()?,
                ["ip2p", "image_latents"] => {
                    let (latents, dims) = self.image_latents()?;
                    self.put("ip2p.image_latents", &latents, dims);
                }
                _ => {}
            }
        }
        Ok(self.ready.remove(name))
    }

    pub fn put(&mut self, name: &str, values: &[f32], dims: [usize; 4]) {
        self.ready.insert(name.to_owned(), channels_first(values, dims));
    }

    /// Keeps a result of a group until its turn.
    pub fn remember(&mut self, name: String, values: Vec<f32>) {
        self.ready.insert(name, values);
    }

    /// A remembered result.
    pub fn recall(&mut self, name: &str) -> Option<Vec<f32>> {
        self.ready.remove(name)
    }

    /// Whether the model edits images by instruction: its UNet takes image latents beside the noise.
    pub fn edits(&self) -> bool {
        self.source.index().is_instruct_pix2pix()
    }

    /// Whether a ControlNet's residuals are part of the UNet's outputs.
    pub fn is_controlled(&self) -> bool {
        self.source.has("controlnet")
    }

    /// The first or second text encoder.
    pub fn text_encoder(&mut self, index: usize) -> Result<&ClipTextModel> {
        let component = ["text_encoder", "text_encoder_2"][index];
        let slot = &mut self.text_encoders[index];
        if slot.is_none() {
            let (config, weights) = (self.source.clip_text_config(component)?, self.source.weights(component)?);
            *slot = Some(ClipTextModel::load(self.ctx, &weights.scope(), &config, self.elem)?);
            weights.finish(&[])?;
        }
        slot.as_ref().ok_or_else(|| self.golden.bad(component, "not loaded"))
    }

    /// Whether the context is joined from two text encoders.
    pub fn is_sdxl(&self) -> bool {
        self.source.index().is_sdxl()
    }

    /// The UNet and, in a directory that has one, its ControlNet.
    pub fn network(&mut self) -> Result<Network<'_>> {
        if self.unet.is_none() {
            let (config, weights) = (self.source.unet_config()?, self.source.weights("unet")?);
            self.unet = Some(UNet2DConditionModel::load(self.ctx, &weights.scope(), &config, self.elem)?);
            weights.finish(&[])?;
        }
        if self.controlnet.is_none() && self.is_controlled() {
            let (config, weights) = (self.source.controlnet_config()?, self.source.weights("controlnet")?);
            let scale = self.golden.meta.controlnet_conditioning_scale.unwrap_or(1.0);
            self.controlnet = Some(ControlNetModel::load(self.ctx, &weights.scope(), &config, self.elem, scale)?);
            weights.finish(&[])?;
        }
        let unet = self.unet.as_ref().ok_or_else(|| self.golden.bad("unet", "not loaded"))?;
        Ok(Network { unet, control: self.controlnet.as_ref() })
    }

    fn vae(&mut self) -> Result<&AutoencoderKl> {
        let slot = &mut self.vae;
        if slot.is_none() {
            let (config, weights) = (self.source.vae_config()?, self.source.weights("vae")?);
            let elem = vae_elem(self.source.index().is_sdxl(), &config, self.elem);
            *slot = Some(AutoencoderKl::load(self.ctx, &weights.scope(), &config, elem)?);
            weights.finish(&[])?;
        }
        slot.as_ref().ok_or_else(|| self.golden.bad("vae", "not loaded"))
    }

    fn unet_outputs(&mut self) -> Result<()> {
        let (sample, dims) = self.golden.image("unet.sample")?;
        let [uncond, cond] = [self.reference_text("uncond")?, self.reference_text("cond")?];
        let row = sample.len() / dims[0];
        self.unet_output("unet.out.t601", &sample, dims, (601.0, &[&uncond, &cond]))?;
        let one = [1, dims[1], dims[2], dims[3]];
        self.unet_output("unet.out.t1.b1", &sample[sample.len() - row..], one, (1.0, &[&cond]))
    }

    fn unet_output(&mut self, name: &str, sample: &[f32], dims: [usize; 4], (t, rows): (f32, &[&Text])) -> Result<()> {
        let ctx = self.ctx;
        let picture = self.control_picture(dims[0])?;
        let network = self.network()?;
        let channels = network.unet.config().out_channels;
        let texts = UploadedTexts::new(ctx, network.unet, rows, [dims[1], dims[2]])?;
        let sample = ctx.upload(sample, &dims, Elem::F32)?;
        let times = |t: f32| ctx.upload(&vec![t; dims[0]], &[dims[0]], Elem::F32);
        let (timesteps, control_timesteps) = (times(t)?, times(RESIDUAL_TIMESTEP)?);
        let inputs = NetworkInputs {
            sample: &sample,
            timesteps: &timesteps,
            control_timesteps: &control_timesteps,
            texts: &texts,
            picture: picture.as_ref(),
        };
        let output = run(ctx, |rec| vec![network.record(rec, &inputs)])?;
        self.put(name, &output[0], [dims[0], dims[1], dims[2], channels]);
        Ok(())
    }

    fn encode(&mut self) -> Result<()> {
        let (image, dims) = self.golden.image("vae.image")?;
        let ([mean, logvar], latent) = self.moments(&image, dims)?;
        let logvar: Vec<f32> = logvar.iter().map(|v| v.clamp(LOGVAR_RANGE.0, LOGVAR_RANGE.1)).collect();
        self.put("vae.enc.mean", &mean, latent);
        self.put("vae.enc.logvar", &logvar, latent);
        Ok(())
    }

    /// Mean and log variance of an image in -1..1, `[B, H, W, C]`, and their dimensions.
    fn moments(&mut self, image: &[f32], dims: [usize; 4]) -> Result<([Vec<f32>; 2], [usize; 4])> {
        let ctx = self.ctx;
        let image = ctx.upload(image, &dims, Elem::F32)?;
        let vae = self.vae()?;
        let mut values = run(ctx, |rec| {
            let moments = vae.record_encode(rec, &image, Wrap::default());
            vec![moments.mean, moments.logvar]
        })?;
        let logvar = values.pop().unwrap_or_default();
        let factor = vae.downscale();
        let latent = [dims[0], dims[1] / factor, dims[2] / factor, vae.config().latent_channels];
        Ok(([values.pop().unwrap_or_default(), logvar], latent))
    }

    /// The unscaled mode of the posterior of `ip2p.image.u8`, `[1, h, w, c]`.
    pub fn image_latents(&mut self) -> Result<(Vec<f32>, [usize; 4])> {
        let (bytes, dims) = self.golden.image("ip2p.image.u8")?;
        let image: Vec<f32> = bytes.iter().map(|v| 2.0 * (v / 255.0) - 1.0).collect();
        let ([mean, _], latent) = self.moments(&image, dims)?;
        Ok((mean, latent))
    }

    fn decode(&mut self) -> Result<()> {
        let (latents, dims) = self.golden.image("vae.latents")?;
        let ctx = self.ctx;
        let latents = ctx.upload(&latents, &dims, Elem::F32)?;
        let vae = self.vae()?;
        let image = run(ctx, |rec| vec![vae.record_decode(rec, &latents, Wrap::default())])?;
        let (factor, channels) = (vae.downscale(), vae.config().out_channels);
        self.put("vae.dec", &image[0], [dims[0], dims[1] * factor, dims[2] * factor, channels]);
        Ok(())
    }

    /// The picture of a sampler's latents `[1, h, w, c]`, as 8-bit values in `[1, C, H, W]`.
    pub fn picture(&mut self, latents: &[f32], dims: [usize; 4]) -> Result<Vec<f32>> {
        let ctx = self.ctx;
        let latents = ctx.upload(latents, &dims, Elem::F32)?;
        let vae = self.vae()?;
        let image = run(ctx, |rec| vec![vae.record_decode_scaled(rec, &latents, Wrap::default())])?;
        let (factor, channels) = (vae.downscale(), vae.config().out_channels);
        let byte = |v: &f32| ((v / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even();
        let bytes: Vec<f32> = image[0].iter().map(byte).collect();
        Ok(channels_first(&bytes, [dims[0], dims[1] * factor, dims[2] * factor, channels]))
    }
}
