//! Everything that lives from one outer step to the next: a job that goes on from here gives the same bytes.

use super::CanvasProgram;
use super::model::CanvasModel;
use crate::error::{Error, Result};
use crate::methods::Op;

/// A job between two outer steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Operations that are done.
    pub operation: usize,
    /// Network evaluations so far.
    pub evaluations: usize,
    /// The outer step whose views are kept of each set.
    pub kept_steps: Vec<Option<usize>>,
    /// Name, dimensions and values of every tensor.
    pub tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl<M: CanvasModel> CanvasProgram<M> {
    /// The present state, or `None` in the middle of an outer step. Reads everything back: not for every step.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let Some(work) = self.work.as_ref().filter(|_| self.between_steps()) else { return Ok(None) };
        let read = |(name, tensor): (String, syncline_kernels::tensor::Tensor)| {
            Ok((name, tensor.dims().to_vec(), work.ctx.read(&tensor)?))
        };
        Ok(Some(Checkpoint {
            operation: self.at,
            evaluations: self.evaluations,
            kept_steps: work.registers.kept_steps.clone(),
            tensors: work.live().into_iter().map(read).collect::<Result<_>>()?,
        }))
    }

    /// Goes on from a checkpoint of a program with the same options; to be called before the first step.
    ///
    /// # Errors
    /// When it does not lie between two steps of this plan.
    pub fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let ops = &self.options.plan.ops;
        let at = checkpoint.operation;
        let fits = at > 0 && at <= ops.len() && matches!(ops[at - 1], Op::EndStep { .. });
        if self.work.is_some() || !fits || checkpoint.kept_steps.len() != self.options.space.set_count() {
            return Err(mismatch(format!("operation {at} of {}", ops.len()), "the end of an outer step of this run"));
        }
        self.resume = Some(checkpoint);
        Ok(())
    }

    /// Writes the checkpoint's values once the tensors exist.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let live = work.live();
        let same = live.len() == checkpoint.tensors.len()
            && live.iter().zip(&checkpoint.tensors).all(|((name, tensor), (saved, dims, values))| {
                name == saved && tensor.dims() == dims && values.len() == tensor.shape().len()
            });
        if !same {
            let names = |list: Vec<&String>| format!("{list:?}");
            let found = names(checkpoint.tensors.iter().map(|(name, ..)| name).collect());
            return Err(mismatch(found, &names(live.iter().map(|(name, _)| name).collect())));
        }
        for ((_, tensor), (_, _, values)) in live.iter().zip(&checkpoint.tensors) {
            work.ctx.write(tensor, values)?;
        }
        work.registers.kept_steps.clone_from(&checkpoint.kept_steps);
        work.registers.write_kept_words(self.options.space.as_ref())?;
        (self.at, self.evaluations) = (checkpoint.operation, checkpoint.evaluations);
        // The views of the last step, for operations that follow it without another look.
        let looks = self.options.plan.ops[..self.at].iter().rev();
        let last = looks.into_iter().find_map(|op| if let Op::Look { step } = op { Some(*step) } else { None });
        if let Some(step) = last {
            for part in 0..self.look(step)? {
                if let Some(recording) = self.model.conditioning(part) {
                    recording.run()?;
                }
            }
        }
        Ok(())
    }
}

fn mismatch(found: String, expected: &str) -> Error {
    Error::Input { what: "checkpoint", found, expected: expected.to_owned() }
}
