//! Sampling many views of one canvas together: the program of `panorama`.

use std::sync::Arc;

use syncline_kernels::gpu::Recording;
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::ops::project_renoise::RenoiseScalars;
use syncline_kernels::ops::repaint::RepaintScalars;

use super::canvas_work::Work;
use super::job::{Program, Status};
use super::text::{Prompts, TextStage};
use crate::error::{Error, Result};
use crate::guidance::Guidance;
use crate::methods::stochsync::{BlendMask, OuterStep, StochSync};
use crate::models::Wrap;
use crate::pipeline::{GuidedUNet, StableDiffusion};
use crate::rng::Purpose;
use crate::schedulers::Level;
use crate::spaces::Space;

/// What to draw on a canvas.
pub struct CanvasOptions {
    /// What to show: one prompt, or one for each view of a set.
    pub prompts: Prompts,
    /// Seed of everything random.
    pub seed: u64,
    /// How views are sampled together.
    pub method: StochSync,
    /// The canvas and its views.
    pub space: Box<dyn Space>,
}

/// What a canvas job gives.
#[derive(Clone, Debug)]
pub struct CanvasResult {
    /// `[height, width]` of the canvas.
    pub size: [usize; 2],
    /// RGB in 0..=1, row by row; black where no view looks.
    pub rgb: Vec<f32>,
    /// Sum of weights per texel; 0 where no view looks.
    pub coverage: Vec<f32>,
    /// The last views of each set fused alone, as hard tiles before any feathering: RGB and coverage.
    pub sets: Vec<(Vec<f32>, Vec<f32>)>,
    /// `[height, width]` of a view.
    pub view_size: [usize; 2],
    /// The last views of each set, RGB in 0..=1.
    pub views: Vec<Vec<f32>>,
    /// Network evaluations, counting each view and each guidance row.
    pub evaluations: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Text,
    Encode { step: usize, chunk: usize, part: usize },
    Correct { step: usize },
    Renoise { step: usize },
    Denoise { step: usize, inner: usize },
    Blend { step: usize, inner: usize },
    Decode { step: usize, chunk: usize, part: usize },
    Fuse { step: usize },
    EncodeAgain { step: usize, chunk: usize, part: usize },
    Residual { step: usize },
    Feather,
    Done,
}

/// The program.
pub struct CanvasProgram {
    model: Arc<StableDiffusion>,
    options: CanvasOptions,
    schedule: Vec<OuterStep>,
    guidance: Guidance,
    latent: [usize; 2],
    text: TextStage,
    work: Option<Work>,
    stage: Stage,
    begun: bool,
    evaluations: usize,
    /// Sets whose encoding error is known.
    residuals: Vec<bool>,
    /// Evaluations before each step, and of all.
    planned: Vec<usize>,
}

impl CanvasProgram {
    /// Checks the options and records the text stage.
    ///
    /// # Errors
    /// When an option is refused or the device has no room.
    pub fn new(model: &Arc<StableDiffusion>, options: CanvasOptions) -> Result<Self> {
        model.require_plain_latents()?;
        let (sets, views) = (options.space.set_count(), options.space.view_count());
        let prompts = options.prompts.positive.len();
        if prompts != 1 && prompts != views {
            return Err(Error::Input {
                what: "prompts",
                found: prompts.to_string(),
                expected: format!("one, or one for each of the {views} views of a set"),
            });
        }
        let [height, width] = options.space.view_size();
        let latent = model.latent_size(height, width)?;
        options.method.check(model.noise_schedule.num_train_timesteps())?;
        let schedule = options.method.schedule(&model.noise_schedule, sets)?;
        let guidance = Guidance::ClassifierFree { scale: options.method.guidance_scale }.reduced();
        let text = TextStage::new(model, &options.prompts, views, guidance.rows().len() > 1)?;
        let planned = schedule.iter().scan(0, |sum, step| {
            *sum += step.plan.steps.len();
            Some(*sum)
        });
        let residuals = vec![false; sets];
        let planned = std::iter::once(0).chain(planned).collect();
        Ok(Self {
            model: model.clone(),
            options,
            schedule,
            guidance,
            latent,
            text,
            work: None,
            stage: Stage::Text,
            begun: false,
            evaluations: 0,
            residuals,
            planned,
        })
    }

    fn key(&self, purpose: Purpose, step: usize) -> NoiseKey {
        NoiseKey { seed: self.options.seed, trajectory: 0, purpose: (purpose as u32) << 24, step: step as u32 }
    }

    /// Tokens of the prompt that did not fit the text encoder.
    #[must_use]
    pub fn truncated_tokens(&self) -> usize {
        self.text.truncated()
    }

    /// Network evaluations done so far, counting each view and each guidance row.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    fn prepare_work(&mut self) -> Result<()> {
        let Some(conditioning) = self.text.conditioning() else { return Ok(()) };
        let denoiser = GuidedUNet {
            model: &self.model,
            conditioning,
            guidance: self.guidance,
            batch: self.options.space.view_count(),
            size: self.latent,
            wrap: Wrap::default(),
        };
        self.work = Some(Work::new(&self.model, self.options.space.as_ref(), &denoiser, self.options.method.feather)?);
        Ok(())
    }

    /// What a step begins with: views that see the canvas are encoded, the others start from noise.
    fn first_stage(&self, step: usize) -> Stage {
        match self.schedule[step].timestep {
            Some(_) => Stage::Encode { step, chunk: 0, part: 0 },
            None => Stage::Renoise { step },
        }
    }

    fn after(&self, stage: Stage) -> Stage {
        let chunks = self.work.as_ref().map_or(0, |work| work.codec.chunks());
        match stage {
            Stage::Text => self.first_stage(0),
            Stage::Encode { step, chunk, part: 0 } => Stage::Encode { step, chunk, part: 1 },
            Stage::Encode { step, chunk, .. } if chunk + 1 < chunks => {
                Stage::Encode { step, chunk: chunk + 1, part: 0 }
            }
            Stage::Encode { step, .. } if self.residuals[self.schedule[step].view_set] => Stage::Correct { step },
            Stage::Encode { step, .. } | Stage::Correct { step } => Stage::Renoise { step },
            Stage::Renoise { step } => Stage::Denoise { step, inner: 0 },
            Stage::Denoise { step, inner } if self.schedule[step].blend && !self.is_last(step, inner) => {
                Stage::Blend { step, inner }
            }
            Stage::Denoise { step, inner } | Stage::Blend { step, inner } if !self.is_last(step, inner) => {
                Stage::Denoise { step, inner: inner + 1 }
            }
            Stage::Denoise { step, .. } | Stage::Blend { step, .. } => Stage::Decode { step, chunk: 0, part: 0 },
            Stage::Decode { step, chunk, part } if part < 2 => Stage::Decode { step, chunk, part: part + 1 },
            Stage::Decode { step, chunk, .. } if chunk + 1 < chunks => {
                Stage::Decode { step, chunk: chunk + 1, part: 0 }
            }
            Stage::Decode { step, .. } => Stage::Fuse { step },
            Stage::Fuse { step } if self.options.method.correct_encoding && step + 1 < self.schedule.len() => {
                Stage::EncodeAgain { step, chunk: 0, part: 0 }
            }
            Stage::EncodeAgain { step, chunk, part: 0 } => Stage::EncodeAgain { step, chunk, part: 1 },
            Stage::EncodeAgain { step, chunk, .. } if chunk + 1 < chunks => {
                Stage::EncodeAgain { step, chunk: chunk + 1, part: 0 }
            }
            Stage::EncodeAgain { step, .. } => Stage::Residual { step },
            Stage::Fuse { step } | Stage::Residual { step } if step + 1 < self.schedule.len() => {
                self.first_stage(step + 1)
            }
            Stage::Fuse { .. } if self.options.method.feather && self.sets_used() > 1 => Stage::Feather,
            Stage::Fuse { .. } | Stage::Residual { .. } | Stage::Feather | Stage::Done => Stage::Done,
        }
    }

    fn sets_used(&self) -> usize {
        self.schedule.len().min(self.options.space.set_count())
    }

    fn is_last(&self, step: usize, inner: usize) -> bool {
        inner + 1 == self.schedule[step].plan.steps.len()
    }

    /// Sets everything the recording of the present stage reads.
    fn prepare(&mut self) -> Result<()> {
        let renoise_key = |step| self.key(Purpose::Renoise, step);
        let stage = self.stage;
        match stage {
            Stage::Encode { step, chunk, part: 0 } | Stage::EncodeAgain { step, chunk, part: 0 } => {
                let set = self.options.space.views(self.schedule[step].view_set);
                if let Some(work) = &self.work {
                    work.codec.aim(&set, chunk)?;
                }
            }
            Stage::Renoise { step } => {
                let key = renoise_key(step);
                let outer = &self.schedule[step];
                let level = match outer.timestep {
                    Some(t) => self.model.noise_schedule.level(t)?,
                    None => Level { signal: 0.0, noise: 1.0 },
                };
                let set = outer.view_set as u32;
                let Some(work) = &mut self.work else { return Ok(()) };
                let count = work.view_ids.dims()[0] as u32;
                let ids: Vec<u32> = (set * count..(set + 1) * count).collect();
                self.model.ctx.write_u32(&work.view_ids, &ids)?;
                let scalars = RenoiseScalars {
                    signal: level.signal as f32,
                    sigma: level.noise as f32,
                    key,
                    ..RenoiseScalars::default()
                };
                work.set_renoise(scalars);
            }
            Stage::Denoise { step, inner } => {
                let coefficients = self.schedule[step].plan.steps[inner];
                if let Some(work) = &mut self.work {
                    work.denoise.prepare(&coefficients, inner as u32, &[])?;
                }
            }
            Stage::Blend { step, inner } => {
                let key = self.key(Purpose::Keep, step);
                let steps = &self.schedule[step].plan.steps;
                let (level, count) = (steps[inner].next_level, steps.len());
                let scalars = RepaintScalars {
                    threshold: BlendMask::threshold(inner, count + 1),
                    signal: level.signal as f32,
                    sigma: level.noise as f32,
                    key,
                };
                if let Some(work) = &mut self.work {
                    work.set_blend(&scalars);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Numeric checks after a recording.
    fn check(&mut self) -> Result<()> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let steps = self.schedule.len();
        match self.stage {
            Stage::Encode { step, part: 0, .. } => {
                work.codec.check(&format!("step {} of {steps}, encode", step + 1), false)
            }
            Stage::Decode { step, part: 1, .. } => {
                work.codec.check(&format!("step {} of {steps}, decode", step + 1), true)
            }
            Stage::Denoise { step, inner } => {
                self.evaluations += work.view_ids.dims()[0] * self.guidance.rows().len();
                work.denoise.check(&format!("step {} of {steps}, evaluation {}", step + 1, inner + 1))
            }
            _ => Ok(()),
        }
    }
}

impl Program for CanvasProgram {
    type Output = CanvasResult;

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        if !std::mem::replace(&mut self.begun, true) {
            self.prepare()?;
        }
        let stage = self.stage;
        if stage == Stage::Text {
            return Ok(self.text.next());
        }
        let Some(work) = &mut self.work else { return Ok(None) };
        Ok(match stage {
            Stage::Text | Stage::Done => None,
            Stage::Encode { chunk, part, .. } | Stage::EncodeAgain { chunk, part, .. } => {
                Some(work.codec.encode(chunk, part))
            }
            Stage::Correct { step } => Some(&mut work.correct[self.schedule[step].view_set]),
            Stage::Residual { step } => Some(&mut work.residual[self.schedule[step].view_set]),
            Stage::Renoise { .. } => Some(&mut work.renoise.0),
            Stage::Denoise { .. } => Some(work.denoise.recording()),
            Stage::Blend { .. } => Some(&mut work.blend.0),
            Stage::Decode { step, chunk, part } => Some(work.codec.decode(self.schedule[step].view_set, chunk, part)),
            Stage::Fuse { step } => Some(&mut work.fuse[self.schedule[step].view_set]),
            Stage::Feather => Some(&mut work.feather),
        })
    }

    fn done(&mut self) -> Result<()> {
        self.begun = false;
        if self.stage == Stage::Text {
            self.text.done()?;
            if self.text.next().is_some() {
                return Ok(());
            }
            self.prepare_work()?;
        }
        self.check()?;
        if let Stage::Residual { step } = self.stage {
            self.residuals[self.schedule[step].view_set] = true;
        }
        self.stage = self.after(self.stage);
        Ok(())
    }

    fn status(&self) -> Status {
        let (step, inner) = match self.stage {
            Stage::Text => (0, 0),
            Stage::Encode { step, .. } | Stage::Correct { step } | Stage::Renoise { step } => (step, 0),
            Stage::Denoise { step, inner } | Stage::Blend { step, inner } => (step, inner),
            Stage::Decode { step, .. }
            | Stage::Fuse { step }
            | Stage::EncodeAgain { step, .. }
            | Stage::Residual { step } => (step, self.schedule[step].plan.steps.len()),
            Stage::Feather | Stage::Done => (self.schedule.len(), 0),
        };
        let total = self.planned[self.schedule.len()];
        let done = self.planned[step] + inner;
        let stage = match self.stage {
            Stage::Text => "text",
            Stage::Encode { .. } | Stage::Correct { .. } | Stage::EncodeAgain { .. } | Stage::Residual { .. } => {
                "encode"
            }
            Stage::Decode { .. } => "decode",
            Stage::Fuse { .. } | Stage::Feather | Stage::Done => "fuse",
            _ => "denoise",
        };
        Status { stage, step: done, steps: total, fraction: done as f64 / total as f64 }
    }

    fn finish(&mut self) -> Result<CanvasResult> {
        let (sets_used, evaluations) = (self.sets_used(), self.evaluations);
        let Some(work) = &mut self.work else { return Err(Error::Cancelled) };
        let ctx = &self.model.ctx;
        let rgb = ctx.read(&work.tensors.canvas)?;
        let coverage = ctx.read(&work.coverage)?;
        let mut sets = Vec::new();
        for recording in &mut work.tiles[..sets_used] {
            // Over a black canvas, so that nothing of other sets remains.
            ctx.write(&work.tensors.canvas, &vec![0.0; rgb.len()])?;
            recording.run()?;
            sets.push((ctx.read(&work.tensors.canvas)?, ctx.read(&work.coverage)?));
        }
        let views = ctx.read(&work.tensors.views)?;
        let [view_height, view_width] = self.options.space.view_size();
        let used = sets_used * self.options.space.view_count();
        let views = views.chunks_exact(view_height * view_width * 3).take(used);
        let views = views.map(|view| view.iter().map(|v| (0.5 * v + 0.5).clamp(0.0, 1.0)).collect()).collect();
        let [size, view_size] = [self.options.space.canvas_size(), self.options.space.view_size()];
        Ok(CanvasResult { size, rgb, coverage, sets, view_size, views, evaluations })
    }
}
