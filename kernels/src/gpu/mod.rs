//! The GPU context, memory, and the recorder that turns kernel launches into a replayable plan.

mod adapter;
mod compile;
mod context;
mod error;
mod inspect;
mod memory;
mod pipeline;
mod readback;
mod recorder;
mod recording;
mod slots;
mod split;
mod tier;
mod timing;
mod trace;

pub use adapter::{AdapterReport, Backends, ContextOptions, Profile, list_adapters};
pub use context::{Caps, Context};
pub use error::{GpuError, Result};
pub use inspect::DispatchView;
pub use memory::Buffer;
pub use pipeline::{Access, Kernel, Store};
pub use recorder::{Cost, DispatchId, Launch, Recorder};
pub use recording::{Progress, Recording};
pub use slots::{Life, SlotPlan, assign_slots};
pub use split::next_submit;
pub use tier::{Tier, TileKey};
pub use timing::DispatchTime;
