//! Tensors and recordings of a canvas job.

use std::sync::Arc;

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::convert::convert;
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::project_renoise::{ProjectRenoise, Projection, RenoiseScalars, project_renoise};
use syncline_kernels::ops::repaint::{Repaint, RepaintScalars, params as repaint_params, repaint};
use syncline_kernels::tensor::{Elem, Tensor};

use super::bootstrap::Bootstrap;
use super::codec::ViewCodec;
use super::couple::Coupling;
use super::edit::EditRecording;
use super::gradient::Gradient;
use super::keep::KeepRecordings;
use super::model::CanvasModel;
use super::recordings::{Key, Recordings, is_level, mix_key, picture_key};
use super::registers::{Registers, Sizes};
use super::samplers::Samplers;
use super::stein::SteinRecording;
use super::{CanvasOptions, Regions};
use crate::error::{Error, Result};
use crate::methods::stochsync::BlendMask;
use crate::methods::{CanvasReg, Medium, Mix, Op, Reg, ViewReg};
use crate::models::Wrap;
use crate::pipeline::StableDiffusion;
use crate::schedulers::Level;
use crate::spaces::{Geometry, Space, View};

/// What exists once the text is encoded.
pub(super) struct Work {
    pub(super) ctx: Context,
    pub(super) medium: Medium,
    pub(super) registers: Registers,
    pub(super) recordings: Recordings,
    pub(super) codec: Option<ViewCodec>,
    pub(super) samplers: Samplers,
    blend: Option<(Recording, DispatchId)>,
    keep: Option<KeepRecordings>,
    bootstrap: Option<Bootstrap>,
    gradient: Option<Gradient>,
    edit: Option<EditRecording>,
    stein: Option<SteinRecording>,
    pub(super) coupling: Option<Coupling>,
    whole: Option<Recording>,
}

impl Work {
    /// Allocates and records for the plan.
    pub(super) fn new<M: CanvasModel>(model: &M, options: &CanvasOptions) -> Result<Self> {
        let (ctx, space, plan) = (model.context(), options.space.as_ref(), &options.plan);
        let [h, w, c] = model.latent_dims();
        let count = space.view_count();
        let [height, width] = space.canvas_size();
        let [view_height, view_width] = space.view_size();
        // As many texels to a latent cell as pixels.
        let latent_canvas = options.latent_canvas.unwrap_or([height * h / view_height, width * w / view_width]);
        let sizes = Sizes {
            latent: [count, h, w, c],
            latent_canvas,
            decoder: model.autoencoder().is_some() && plan.shows(),
            interpolation: options.latent_interpolation,
        };
        let mut registers = Registers::new(ctx, space, plan, &sizes)?;
        let samplers = Samplers::new(ctx, model, &mut registers)?;
        let codec = |model: &Arc<StableDiffusion>| ViewCodec::new(model, space, plan, &mut registers);
        let codec = model.autoencoder().filter(|_| plan.shows()).map(codec).transpose()?;
        // Inpainting begins with the whole picture: views are encoded with what the mask will replace, not with a hole.
        if let Some(start) = options.start.as_ref().or(options.keep.as_ref().map(|keep| &keep.rgb)) {
            registers.picture.iter().try_for_each(|picture| picture.write(start))?;
        }
        write_latents(&mut registers, options)?;
        let blends = plan.ops.iter().any(|op| matches!(op, Op::Blend { .. }));
        let downscale = [view_height / h, view_width / w];
        let mask = || {
            let ring = space.geometry() == Geometry::Equirect && is_level(space);
            if ring { BlendMask::horizontal(h, w, downscale[1]) } else { BlendMask::both(h, w, downscale) }
        };
        let blend = if blends { Some(record_blend(ctx, &mut registers, &mask())?) } else { None };
        let keep =
            options.keep.as_ref().map(|keep| KeepRecordings::new(ctx, space, &mut registers, (keep, [height, width])));
        let keep = keep.transpose()?;
        if let Some(regions) = &options.regions {
            upload_regions(ctx, &mut registers, regions, [[height, width], latent_canvas])?;
        }
        let autoencoder = model.autoencoder();
        let bootstrap = Bootstrap::new(ctx, autoencoder, options, &mut registers)?;
        let gradient = Gradient::new(ctx, space, plan, &mut registers)?;
        let report = gradient.as_ref().map(|gradient| &gradient.report);
        let stein = SteinRecording::new(ctx, options, &mut registers, report)?;
        let edit = EditRecording::new(ctx, space, options, &mut registers)?;
        let coupling = Coupling::new(ctx, plan, &mut registers)?;
        let whole = autoencoder.filter(|_| plan.ops.iter().any(|op| matches!(op, Op::DecodeCanvas)));
        let whole = whole.map(|model| record_whole(model, space, &mut registers)).transpose()?;
        let (ctx, medium, recordings) = (ctx.clone(), plan.medium, Recordings::default());
        Ok(Self {
            ctx,
            medium,
            registers,
            recordings,
            codec,
            samplers,
            blend,
            keep,
            bootstrap,
            gradient,
            stein,
            edit,
            coupling,
            whole,
        })
    }

    /// Every tensor that lives from one step to the next, by name.
    pub(super) fn live(&self) -> Vec<(String, Tensor)> {
        let mut live = self.registers.live();
        if let Some(gradient) = &self.gradient {
            live.extend(
                gradient.moments().iter().enumerate().map(|(i, moment)| (format!("moment {i}"), moment.clone())),
            );
        }
        live
    }

    /// Numbers of the next gradient or step of the optimiser.
    pub(super) fn set_optimisation(&mut self, op: Op) {
        match (op, &mut self.gradient, &mut self.stein) {
            (Op::Adam(step), Some(gradient), _) => gradient.set_adam(&step),
            (Op::Sgd { rate }, Some(gradient), _) => gradient.set_sgd(rate),
            (Op::Stein(op), _, Some(stein)) => stein.set(&op),
            _ => {}
        }
    }

    /// Words and noise ids of the views from now on.
    pub(super) fn look(&mut self, views: &[View]) -> Result<()> {
        self.samplers.look(views);
        self.edit.iter_mut().for_each(EditRecording::look);
        self.stein.as_mut().map_or(Ok(()), |stein| stein.look(views))?;
        self.registers.look(views)
    }

    /// Makes the recordings of an operation; returns how many there are.
    pub(super) fn parts(&mut self, op: Op, set: usize, space: &dyn Space, step: usize) -> Result<usize> {
        let chunks = |of: Reg| self.chunks(of).len();
        let picture =
            |reg: CanvasReg| reg == CanvasReg::Picture || (self.medium == Medium::Rgb && reg == CanvasReg::Canvas);
        Ok(match op {
            Op::Project { from, to, .. } if picture(from) => 2 * chunks(to),
            Op::Fuse { from, to, fusion } if picture(to) => {
                let chunks = chunks(from);
                self.make(picture_key(fusion, set, from.branch()), space)?;
                if fusion == crate::methods::Fusion::Fade {
                    return Ok(1);
                }
                self.registers.keep_step(set, step, space)?;
                3 * chunks + 1
            }
            Op::Project { from, to, nearest } => self.make(Key::Project { from, to, nearest }, space)?,
            Op::Fuse { from, to, .. } => self.make(Key::Fuse { from, to }, space)?,
            Op::Mix(mix) => self.make(mix_key(&mix), space)?,
            Op::Evaluate(_) | Op::Blend { .. } | Op::Keep | Op::KeepViews { .. } | Op::Outside | Op::DecodeCanvas => 1,
            Op::Look { .. } | Op::EndStep { .. } => 0,
            Op::Background { .. } => 0,
            Op::Stein(_) | Op::Scatter { .. } | Op::Adam(_) | Op::Sgd { .. } | Op::EditStep(_) | Op::Couple { .. } => 1,
        })
    }

    fn make(&mut self, key: Key, space: &dyn Space) -> Result<usize> {
        self.recordings.get(key, space, &mut self.registers, &self.ctx)?;
        Ok(1)
    }

    /// The recording of a part.
    pub(super) fn recording(&mut self, op: Op, set: usize, part: usize) -> Option<&mut Recording> {
        let rgb = self.medium == Medium::Rgb;
        let picture = |reg: CanvasReg| reg == CanvasReg::Picture || (rgb && reg == CanvasReg::Canvas);
        match op {
            Op::Project { from, to, .. } if picture(from) => {
                let first = self.chunks(to).start;
                self.codec.as_mut().map(|codec| codec.encode(first + part / 2, part % 2))
            }
            Op::Fuse { from, to, fusion } if picture(to) => {
                let chunks = self.chunks(from);
                let decoded = part == 3 * chunks.len() || fusion == crate::methods::Fusion::Fade;
                if decoded {
                    return self.recordings.recording(picture_key(fusion, set, from.branch()));
                }
                self.codec.as_mut().and_then(|codec| codec.decode(from, set, chunks.start + part / 3, part % 3))
            }
            Op::Project { from, to, nearest } => self.recordings.recording(Key::Project { from, to, nearest }),
            Op::Fuse { from, to, .. } => self.recordings.recording(Key::Fuse { from, to }),
            Op::Mix(mix) => self.recordings.recording(mix_key(&mix)),
            Op::Evaluate(evaluate) => Some(self.samplers.recording(evaluate.model)),
            Op::Blend { .. } => self.blend.as_mut().map(|(recording, _)| recording),
            Op::Keep => self.keep.as_mut().map(|keep| &mut keep.canvas),
            Op::KeepViews { .. } => self.keep.as_mut().map(|keep| &mut keep.views),
            Op::Stein(_) => self.stein.as_mut().map(|stein| &mut stein.recording),
            Op::Scatter { from } => self.gradient.as_mut().and_then(|gradient| gradient.scatter(from)),
            Op::Adam(_) | Op::Sgd { .. } => self.gradient.as_mut().map(Gradient::step),
            Op::EditStep(_) => self.edit.as_mut().map(|edit| &mut edit.step),
            Op::Couple { .. } => self.coupling.as_mut().map(|coupling| &mut coupling.recording),
            Op::Outside => self.bootstrap.as_mut().map(|bootstrap| &mut bootstrap.outside),
            Op::DecodeCanvas => self.whole.as_mut(),
            _ => None,
        }
    }

    /// Aims the encoder at the views of a part.
    pub(super) fn aim(&mut self, op: Op, views: &[View], part: usize) -> Result<()> {
        let Op::Project { to, .. } = op else { return Ok(()) };
        let chunks = self.chunks(to);
        match &self.codec {
            Some(codec) if part.is_multiple_of(2) && part / 2 < chunks.len() => {
                codec.aim(views, chunks.start + part / 2)
            }
            _ => Ok(()),
        }
    }

    /// Chunks of views that pass the autoencoder for a register.
    fn chunks(&self, of: Reg) -> std::ops::Range<usize> {
        let size = self.codec.as_ref().map_or(usize::MAX, ViewCodec::chunk);
        let rows = self.registers.rows(of.branch());
        rows.start / size..rows.end / size
    }

    /// Factors and noise of the next sum.
    pub(super) fn set_mix(&mut self, mix: &Mix, key: NoiseKey, space: &dyn Space) -> Result<()> {
        self.make(mix_key(mix), space)?;
        let dims = self.registers.images(mix.target)?;
        self.recordings.set_mix(mix, dims.dims(), key);
        Ok(())
    }

    /// Numbers of the next step of source and target.
    pub(super) fn set_edit(&mut self, step: &crate::methods::EditStep, key: NoiseKey) -> Result<()> {
        self.edit.as_mut().map_or(Ok(()), |edit| edit.set(step, key))
    }

    /// Writes the colours that views see outside of their regions.
    pub(super) fn paint_background(&mut self, views: &[View], key: NoiseKey) -> Result<()> {
        let Some(bootstrap) = &self.bootstrap else { return Ok(()) };
        Ok(self.ctx.write(&self.registers.get(ViewReg::Kept)?, &bootstrap.paint(views, key))?)
    }

    /// Level and noise of what the mask keeps.
    pub(super) fn set_keep_views(&mut self, level: Level, key: NoiseKey) -> Result<()> {
        let state = self.registers.get(ViewReg::State)?;
        if let Some(keep) = &mut self.keep {
            keep.set(state.dims(), level, key);
        }
        Ok(())
    }

    /// Threshold, level and noise of the next blending.
    pub(super) fn set_blend(&mut self, level: Level, threshold: f32, key: NoiseKey) -> Result<()> {
        let scalars = RepaintScalars { threshold, signal: level.signal as f32, sigma: level.noise as f32, key };
        let state = self.registers.get(ViewReg::State)?;
        let params = repaint_params(state.dims(), &state.dims()[1..3], &scalars);
        if let Some((recording, id)) = &mut self.blend {
            recording.set_params(*id, &params);
        }
        Ok(())
    }

    /// Fails when a part of the autoencoder has just written NaN or infinity.
    pub(super) fn check(&mut self, op: Op, part: usize, stage: &str) -> Result<()> {
        if let (Op::Adam(_) | Op::Sgd { .. }, Some(gradient)) = (op, &self.gradient) {
            return gradient.check(stage);
        }
        let rgb = self.medium == Medium::Rgb;
        let chunks = if let Op::Fuse { from, .. } = op { self.chunks(from).len() } else { 0 };
        let Some(codec) = &mut self.codec else { return Ok(()) };
        match op {
            Op::Project { from, .. } if (rgb || from == CanvasReg::Picture) && part.is_multiple_of(2) => {
                let latent = from == CanvasReg::Fused;
                if latent { Ok(()) } else { codec.check(&format!("{stage}, encode"), false) }
            }
            Op::Fuse { to, .. } if (rgb || to == CanvasReg::Picture) && part % 3 == 1 && part < 3 * chunks => {
                codec.check(&format!("{stage}, decode"), true)
            }
            _ => Ok(()),
        }
    }
}

/// Latents that the caller brings.
fn write_latents(registers: &mut Registers, options: &CanvasOptions) -> Result<()> {
    let given = [
        ("latents to start from", &options.start_latents, CanvasReg::Canvas),
        ("source latents", &options.source_latents, CanvasReg::Source),
    ];
    for (what, values, reg) in given {
        let Some(values) = values else { continue };
        let tensor = registers.get(reg)?;
        if values.len() != tensor.shape().len() {
            let (found, expected) = (format!("{} values", values.len()), format!("{:?}, as the canvas", tensor.dims()));
            return Err(Error::Input { what, found, expected });
        }
        registers.write(reg, values)?;
    }
    Ok(())
}

fn record_blend(ctx: &Context, registers: &mut Registers, mask: &BlendMask) -> Result<(Recording, DispatchId)> {
    let (x, known) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Known)?);
    let [h, w] = [x.dims()[1], x.dims()[2]];
    let mask = ctx.upload_named("blend mask", &mask.values, &[h, w], Elem::F32)?;
    let mut rec = Recorder::new(ctx);
    rec.set_layer("blend");
    let (views, scalars) = (&registers.all.ids, RepaintScalars::default());
    let id = repaint(&mut rec, &Repaint { x: &x, known: &known, mask: &mask, views, scalars });
    Ok((rec.finish()?, id))
}

/// Weights of the regions for the picture and, averaged, for the latent canvas.
fn upload_regions(ctx: &Context, registers: &mut Registers, regions: &Regions, sizes: [[usize; 2]; 2]) -> Result<()> {
    let [[height, width], [h, w]] = sizes;
    let upload =
        |values: &[f32], [h, w]: [usize; 2]| ctx.upload_named("regions", values, &[regions.count, h, w], Elem::F32);
    registers.regions[0] = Some(upload(&regions.weights, sizes[0])?);
    let mean = |r: usize, y: usize, x: usize| {
        let (rows, columns) = (y * height / h..(y + 1) * height / h, x * width / w..(x + 1) * width / w);
        let count = (rows.len() * columns.len()) as f32;
        let at = |y: usize, x: usize| regions.weights[(r * height + y) * width + x];
        rows.flat_map(|y| columns.clone().map(move |x| (y, x))).map(|(y, x)| at(y, x)).sum::<f32>() / count
    };
    let cells = (0..regions.count).flat_map(|r| (0..h).flat_map(move |y| (0..w).map(move |x| (r, y, x))));
    let latent: Vec<f32> = cells.map(|(r, y, x)| mean(r, y, x)).collect();
    registers.regions[1] = Some(upload(&latent, sizes[1])?);
    Ok(())
}

/// The latent canvas as one image, its wrapping edges joined, into the picture.
fn record_whole(model: &Arc<StableDiffusion>, space: &dyn Space, registers: &mut Registers) -> Result<Recording> {
    let ctx = &model.ctx;
    let canvas = registers.images(CanvasReg::Canvas.into())?;
    let picture = registers.images(CanvasReg::Picture.into())?;
    let &[_, h, w, _] = canvas.dims() else { unreachable!("images have four dimensions") };
    let limit = ctx.caps().max_binding.min(ctx.caps().max_buffer);
    let largest = model.vae.decode_footprint(ctx, [1, h, w]).largest_tensor;
    if largest > limit {
        return Err(Error::Input {
            what: "canvas decoded as a whole",
            found: format!("{w}x{h} latent cells, {largest} bytes in one tensor"),
            expected: format!("at most {limit} bytes (the adapter's largest storage binding); use a smaller canvas"),
        });
    }
    let [x, y] = space.views(0).first().map_or([false; 2], View::wraps);
    let mut rec = Recorder::new(ctx);
    let rgb = model.vae.record_decode_scaled(&mut rec, &canvas, Wrap { x, y });
    rec.set_layer("picture");
    let rgb = convert(&mut rec, &rgb, Elem::F32);
    let scalars = RenoiseScalars { gain: 0.5, offset: 0.5, ..RenoiseScalars::default() };
    let (projection, views) = (Projection::Identity, &registers.canvas_id);
    let options = ProjectRenoise { canvas: &rgb, projection, views, scalars, elem: Elem::F32 };
    let (unit, _) = project_renoise(&mut rec, &options);
    rec.place(&unit, &picture);
    Ok(rec.finish()?)
}
