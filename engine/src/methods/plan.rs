//! A method is a list of operations over a few registers; the one loop of `jobs` runs it. Nothing here touches a tensor.
//!
//! | register | shape | holds |
//! |---|---|---|
//! | [`ViewReg`] | `[V, h, w, C]` latents of the views of a set | the sampler's state, what is known, clean and noise estimates |
//! | [`CanvasReg`] | `[H, W, C]` | the canvas, what was fused last, the RGB picture |

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

/// Latents of the views of the present set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViewReg {
    /// The sampler's state x.
    State,
    /// What the canvas says: projected (and encoded) views.
    Known,
    /// The clean estimate, or the noise estimate when the evaluation was asked for it.
    Clean,
    /// Kept from one evaluation to the next.
    Kept,
    /// What the autoencoder lost of the views of this set.
    Residual(usize),
}

/// Values of the whole canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CanvasReg {
    /// The canvas, in the plan's medium.
    Canvas,
    /// What was fused from views, in the plan's medium.
    Fused,
    /// The RGB picture; the canvas itself in [`Medium::Rgb`].
    Picture,
    /// Known content of inpainting, in the plan's medium.
    Source,
}

/// Any register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reg {
    /// Of views.
    View(ViewReg),
    /// Of the canvas.
    Canvas(CanvasReg),
}

impl From<ViewReg> for Reg {
    fn from(reg: ViewReg) -> Self {
        Self::View(reg)
    }
}

impl From<CanvasReg> for Reg {
    fn from(reg: CanvasReg) -> Self {
        Self::Canvas(reg)
    }
}

/// Which random numbers, besides the seed and the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// What for.
    pub purpose: Purpose,
    /// Which step of the run.
    pub step: u32,
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

/// `target = own · target + Σ factor · term + sigma · ξ`.
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

/// One evaluation of the model and the update of [`ViewReg::State`] and [`ViewReg::Clean`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluate {
    /// The update.
    pub coefficients: StepCoefficients,
    /// Classifier-free guidance of this evaluation.
    pub guidance: f64,
    /// Its fresh noise.
    pub draw: Draw,
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
        /// Views.
        to: ViewReg,
        /// Sample the nearest texel whatever the space does otherwise: noise keeps its variance.
        nearest: bool,
    },
    /// A sum.
    Mix(Mix),
    /// An evaluation.
    Evaluate(Evaluate),
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
        /// Views.
        from: ViewReg,
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
    /// Adds the adjoint of projection of [`ViewReg::Clean`] to the gradient.
    Scatter,
    /// Canvas follows the gradient, which is zero afterwards.
    Adam(AdamStep),
    /// The latent canvas, decoded as a whole, to the picture: edges of a wrapping canvas continue into each other.
    DecodeCanvas,
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
    /// The operations, in order.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Outer steps whose views are looked at.
    pub fn looks(&self) -> impl Iterator<Item = usize> + '_ {
        self.ops.iter().filter_map(|op| if let Op::Look { step } = op { Some(*step) } else { None })
    }

    /// Evaluations of the model, each of all views.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.ops.iter().filter(|op| matches!(op, Op::Evaluate(_))).count()
    }

    /// Whether any evaluation needs the negative prompt.
    #[must_use]
    pub fn guided(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Evaluate(e) if e.guidance != 1.0))
    }

    /// Every register that an operation names.
    pub fn registers(&self) -> impl Iterator<Item = Reg> + '_ {
        self.ops.iter().flat_map(|op| {
            let named: [Option<Reg>; 3] = match *op {
                Op::Project { from, to, .. } => [Some(from.into()), Some(to.into()), None],
                Op::Fuse { from, to, .. } => [Some(from.into()), Some(to.into()), None],
                Op::Mix(mix) => [Some(mix.target), mix.terms[0].map(|t| t.0), mix.terms[1].map(|t| t.0)],
                Op::Keep => [Some(CanvasReg::Source.into()), None, None],
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

/// `target = sigma · ξ`, with further terms.
pub(super) fn mix(target: impl Into<Reg>, own: f64, terms: &[(Reg, f64)], noise: Option<(f64, Draw)>) -> Op {
    let none = Draw { purpose: Purpose::Step, step: 0 };
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
        ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::State, nearest: false });
    }
    ops.push(Op::Fuse { from: ViewReg::State, to: CanvasReg::Picture, fusion: Fusion::Overlap });
}
