//! What methods see of a model.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::tensor::{Elem, Tensor};

use crate::guidance::Guidance;
use crate::schedulers::NoiseSchedule;

/// Maps noisy latents at a level to model outputs. Implemented by the UNet with its prompts, and by analytic models in
/// tests, so that methods can be compared with closed forms.
pub trait Denoiser {
    /// The levels it was trained on and what its output stands for.
    fn noise_schedule(&self) -> &NoiseSchedule;

    /// How the rows of its output are combined.
    fn guidance(&self) -> &Guidance;

    /// Number of latents it works on at a time.
    fn batch(&self) -> usize;

    /// `[h, w, C]` of one latent.
    fn latent_dims(&self) -> [usize; 3];

    /// Storage type it wants its input in.
    fn elem(&self) -> Elem;

    /// How many of its guidance rows, the first ones, see image latents behind the state's channels; the others see zeros there.
    /// 0: it takes the state alone.
    fn conditioned_rows(&self) -> usize {
        0
    }

    /// Records one evaluation: `sample [rows · batch, h, w, C + Ce]`, `timesteps` f32 `[rows · batch]`; returns
    /// `[rows · batch, h, w, C]`, rows of one kind together (all unconditional, then all conditional).
    fn record(&self, rec: &mut Recorder, sample: &Tensor, timesteps: &Tensor) -> Tensor;
}
