//! Coupled runs of analytic models on small canvases.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasModel, CanvasOptions, CanvasProgram, CanvasResult, Job};
use syncline::methods::{Coupled, JointGrid, ModelLevels, Plan};
use syncline::spaces::{Branches, Space};

use super::{Component, Crops, GAUSS, Mixture, TWO, mixture, schedule, without_picture};

/// Two views side by side that know nothing of each other.
pub fn views(first_id: u32) -> Crops {
    Crops { first_id, ..Crops::row(16, [4, 8], 8) }
}

/// Runs a plan.
pub fn sample(model: impl CanvasModel, plan: Plan, space: Arc<dyn Space>, seed: u64) -> CanvasResult {
    Job::new(CanvasProgram::new(model, CanvasOptions::new(plan, space, seed)).unwrap()).run(|_, _| {}).unwrap()
}

/// Those views once for each branch.
pub fn branches(count: usize) -> Arc<dyn Space> {
    Arc::new(Branches::new(Box::new(views(0)), count).unwrap())
}

/// A model for the views of one branch, whose samples depend on their neighbours.
pub fn neighbourly(rows: &[&[Component]]) -> Mixture {
    mixture(&views(0), rows).reaching(0.3)
}

/// Twelve steps.
pub const TWELVE: JointGrid = JointGrid::Diffusion { steps: 12, of: 0 };

/// A pair with this strength in every step.
pub fn coupled(lambda: f64) -> Coupled {
    Coupled { rescale: false, ..Coupled::new(2, TWELVE, 1.0, lambda) }
}

/// A plan for models of one table.
pub fn planned(method: &Coupled) -> Plan {
    without_picture(method.plan(&[ModelLevels::Diffusion(&schedule()); 2]).unwrap())
}

/// One model for each branch.
pub fn two_models() -> Branched<Mixture> {
    Branched::new(vec![neighbourly(&[GAUSS, TWO]), neighbourly(&[TWO, GAUSS])]).unwrap()
}
