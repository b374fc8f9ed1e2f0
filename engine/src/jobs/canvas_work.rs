//! Buffers and recordings of a canvas job.

use std::sync::Arc;

use syncline_kernels::gpu::{DispatchId, Recorder, Recording};
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::project_renoise::{
    ProjectRenoise, Projection, RenoiseScalars, params as renoise_params, project_renoise,
};
use syncline_kernels::ops::repaint::{Repaint, RepaintScalars, params as repaint_params, repaint};
use syncline_kernels::ops::step::{MAX_ROWS, Step, StepNoise, StepScalars, step};
use syncline_kernels::ops::views::upload_words;
use syncline_kernels::tensor::{Elem, Tensor};

use super::denoise::{Denoise, FreshNoise};
use super::view_codec::{ViewCodec, ViewTensors};
use crate::error::Result;
use crate::methods::stochsync::BlendMask;
use crate::pipeline::{GuidedUNet, StableDiffusion};
use crate::spaces::{self, Fuse, FuseScalars, Space, View, Weight};

/// Views of the last sets are weighed by cos^k of the angle to their axes: each shows its own middle almost alone (half
/// way between two axes 36° apart they share alike, 3° off that 15 : 1) and has faded out at its border. A linear ramp from
/// border to middle mixes two pictures everywhere, which costs sharpness.
const FEATHER_EXPONENT: f32 = 80.0;

/// Buffers and recordings that exist once the text is encoded.
pub(super) struct Work {
    pub(super) tensors: ViewTensors,
    pub(super) coverage: Tensor,
    pub(super) codec: ViewCodec,
    pub(super) denoise: Denoise,
    pub(super) renoise: (Recording, DispatchId),
    pub(super) blend: (Recording, DispatchId),
    pub(super) view_ids: Tensor,
    /// Per set: encoded views += the set's encoding error.
    pub(super) correct: Vec<Recording>,
    /// Per set: the encoding error = what was decoded - what encoding it again gives.
    pub(super) residual: Vec<Recording>,
    /// Per set: into the canvas, as the method wants it while it runs.
    pub(super) fuse: Vec<Recording>,
    /// Per set: hard tiles, for looking at a set alone.
    pub(super) tiles: Vec<Recording>,
    pub(super) feather: Recording,
}

impl Work {
    /// Allocates and records everything for the sets of `space`.
    pub(super) fn new(
        model: &Arc<StableDiffusion>,
        space: &dyn Space,
        denoiser: &GuidedUNet<'_>,
        feather: bool,
    ) -> Result<Self> {
        let ctx = &model.ctx;
        let sets = space.set_count();
        let view_ids = ctx.upload_u32(&vec![0; denoiser.batch], &[denoiser.batch])?;
        let fresh = FreshNoise::Keyed(NoiseKey::default(), view_ids.clone());
        let denoise = Denoise::new(ctx, denoiser, fresh)?;
        let [height, width] = space.canvas_size();
        let zeros = |dims: &[usize]| ctx.upload_named("canvas job", &vec![0.0; dims.iter().product()], dims, Elem::F32);
        let [view_height, view_width] = space.view_size();
        let tensors = ViewTensors {
            canvas: zeros(&[height, width, 3])?,
            latents: zeros(denoise.x.dims())?,
            x: denoise.x.clone(),
            views: zeros(&[sets * denoiser.batch, view_height, view_width, 3])?,
        };
        let coverage = zeros(&[height, width])?;
        let errors = (0..sets).map(|_| zeros(tensors.x.dims())).collect::<Result<Vec<_>, _>>()?;
        let scratch = zeros(tensors.x.dims())?;
        let mask = BlendMask::horizontal(denoiser.size[0], denoiser.size[1], model.downscale());
        let mask = ctx.upload_named("blend mask", &mask.values, &denoiser.size, Elem::F32)?;
        let targets = (&tensors.canvas, &coverage);
        let fuse_sets = |fusion| -> Result<Vec<Recording>> {
            (0..sets).map(|set| record_fuse(space, model, targets, &tensors.views, (Some(set), fusion))).collect()
        };
        Ok(Self {
            codec: ViewCodec::new(model, space, &tensors)?,
            renoise: record_renoise(&tensors, &view_ids, model)?,
            blend: record_blend(&tensors, &mask, &view_ids, model)?,
            correct: errors
                .iter()
                .map(|error| record_sum(model, &tensors.latents, (error, 1.0), None, &scratch))
                .collect::<Result<_>>()?,
            residual: errors
                .iter()
                .map(|error| record_sum(model, error, (&tensors.x, 1.0), Some((&tensors.latents, -1.0)), &scratch))
                .collect::<Result<_>>()?,
            fuse: fuse_sets(if feather { Fusion::Overlap } else { Fusion::Tiles })?,
            tiles: fuse_sets(Fusion::Tiles)?,
            feather: record_fuse(space, model, targets, &tensors.views, (None, Fusion::Fade))?,
            coverage,
            tensors,
            denoise,
            view_ids,
        })
    }

    /// Level and noise of the next renoising.
    pub(super) fn set_renoise(&mut self, scalars: RenoiseScalars) {
        let dims = [0, 1, 2, 3].map(|i| self.tensors.latents.dims()[i]);
        let params = renoise_params(self.tensors.latents.dims(), dims, &scalars);
        self.renoise.0.set_params(self.renoise.1, &params);
    }

    /// Threshold, level and noise of the next blending.
    pub(super) fn set_blend(&mut self, scalars: &RepaintScalars) {
        let params = repaint_params(self.tensors.x.dims(), scalars);
        self.blend.0.set_params(self.blend.1, &params);
    }
}

/// `target += a · tensor`, or with a second term `target = a · tensor + b · other`: the sampler's fused step without a model.
fn record_sum(
    model: &StableDiffusion,
    target: &Tensor,
    (out, next_out): (&Tensor, f32),
    other: Option<(&Tensor, f32)>,
    scratch: &Tensor,
) -> Result<Recording> {
    let mut rec = Recorder::new(&model.ctx);
    rec.set_layer("encoding error");
    let mut guidance = [0.0; MAX_ROWS];
    guidance[0] = 1.0;
    // With a pull of 1 the clean estimate is the partner itself.
    let (next_x, next_clean) = other.map_or((1.0, 0.0), |(_, factor)| (0.0, factor));
    let pull = if other.is_some() { 1.0 } else { 0.0 };
    let scalars = StepScalars { guidance, next_x, next_out, next_clean, pull, ..StepScalars::default() };
    let partner = other.map(|(tensor, _)| tensor);
    step(&mut rec, &Step { x: target, out, clean: scratch, partner, noise: StepNoise::None, scalars });
    Ok(rec.finish()?)
}

fn record_renoise(tensors: &ViewTensors, ids: &Tensor, model: &StableDiffusion) -> Result<(Recording, DispatchId)> {
    let mut rec = Recorder::new(&model.ctx);
    rec.set_layer("renoise");
    let options = ProjectRenoise {
        canvas: &tensors.latents,
        projection: Projection::Identity,
        views: ids,
        scalars: RenoiseScalars::default(),
        elem: Elem::F32,
    };
    let (noisy, id) = project_renoise(&mut rec, &options);
    rec.place(&noisy, &tensors.x);
    Ok((rec.finish()?, id))
}

fn record_blend(
    tensors: &ViewTensors,
    mask: &Tensor,
    ids: &Tensor,
    model: &StableDiffusion,
) -> Result<(Recording, DispatchId)> {
    let mut rec = Recorder::new(&model.ctx);
    rec.set_layer("blend");
    let (x, known, scalars) = (&tensors.x, &tensors.latents, RepaintScalars::default());
    let id = repaint(&mut rec, &Repaint { x, known, mask, views: ids, scalars });
    Ok((rec.finish()?, id))
}

/// How views share the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fusion {
    /// Each its used field, cut at the border.
    Tiles,
    /// Neighbours ramp into each other over what they show beyond their used fields. A cut would leave a line in the canvas,
    /// in the middle of the next set's views, which they keep when little noise is added.
    Overlap,
    /// All sets, by [`FEATHER_EXPONENT`].
    Fade,
}

/// Fuses one set, or (`None`) all of them.
fn record_fuse(
    space: &dyn Space,
    model: &StableDiffusion,
    (canvas, coverage): (&Tensor, &Tensor),
    views: &Tensor,
    (set, fusion): (Option<usize>, Fusion),
) -> Result<Recording> {
    let count = space.view_count();
    let (seen, views): (Vec<View>, _) = match set {
        Some(set) => (space.views(set), views.slice(set * count, count)),
        None => ((0..space.set_count()).flat_map(|set| space.views(set)).collect(), views.clone()),
    };
    // The fraction of a view over which it overlaps its neighbours' used fields.
    let ramp = 2.0 * seen[0].unused_share();
    // Views as wide as they are used have nothing to overlap with.
    let overlaps = fusion == Fusion::Overlap && ramp > 1e-3;
    let whole = overlaps || fusion == Fusion::Fade;
    let words: Vec<_> = seen.iter().map(|view| if whole { view.words.whole_field() } else { view.words }).collect();
    let weight = match fusion {
        Fusion::Fade => Weight::Cosine,
        _ if overlaps => Weight::Feather,
        _ => Weight::Count,
    };
    let feather = if overlaps { ramp.min(1.0) as f32 } else { 1.0 };
    let range = FuseScalars { gain: 0.5, offset: 0.5, clamp: Some([0.01, 0.99]), ..FuseScalars::default() };
    let scalars = FuseScalars { feather, exponent: FEATHER_EXPONENT, ..range };
    let words = upload_words(&model.ctx, &words)?;
    let mut rec = Recorder::new(&model.ctx);
    rec.set_layer("fuse");
    let (geometry, interpolation, regions) = (space.geometry(), space.interpolation(), None);
    let (views, words) = (&views, &words);
    spaces::fuse(&mut rec, &Fuse { geometry, interpolation, canvas, coverage, views, words, regions, weight, scalars });
    Ok(rec.finish()?)
}
