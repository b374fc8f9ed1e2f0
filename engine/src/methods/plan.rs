//! A method is a list of operations over a few registers; the one loop of `jobs` runs it. Nothing here touches a tensor.

use syncline_kernels::ops::stein::Bandwidth;

pub(in crate::methods) use super::registers::{CanvasReg, Reg, ViewReg};
use syncline_kernels::ops::couple::MAX_BRANCHES;

use crate::guidance::MAX_ROWS;
use crate::rng::Purpose;
use crate::schedulers::{Level, NoiseSchedule, PredictionType, SchedulerError, StepCoefficients};

/// What a canvas holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    /// RGB in 0..=1. Views are encoded when projected and decoded when fused.
    Rgb,
    /// Latents, one texel per latent cell.
    Latent,
}

/// Which random numbers, besides the seed and the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// What for.
    pub purpose: Purpose,
    /// Which step of the run.
    pub step: u32,
    /// Whether all branches draw the same numbers; otherwise each its own.
    pub shared: bool,
}

impl Draw {
    /// Noise of its own for each branch.
    #[must_use]
    pub const fn new(purpose: Purpose, step: u32) -> Self {
        Self { purpose, step, shared: false }
    }

    /// The same noise for all branches, or not.
    #[must_use]
    pub const fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }
}

/// How views share the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fusion {
    /// All that see a texel within their used fields, alike.
    Average,
    /// Neighbours ramp into each other over what they show beyond their used fields. A cut would leave a line in the canvas,
    /// in the middle of the next set's views, which they keep when little noise is added.
    Overlap,
    /// The views kept of all sets, weighed by a high power of the cosine of the angle to their axes.
    Fade,
}

/// `target = own · target + Σ factor · term + sigma · ξ`. Two terms whose factors are opposite are taken as factor · (a - b): exactly
/// zero where both are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// What changes.
    pub target: Reg,
    /// Its own factor.
    pub own: f64,
    /// Up to two terms of the same shape.
    pub terms: [Option<(Reg, f64)>; 2],
    /// Factor of unit noise.
    pub sigma: f64,
    /// Which noise.
    pub draw: Draw,
}

/// How the rows of a model's output are combined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// A classifier-free scale, for models that are guided that way; others combine as they do by themselves.
    Scale(f64),
    /// The factor of each row, in the order of [`crate::guidance::Guidance::rows`].
    Rows([f64; MAX_ROWS]),
}

impl From<f64> for Weights {
    fn from(scale: f64) -> Self {
        Self::Scale(scale)
    }
}

/// One evaluation of a model and the update of its rows of [`ViewReg::State`] and [`ViewReg::Clean`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluate {
    /// Which of the canvas model's denoisers: it has its own table of noise levels, timesteps and rows.
    pub model: usize,
    /// The update, in the terms of that model.
    pub coefficients: StepCoefficients,
    /// Guidance of this evaluation.
    pub guidance: Weights,
    /// Its fresh noise.
    pub draw: Draw,
}

impl Evaluate {
    /// Of the first denoiser, which is the only one of plain methods.
    #[must_use]
    pub fn new(coefficients: StepCoefficients, guidance: impl Into<Weights>, draw: Draw) -> Self {
        Self { model: 0, coefficients, guidance: guidance.into(), draw }
    }

    /// Of another denoiser.
    #[must_use]
    pub fn of(self, model: usize) -> Self {
        Self { model, ..self }
    }
}

/// Adam on the canvas (Kingma and Ba 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first and second moment.
    pub betas: [f64; 2],
    /// Number of this step, counted from 1.
    pub number: u32,
}

/// What noise estimates of particles are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SteinSource {
    /// The noise in their states, which [`ViewReg::Known`] was noised with.
    Noise,
    /// The estimates of the branch behind the targets'.
    Branch,
}

/// Scores of views, mixed and repelled by a kernel of their states (`kernels::ops::stein`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stein {
    /// Branches 0..prompts hold states and noise estimates ([`ViewReg::Clean`]) of the same views under as many prompts, which
    /// count as the job's regions lie in each view.
    pub prompts: usize,
    /// What is subtracted.
    pub source: SteinSource,
    /// The kernel's bandwidth; `None`: views do not see each other.
    pub coupling: Option<Bandwidth>,
    /// Weight w(t) of the timestep. The views' number divides it.
    pub weight: f64,
    /// Level of the states.
    pub level: Level,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The views of outer step `step` from now on: where they look, their noise and their prompts.
    Look {
        /// Outer step.
        step: usize,
    },
    /// Views of the canvas; encoded, in an RGB canvas, and then always to [`ViewReg::Known`].
    Project {
        /// Canvas.
        from: CanvasReg,
        /// Views, of all branches or of one.
        to: Reg,
        /// Sample the nearest texel whatever the space does otherwise: noise keeps its variance.
        nearest: bool,
    },
    /// A sum.
    Mix(Mix),
    /// An evaluation.
    Evaluate(Evaluate),
    /// The state of each branch, pushed toward the others' clean estimates: x_k += push_k · (mean of their clean - its own).
    Couple {
        /// Push of each branch; further entries are not read.
        push: [f64; MAX_BRANCHES],
        /// Views of each branch below this one are left alone.
        first_view: usize,
    },
    /// State = noised [`ViewReg::Known`] wherever the soft border mask is below `threshold`.
    Blend {
        /// Level of the state.
        level: Level,
        /// Pixels of the mask from here on are free.
        threshold: f32,
        /// Which noise.
        draw: Draw,
    },
    /// [`ViewReg::Kept`] = an encoded plain colour for each view (MultiDiffusion's bootstrapping).
    Background {
        /// Chooses the colours.
        draw: Draw,
    },
    /// State = [`ViewReg::Kept`] wherever a view's region ends.
    Outside,
    /// Views into the canvas; decoded, when that is RGB.
    Fuse {
        /// Views, of all branches or of one.
        from: Reg,
        /// Canvas.
        to: CanvasReg,
        /// How they share it.
        fusion: Fusion,
    },
    /// Canvas = [`CanvasReg::Source`] wherever the mask keeps it.
    Keep,
    /// State = noised [`ViewReg::Known`] wherever the mask, as the views see it, keeps the canvas.
    KeepViews {
        /// Level of the state.
        level: Level,
        /// Which noise.
        draw: Draw,
    },
    /// Branch 0 of [`ViewReg::Kept`] = the Stein variational gradient of its views.
    Stein(Stein),
    /// Adds the adjoint of projection of a gradient on views to that of the canvas.
    Scatter {
        /// Views, of all branches or of one.
        from: Reg,
    },
    /// Canvas follows the gradient, which is zero afterwards.
    Adam(AdamStep),
    /// Canvas goes `rate` against the mean gradient of the views that saw a texel; what none saw stays. The gradient is zero
    /// afterwards.
    Sgd {
        /// Learning rate.
        rate: f64,
    },
    /// The latent canvas, decoded as a whole, to the picture: edges of a wrapping canvas continue into each other.
    DecodeCanvas,
    /// Source and target of an edit one step on.
    EditStep(super::editing::EditStep),
    /// The end of an outer step: a job can be resumed, and its canvas looked at, from here.
    EndStep {
        /// Which.
        step: usize,
    },
}

/// What a method wants done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the canvas holds.
    pub medium: Medium,
    /// Trajectories over the same views; 1 for plain methods.
    pub branches: usize,
    /// The operations, in order.
    pub ops: Vec<Op>,
}

impl Plan {
    /// A plan of one branch.
    #[must_use]
    pub fn new(medium: Medium, ops: Vec<Op>) -> Self {
        Self { medium, branches: 1, ops }
    }

    /// Outer steps whose views are looked at.
    pub fn looks(&self) -> impl Iterator<Item = usize> + '_ {
        self.ops.iter().filter_map(|op| if let Op::Look { step } = op { Some(*step) } else { None })
    }

    /// Evaluations of the model, each of all views.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.ops.iter().filter(|op| matches!(op, Op::Evaluate(_))).count()
    }

    /// Whether any evaluation of a denoiser needs the negative prompt.
    #[must_use]
    pub fn guided(&self, model: usize) -> bool {
        let guided = |e: &Evaluate| e.model == model && e.guidance != Weights::Scale(1.0);
        self.ops.iter().any(|op| matches!(op, Op::Evaluate(e) if guided(e)))
    }

    /// Whether any operation touches the RGB picture.
    #[must_use]
    pub fn shows(&self) -> bool {
        let picture = Reg::Canvas(CanvasReg::Picture);
        self.medium == Medium::Rgb || self.uses(picture) || self.ops.iter().any(|op| matches!(op, Op::DecodeCanvas))
    }

    /// The branch that alone becomes the picture, if one does.
    #[must_use]
    pub fn picture_branch(&self) -> Option<usize> {
        let picture =
            |to: CanvasReg| to == CanvasReg::Picture || (self.medium == Medium::Rgb && to == CanvasReg::Canvas);
        let mut fused = self.ops.iter().filter_map(|op| match op {
            Op::Fuse { from, to, .. } if picture(*to) => Some(from.branch()),
            _ => None,
        });
        fused.next_back().flatten()
    }

    /// Every register that an operation names.
    pub fn registers(&self) -> impl Iterator<Item = Reg> + '_ {
        self.ops.iter().flat_map(|op| {
            let named: [Option<Reg>; 3] = match *op {
                Op::Project { from, to, .. } => [Some(from.into()), Some(to), None],
                Op::Fuse { from, to, .. } => [Some(from), Some(to.into()), None],
                Op::Mix(mix) => [Some(mix.target), mix.terms[0].map(|t| t.0), mix.terms[1].map(|t| t.0)],
                Op::Scatter { from } => [Some(from), None, None],
                Op::Stein(stein) => {
                    let known = (stein.source == SteinSource::Noise).then_some(ViewReg::Known.into());
                    [Some(ViewReg::Kept.into()), known, None]
                }
                Op::Keep => [Some(CanvasReg::Source.into()), None, None],
                Op::EditStep(_) => EDIT_REGISTERS.map(Some),
                Op::Background { .. } | Op::Outside => [Some(ViewReg::Kept.into()), None, None],
                _ => [None; 3],
            };
            named.into_iter().flatten()
        })
    }

    /// Whether any operation names this register.
    #[must_use]
    pub fn uses(&self, reg: Reg) -> bool {
        self.registers().any(|named| named == reg)
    }
}

/// What a step of an edit names, besides the sampler's own registers.
const EDIT_REGISTERS: [Reg; 3] =
    [Reg::Branch(ViewReg::Known, 0), Reg::Branch(ViewReg::Kept, 0), Reg::Branch(ViewReg::State, 1)];

/// `target = sigma · ξ`, with further terms.
pub(super) fn mix(target: impl Into<Reg>, own: f64, terms: &[(Reg, f64)], noise: Option<(f64, Draw)>) -> Op {
    let none = Draw::new(Purpose::Step, 0);
    let (sigma, draw) = noise.unwrap_or((0.0, none));
    let term = |i: usize| terms.get(i).copied();
    Op::Mix(Mix { target: target.into(), own, terms: [term(0), term(1)], sigma, draw })
}

/// What the model's output means at a timestep, for methods that write their own updates: an evaluation that leaves the
/// state alone, with the clean estimate in [`ViewReg::Clean`].
pub(super) fn estimate_clean(noise: &NoiseSchedule, timestep: usize) -> Result<StepCoefficients, SchedulerError> {
    let level = noise.level(timestep)?;
    let at = StepCoefficients::at(timestep as f64, level, level, noise.prediction_type);
    Ok(StepCoefficients { next_x: 1.0, ..at })
}

/// As [`estimate_clean`], with the noise estimate in [`ViewReg::Clean`].
pub(super) fn estimate_noise(noise: &NoiseSchedule, timestep: usize) -> Result<StepCoefficients, SchedulerError> {
    let clean = estimate_clean(noise, timestep)?;
    let Level { signal, noise: sigma } = clean.level;
    if noise.prediction_type == PredictionType::Epsilon {
        return Ok(StepCoefficients { clean_x: 0.0, clean_out: 1.0, ..clean });
    }
    // eps = (x - signal · clean) / sigma.
    let (clean_x, clean_out) = ((1.0 - signal * clean.clean_x) / sigma, -signal * clean.clean_out / sigma);
    Ok(StepCoefficients { clean_x, clean_out, ..clean })
}

/// The picture of latents: of the views' states, or of the canvas.
pub(super) fn picture(ops: &mut Vec<Op>, of_canvas: bool, finish: super::Finish) {
    if of_canvas && finish == super::Finish::Whole {
        ops.push(Op::DecodeCanvas);
        return;
    }
    if of_canvas {
        ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::State.into(), nearest: false });
    }
    ops.push(Op::Fuse { from: ViewReg::State.into(), to: CanvasReg::Picture, fusion: Fusion::Overlap });
}
