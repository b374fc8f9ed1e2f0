//! Sampling many views of one canvas together: runs the operations of a method.

mod bootstrap;
mod branched;
mod checkpoint;
mod checks;
mod codec;
mod couple;
mod edit;
mod gradient;
mod keep;
mod model;
mod numbers;
mod picture;
mod recordings;
mod registers;
mod result;
mod samplers;
mod stein;
mod work;

use std::sync::Arc;

use syncline_kernels::gpu::Recording;

pub use branched::Branched;
pub use checkpoint::Checkpoint;
pub use model::{CanvasModel, PromptedUNet, ViewPrompts};
pub use result::{CanvasResult, Preview};

use super::job::{Program, Status};
use crate::error::{Error, Result};
use crate::methods::{CanvasReg, Medium, Op, Plan};
use crate::spaces::{Interpolation, Space, View};
use work::Work;

/// What to draw on a canvas.
#[derive(Debug)]
pub struct CanvasOptions {
    /// What is done.
    pub plan: Plan,
    /// Seed of everything random.
    pub seed: u64,
    /// The canvas and its views.
    pub space: Arc<dyn Space>,
    /// RGB canvas 0..=1 to start from, `height · width · 3`.
    pub start: Option<Vec<f32>>,
    /// Latents `[H, W, C]` to start a latent canvas from, scaled as the sampler has them.
    pub start_latents: Option<Vec<f32>>,
    /// Latents `[H, W, C]` for [`CanvasReg::Source`] of a latent canvas.
    pub source_latents: Option<Vec<f32>>,
    /// Where a coupled edit may change the latent canvas, `[H, W]`: 1 there, 0 where the source stays to the bit.
    pub edit_mask: Option<Vec<f32>>,
    /// Content that stays.
    pub keep: Option<Keep>,
    /// Weights of regions on the canvas.
    pub regions: Option<Regions>,
    /// `[height, width]` of a latent canvas; `None`: one texel per latent cell of the RGB canvas.
    pub latent_canvas: Option<[usize; 2]>,
    /// How a latent canvas is sampled; `None`: as the space says.
    pub latent_interpolation: Option<Interpolation>,
}

/// Known content of inpainting.
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// RGB canvas 0..=1.
    pub rgb: Vec<f32>,
    /// One value per texel: at least ½ is drawn anew, less is kept.
    pub mask: Vec<f32>,
}

/// Regions of a canvas that have prompts of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Regions {
    /// Number of regions.
    pub count: usize,
    /// Weights `[count, height, width]` on the RGB canvas; those of a texel sum to one.
    pub weights: Vec<f32>,
}

impl CanvasOptions {
    /// A plan on a space, nothing else given.
    #[must_use]
    pub fn new(plan: Plan, space: Arc<dyn Space>, seed: u64) -> Self {
        Self {
            plan,
            seed,
            space,
            start: None,
            start_latents: None,
            source_latents: None,
            edit_mask: None,
            keep: None,
            regions: None,
            latent_canvas: None,
            latent_interpolation: None,
        }
    }
}

/// The program.
pub struct CanvasProgram<M> {
    model: M,
    options: CanvasOptions,
    work: Option<Work>,
    /// Operation and part of it that come next.
    at: usize,
    part: usize,
    /// The recording of this part is ready, or there is none.
    begun: bool,
    parts: usize,
    views: Vec<View>,
    /// Outer step and set of the present views.
    step: usize,
    set: usize,
    /// To be restored when the tensors exist.
    resume: Option<Checkpoint>,
    evaluations: usize,
    /// Evaluations before each operation, and of all.
    planned: Vec<usize>,
}

impl<M: CanvasModel> CanvasProgram<M> {
    /// Checks the options.
    ///
    /// # Errors
    /// When an option is refused.
    pub fn new(model: M, options: CanvasOptions) -> Result<Self> {
        checks::check_options(&model, &options)?;
        let counts = options.plan.ops.iter().scan(0, |sum, op| {
            *sum += usize::from(matches!(op, Op::Evaluate(_)));
            Some(*sum)
        });
        let planned = std::iter::once(0).chain(counts).collect();
        Ok(Self {
            model,
            options,
            work: None,
            at: 0,
            part: 0,
            begun: false,
            parts: 0,
            views: Vec::new(),
            step: 0,
            set: 0,
            resume: None,
            evaluations: 0,
            planned,
        })
    }

    /// Tokens of the longest prompt that did not fit the text encoder.
    #[must_use]
    pub fn truncated_tokens(&self) -> usize {
        self.model.truncated_tokens()
    }

    /// Network evaluations done so far, counting each view and each guidance row.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// Outer steps that are complete.
    #[must_use]
    pub fn steps_done(&self) -> usize {
        self.options.plan.ops[..self.at].iter().filter(|op| matches!(op, Op::EndStep { .. })).count()
    }

    /// Whether the next operation begins an outer step: the moment for a checkpoint or a preview.
    #[must_use]
    pub fn between_steps(&self) -> bool {
        self.part == 0 && !self.begun && self.at > 0 && matches!(self.options.plan.ops[self.at - 1], Op::EndStep { .. })
    }

    /// Makes the next part ready. `false`: the operation has nothing (more) to run.
    fn begin(&mut self) -> Result<bool> {
        let op = self.options.plan.ops[self.at];
        if self.part == 0 {
            self.parts = self.prepare(op)?;
        }
        if self.part < self.parts {
            self.prepare_part(op)?;
        }
        Ok(self.part < self.parts)
    }

    fn advance_operation(&mut self) {
        self.at += 1;
        self.part = 0;
        // The mark runs nothing: passed at once, so that callers find the job between two steps.
        while matches!(self.options.plan.ops.get(self.at), Some(Op::EndStep { .. })) {
            self.at += 1;
        }
    }

    fn current(&mut self) -> Result<Option<&mut Recording>> {
        let op = self.options.plan.ops[self.at];
        if matches!(op, Op::Look { .. }) {
            return Ok(self.model.conditioning(self.part));
        }
        let (set, part) = (self.set, self.part);
        Ok(self.work.as_mut().and_then(|work| work.recording(op, set, part)))
    }
}

impl<M: CanvasModel> Program for CanvasProgram<M> {
    type Output = CanvasResult;

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        if self.work.is_none() {
            if self.model.next()?.is_some() {
                // Asked again: the borrow of the first answer would outlive this branch.
                return self.model.next();
            }
            self.work = Some(Work::new(&self.model, &self.options)?);
            if let Some(checkpoint) = self.resume.take() {
                self.restore(&checkpoint)?;
            }
        }
        while !self.begun {
            if self.at == self.options.plan.ops.len() {
                return Ok(None);
            }
            self.begun = self.begin()?;
            if !self.begun {
                self.advance_operation();
            }
        }
        self.current()
    }

    fn done(&mut self) -> Result<()> {
        if self.work.is_none() {
            return self.model.done();
        }
        self.check()?;
        self.begun = false;
        self.part += 1;
        if self.part == self.parts {
            self.advance_operation();
        }
        Ok(())
    }

    fn status(&self) -> Status {
        let ops = &self.options.plan.ops;
        let stage = match ops.get(self.at) {
            _ if self.work.is_none() => "text",
            Some(Op::Project { .. }) if self.options.plan.medium == Medium::Rgb => "encode",
            Some(Op::Fuse { to, .. }) if *to == CanvasReg::Picture || self.options.plan.medium == Medium::Rgb => {
                "decode"
            }
            Some(Op::DecodeCanvas) => "decode",
            None | Some(Op::Fuse { .. } | Op::Keep) => "fuse",
            _ => "denoise",
        };
        let steps = self.planned[ops.len()];
        let step = self.planned[self.at];
        let fraction = if self.at == ops.len() { 1.0 } else { step as f64 / (steps + 1) as f64 };
        Status { stage, step, steps, fraction }
    }

    fn finish(&mut self) -> Result<CanvasResult> {
        let Some(work) = &mut self.work else { return Err(Error::Cancelled) };
        work.finish(&self.model, &self.options, self.evaluations)
    }
}
