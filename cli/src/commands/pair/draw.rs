//! Several pictures from one job: one branch of the plan for each.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasModel, CanvasOptions, CanvasProgram, CanvasResult, PromptedUNet, ViewPrompts};
use syncline::methods::{Composed, Coupled, JointGrid, ModelLevels, Plan};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::{Branches, Frames, Space};

use crate::args::Global;
use crate::{commands::warn_truncated, progress};

/// What is drawn, whatever couples it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// One for all pictures, or the first picture's and the others'.
    pub models: Vec<Arc<StableDiffusion>>,
    /// What each picture shows.
    pub prompts: Vec<String>,
    /// What none shows.
    pub negative: String,
    /// `[height, width]` in pixels.
    pub size: [usize; 2],
    /// Guidance of each picture.
    pub guidance: Vec<f64>,
    /// Denoising steps.
    pub steps: usize,
    /// Seed.
    pub seed: u64,
}

/// What couples the pictures.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A push toward each other.
    Coupled(Coupled),
    /// One trajectory.
    Composed(Composed),
}

impl Scene {
    /// The levels of all models, taken from the first one's table.
    pub fn grid(&self) -> JointGrid {
        JointGrid::Diffusion { steps: self.steps, of: 0 }
    }

    /// The model of each picture: one stands for all where there is only one.
    pub fn levels(&self) -> Vec<ModelLevels<'_>> {
        let model = |i: usize| ModelLevels::Diffusion(&self.models[i.min(self.models.len() - 1)].noise_schedule);
        (0..if self.models.len() == 1 { 1 } else { self.prompts.len() }).map(model).collect()
    }

    /// Coupled with this strength, everything else as usual.
    pub fn coupled(&self, lambda: f64) -> Coupled {
        Coupled { guidance: self.guidance.clone(), ..Coupled::new(self.prompts.len(), self.grid(), 1.0, lambda) }
    }

    /// One picture of all prompts.
    pub fn composed(&self) -> Composed {
        Composed { grid: self.grid(), guidance: self.guidance.clone(), langevin: None, picture: Some(0) }
    }

    /// RGB 0..=1 of each picture; of a composition its only one.
    ///
    /// # Errors
    /// When a number is refused or the job fails.
    pub fn draw(&self, global: &Global, rule: &Rule) -> anyhow::Result<CanvasResult> {
        let levels = self.levels();
        let plan = match rule {
            Rule::Coupled(coupled) => coupled.plan(&levels)?,
            Rule::Composed(composed) => composed.plan(&levels)?,
        };
        let count = self.prompts.len();
        let frames = Box::new(Frames::new(count, self.size)?);
        let space: Arc<dyn Space> = Arc::new(Branches::split(frames, count)?);
        let model = self.model(&plan, space.as_ref())?;
        let program = CanvasProgram::new(model, CanvasOptions::new(plan, space, self.seed))?;
        warn_truncated(program.truncated_tokens());
        progress::run(global, program)
    }

    /// One batch of all prompts, or a model for each picture.
    fn model(&self, plan: &Plan, space: &dyn Space) -> syncline::Result<Box<dyn CanvasModel>> {
        if let [model] = &self.models[..] {
            let branches = self.prompts.clone();
            let prompts = ViewPrompts { branches, ..ViewPrompts::new("", &self.negative) };
            return Ok(Box::new(PromptedUNet::new(model, prompts, plan, space)?));
        }
        let of = |(i, prompt): (usize, &String)| {
            let model = &self.models[i.min(self.models.len() - 1)];
            PromptedUNet::for_branch(model, ViewPrompts::new(prompt, &self.negative), plan, space, i)
        };
        let models = self.prompts.iter().enumerate().map(of).collect::<syncline::Result<_>>()?;
        Ok(Box::new(Branched::new(models)?))
    }
}
