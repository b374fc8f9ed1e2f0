//! The recorder: an append-only list of kernel launches over tensors that do not exist yet.

use super::context::Context;
use super::error::Result;
use super::pipeline::{Access, Kernel, PARAMS_STRIDE, Store};
use super::recording::Recording;
use crate::tensor::{Elem, Shape, Storage, Tensor};

/// Work of a dispatch by arithmetic: the basis of submit splitting before times are known, and of the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating point operations, two per multiply-add.
    pub flops: u64,
    /// Bytes read and written, each tensor once.
    pub bytes: u64,
}

/// One kernel launch.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Storage variant.
    pub store: Store,
    /// Override constants.
    pub overrides: &'a [(&'static str, f64)],
    /// Storage bindings in the kernel's order.
    pub bind: &'a [&'a Tensor],
    /// Bytes of the params struct (`bytemuck::bytes_of`).
    pub params: &'a [u8],
    /// Workgroups.
    pub grid: [u32; 3],
    /// Floating point operations.
    pub flops: u64,
}

/// Names a dispatch of a recording, to change its params between replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchId(pub(super) usize);

#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) kernel: &'static Kernel,
    pub(super) store: Store,
    pub(super) overrides: Vec<(&'static str, f64)>,
    pub(super) bind: Vec<Tensor>,
    pub(super) params: Vec<u8>,
    pub(super) grid: [u32; 3],
    pub(super) cost: Cost,
    pub(super) layer: String,
}

/// Records launches; [`Recorder::finish`] turns them into a [`Recording`].
#[derive(Debug)]
pub struct Recorder {
    pub(super) ctx: Context,
    pub(super) id: u64,
    pub(super) dispatches: Vec<Dispatch>,
    /// Bytes of each virtual value.
    pub(super) values: Vec<u64>,
    /// Values that live in a buffer of the caller's: `(value, resident tensor)`.
    pub(super) placed: Vec<(u32, Tensor)>,
    layer: String,
}

impl Recorder {
    /// An empty recorder on `ctx`.
    #[must_use]
    pub fn new(ctx: &Context) -> Self {
        Self {
            ctx: ctx.clone(),
            id: ctx.fresh_id(),
            dispatches: Vec::new(),
            values: Vec::new(),
            placed: Vec::new(),
            layer: String::new(),
        }
    }

    /// The context this recorder works for.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// Names the layer that the next launches belong to; shown in plans, profiles and numeric failures.
    pub fn set_layer(&mut self, name: &str) {
        name.clone_into(&mut self.layer);
    }

    /// A value that lives only inside this recording.
    pub fn temp(&mut self, dims: &[usize], elem: Elem) -> Tensor {
        let shape = Shape::new(dims);
        let id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push((shape.padded_len() as u64 * elem.bytes()).next_multiple_of(4));
        Tensor { shape, elem, storage: Storage::Virtual { recorder: self.id, id } }
    }

    /// Lets a value live in a resident tensor of the same size, without a copy: how results leave a recording.
    ///
    /// # Panics
    /// When `value` is not a value of this recorder, is already placed, or sizes or types differ.
    pub fn place(&mut self, value: &Tensor, resident: &Tensor) {
        let Storage::Virtual { recorder, id } = value.storage else {
            panic!("place: {:?} is resident already", value.shape)
        };
        assert!(recorder == self.id && resident.is_resident(), "place: {:?}", value.shape);
        assert!(
            value.bytes() == resident.bytes() && value.elem == resident.elem,
            "place: {:?} {} into {:?} {}",
            value.shape,
            value.elem,
            resident.shape,
            resident.elem
        );
        assert!(self.placed.iter().all(|(other, _)| *other != id), "place: {:?} is placed already", value.shape);
        self.placed.push((id, resident.clone()));
    }

    /// Gives a value a resident tensor of its own, to be read after a run or bound in other recordings.
    ///
    /// # Errors
    /// When the budget or a limit of the adapter is exceeded.
    pub fn keep(&mut self, value: &Tensor) -> Result<Tensor> {
        let resident = self.ctx.named_tensor("kept", value.dims(), value.elem)?;
        self.place(value, &resident);
        Ok(resident)
    }

    /// Appends a launch.
    ///
    /// # Panics
    /// When the launch contradicts the kernel's descriptor or the device's grid limit: errors of our own launchers.
    pub fn launch(&mut self, launch: &Launch<'_>) -> DispatchId {
        let kernel = launch.kernel;
        assert_eq!(launch.bind.len(), kernel.access.len(), "{}: number of bindings", kernel.name);
        assert_eq!(launch.params.len(), kernel.params, "{}: size of params", kernel.name);
        assert!(kernel.params <= PARAMS_STRIDE, "{}: params too large", kernel.name);
        let limit = self.ctx.caps().grid;
        assert!(
            launch.grid.iter().all(|&n| n > 0 && n <= limit),
            "{}: grid {:?} outside 1..={limit}",
            kernel.name,
            launch.grid
        );
        self.assert_no_hazard(launch);
        self.dispatches.push(Dispatch {
            kernel,
            store: launch.store,
            overrides: launch.overrides.to_vec(),
            bind: launch.bind.iter().map(|&t| t.clone()).collect(),
            params: launch.params.to_vec(),
            grid: launch.grid,
            cost: Cost { flops: launch.flops, bytes: launch.bind.iter().map(|t| t.bytes()).sum() },
            layer: self.layer.clone(),
        });
        DispatchId(self.dispatches.len() - 1)
    }

    /// wgpu forbids one buffer as read and read_write (or twice read_write) in a dispatch.
    fn assert_no_hazard(&self, launch: &Launch<'_>) {
        let same = |a: &Tensor, b: &Tensor| match (&a.storage, &b.storage) {
            (Storage::Resident { buffer: a, .. }, Storage::Resident { buffer: b, .. }) => std::sync::Arc::ptr_eq(a, b),
            (Storage::Virtual { id: a, .. }, Storage::Virtual { id: b, .. }) => a == b,
            _ => false,
        };
        for (i, a) in launch.bind.iter().enumerate() {
            if let Storage::Virtual { recorder, .. } = a.storage {
                assert_eq!(recorder, self.id, "{}: tensor of another recorder", launch.kernel.name);
            }
            for (j, b) in launch.bind.iter().enumerate().skip(i + 1) {
                let writes = launch.kernel.access[i] != Access::Read || launch.kernel.access[j] != Access::Read;
                assert!(!(writes && same(a, b)), "{}: bindings {i} and {j} alias", launch.kernel.name);
            }
        }
    }

    /// Number of launches so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dispatches.len()
    }

    /// Whether nothing has been recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dispatches.is_empty()
    }

    /// Bytes of the largest value that lives only inside this recording, to be held against the binding limit before
    /// anything is allocated.
    #[must_use]
    pub fn largest_value(&self) -> u64 {
        self.values.iter().copied().max().unwrap_or(0)
    }

    /// Bytes of activation memory that [`Recorder::finish`] would allocate.
    #[must_use]
    pub fn planned_bytes(&self) -> u64 {
        let (lives, _) = super::recording::lifetimes(self);
        super::slots::assign_slots(&lives).total_bytes()
    }

    /// Assigns slots, compiles pipelines, creates bind groups.
    ///
    /// # Errors
    /// When the budget or a limit is exceeded, or a pipeline does not compile.
    pub fn finish(self) -> Result<Recording> {
        Recording::new(self)
    }
}
