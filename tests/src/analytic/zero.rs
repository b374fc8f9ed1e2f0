//! A network whose output is zero, whatever it is asked: coupled trajectories of it have gains in closed form.

use syncline::denoiser::Denoiser;
use syncline::guidance::Guidance;
use syncline::jobs::CanvasModel;
use syncline::schedulers::{NoiseSchedule, PredictionType};
use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::ops::convert::convert_scaled;
use syncline_kernels::tensor::{Elem, Tensor};

/// See the module.
#[derive(Clone, Debug)]
pub struct Zero {
    ctx: Context,
    noise: NoiseSchedule,
    batch: usize,
    dims: [usize; 3],
}

impl Zero {
    /// For `batch` latents of `dims` = `[h, w, C]`.
    pub fn new(ctx: &Context, batch: usize, dims: [usize; 3], prediction: PredictionType) -> Self {
        Self { ctx: ctx.clone(), noise: NoiseSchedule::stable_diffusion(prediction), batch, dims }
    }
}

impl Denoiser for Zero {
    fn noise_schedule(&self) -> &NoiseSchedule {
        &self.noise
    }

    fn guidance(&self) -> &Guidance {
        &Guidance::None
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn latent_dims(&self) -> [usize; 3] {
        self.dims
    }

    fn elem(&self) -> Elem {
        Elem::F32
    }

    fn record(&self, rec: &mut Recorder, sample: &Tensor, _: &Tensor) -> Tensor {
        convert_scaled(rec, sample, Elem::F32, 0.0)
    }
}

impl CanvasModel for Zero {
    fn context(&self) -> &Context {
        &self.ctx
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self]
    }
}
