//! A velocity field in closed form, for flows.

use bytemuck::{Pod, Zeroable};
use syncline::denoiser::Denoiser;
use syncline::guidance::Guidance;
use syncline::jobs::CanvasModel;
use syncline::schedulers::{NoiseSchedule, PredictionType};
use syncline_kernels::gpu::{Access, Context, Kernel, Launch, Recorder, Store};
use syncline_kernels::tensor::{Elem, Tensor};

/// See `velocity.wgsl`.
pub const VELOCITY: Kernel = Kernel {
    name: "velocity",
    source: include_str!("velocity.wgsl"),
    libs: &[],
    access: &[Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[]],
};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count: u32,
    c4: u32,
    channels: u32,
    pixels: u32,
    mean: f32,
    deviation: f32,
    bend: f32,
    pad: f32,
}

/// The velocity field of pictures of independent elements N(mean, deviation²).
#[derive(Clone, Debug)]
pub struct Velocity {
    ctx: Context,
    /// Methods on flows bring their own levels: this one is never asked.
    noise: NoiseSchedule,
    batch: usize,
    dims: [usize; 3],
    /// Mean of an element.
    pub mean: f32,
    /// Standard deviation.
    pub deviation: f32,
    /// How far from Gaussian.
    pub bend: f32,
}

impl Velocity {
    /// For `batch` latents of `dims` = `[h, w, C]`.
    pub fn new(ctx: &Context, batch: usize, dims: [usize; 3], mean: f32) -> Self {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        Self { ctx: ctx.clone(), noise, batch, dims, mean, deviation: 1.0, bend: 0.0 }
    }

    /// The same, told more than a Gaussian knows.
    #[must_use]
    pub fn bent(self, bend: f32) -> Self {
        Self { bend, ..self }
    }
}

impl Denoiser for Velocity {
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

    fn record(&self, rec: &mut Recorder, sample: &Tensor, timesteps: &Tensor) -> Tensor {
        let out = rec.temp(sample.dims(), Elem::F32);
        let count = sample.shape().padded_len() / 4;
        let params = Params {
            count: count as u32,
            c4: self.dims[2].div_ceil(4) as u32,
            channels: self.dims[2] as u32,
            pixels: (self.dims[0] * self.dims[1]) as u32,
            mean: self.mean,
            deviation: self.deviation,
            bend: self.bend,
            pad: 0.0,
        };
        rec.launch(&Launch {
            kernel: &VELOCITY,
            store: Store::F32,
            overrides: &[],
            bind: &[sample, timesteps, &out],
            params: bytemuck::bytes_of(&params),
            grid: [count.div_ceil(64) as u32, 1, 1],
            flops: 0,
        });
        out
    }
}

impl CanvasModel for Velocity {
    fn context(&self) -> &Context {
        &self.ctx
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self]
    }
}
