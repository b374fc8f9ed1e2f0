//! Crops of a flat latent canvas, and jobs of analytic models on them.

use std::sync::{Arc, OnceLock};

use syncline::jobs::{CanvasOptions, CanvasProgram, CanvasResult, Job};
use syncline::methods::{CanvasReg, Op, Plan};
use syncline::schedulers::{NoiseSchedule, PredictionType};
use syncline::spaces::{Geometry, Interpolation, Space, View};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::ops::views::Window;

use super::{Component, Mixture};

/// One strict context for all tests of a program.
pub fn context() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    CONTEXT.get_or_init(|| Context::new(&ContextOptions::strict()).unwrap())
}

/// Crops of a flat canvas at given corners.
#[derive(Clone, Debug)]
pub struct Crops {
    /// `[height, width]` of the canvas.
    pub canvas: [usize; 2],
    /// Of a view.
    pub view: [usize; 2],
    /// Upper left corners (y, x) of each set.
    pub sets: Vec<Vec<[usize; 2]>>,
    /// Added to the noise ids.
    pub first_id: u32,
}

impl Crops {
    /// One set of views.
    pub fn new(canvas: [usize; 2], view: [usize; 2], corners: &[[usize; 2]]) -> Self {
        Self { canvas, view, sets: vec![corners.to_vec()], first_id: 0 }
    }

    /// Columns `stride` apart over a canvas one view high.
    pub fn row(width: usize, view: [usize; 2], stride: usize) -> Self {
        let corners: Vec<[usize; 2]> = (0..=width - view[1]).step_by(stride).map(|x| [0, x]).collect();
        Self::new([view[0], width], view, &corners)
    }
}

impl Space for Crops {
    fn canvas_size(&self) -> [usize; 2] {
        self.canvas
    }

    fn view_size(&self) -> [usize; 2] {
        self.view
    }

    fn geometry(&self) -> Geometry {
        Geometry::Windows
    }

    fn interpolation(&self) -> Interpolation {
        Interpolation::Bilinear
    }

    fn set_count(&self) -> usize {
        self.sets.len()
    }

    fn view_count(&self) -> usize {
        self.sets[0].len()
    }

    fn views(&self, step: usize) -> Vec<View> {
        let set = step % self.sets.len();
        let view = |(i, [y, x]): (usize, &[usize; 2])| {
            let window = Window {
                origin: [*x as f64, *y as f64],
                size: [self.view[1], self.view[0]],
                scale: [1.0; 2],
                canvas: [self.canvas[1], self.canvas[0]],
                wrap: [false; 2],
            };
            View { words: window.words(), id: self.first_id + (set * self.sets[0].len() + i) as u32, direction: None }
        };
        self.sets[set].iter().enumerate().map(view).collect()
    }
}

/// One Gaussian.
pub const GAUSS: &[Component] = &[Component::new(0.4, 0.5)];
/// Two, with means that differ by channel.
pub const TWO: &[Component] = &[
    Component { weight: 0.7, mean: -0.8, deviation: 0.3, slope: 0.2 },
    Component { weight: 0.3, mean: 1.1, deviation: 0.4, slope: -0.1 },
];

/// Stable Diffusion's noise levels, predicting noise.
pub fn schedule() -> NoiseSchedule {
    NoiseSchedule::stable_diffusion(PredictionType::Epsilon)
}

/// A model for the views of a space.
pub fn mixture(space: &Crops, rows: &[&[Component]]) -> Mixture {
    let [h, w] = space.view;
    Mixture::new(context(), space.view_count(), [h, w, 4], rows)
}

/// Runs a plan on the canvas, without decoding it.
pub fn run(model: Mixture, plan: Plan, space: &Crops, seed: u64) -> CanvasResult {
    let options = CanvasOptions::new(without_picture(plan), Arc::new(space.clone()), seed);
    Job::new(CanvasProgram::new(model, options).unwrap()).run(|_, _| {}).unwrap()
}

/// Analytic models have no decoder.
#[must_use]
pub fn without_picture(mut plan: Plan) -> Plan {
    plan.ops.retain(|op| !matches!(op, Op::Fuse { to: CanvasReg::Picture, .. } | Op::DecodeCanvas));
    plan
}

/// Largest difference.
pub fn worst(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}
