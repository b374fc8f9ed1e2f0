//! The trained mini model from prompts to pictures, through the job that the command line runs, against diffusers.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::path::Path;

use safetensors::SafeTensors;
use syncline::jobs::{Images, Job, Prompts, TextToImage, TextToImageOptions};
use syncline::models::{UNetInputs, Wrap};
use syncline::pipeline::StableDiffusion;
use syncline::rng::NoiseMode;
use syncline::schedulers::{PlanOptions, SamplingMethod, TimestepSpacing};
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::ModelSource;

struct Golden(Vec<u8>);

impl Golden {
    fn open() -> Self {
        Self(std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/mini/mini.safetensors")).unwrap())
    }

    /// A tensor as f32.
    fn get(&self, name: &str) -> Vec<f32> {
        self.values(name).0
    }

    /// A tensor `[.., C, H, W]` as f32 in `[.., H, W, C]`.
    fn image(&self, name: &str) -> Vec<f32> {
        let (values, shape) = self.values(name);
        let [.., c, h, w] = *shape else { panic!("{name}: {shape:?}") };
        let image = |image: &[f32]| -> Vec<f32> {
            (0..h * w).flat_map(|p| (0..c).map(move |k| k * h * w + p)).map(|at| image[at]).collect()
        };
        values.chunks(c * h * w).flat_map(image).collect()
    }

    fn values(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            safetensors::Dtype::U8 => data.iter().map(|&b| f32::from(b)).collect(),
            safetensors::Dtype::I32 => data.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b) as f32).collect(),
            _ => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        (values, view.shape().to_vec())
    }
}

fn rel_l2(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (difference / expected.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
}

fn assert_near(what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    let error = rel_l2(found, expected);
    println!("{what:<24} {error:.2e} of {tolerance:.0e}");
    assert!(error <= tolerance, "{what}: {error:.2e} > {tolerance:.0e}");
}

const PROMPTS: [&str; 3] = [
    "a sunset over desert dunes with distant mountains",
    "green meadow at noon with hills and trees, low horizon",
    "night snow under aurora, a city skyline",
];

/// The three pictures with their seeds 7, 8 and 9, in one batch.
fn draw(model: &std::sync::Arc<StableDiffusion>, method: SamplingMethod, prompts: &[&str]) -> Images {
    let options = TextToImageOptions {
        prompts: Prompts { positive: prompts.iter().map(|&p| p.to_owned()).collect(), negative: String::new() },
        batch: prompts.len(),
        seed: 7,
        rng: NoiseMode::Cpu,
        method,
        plan: PlanOptions { steps: 25, spacing: Some(TimestepSpacing::Leading), ..PlanOptions::default() },
        cfg_scale: 5.0,
        ..TextToImageOptions::default()
    };
    Job::new(TextToImage::new(model, options).unwrap()).run(|_, _| {}).unwrap()
}

fn psnr(rgb: &[f32], expected: &[f32]) -> f64 {
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round_ties_even();
    let squares: f64 = rgb.iter().zip(expected).map(|(a, b)| f64::from(byte(*a) - b).powi(2)).sum();
    10.0 * (255.0 * 255.0 * expected.len() as f64 / squares.max(1e-9)).log10()
}

fn run(ctx: &Context, record: impl FnOnce(&mut Recorder) -> Tensor) -> Vec<f32> {
    let mut rec = Recorder::new(ctx);
    let out = record(&mut rec);
    let out = rec.keep(&out).unwrap();
    rec.finish().unwrap().run().unwrap();
    ctx.read(&out).unwrap()
}

fn modules(ctx: &Context, model: &StableDiffusion, golden: &Golden, tolerance: f64) {
    let ids: Vec<u32> = golden.get("ids").iter().map(|&id| id as u32).collect();
    let tokens = ctx.upload_u32(&ids, &[4, 77]).unwrap();
    let text = golden.get("text");
    let found = run(ctx, |rec| model.text_encoder.record(rec, &tokens).last_hidden_state);
    assert_near("text", &found, &text, tolerance);
    let (row, upload) = (77 * 64, |v: &[f32], dims: &[usize]| ctx.upload(v, dims, Elem::F32).unwrap());
    let context = upload(&[&text[3 * row..], &text[..row]].concat(), &[2, 77, 64]);
    let start = golden.image("start")[..16 * 16 * 4].repeat(2);
    let sample = upload(&start, &[2, 16, 16, 4]);
    for t in [999u16, 501, 201, 21, 1] {
        let timesteps = upload(&[f32::from(t); 2], &[2]);
        let found = run(ctx, |rec| {
            let context = model.unet.record_context(rec, &context);
            let (sample, timesteps, context) = (&sample, &timesteps, &context);
            model.unet.record(rec, &UNetInputs { sample, timesteps, context, added: None, wrap: Wrap::default() })
        });
        let name = format!("unet.t{t}");
        assert_near(&name, &found, &golden.image(&name), tolerance);
    }
    let end = upload(&golden.image("ddim25.after24")[..16 * 16 * 4], &[1, 16, 16, 4]);
    let decoded = run(ctx, |rec| model.vae.record_decode_scaled(rec, &end, Wrap::default()));
    assert_near("decoded", &decoded, &golden.image("decoded"), tolerance);
    let pictures: Vec<f32> = golden.image("image.u8").iter().map(|v| v / 127.5 - 1.0).collect();
    let pictures = upload(&pictures, &[3, 128, 128, 3]);
    let encoded = run(ctx, |rec| model.vae.record_encode(rec, &pictures, Wrap::default()).mean);
    assert_near("encoded", &encoded, &golden.image("encoded"), tolerance);
}

/// The engine's own tolerances: f32 3e-5 and 3e-4, f16 3e-3 and 2e-2, pictures 40 dB.
fn everything(elem: Elem, module: f64, trajectory: f64) {
    // Without shader checks: other tests run these kernels with them, and here are 2 × 25 steps.
    let ctx = Context::new(&ContextOptions::default()).unwrap();
    let model = StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), elem).unwrap();
    let golden = Golden::open();
    modules(&ctx, &model, &golden, module);
    let images = draw(&model, SamplingMethod::Ddim, &PROMPTS);
    assert_near("ddim25.after24", &images.latents, &golden.image("ddim25.after24"), trajectory);
    let expected = golden.image("image.u8");
    for (i, (rgb, expected)) in images.rgb.iter().zip(expected.chunks(128 * 128 * 3)).enumerate() {
        let psnr = psnr(rgb, expected);
        println!("picture {i} {psnr:.1} dB");
        assert!(psnr >= 40.0, "picture {i}: {psnr:.1} dB");
    }
    let euler = draw(&model, SamplingMethod::Euler, &PROMPTS[..1]);
    assert_near("euler25.end", &euler.latents, &golden.image("euler25.end"), trajectory);
}

#[test]
fn f32() {
    everything(Elem::F32, 3e-5, 3e-4);
}

#[test]
fn f16() {
    everything(Elem::F16, 3e-3, 2e-2);
}
