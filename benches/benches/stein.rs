//! What the coupling of particles costs: `cargo bench --bench stein`.
//!
//! Gradients of 2 to 64 particles of 64 × 64 × 4, with the kernel and without, and one evaluation of the UNet (SD 2.1 base in full
//! size with generated weights, f16 storage) on one latent of that size: a step of CSD-Edit evaluates it at least four times for
//! each particle. Processor time of the whole process; on GPUs the GPU's own clock. Values are checked against the formula first.

use std::path::Path;

use anyhow::{Result, ensure};
use syncline::models::{UNetInputs, Wrap};
use syncline::pipeline::StableDiffusion;
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Recorder, Recording};
use syncline_kernels::ops::finite;
use syncline_kernels::ops::stein::{Bandwidth, Source, Stein, SteinScalars, stein};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::ModelSource;

/// Elements of a particle.
const SIZE: usize = 64 * 64 * 4;

/// Nanoseconds of processor time of all threads so far; 0 where the system does not tell.
fn cpu_ns() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let one = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(|task| one(task.ok()?.path())).sum()
}

/// Median milliseconds of `runs` runs by the processor's and by the GPU's clock.
fn time(recording: &mut Recording, runs: usize) -> Result<[f64; 2]> {
    recording.run()?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let before = cpu_ns();
        let gpu: f64 = recording.profile()?.iter().map(|d| d.ns).sum();
        times.push([cpu_ns() - before, gpu]);
    }
    let median = |k: usize| {
        let mut values: Vec<f64> = times.iter().map(|t| t[k]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2] / 1e6
    };
    Ok([median(0), median(1)])
}

/// Gradients of `count` random particles, checked on a few elements.
fn gradient(ctx: &Context, count: usize, bandwidth: Option<Bandwidth>) -> Result<(Recording, u64)> {
    let mut draw = Draw::new(count as u64);
    let dims = [count, 64, 64, 4];
    let mut values = || -> Vec<f32> { (0..count * SIZE).map(|_| draw.normal() as f32).collect() };
    let [x, targets, sources] = [values(), values(), values()];
    let upload = |values: &[f32]| ctx.upload(values, &dims, Elem::F32);
    let tensors = [upload(&x)?, upload(&targets)?, upload(&sources)?, upload(&vec![0.0; x.len()])?];
    let report = finite::new_report(ctx)?;
    let mut rec = Recorder::new(ctx);
    let options = Stein {
        particles: &tensors[0],
        targets: &tensors[1],
        sources: Source::Estimates(&tensors[2]),
        shares: None,
        bandwidth,
        out: &tensors[3],
        report: &report,
        scalars: SteinScalars::default(),
    };
    stein(&mut rec, &options);
    let mut recording = rec.finish()?;
    recording.run()?;
    let got = ctx.read(&tensors[3])?;
    let value = |values: &[f32], i: usize, e: usize| f64::from(values[i * SIZE + e]);
    let distance = |i: usize, j: usize| (0..SIZE).map(|e| (value(&x, i, e) - value(&x, j, e)).powi(2)).sum::<f64>();
    let pairs = (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j)));
    let mut distances: Vec<f64> = pairs.map(|(i, j)| distance(i, j)).collect();
    distances.sort_by(f64::total_cmp);
    let inverse = ((count + 1) as f64).ln() / distances[(distances.len() - 1) / 2];
    for e in [0, SIZE / 2 + 1, SIZE - 1] {
        let delta = |j: usize| value(&targets, j, e) - value(&sources, j, e);
        let term = |j: usize| {
            (-inverse * distance(0, j)).exp() * (delta(j) - 2.0 * inverse * (value(&x, 0, e) - value(&x, j, e)))
        };
        let expected = if bandwidth.is_some() { (0..count).map(term).sum() } else { delta(0) };
        ensure!((f64::from(got[e]) - expected).abs() < 1e-4, "element {e}: {} instead of {expected}", got[e]);
    }
    let own: u64 = tensors.iter().map(Tensor::bytes).sum();
    let bytes = own + recording.slot_bytes();
    Ok((recording, bytes))
}

/// One evaluation on one latent.
fn unet(model: &StableDiffusion) -> Result<Recording> {
    let ctx = &model.ctx;
    let values: Vec<f32> = (0..SIZE).map(|i| (i as f32 * 0.7).sin()).collect();
    let sample = ctx.upload(&values, &[1, 64, 64, 4], model.elem())?;
    let timesteps = ctx.upload(&[500.0], &[1], Elem::F32)?;
    let width = model.text_encoder.config().hidden_size;
    let text: Vec<f32> = (0..77 * width).map(|i| (i as f32 * 0.3).cos()).collect();
    let text = ctx.upload(&text, &[1, 77, width], model.elem())?;
    let mut rec = Recorder::new(ctx);
    let context = model.unet.record_context(&mut rec, &text);
    let (sample, timesteps, context) = (&sample, &timesteps, &context);
    let inputs = UNetInputs { sample, timesteps, context, added: None, wrap: Wrap::default() };
    let out = model.unet.record(&mut rec, &inputs);
    rec.keep(&out)?;
    Ok(rec.finish()?)
}

fn main() -> Result<()> {
    let ctx = Context::new(&ContextOptions::default())?;
    let adapter = ctx.adapter();
    println!("{} ({}), {}", adapter.name, adapter.driver, adapter.backend);
    let counts = [2, 4, 8, 16, 24, 64];
    let mut rows = Vec::new();
    for count in counts {
        let (mut with, bytes) = gradient(&ctx, count, Some(Bandwidth::Guarded))?;
        let (mut without, _) = gradient(&ctx, count, None)?;
        rows.push((count, bytes, time(&mut with, 7)?, time(&mut without, 7)?));
    }
    for (count, bytes, with, without) in &rows {
        println!(
            "{count:>3} particles: {} bytes each; processor {:.3} ms with the kernel, {:.3} without; GPU {:.3} and {:.3} ms",
            bytes / *count as u64,
            with[0],
            without[0],
            with[1],
            without[1]
        );
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/sd21-base-s0");
    let model = StableDiffusion::load(&ctx, &ModelSource::open(&directory)?, Elem::F16)?;
    let evaluation = time(&mut unet(&model)?, 1)?;
    for (clock, k) in [("processor", 0), ("GPU", 1)] {
        for (count, _, with, without) in &rows {
            let step = 4.0 * *count as f64 * evaluation[k];
            let share = 100.0 * (with[k] - without[k]) / step;
            println!("{clock:>9}, {count:>2} particles: {share:.3} % of a step's evaluations ({step:.1} ms)");
        }
    }
    Ok(())
}
