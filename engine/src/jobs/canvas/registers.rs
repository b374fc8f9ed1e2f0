//! The tensors of a canvas job.

use std::collections::BTreeMap;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::{Elem, Tensor};

use super::picture::Picture;
use crate::error::{Error, Result};
use crate::jobs::denoise::new_latents;
use crate::methods::{CanvasReg, Medium, Plan, Reg, ViewReg};
use crate::spaces::branches::shared_id;
use crate::spaces::{Interpolation, Space, VIEW_WORDS, View};

/// Where the views of all branches, or of one, look, and which noise they get.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Noise ids of the present views, u32 `[V]`, and those without their branches.
    pub(super) ids: Tensor,
    pub(super) shared_ids: Tensor,
    /// Words of the present views: their used fields, and all they see.
    pub(super) used: Tensor,
    pub(super) whole: Tensor,
}

impl Scope {
    fn new(ctx: &Context, views: usize) -> Result<Self> {
        let words = || ctx.upload_named("views", &vec![0.0; views * VIEW_WORDS], &[views, VIEW_WORDS], Elem::F32);
        let ids = || ctx.upload_u32(&vec![0; views], &[views]);
        Ok(Self { ids: ids()?, shared_ids: ids()?, used: words()?, whole: words()? })
    }

    fn write(&self, ctx: &Context, views: &[View]) -> Result<()> {
        let ids: Vec<u32> = views.iter().map(|view| view.id).collect();
        let shared: Vec<u32> = ids.iter().map(|id| shared_id(*id)).collect();
        ctx.write_u32(&self.ids, &ids)?;
        ctx.write_u32(&self.shared_ids, &shared)?;
        let words = |of: fn(&View) -> Vec<f32>| -> Vec<f32> { views.iter().flat_map(of).collect() };
        ctx.write(&self.used, &words(|view| view.words().to_vec()))?;
        Ok(ctx.write(&self.whole, &words(|view| view.whole_words().to_vec()))?)
    }

    /// The ids that draw noise.
    pub(super) fn noise_ids(&self, shared: bool) -> &Tensor {
        if shared { &self.shared_ids } else { &self.ids }
    }
}

/// Rows of a view register.
///
/// # Errors
/// When they do not begin where a storage binding can.
pub(super) fn rows_of(tensor: &Tensor, rows: &std::ops::Range<usize>) -> Result<Tensor> {
    let dims = tensor.dims();
    let bytes = tensor.bytes() / dims[0] as u64 * rows.start as u64;
    if !bytes.is_multiple_of(256) {
        return Err(Error::Input {
            what: "view size",
            found: format!("{}x{} latent cells, {} of them in each branch", dims[2], dims[1], rows.len()),
            expected: "sides in multiples of 32 pixels, for several branches".into(),
        });
    }
    Ok(tensor.slice(rows.start, rows.len()))
}

/// Tensors by the name that operations use.
#[derive(Debug)]
pub(super) struct Registers {
    ctx: Context,
    tensors: BTreeMap<Reg, Tensor>,
    /// The RGB picture, for models with an autoencoder.
    pub(super) picture: Option<Picture>,
    latent: [usize; 4],
    /// The present views of all branches, and of each where there are several.
    pub(super) all: Scope,
    branches: Vec<Scope>,
    /// The one id of noise on a canvas.
    pub(super) canvas_id: Tensor,
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
    /// All that the plan names.
    pub(super) fn new(ctx: &Context, space: &dyn Space, plan: &Plan, sizes: &Sizes) -> Result<Self> {
        let zeros =
            |label: &str, dims: &[usize]| ctx.upload_named(label, &vec![0.0; dims.iter().product()], dims, Elem::F32);
        let [height, width] = space.canvas_size();
        let [latent_height, latent_width] = sizes.latent_canvas;
        let (views, channels) = (sizes.latent[0], sizes.latent[3]);
        let mut tensors = BTreeMap::new();
        let (state, clean) = new_latents(ctx, &sizes.latent)?;
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
        let named = plan.registers().filter_map(|reg| match reg {
            Reg::View(reg) | Reg::Branch(reg, _) => Some(Reg::View(reg)),
            Reg::Canvas(_) => None,
        });
        for reg in named {
            if let std::collections::btree_map::Entry::Vacant(entry) = tensors.entry(reg) {
                entry.insert(zeros("view register", &sizes.latent)?);
            }
        }
        let [view_height, view_width] = space.view_size();
        let kept = [space.set_count() * views, view_height, view_width, 3];
        let latent_canvas = plan.medium == Medium::Latent || plan.uses(CanvasReg::Fused.into());
        Ok(Self {
            all: Scope::new(ctx, views)?,
            branches: (0..plan.branches)
                .filter(|_| plan.branches > 1)
                .map(|_| Scope::new(ctx, views / plan.branches))
                .collect::<Result<_>>()?,
            canvas_id: ctx.upload_u32(&[0], &[1])?,
            kept_words: zeros("kept views", &[kept[0], VIEW_WORDS])?,
            kept: sizes.decoder.then(|| zeros("decoded views", &kept)).transpose()?,
            coverage: zeros("coverage", &if shows { [height, width] } else { [1, 1] })?,
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
        if let Reg::Branch(view, branch) = reg {
            let all = self.get(view)?;
            return rows_of(&all, &self.rows(Some(branch)));
        }
        if let Some(tensor) = self.tensors.get(&reg) {
            return Ok(tensor.clone());
        }
        let Reg::View(_) = reg else { unreachable!("{reg:?} is not named by the plan") };
        let zeros = vec![0.0; self.latent.iter().product()];
        let tensor = self.ctx.upload_named("view register", &zeros, &self.latent, Elem::F32)?;
        self.tensors.insert(reg, tensor.clone());
        Ok(tensor)
    }

    /// Rows of all branches or of one.
    pub(super) fn rows(&self, branch: Option<usize>) -> std::ops::Range<usize> {
        let count = self.latent[0] / self.branches.len().max(1);
        branch.map_or(0..self.latent[0], |branch| branch * count..(branch + 1) * count)
    }

    /// Views of all branches or of one.
    pub(super) fn scope(&self, branch: Option<usize>) -> &Scope {
        branch.and_then(|branch| self.branches.get(branch)).unwrap_or(&self.all)
    }

    /// Replaces all values of a register.
    pub(super) fn write(&mut self, reg: impl Into<Reg>, values: &[f32]) -> Result<()> {
        let tensor = self.get(reg)?;
        Ok(self.ctx.write(&tensor, values)?)
    }

    /// Where views look from now on.
    pub(super) fn look(&self, views: &[View]) -> Result<()> {
        self.all.write(&self.ctx, views)?;
        let rows = |branch: usize| &views[self.rows(Some(branch))];
        self.branches.iter().enumerate().try_for_each(|(b, scope)| scope.write(&self.ctx, rows(b)))
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
