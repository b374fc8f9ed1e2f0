//! Whole jobs on the built-in model: what a user gets must not depend on how the work was cut up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use syncline::Error;
use syncline::jobs::{
    CanvasOptions, CanvasProgram, CanvasResult, Images, InitImage, Job, Keep, Program, PromptedUNet, Prompts,
    TextToImage, TextToImageOptions, ViewPrompts,
};
use syncline::methods::{Preset, StochSync};
use syncline::metrics::{Equirect, perspective};
use syncline::pipeline::StableDiffusion;
use syncline::rng::NoiseMode;
use syncline::schedulers::{PlanOptions, SamplingMethod, Start};
use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::{Camera, Interpolation, Space};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::ops::project_renoise::rotation;
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

fn model() -> &'static Arc<StableDiffusion> {
    static MODEL: OnceLock<Arc<StableDiffusion>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
        StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap()
    })
}

fn options(steps: usize, batch: usize, seed: u64) -> TextToImageOptions {
    TextToImageOptions {
        prompts: Prompts::new("a sunset over desert dunes with distant mountains", ""),
        batch,
        seed,
        rng: NoiseMode::Cpu,
        method: SamplingMethod::EulerA,
        plan: PlanOptions { steps, ..PlanOptions::default() },
        cfg_scale: 5.0,
        ..TextToImageOptions::default()
    }
}

fn draw(options: TextToImageOptions) -> Images {
    Job::new(TextToImage::new(model(), options).unwrap()).run(|_, _| {}).unwrap()
}

fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let mse = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64;
    -10.0 * mse.max(1e-12).log10()
}

#[test]
fn batches_and_slices_change_nothing() {
    let both = draw(options(3, 2, 11));
    let single = draw(options(3, 1, 12));
    assert_eq!(both.rgb[1], single.rgb[0], "the second image of a batch is the single image of its seed");
    assert_ne!(both.rgb[0], both.rgb[1]);
    // The same in slices of one microsecond.
    let mut job = Job::new(TextToImage::new(model(), options(3, 1, 12)).unwrap());
    let mut calls = 0;
    let mut last = 0.0;
    loop {
        let progress = job.advance(Duration::from_micros(1)).unwrap();
        assert!(progress.status.fraction >= last, "progress never goes back");
        last = progress.status.fraction;
        calls += 1;
        if progress.finished {
            break;
        }
    }
    assert!(calls > 500, "{calls} slices: each runs about one dispatch");
    assert_eq!(job.finish().unwrap().rgb, single.rgb);
}

#[test]
fn tiled_decoding_shows_no_tiles() {
    let wide = |tile| TextToImageOptions { size: Some([128, 256]), vae_tile: tile, ..options(4, 1, 3) };
    let (plain, tiled) = (draw(wide(None)), draw(wide(Some(16))));
    assert_eq!(plain.latents, tiled.latents);
    let agreement = psnr(&plain.rgb[0], &tiled.rgb[0]);
    // Group norms and attention of the decoder see a tile instead of the picture: close, not equal.
    assert!(agreement > 25.0 && agreement < 100.0, "{agreement} dB");
}

#[test]
fn image_to_image_keeps_what_strength_leaves() {
    let start = draw(options(6, 1, 5));
    let init = InitImage { size: start.size, rgb: start.rgb[0].clone() };
    let again = |strength| {
        let plan = PlanOptions { steps: 10, start: Start::Strength(strength), ..PlanOptions::default() };
        let changed = TextToImageOptions { init: Some(init.clone()), plan, ..options(10, 1, 6) };
        psnr(&draw(TextToImageOptions { method: SamplingMethod::Ddim, ..changed }).rgb[0], &start.rgb[0])
    };
    let (little, much) = (again(0.1), again(0.9));
    assert!(little > 20.0 && little > much + 3.0, "strength 0.1: {little} dB, 0.9: {much} dB");
}

#[test]
fn a_cancelled_job_says_so() {
    let mut job = Job::new(TextToImage::new(model(), options(3, 1, 1)).unwrap());
    job.advance(Duration::from_micros(1)).unwrap();
    job.cancel_token().cancel();
    assert!(matches!(job.advance(Duration::from_secs(9)), Err(Error::Cancelled)));
}

#[test]
fn refused_options_name_the_value() {
    let refused = |options| match TextToImage::new(model(), options) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("accepted"),
    };
    let sizes = refused(TextToImageOptions { size: Some([128, 100]), ..options(3, 1, 1) });
    assert!(sizes.contains("width") && sizes.contains("100") && sizes.contains("multiple of 64"), "{sizes}");
    assert!(refused(options(0, 1, 1)).contains('0'));
    assert!(refused(options(3, 0, 1)).contains("batch"));
    assert!(refused(TextToImageOptions { cfg_scale: f64::NAN, ..options(3, 1, 1) }).contains("cfg-scale"));
}

fn space(views: ViewSet) -> Panorama {
    let interpolation = Interpolation::Bilinear;
    Panorama::new(&PanoramaOptions { height: 512, view_side: 128, fov: 80.0, used_fov: 72.0, views, interpolation })
        .unwrap()
}

fn program(seed: u64, steps: usize, views: ViewSet) -> CanvasProgram<PromptedUNet> {
    program_of(model(), seed, steps, views)
}

fn program_of(model: &Arc<StableDiffusion>, seed: u64, steps: usize, views: ViewSet) -> CanvasProgram<PromptedUNet> {
    let method = StochSync { steps, ode_steps: 3, ..Preset::Small.method() };
    let space = Arc::new(space(views));
    let plan = method.plan(&model.noise_schedule, space.set_count()).unwrap();
    let prompts = ViewPrompts::new("noon over the sea, clear sky, hills", "");
    let unet = PromptedUNet::new(model, prompts, &plan, space.as_ref()).unwrap();
    CanvasProgram::new(unet, CanvasOptions::new(plan, space, seed)).unwrap()
}

fn panorama(seed: u64, steps: usize, views: ViewSet) -> CanvasResult {
    Job::new(program(seed, steps, views)).run(|_, _| {}).unwrap()
}

#[test]
fn a_panorama_holds_its_views_and_repeats_itself() {
    let views = ViewSet::Rings { sets: 2, views: 2 };
    let first = panorama(4, 2, views.clone());
    let again = panorama(4, 2, views.clone());
    assert!(first.rgb == again.rgb, "same seed, same bytes");
    assert!(first.rgb != panorama(5, 2, views.clone()).rgb);
    // The last set as hard tiles, looked at as it was generated: two bilinear gathers, so close and not equal.
    let canvas = Equirect { size: first.size, rgb: &first.sets[1].0 };
    for i in 0..2 {
        let camera =
            Camera::centred(rotation((90.0 + 180.0 * i as f64).to_radians(), 0.0, 0.0), 80f64.to_radians(), [128; 2]);
        let inner = |rgb: &[f32]| -> Vec<f32> {
            (16..112).flat_map(|y| rgb[(y * 128 + 16) * 3..(y * 128 + 112) * 3].to_vec()).collect()
        };
        let view = inner(&first.views[2 + i]).iter().map(|v| v.clamp(0.01, 0.99)).collect::<Vec<_>>();
        let seen = inner(&perspective(&canvas, &camera, [128, 128]));
        assert!(psnr(&view, &seen) > 32.0, "view {i}: {} dB", psnr(&view, &seen));
    }
    let covered = first.coverage.iter().filter(|w| **w > 0.0).count() as f64 / first.coverage.len() as f64;
    assert!((0.25..0.55).contains(&covered), "{covered}");
    assert!(first.rgb.iter().all(|v| v.is_finite()));
}

/// Wherever it is stopped, a resumed job ends with the same bytes.
#[test]
fn a_resumed_panorama_is_the_same() {
    let views = || ViewSet::Rings { sets: 2, views: 2 };
    let whole = panorama(4, 4, views());
    let mut job = Job::new(program(4, 4, views()));
    let mut saved = Vec::new();
    loop {
        let progress = job.advance(Duration::from_micros(1)).unwrap();
        if job.program().between_steps() && saved.len() < job.program().steps_done() {
            saved.push(job.program().checkpoint().unwrap().unwrap());
            assert!(job.program().preview().unwrap().unwrap().rgb.iter().all(|v| (0.0..=1.0).contains(v)));
        }
        if progress.finished {
            break;
        }
    }
    assert!(job.finish().unwrap().rgb == whole.rgb, "looking at a job changes nothing");
    assert_eq!(saved.len(), 4);
    for checkpoint in saved {
        let mut program = program(4, 4, views());
        program.resume(checkpoint.clone()).unwrap();
        let resumed = Job::new(program).run(|_, _| {}).unwrap();
        assert!(resumed.rgb == whole.rgb, "from operation {}", checkpoint.operation);
        assert!(resumed.sets == whole.sets && resumed.evaluations == whole.evaluations);
    }
}

#[test]
fn foreign_checkpoints_are_refused() {
    let mut job = Job::new(program(4, 4, ViewSet::Rings { sets: 2, views: 2 }));
    let checkpoint = loop {
        job.advance(Duration::from_micros(1)).unwrap();
        if let Some(checkpoint) = job.program().checkpoint().unwrap() {
            break checkpoint;
        }
    };
    let mut other = program(4, 4, ViewSet::Rings { sets: 2, views: 3 });
    other.resume(checkpoint.clone()).unwrap();
    let error = Job::new(other).run(|_, _| {}).unwrap_err().to_string();
    assert!(error.contains("checkpoint"), "{error}");
    let shifted = syncline::jobs::Checkpoint { operation: checkpoint.operation + 1, ..checkpoint };
    assert!(program(4, 4, ViewSet::Rings { sets: 2, views: 2 }).resume(shifted).is_err());
}

/// The canvas stays on the GPU: in the loop only the four words that count NaN and infinity are read back.
#[test]
fn no_tensor_is_read_back_in_the_loop() {
    // A device of its own: other tests read from theirs at the same time.
    let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
    let model = StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap();
    let mut program = program_of(&model, 4, 3, ViewSet::Rings { sets: 2, views: 2 });
    // The text states are read once, before the loop.
    program.next().unwrap().unwrap().run().unwrap();
    program.done().unwrap();
    let before = ctx.readbacks();
    let mut recordings = 0;
    while let Some(recording) = program.next().unwrap() {
        recording.run().unwrap();
        program.done().unwrap();
        recordings += 1;
    }
    let after = ctx.readbacks();
    let (count, bytes) = (after.0 - before.0, after.1 - before.1);
    println!("{recordings} recordings, {count} status readbacks of {bytes} bytes");
    assert!(recordings > 30 && count < recordings);
    assert_eq!(bytes, 16 * count, "each is the report of ops/finite");
}

/// What a mask keeps is kept to the byte, and the rest is drawn anew.
#[test]
fn inpainting_keeps_what_the_mask_says() {
    let views = ViewSet::Rings { sets: 2, views: 3 };
    let before = panorama(4, 3, views.clone());
    let method = StochSync { steps: 3, ode_steps: 3, inpaint: true, ..Preset::Small.method() };
    let space = Arc::new(space(views));
    let plan = method.plan(&model().noise_schedule, space.set_count()).unwrap();
    let prompts = ViewPrompts::new("night, snow, aurora", "");
    let unet = PromptedUNet::new(model(), prompts, &plan, space.as_ref()).unwrap();
    let [height, width] = space.canvas_size();
    let mask: Vec<f32> = (0..height * width).map(|i| if i % width < width / 2 { 1.0 } else { 0.0 }).collect();
    let keep = Some(Keep { rgb: before.rgb.clone(), mask: mask.clone() });
    let options = CanvasOptions { keep, ..CanvasOptions::new(plan, space, 9) };
    let after = Job::new(CanvasProgram::new(unet, options).unwrap()).run(|_, _| {}).unwrap();
    let (mut kept, mut changed) = (0, 0.0);
    for (i, free) in mask.iter().enumerate() {
        let texel = |rgb: &[f32]| [rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]];
        if *free < 0.5 {
            assert_eq!(texel(&before.rgb), texel(&after.rgb));
            kept += 1;
        } else {
            changed += f64::from((before.rgb[3 * i] - after.rgb[3 * i]).abs());
        }
    }
    assert!(kept == height * width / 2 && changed / kept as f64 > 0.02, "{}", changed / kept as f64);
}
