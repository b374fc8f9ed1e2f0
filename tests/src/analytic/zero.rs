//! A network whose output is zero, whatever it is asked: coupled trajectories of it have gains in closed form.

use std::sync::Arc;

use syncline::Result;
use syncline::denoiser::Denoiser;
use syncline::guidance::Guidance;
use syncline::jobs::CanvasModel;
use syncline::pipeline::StableDiffusion;
use syncline::schedulers::{NoiseSchedule, PredictionType};
use syncline::spaces::View;
use syncline_kernels::gpu::{Context, Recorder, Recording};
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

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        Ok(None)
    }

    fn done(&mut self) -> Result<()> {
        Ok(())
    }

    fn look(&mut self, _: &[View]) -> Result<usize> {
        Ok(0)
    }

    fn conditioning(&mut self, _: usize) -> Option<&mut Recording> {
        None
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self]
    }

    fn autoencoder(&self) -> Option<&Arc<StableDiffusion>> {
        None
    }
}
