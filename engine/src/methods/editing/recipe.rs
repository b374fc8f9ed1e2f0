//! One edit by any of the methods, from numbers that they share: for commands that compare them.

use std::fmt;
use std::str::FromStr;

use super::{Dds, EditGrid, EditStep, FlowEdit, Form, Inversion, PathVariance, Pull, SdEdit, agree};
use crate::error::{Error, Result};
use crate::methods::plan::{Op, Plan};
use crate::methods::{Integrator, SyncSde};
use crate::schedulers::NoiseSchedule;

/// A method that edits one picture by two prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditMethod {
    /// Source and target driven by one Brownian path.
    SyncSde,
    /// The picture, noised, and sampled with the target's prompt.
    SdEdit,
    /// Gradient steps along the difference of noise estimates.
    Dds,
    /// The difference of velocities at fresh noise.
    FlowEdit,
    /// The picture's own noise, by the probability flow.
    DdimInversion,
    /// The same with pulls to one noise and to the picture.
    RfInversion,
}

impl EditMethod {
    /// All of them, the coupled ones first.
    pub const ALL: [Self; 6] =
        [Self::SyncSde, Self::FlowEdit, Self::Dds, Self::SdEdit, Self::DdimInversion, Self::RfInversion];

    /// The name on the command line and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncSde => "sync-sde",
            Self::SdEdit => "sdedit",
            Self::Dds => "dds",
            Self::FlowEdit => "flowedit",
            Self::DdimInversion => "ddim-inversion",
            Self::RfInversion => "rf-inversion",
        }
    }

    /// Whether source and target are coupled step by step, so that a mask can keep the source's latents.
    #[must_use]
    pub const fn couples(self) -> bool {
        matches!(self, Self::SyncSde | Self::FlowEdit | Self::Dds)
    }
}

impl fmt::Display for EditMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EditMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|method| method.name() == text);
        found.ok_or_else(|| format!("expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Numbers of an edit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EditSettings {
    /// Levels of the grid.
    pub steps: usize,
    /// Index of the first one, from 1.
    pub start: usize,
    /// Classifier-free guidance of source and target.
    pub guidance: [f64; 2],
    /// In which terms sync-SDE and SDEdit run on diffusion models; FlowEdit and RF-Inversion always run as flows, DDIM inversion
    /// and DDS never do.
    pub form: Form,
    /// sync-SDE: noise of the path in the flow form.
    pub variance: PathVariance,
    /// sync-SDE: steps of the difference in the flow form.
    pub integrator: Integrator,
    /// sync-SDE: a new path each step.
    pub resample: bool,
    /// FlowEdit: noises averaged in each step.
    pub n_avg: usize,
    /// FlowEdit: steps of ordinary sampling at the end.
    pub n_min: usize,
    /// DDS: gradient steps.
    pub iterations: usize,
    /// DDS: its learning rate.
    pub rate: f64,
    /// RF-Inversion: its controllers.
    pub pull: Pull,
    /// Windows of one picture: their differences are averaged where they overlap, at every step.
    pub windows: bool,
    /// Seed of what is chosen at random besides noise.
    pub seed: u64,
}

impl EditSettings {
    /// What the methods' authors chose, where it is known: sync-SDE and FlowEdit leave out the first seventh of the levels, for
    /// other numbers of steps the same share. Guidance is that of diffusion models.
    #[must_use]
    pub fn new(steps: usize, seed: u64) -> Self {
        Self {
            steps,
            start: (steps as f64 / 7.0).round().max(1.0) as usize,
            guidance: [1.0, 5.0],
            form: Form::Diffusion,
            variance: PathVariance::Midpoint,
            integrator: Integrator::Euler,
            resample: false,
            n_avg: 1,
            n_min: 0,
            iterations: Dds::published(seed).iterations,
            rate: Dds::published(seed).rate,
            pull: Pull { up: 0.5, down: 0.9, steps: steps.div_ceil(4) },
            windows: false,
            seed,
        }
    }

    /// The index from which a share of the steps runs, at least one and not all of them.
    #[must_use]
    pub fn start_of(steps: usize, strength: f64) -> usize {
        steps.saturating_sub((steps as f64 * strength).round() as usize).max(1)
    }

    /// The operations of a method on a diffusion model.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, method: EditMethod, noise: &NoiseSchedule) -> Result<Plan> {
        let grid = |form: Form| match form {
            Form::Diffusion => EditGrid::diffusion(noise, self.steps),
            Form::Flow => EditGrid::flow_of_diffusion(noise, self.steps),
        };
        let guidance = self.guidance;
        let inversion = |pull| Inversion { start: self.start, guidance, pull };
        let plan = match method {
            EditMethod::SyncSde => self.sync_sde().plan(&grid(self.form)?)?,
            EditMethod::SdEdit => SdEdit { start: self.start, guidance: guidance[1] }.plan(&grid(self.form)?)?,
            EditMethod::Dds => {
                let (iterations, rate) = (self.iterations, self.rate);
                Dds { iterations, rate, guidance, ..Dds::published(self.seed) }.plan(noise)?
            }
            EditMethod::FlowEdit => {
                let grid = grid(Form::Flow)?;
                grid.check_start(self.start)?;
                let flow_edit = FlowEdit::published(self.steps, self.start, guidance);
                FlowEdit { n_avg: self.n_avg, n_min: self.n_min, ..flow_edit }.plan(&grid)?
            }
            EditMethod::DdimInversion => inversion(None).plan(&grid(Form::Diffusion)?)?,
            EditMethod::RfInversion => inversion(Some(self.pull)).plan(&grid(Form::Flow)?)?,
        };
        Ok(if self.windows { agree(plan) } else { plan })
    }

    fn sync_sde(&self) -> SyncSde {
        let (start, guidance, resample) = (self.start, self.guidance, self.resample);
        let exact = SyncSde { resample, ..SyncSde::exact(start, guidance) };
        match self.form {
            Form::Diffusion => exact,
            Form::Flow => SyncSde { variance: self.variance, integrator: self.integrator, ..exact },
        }
    }

    /// Refuses numbers that no method takes, before a model is loaded.
    ///
    /// # Errors
    /// [`Error::Input`] with the first.
    pub fn check(&self) -> Result<()> {
        let refuse =
            |what, found: String, expected: &str| Err(Error::Input { what, found, expected: expected.to_owned() });
        if self.steps < 1 {
            return refuse("steps", self.steps.to_string(), "at least 1");
        }
        if self.start == 0 || self.start > self.steps {
            let expected = format!(
                "1 to {}: smaller changes more, {} changes nothing; at 0 nothing of the picture is left to start from",
                self.steps, self.steps
            );
            return Err(Error::Input { what: "start index", found: self.start.to_string(), expected });
        }
        super::check_guidance(&self.guidance)
    }
}

/// An edit step that leaves source and difference as they are, and puts the target on their sum.
pub(super) fn rejoined(step: &EditStep) -> Op {
    EditStep { difference: [1.0, 0.0], source: [1.0, 0.0], sigma: 0.0, ..*step }.into()
}
