//! Denoisers in closed form: methods are tested against mathematics, not against themselves.

mod crops;
mod pairs;
mod velocity;
mod zero;

use bytemuck::{Pod, Zeroable};
use syncline::denoiser::Denoiser;
use syncline::guidance::Guidance;
use syncline::jobs::CanvasModel;
use syncline::schedulers::{NoiseSchedule, PredictionType};
use syncline_kernels::gpu::{Access, Context, Kernel, Launch, Recorder, Store};
use syncline_kernels::tensor::{Elem, Tensor};

pub use crops::{Crops, GAUSS, TWO, context, mixture, run, schedule, without_picture, worst};
pub use pairs::{TWELVE, branches, coupled, neighbourly, planned, sample, two_models, views};
pub use velocity::{VELOCITY, Velocity};
pub use zero::Zero;

/// See `mixture.wgsl`.
pub const KERNEL: Kernel = Kernel {
    name: "mixture",
    source: include_str!("mixture.wgsl"),
    libs: &[],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
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
    width: u32,
    pixels: u32,
    batch: u32,
    kinds: u32,
    v: u32,
    reach: f32,
    pad: [f32; 3],
}

/// One Gaussian of a mixture over each element.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Its share.
    pub weight: f64,
    /// Its mean in channel 0.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// What each further channel adds to the mean.
    pub slope: f64,
}

impl Component {
    /// N(mean, deviation²) in every channel.
    pub const fn new(mean: f64, deviation: f64) -> Self {
        Self { weight: 1.0, mean, deviation, slope: 0.0 }
    }
}

/// The ideal denoiser of a Gaussian mixture; one mixture for each row of guidance.
#[derive(Clone, Debug)]
pub struct Mixture {
    ctx: Context,
    noise: NoiseSchedule,
    guidance: Guidance,
    batch: usize,
    dims: [usize; 3],
    rows: Vec<Vec<Component>>,
    reach: f32,
}

impl Mixture {
    /// For `batch` latents of `dims` = `[h, w, C]`. `rows`: the prompt's mixture, or the negative prompt's and the prompt's.
    pub fn new(ctx: &Context, batch: usize, dims: [usize; 3], rows: &[&[Component]]) -> Self {
        let guidance = Guidance::ClassifierFree { scale: rows.len() as f64 }.reduced();
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        // Rows of one length for the kernel: what is added has no share.
        let kinds = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let nothing = Component { weight: 1e-30, ..Component::new(0.0, 1.0) };
        let padded = |row: &&[Component]| row.iter().copied().chain(std::iter::repeat(nothing)).take(kinds).collect();
        let rows = rows.iter().map(padded).collect();
        Self { ctx: ctx.clone(), noise, guidance, batch, dims, rows, reach: 0.0 }
    }

    /// The same with output v.
    #[must_use]
    pub fn predicting_v(mut self) -> Self {
        self.noise = NoiseSchedule::stable_diffusion(PredictionType::VPrediction);
        self
    }

    /// The same, trained on another table.
    #[must_use]
    pub fn trained_on(self, noise: NoiseSchedule) -> Self {
        Self { noise, ..self }
    }

    /// The same, looking at the right neighbour, too.
    #[must_use]
    pub fn reaching(self, reach: f32) -> Self {
        Self { reach, ..self }
    }

    /// The noise estimate of one element in f64, without reach.
    pub fn eps(&self, row: usize, x: f64, channel: usize, timestep: usize) -> f64 {
        let alpha_bar = self.noise.alphas_cumprod[timestep];
        let (a, s) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        let terms = self.rows[row].iter().map(|c| {
            let variance = a * a * c.deviation * c.deviation + s * s;
            let d = x - a * (c.mean + c.slope * channel as f64);
            (c.weight / variance.sqrt() * (-0.5 * d * d / variance).exp(), s * d / variance)
        });
        let (total, sum) = terms.fold((0.0, 0.0), |(total, sum), (r, e)| (total + r, sum + r * e));
        sum / total
    }

    /// The guided noise estimate.
    pub fn guided_eps(&self, scale: f64, x: f64, channel: usize, timestep: usize) -> f64 {
        if self.rows.len() == 1 {
            return self.eps(0, x, channel, timestep);
        }
        let [u, c] = [0, 1].map(|row| self.eps(row, x, channel, timestep));
        u + scale * (c - u)
    }
}

impl Denoiser for Mixture {
    fn noise_schedule(&self) -> &NoiseSchedule {
        &self.noise
    }

    fn guidance(&self) -> &Guidance {
        &self.guidance
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
        let level = |alpha_bar: &f64| [alpha_bar.sqrt() as f32, (1.0 - alpha_bar).sqrt() as f32, 0.0, 0.0];
        let levels: Vec<f32> = self.noise.alphas_cumprod.iter().flat_map(level).collect();
        let part = |c: &Component| [c.weight, c.mean, c.deviation, c.slope].map(|v| v as f32);
        let parts: Vec<f32> = self.rows.iter().flatten().flat_map(part).collect();
        let upload = |values: &[f32]| self.ctx.upload(values, &[values.len() / 4, 4], Elem::F32).unwrap();
        let count = sample.shape().padded_len() / 4;
        let c4 = self.dims[2].div_ceil(4);
        let params = Params {
            count: count as u32,
            c4: c4 as u32,
            channels: self.dims[2] as u32,
            width: self.dims[1] as u32,
            pixels: (self.dims[0] * self.dims[1]) as u32,
            batch: self.batch as u32,
            kinds: self.rows[0].len() as u32,
            v: u32::from(self.noise.prediction_type == PredictionType::VPrediction),
            reach: self.reach,
            pad: [0.0; 3],
        };
        rec.launch(&Launch {
            kernel: &KERNEL,
            store: Store::F32,
            overrides: &[],
            bind: &[sample, timesteps, &upload(&levels), &upload(&parts), &out],
            params: bytemuck::bytes_of(&params),
            grid: [count.div_ceil(64) as u32, 1, 1],
            flops: 0,
        });
        out
    }
}

impl CanvasModel for Mixture {
    fn context(&self) -> &Context {
        &self.ctx
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self]
    }
}
