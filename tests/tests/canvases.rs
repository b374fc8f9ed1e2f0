//! Methods on the built-in model: what only a real model and its autoencoder can show.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use syncline::jobs::{CanvasOptions, CanvasProgram, CanvasResult, Job, PromptedUNet, Regions as Weights, ViewPrompts};
use syncline::methods::{Finish, Plan, Preset, StochSync, Synchronised, TimeGrid};
use syncline::metrics::{Equirect, Look, psnr};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::panorama::{PanoramaOptions, ViewSet};
use syncline::spaces::windows::WindowsOptions;
use syncline::spaces::{Interpolation, Panorama, Regions, Space, Windows};
use syncline_kernels::gpu::{Context, ContextOptions, Profile};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

fn model() -> &'static Arc<StableDiffusion> {
    static MODEL: OnceLock<Arc<StableDiffusion>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
        StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap()
    })
}

fn program(prompts: ViewPrompts, plan: Plan, space: Arc<dyn Space>, seed: u64) -> CanvasProgram<PromptedUNet> {
    let unet = PromptedUNet::new(model(), prompts, &plan, space.as_ref()).unwrap();
    CanvasProgram::new(unet, CanvasOptions::new(plan, space, seed)).unwrap()
}

/// Specification 1.10e: with the level of noise the steps' changes fall, too.
#[test]
fn the_canvas_settles() {
    let method = StochSync {
        steps: 7,
        ode_steps: 4,
        t_max: 800.0,
        t_min: 0.0,
        t_power: 1.0,
        correct_encoding: false,
        feather: false,
        min_ode_steps: 1,
        ..Preset::Small.method()
    };
    let views = ViewSet::Custom(vec![vec![[0.0, 0.0, 0.0]], vec![[36.0, 0.0, 0.0]]]);
    let interpolation = Interpolation::Bilinear;
    let options = PanoramaOptions { height: 448, view_side: 128, fov: 80.0, used_fov: 72.0, views, interpolation };
    let space = Arc::new(Panorama::new(&options).unwrap());
    let plan = method.plan(&model().noise_schedule, space.set_count()).unwrap();
    let mut job = Job::new(program(ViewPrompts::new("green meadow at noon with hills", ""), plan, space, 3));
    let mut canvases: Vec<(usize, Vec<f32>)> = Vec::new();
    loop {
        let progress = job.advance(Duration::from_micros(1)).unwrap();
        let done = job.program().steps_done();
        if job.program().between_steps() && canvases.len() < done {
            canvases.push((done, job.program().preview().unwrap().unwrap().rgb));
        }
        if progress.finished {
            break;
        }
    }
    // Where both sets look.
    let seen = |rgb: &[f32]| Look::level(18.0, 30.0).view(&Equirect { size: [448, 896], rgb }, 64);
    let changes: Vec<f64> = canvases.windows(2).map(|pair| psnr(&seen(&pair[0].1), &seen(&pair[1].1))).collect();
    println!("{changes:?}");
    // The first is from one warm-up step to the next look at it.
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (early, late) = (mean(&changes[..3]), mean(&changes[3..]));
    assert!(changes.len() == 6 && late > early + 2.0, "PSNR from step to step: {changes:?}");
}

/// A wide picture by windows; `stride` in pixels.
fn wide(stride: usize, regions: Option<(&[&str], usize)>) -> CanvasResult {
    let options =
        WindowsOptions { canvas: [128, 256], window: [128, 128], stride: [128, stride], ..WindowsOptions::default() };
    let windows = Windows::new(&options).unwrap();
    let case = Synchronised::case(6, TimeGrid::Leading { steps: 10 }, 5.0).unwrap();
    let bootstrap_steps = regions.map_or(0, |(_, steps)| steps);
    let method = Synchronised { finish: Finish::Whole, bootstrap_steps, ..case };
    let plan = method.plan(&model().noise_schedule).unwrap();
    let base = ViewPrompts::new("noon over the sea, clear sky, hills", "");
    let Some((texts, _)) = regions else {
        return Job::new(program(base, plan, Arc::new(windows), 5)).run(|_, _| {}).unwrap();
    };
    let prompts = ViewPrompts { regions: texts.iter().map(|t| (*t).to_owned()).collect(), ..base };
    let space: Arc<dyn Space> = Arc::new(Regions::new(Box::new(windows), texts.len()).unwrap());
    let unet = PromptedUNet::new(model(), prompts, &plan, space.as_ref()).unwrap();
    // The left half is region 1, the right half region 0.
    let inside = |region: usize, x: usize| if (x < 128) == (region == 1) { 1.0 } else { 0.0 };
    let weights = (0..2).flat_map(|r| (0..128).flat_map(move |_| (0..256).map(move |x| inside(r, x)))).collect();
    let regions = Some(Weights { count: 2, weights });
    let options = CanvasOptions { regions, ..CanvasOptions::new(plan, space, 5) };
    Job::new(CanvasProgram::new(unet, options).unwrap()).run(|_, _| {}).unwrap()
}

/// Mean |difference| between two neighbouring columns over that between all.
fn jump(result: &CanvasResult, column: usize) -> f64 {
    let [height, width] = result.size;
    let difference = |x: usize| {
        let rows = (0..height).map(|y| 3 * (y * width + x));
        rows.flat_map(|i| (0..3).map(move |c| i + c))
            .map(|i| f64::from((result.rgb[i] - result.rgb[i - 3]).abs()))
            .sum::<f64>()
    };
    let all = (1..width).map(difference).sum::<f64>() / (width - 1) as f64;
    difference(column) / all
}

/// Specification 3: overlapping windows leave no jump where tiles do.
#[test]
fn overlapping_windows_leave_no_jump() {
    let (tiles, windows) = (wide(128, None), wide(64, None));
    let worst = |result: &CanvasResult| (124..=132).map(|x| jump(result, x)).fold(0.0, f64::max);
    let (apart, together) = (worst(&tiles), worst(&windows));
    println!("jump at the border: tiles {apart:.2}, windows {together:.2}");
    assert!(together < 0.6 * apart && together < 3.0, "tiles {apart}, windows {together}");
}

/// Each region shows its own prompt, with and without bootstrapping.
#[test]
fn regions_show_their_prompts() {
    for bootstrap in [0, 4] {
        let result = wide(64, Some((&["noon, green meadow, clear sky", "night sea under a starry sky"], bootstrap)));
        let mean = |columns: std::ops::Range<usize>, c: usize| {
            let texels = (0..128).flat_map(|y| columns.clone().map(move |x| 3 * (y * 256 + x) + c));
            texels.map(|i| f64::from(result.rgb[i])).sum::<f64>() / (128 * columns.len()) as f64
        };
        let (night, noon) = (mean(0..112, 1), mean(144..256, 1));
        println!("bootstrap {bootstrap}: green of the night {night:.3}, of the noon {noon:.3}");
        assert!(night < 0.25 && noon > 0.4, "bootstrap {bootstrap}: {night} {noon}");
    }
}

/// A canvas larger than a storage binding (128 MiB under WebGPU's limits) is four tensors, and nobody can tell.
#[test]
fn large_canvases_live_in_bands() {
    let ctx = Context::new(&ContextOptions {
        profile: Profile { webgpu_limits: true, ..Profile::default() },
        ..ContextOptions::default()
    });
    let ctx = ctx.unwrap();
    let model = StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap();
    let method =
        StochSync { steps: 2, multi_step: false, correct_encoding: false, feather: false, ..Preset::Small.method() };
    // 4128 x 2064 texels of 16 bytes; the view looks across the borders of the bands, and of the wrap.
    let views = ViewSet::Custom(vec![vec![[180.0, 40.0, 0.0]]]);
    let interpolation = Interpolation::Bilinear;
    let options = PanoramaOptions { height: 2064, view_side: 128, fov: 80.0, used_fov: 80.0, views, interpolation };
    let space = Arc::new(Panorama::new(&options).unwrap());
    let plan = method.plan(&model.noise_schedule, 1).unwrap();
    let prompts = ViewPrompts::new("noon over the sea, clear sky, hills", "");
    let unet = PromptedUNet::new(&model, prompts, &plan, space.as_ref()).unwrap();
    let program = CanvasProgram::new(unet, CanvasOptions::new(plan, space, 3)).unwrap();
    let result = Job::new(program).run(|_, _| {}).unwrap();
    assert_eq!(result.rgb.len(), 2064 * 4128 * 3);
    let look = Look { azimuth: 180.0, elevation: 40.0, roll: 0.0, fov: 80.0 };
    let seen = look.view(&Equirect { size: result.size, rgb: &result.rgb }, 128);
    let view: Vec<f32> = result.views[0].iter().map(|v| v.clamp(0.01, 0.99)).collect();
    let inner = |rgb: &[f32]| -> Vec<f32> {
        (2..126).flat_map(|y| rgb[(y * 128 + 2) * 3..(y * 128 + 126) * 3].to_vec()).collect()
    };
    let agreement = psnr(&inner(&view), &inner(&seen));
    assert!(agreement > 35.0, "{agreement} dB");
}
