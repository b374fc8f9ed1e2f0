//! Where the weights of a layer come from and go to while a model is loaded.

use std::fmt::Display;

use syncline_kernels::gpu::Context;
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::{HostTensor, Scope};

use crate::error::{Error, Result};

/// Largest finite f16.
const F16_MAX: f32 = 65504.0;

/// A scope of a checkpoint, the device its tensors go to and the type they get there.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    ctx: &'a Context,
    scope: Scope,
    elem: Elem,
}

impl<'a> Source<'a> {
    /// The whole of `scope`, for `ctx`, stored as `elem`.
    #[must_use]
    pub fn new(ctx: &'a Context, scope: &Scope, elem: Elem) -> Self {
        Self { ctx, scope: scope.clone(), elem }
    }

    /// One level down: a name or an index.
    #[must_use]
    pub fn at(&self, part: impl Display) -> Self {
        Self { ctx: self.ctx, scope: self.scope.at(part), elem: self.elem }
    }

    /// The checkpoint key of this level, for layer names.
    #[must_use]
    pub fn name(&self) -> String {
        self.scope.path("").trim_end_matches('.').to_owned()
    }

    /// The device.
    #[must_use]
    pub fn context(&self) -> &'a Context {
        self.ctx
    }

    /// The type of weights and activations.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// A tensor as the checkpoint has it, `shape` checked, on the host.
    ///
    /// # Errors
    /// When it is missing, of another shape or holds values that are not finite.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<HostTensor> {
        Ok(self.scope.take(name, shape)?)
    }

    /// A tensor on the device, as the checkpoint has it.
    ///
    /// # Errors
    /// As [`Source::take`]; when a value exceeds f16 storage; when the device's memory or limits are exceeded.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let host = self.take(name, shape)?;
        self.upload(name, &host.to_f32(), shape)
    }

    /// Values of `name`, laid out by the caller, on the device as `shape`.
    ///
    /// # Errors
    /// When a value exceeds f16 storage; when the device's memory or limits are exceeded.
    pub fn upload(&self, name: &str, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        let path = self.scope.path(name);
        if self.elem == Elem::F16
            && let Some(value) = values.iter().find(|v| v.abs() > F16_MAX)
        {
            return Err(Error::WeightExceedsF16 { tensor: path, value: *value });
        }
        Ok(self.ctx.upload_named(&path, values, shape, self.elem)?)
    }
}
