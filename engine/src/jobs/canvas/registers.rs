//! The tensors of a canvas job.

use std::collections::BTreeMap;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::{Elem, Tensor};

use super::picture::Picture;
use crate::error::Result;
use crate::methods::{CanvasReg, Medium, Plan, Reg, ViewReg};
use crate::spaces::{Interpolation, Space, VIEW_WORDS, View};

/// Tensors by the name that operations use.
#[derive(Debug)]
pub(super) struct Registers {
    ctx: Context,
    tensors: BTreeMap<Reg, Tensor>,
    /// The RGB picture, for models with an autoencoder.
    pub(super) picture: Option<Picture>,
    latent: [usize; 4],
    /// Noise ids of the present views, u32 `[V]`.
    pub(super) ids: Tensor,
    /// The one id of noise on a canvas.
    pub(super) canvas_id: Tensor,
    /// Words of the present views: their used fields, and all they see.
    pub(super) used: Tensor,
    pub(super) whole: Tensor,
    /// Words of the kept views of all sets.
    pub(super) kept_words: Tensor,
    /// Decoded views of the last sets, `[sets · V, H, W, 3]`, -1..1, when there is a decoder.
    pub(super) kept: Option<Tensor>,
    /// Sums of weights on the RGB canvas and, where there is one, the latent canvas.
    pub(super) coverage: Tensor,
    pub(super) latent_coverage: Option<Tensor>,
    /// How a latent canvas is sampled.
    pub(super) latent_interpolation: Interpolation,
    /// The outer step whose views are kept of each set.
    pub(super) kept_steps: Vec<Option<usize>>,
    /// Weights of the regions `[R, H, W]` on the picture and on the latent canvas.
    pub(super) regions: [Option<Tensor>; 2],
}

/// Sizes of a job's tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// `[V, h, w, C]`.
    pub(super) latent: [usize; 4],
    /// `[H, W]` of the latent canvas.
    pub(super) latent_canvas: [usize; 2],
    /// Whether views can be decoded.
    pub(super) decoder: bool,
    /// How the latent canvas is sampled, where not as the space says.
    pub(super) interpolation: Option<Interpolation>,
}

impl Registers {
    /// `state` and `clean` belong to the sampler's recording.
    pub(super) fn new(
        ctx: &Context,
        space: &dyn Space,
        plan: &Plan,
        sizes: &Sizes,
        (state, clean, ids): (Tensor, Tensor, Tensor),
    ) -> Result<Self> {
        let zeros =
            |label: &str, dims: &[usize]| ctx.upload_named(label, &vec![0.0; dims.iter().product()], dims, Elem::F32);
        let [height, width] = space.canvas_size();
        let [latent_height, latent_width] = sizes.latent_canvas;
        let (views, channels) = (sizes.latent[0], sizes.latent[3]);
        let mut tensors = BTreeMap::new();
        tensors.insert(Reg::View(ViewReg::State), state);
        tensors.insert(Reg::View(ViewReg::Clean), clean);
        let rgb = [height, width, 3];
        let latents = [latent_height, latent_width, channels];
        let shows = plan.medium == Medium::Rgb || sizes.decoder;
        let picture = shows.then(|| Picture::new(ctx, [height, width])).transpose()?;
        // Operations on a picture in bands go by way of `Picture`; here it is known by its first.
        if let Some(picture) = &picture {
            tensors.insert(Reg::Canvas(CanvasReg::Picture), picture.bands[0].clone());
        }
        let canvas = match &picture {
            Some(picture) if plan.medium == Medium::Rgb => picture.bands[0].clone(),
            _ => zeros("canvas", &latents)?,
        };
        tensors.insert(Reg::Canvas(CanvasReg::Canvas), canvas);
        for reg in [CanvasReg::Fused, CanvasReg::Source] {
            // Noise that views look at is latent whatever the canvas holds.
            let dims = if plan.medium == Medium::Rgb && reg == CanvasReg::Source { &rgb } else { &latents };
            if plan.uses(reg.into()) {
                tensors.insert(reg.into(), zeros("canvas register", dims)?);
            }
        }
        for reg in plan.registers().filter(|reg| matches!(reg, Reg::View(_))) {
            if let std::collections::btree_map::Entry::Vacant(entry) = tensors.entry(reg) {
                entry.insert(zeros("view register", &sizes.latent)?);
            }
        }
        let [view_height, view_width] = space.view_size();
        let kept = [space.set_count() * views, view_height, view_width, 3];
        let latent_canvas = plan.medium == Medium::Latent || plan.uses(CanvasReg::Fused.into());
        Ok(Self {
            ids,
            canvas_id: ctx.upload_u32(&[0], &[1])?,
            used: zeros("views", &[views, VIEW_WORDS])?,
            whole: zeros("whole views", &[views, VIEW_WORDS])?,
            kept_words: zeros("kept views", &[kept[0], VIEW_WORDS])?,
            kept: sizes.decoder.then(|| zeros("decoded views", &kept)).transpose()?,
            coverage: zeros("coverage", &[height, width])?,
            latent_coverage: latent_canvas.then(|| zeros("latent coverage", &latents[..2])).transpose()?,
            latent_interpolation: sizes.interpolation.unwrap_or(space.interpolation()),
            kept_steps: vec![None; space.set_count()],
            regions: [None, None],
            ctx: ctx.clone(),
            picture,
            tensors,
            latent: sizes.latent,
        })
    }

    /// A register; known views come into being when first asked for, all others are named by the plan.
    ///
    /// # Errors
    /// When the device has no room.
    pub(super) fn get(&mut self, reg: impl Into<Reg>) -> Result<Tensor> {
        let reg = reg.into();
        if let Some(tensor) = self.tensors.get(&reg) {
            return Ok(tensor.clone());
        }
        let Reg::View(_) = reg else { unreachable!("{reg:?} is not named by the plan") };
        let zeros = vec![0.0; self.latent.iter().product()];
        let tensor = self.ctx.upload_named("view register", &zeros, &self.latent, Elem::F32)?;
        self.tensors.insert(reg, tensor.clone());
        Ok(tensor)
    }

    /// Remembers which views are kept of a set; all of them fade into each other in the end.
    pub(super) fn keep_step(&mut self, set: usize, step: usize, space: &dyn Space) -> Result<()> {
        self.kept_steps[set] = Some(step);
        self.write_kept_words(space)
    }

    /// Words of all kept views; zeros, inside of nothing, where none is kept.
    pub(super) fn write_kept_words(&self, space: &dyn Space) -> Result<()> {
        let none = vec![0.0; VIEW_WORDS * space.view_count()];
        let words = |kept: &Option<usize>| match kept {
            Some(step) => space.views(*step).iter().flat_map(View::whole_words).collect(),
            None => none.clone(),
        };
        let all: Vec<f32> = self.kept_steps.iter().flat_map(words).collect();
        Ok(self.ctx.write(&self.kept_words, &all)?)
    }

    /// As images `[B, h, w, C]`: a canvas is one image.
    pub(super) fn images(&mut self, reg: Reg) -> Result<Tensor> {
        let tensor = self.get(reg)?;
        Ok(match (reg, tensor.dims()) {
            (Reg::Canvas(_), &[h, w, c]) => tensor.reshape(&[1, h, w, c]),
            _ => tensor,
        })
    }

    /// Everything that lives from one step to the next, with a name of its own.
    pub(super) fn live(&self) -> Vec<(String, Tensor)> {
        let mut live: Vec<(String, Tensor)> =
            self.tensors.iter().map(|(reg, tensor)| (format!("{reg:?}"), tensor.clone())).collect();
        // The picture of an RGB canvas is the canvas.
        live.dedup_by(|(_, a), (_, b)| a.same_memory(b));
        let below = self.picture.iter().flat_map(|picture| picture.bands.iter().enumerate().skip(1));
        live.extend(below.map(|(i, band)| (format!("picture band {i}"), band.clone())));
        live.extend(self.kept.iter().map(|tensor| ("kept".to_owned(), tensor.clone())));
        live.push(("coverage".to_owned(), self.coverage.clone()));
        live
    }
}
