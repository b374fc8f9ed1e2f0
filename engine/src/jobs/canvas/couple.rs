//! Branches pushed toward each other's clean estimates.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::couple::{self, CoupleScalars, MAX_BRANCHES};

use super::registers::Registers;
use crate::error::Result;
use crate::methods::{Op, Plan, ViewReg};

/// The recording: one dispatch for all branches.
#[derive(Debug)]
pub(super) struct Coupling {
    pub(super) recording: Recording,
    id: DispatchId,
    dims: Vec<usize>,
    branches: usize,
}

impl Coupling {
    /// `None` when the plan does not couple.
    pub(super) fn new(ctx: &Context, plan: &Plan, registers: &mut Registers) -> Result<Option<Self>> {
        if !plan.ops.iter().any(|op| matches!(op, Op::Couple { .. })) {
            return Ok(None);
        }
        let (x, clean) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Clean)?);
        let mut rec = Recorder::new(ctx);
        rec.set_layer("couple");
        let (branches, scalars) = (plan.branches, CoupleScalars::default());
        let id = couple::couple(&mut rec, &couple::Couple { x: &x, clean: &clean, branches, scalars });
        Ok(Some(Self { recording: rec.finish()?, id, dims: x.dims().to_vec(), branches }))
    }

    /// Pushes of the next run.
    pub(super) fn set(&mut self, push: [f64; MAX_BRANCHES], first_view: usize) {
        let scalars = CoupleScalars { push: push.map(|push| push as f32), first_view };
        self.recording.set_params(self.id, &couple::params(&self.dims, self.branches, &scalars));
    }
}
