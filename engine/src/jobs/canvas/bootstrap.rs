//! MultiDiffusion's bootstrapping: for the first steps a view with a region of its own sees a plain colour outside of it, so
//! that what the prompt names is drawn inside.

use std::sync::Arc;

use syncline_kernels::gpu::{Context, Recorder, Recording};
use syncline_kernels::ops::convert::convert_scaled;
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::repaint::{Repaint, RepaintScalars, repaint};
use syncline_kernels::tensor::Elem;

use super::registers::Registers;
use super::{CanvasOptions, Regions};
use crate::error::{Error, Result};
use crate::methods::{Op, ViewReg};
use crate::models::Wrap;
use crate::pipeline::StableDiffusion;
use crate::rng::philox4x32_10;
use crate::spaces::{Geometry, View};

/// Plain colours to choose from, as many as the authors encode beforehand.
const COLOURS: u32 = 20;

/// The encoded colours and the recording that keeps them outside of regions.
#[derive(Debug)]
pub(super) struct Bootstrap {
    /// Latents of a view of each colour.
    colours: Vec<Vec<f32>>,
    pub(super) outside: Recording,
}

impl Bootstrap {
    /// `None` when the plan does not bootstrap.
    pub(super) fn new(
        ctx: &Context,
        model: Option<&Arc<StableDiffusion>>,
        options: &CanvasOptions,
        registers: &mut Registers,
    ) -> Result<Option<Self>> {
        if !options.plan.ops.iter().any(|op| matches!(op, Op::Outside)) {
            return Ok(None);
        }
        let (Some(model), Some(regions), Geometry::Windows) = (model, &options.regions, options.space.geometry())
        else {
            return Err(Error::Input {
                what: "bootstrap steps",
                found: "a canvas without regions, without an autoencoder, or not flat".into(),
                expected: "0 there: bootstrapping draws regions of flat canvases".into(),
            });
        };
        let colours = encode_colours(model, options.space.view_size())?;
        let (x, known) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Kept)?);
        let [count, h, w] = [x.dims()[0], x.dims()[1], x.dims()[2]];
        let size = options.space.canvas_size();
        let views = options.space.views(0);
        let mask: Vec<f32> = views.iter().flat_map(|view| view_mask(view, regions, size, [h, w])).collect();
        let mask = ctx.upload_named("region masks", &mask, &[count, h, w], Elem::F32)?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("bootstrap");
        let scalars = RepaintScalars { threshold: 0.5, signal: 1.0, ..RepaintScalars::default() };
        let views = &registers.all.ids;
        repaint(&mut rec, &Repaint { x: &x, known: &known, mask: &mask, views, scalars });
        Ok(Some(Self { colours, outside: rec.finish()? }))
    }

    /// A colour for each view.
    pub(super) fn paint(&self, views: &[View], key: NoiseKey) -> Vec<f32> {
        let colour = |view: &View| {
            let words = philox4x32_10([key.step, view.id, key.purpose, 1], [key.seed as u32, (key.seed >> 32) as u32]);
            &self.colours[(words[0] % COLOURS) as usize]
        };
        views.iter().flat_map(colour).copied().collect()
    }
}

/// Latents of plain pictures, read back once before the loop.
fn encode_colours(model: &Arc<StableDiffusion>, [height, width]: [usize; 2]) -> Result<Vec<Vec<f32>>> {
    let ctx = &model.ctx;
    let image = ctx.named_tensor("plain colour", &[1, height, width, 3], model.vae.elem())?;
    let mut rec = Recorder::new(ctx);
    let mean = model.vae.record_encode(&mut rec, &image, Wrap::default()).mean;
    let factor = model.vae.config().scaling_factor as f32;
    let latent = convert_scaled(&mut rec, &mean, Elem::F32, factor);
    let latent = rec.keep(&latent)?;
    let mut recording = rec.finish()?;
    let encode = |i: u32| {
        let words = philox4x32_10([i, 0, 0, 2], [0, 0]);
        let rgb = [words[0], words[1], words[2]].map(|word| 2.0 * (word >> 8) as f32 / 16_777_216.0 - 1.0);
        ctx.write(&image, &rgb.repeat(height * width))?;
        recording.run()?;
        Ok(ctx.read(&latent)?)
    };
    (0..COLOURS).map(encode).collect()
}

/// 1 where a view's latent cells lie in its region; views of no region, or of the first (the background), are free everywhere.
fn view_mask(view: &View, regions: &Regions, [height, width]: [usize; 2], [h, w]: [usize; 2]) -> Vec<f32> {
    let Some(region) = view.region().filter(|region| *region > 0) else { return vec![1.0; h * w] };
    regions.seen(view, region, [height, width], [h, w]).map(|weight| if weight >= 0.5 { 1.0 } else { 0.0 }).collect()
}
