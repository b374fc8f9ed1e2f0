//! What projecting and fusing cost beside the network: `cargo bench --bench canvas_step`.
//!
//! SD 2.1 base in full size with generated weights, f16 storage: five views of 512² on a canvas of 4096 × 2048, and one
//! evaluation of the UNet on one latent of 64×64. The cheapest outer step there is evaluates it ten times (five views, guided, one
//! step) and encodes and decodes five views besides, which is left out here. Processor time of the whole process, which
//! other load on the machine disturbs less; on GPUs the GPU's own clock.

use std::path::Path;

use anyhow::Result;
use syncline::models::{UNetInputs, Wrap};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::{self, Fuse, FuseScalars, Interpolation, Project, Space, VIEW_WORDS, View, Weight};
use syncline_kernels::gpu::{Context, ContextOptions, Recorder, Recording};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

/// Nanoseconds of processor time of all threads so far; 0 where the system does not tell.
fn cpu_ns() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let one = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(|task| one(task.ok()?.path())).sum()
}

/// Median seconds of `runs` runs by the processor's and by the GPU's clock.
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
        values[values.len() / 2] / 1e9
    };
    Ok([median(0), median(1)])
}

/// Projecting five views from the canvas, and fusing them into it.
fn canvas(ctx: &Context) -> Result<[Recording; 2]> {
    let space = Panorama::new(&PanoramaOptions {
        height: 2048,
        view_side: 512,
        fov: 72.0,
        used_fov: 72.0,
        views: ViewSet::PAPER,
        interpolation: Interpolation::Bilinear,
    })?;
    let words: Vec<f32> = space.views(0).iter().flat_map(View::words).collect();
    let words = ctx.upload(&words, &[5, VIEW_WORDS], Elem::F32)?;
    let ids = ctx.upload_u32(&[0, 1, 2, 3, 4], &[5])?;
    let canvas = ctx.upload(&vec![0.5; 2048 * 4096 * 3], &[2048, 4096, 3], Elem::F32)?;
    let coverage = ctx.upload(&vec![0.0; 2048 * 4096], &[2048, 4096], Elem::F32)?;
    let (geometry, interpolation) = (space.geometry(), space.interpolation());
    let mut rec = Recorder::new(ctx);
    let project = Project {
        geometry,
        interpolation,
        size: [512, 512],
        canvas: &canvas,
        words: &words,
        views: &ids,
        map: [2.0, -1.0],
        elem: Elem::F16,
    };
    let views = spaces::project(&mut rec, &project);
    let views = rec.keep(&views)?;
    let project = rec.finish()?;
    let mut rec = Recorder::new(ctx);
    let scalars = FuseScalars { gain: 0.5, offset: 0.5, clamp: Some([0.01, 0.99]), ..FuseScalars::default() };
    let (weight, regions) = (Weight::Count, None);
    let (canvas, coverage, views, words) = (&canvas, &coverage, &views, &words);
    spaces::fuse(&mut rec, &Fuse { geometry, interpolation, canvas, coverage, views, words, regions, weight, scalars });
    Ok([project, rec.finish()?])
}

/// One evaluation on one latent.
fn unet(model: &StableDiffusion) -> Result<Recording> {
    let ctx = &model.ctx;
    let dims = [1, 64, 64, 4];
    let values: Vec<f32> = (0..64 * 64 * 4).map(|i| (i as f32 * 0.7).sin()).collect();
    let sample = ctx.upload(&values, &dims, model.elem())?;
    let timesteps = ctx.upload(&[500.0], &[1], Elem::F32)?;
    let width = model.text_encoder.config().hidden_size;
    let text: Vec<f32> = (0..77 * width).map(|i| (i as f32 * 0.3).cos()).collect();
    let text = ctx.upload(&text, &[1, 77, width], model.elem())?;
    let mut rec = Recorder::new(ctx);
    let context = model.unet.record_context(&mut rec, &text);
    let inputs =
        UNetInputs { sample: &sample, timesteps: &timesteps, context: &context, added: None, wrap: Wrap::default() };
    let out = model.unet.record(&mut rec, &inputs);
    rec.keep(&out)?;
    Ok(rec.finish()?)
}

fn main() -> Result<()> {
    let ctx = Context::new(&ContextOptions::default())?;
    let adapter = ctx.adapter();
    println!("{} ({}), {}", adapter.name, adapter.driver, adapter.backend);
    let [mut project, mut fuse] = canvas(&ctx)?;
    assert_eq!((project.len(), fuse.len()), (1, 1), "one dispatch each");
    let (p, f) = (time(&mut project, 5)?, time(&mut fuse, 5)?);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/sd21-base-s0");
    let model = StableDiffusion::load(&ctx, &ModelSource::open(&directory)?, Elem::F16)?;
    let u = time(&mut unet(&model)?, 1)?;
    for (clock, k) in [("processor", 0), ("GPU", 1)] {
        let share = (p[k] + f[k]) / (10.0 * u[k] + p[k] + f[k]);
        println!(
            "{clock:>9}: project {:.3} s, fuse {:.3} s, UNet {:.2} s; at most {:.2} % of an outer step",
            p[k],
            f[k],
            u[k],
            100.0 * share
        );
    }
    Ok(())
}
