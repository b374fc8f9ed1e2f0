//! Ways to sample many views together. A method is data: its switches make a [`Plan`], a list of operations that the one
//! loop of `jobs` runs.

pub mod ablation;
pub mod coupled;
pub mod csd;
pub mod distillation;
pub mod editing;
pub mod fuse_at;
mod plan;
mod registers;
pub mod stochsync;
pub mod sync_sde;
mod transition;

pub use coupled::{Bounds, Composed, Coupled, FlowStep, JointGrid, JointStep, Langevin, ModelLevels};
pub use csd::{Baseline, Csd, Optimiser};
pub use distillation::{Distillation, Target, Weighting};
pub use editing::{
    Dds, EditGrid, EditMethod, EditSettings, EditStep, FlowEdit, Form, Instructed, Inversion, PathVariance, Pull,
    SdEdit, SourcePath,
};
pub use fuse_at::{Direction, FirstNoise, FuseAt, StateAt, Synchronised, TimeGrid};
pub use plan::{AdamStep, Draw, Evaluate, Fusion, Medium, Mix, Op, Plan, Stein, SteinSource, Weights};
pub use registers::{CanvasReg, Reg, ViewReg};
pub use stochsync::{OdeSolver, Preset, StochSync};
pub use sync_sde::{Integrator, SyncSde};
pub use syncline_kernels::ops::stein::Bandwidth;

/// How the picture is made of a latent canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Views are decoded and fused as RGB.
    Views,
    /// The canvas is decoded as a whole, as one image: flat canvases only.
    Whole,
}
