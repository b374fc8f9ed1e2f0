//! Jobs with every kind of model against diffusers' own pipelines: SDXL, ControlNets, inpainting, depth, instructions. Small models
//! of generated weights, real prompts, torch's noise. And what must hold besides.

mod laws;
mod models;

use models::{PROMPT, channels, control, draw, golden, load, options, part, whole, with_seed_0};
use syncline::jobs::{Beside, ControlPicture, Images, Prompts, TextToImageOptions};
use syncline::pipeline::MicroConditions;
use syncline::schedulers::{SamplingMethod, SigmaSchedule, TimestepSpacing};
use syncline_kernels::tensor::Elem;

fn rel_l2(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (difference / expected.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
}

/// The tolerances of `golden/README.md`: 3e-4 in f32, 2e-2 in f16, pictures 40 dB.
fn check(name: &str, elem: Elem, images: &Images) {
    let tolerance = if elem == Elem::F32 { 3e-4 } else { 2e-2 };
    let error = rel_l2(&images.latents, &golden().image(&format!("{name}.latents")));
    println!("{name:<16} {elem} {error:.2e} of {tolerance:.0e}");
    assert!(error <= tolerance, "{name} {elem}: {error:.2e}");
}

fn check_picture(name: &str, elem: Elem, images: &Images) {
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round_ties_even();
    let expected = golden().image(&format!("{name}.image.u8"));
    let squares: f64 = images.rgb[0].iter().zip(&expected).map(|(a, b)| f64::from(byte(*a) - b).powi(2)).sum();
    let psnr = 10.0 * (255.0 * 255.0 * expected.len() as f64 / squares.max(1e-9)).log10();
    println!("{name:<16} {elem} {psnr:.1} dB");
    assert!(psnr >= 40.0, "{name} {elem}: {psnr:.1} dB");
}

fn sdxl(elem: Elem) {
    let model = load("tiny-sdxl-s0", &[], elem);
    let plain = |method, steps, seed, size| TextToImageOptions {
        prompts: Prompts::new(PROMPT, ""),
        size: Some(size),
        cfg_scale: 5.0,
        ..options(method, steps, seed)
    };
    // Not given, the negative prompt is zeros.
    let images = draw(&model, plain(SamplingMethod::Euler, 5, 7, [128, 192]));
    check("sdxl.euler", elem, &images);
    check_picture("sdxl.euler", elem, &images);
    let batch = TextToImageOptions { batch: 2, ..plain(SamplingMethod::EulerA, 4, 3, [64, 96]) };
    check("sdxl.batch", elem, &draw(&model, batch));
    let unguided = TextToImageOptions { cfg_scale: 1.0, ..plain(SamplingMethod::Ddim, 3, 5, [96, 64]) };
    check("sdxl.unguided", elem, &draw(&model, unguided));
    let mut told = options(SamplingMethod::Dpmpp2m, 7, 11);
    told.plan.sigma_schedule = SigmaSchedule::Karras;
    told.micro = Some(MicroConditions { original: [512, 640], crop: [8, 16], target: [80, 160] });
    check("sdxl.karras", elem, &draw(&model, told));
}

fn controlled(elem: Elem) {
    let model = load("tiny-controlnet-s0", &[], elem);
    let picture = |name| golden().picture(name);
    let net = |seed, weight| control("tiny-controlnet-s0", seed, weight, elem).unwrap();
    let a = || whole(net(0, 0.8), picture("control.a.u8"));
    let one = TextToImageOptions { controls: vec![a()], ..options(SamplingMethod::Ddim, 5, 7) };
    let images = draw(&model, one);
    check("control", elem, &images);
    check_picture("control", elem, &images);
    let b = ControlPicture { start: 0.25, ..whole(net(1, 0.5), picture("control.b.u8")) };
    let controls = vec![ControlPicture { end: 0.7, ..a() }, b];
    let two = TextToImageOptions { controls, ..options(SamplingMethod::Euler, 6, 9) };
    check("control.two", elem, &draw(&model, two));

    let model = load("tiny-controlnet-sdxl-s2", &[], elem);
    let net = control("tiny-controlnet-sdxl-s2", 0, 0.7, elem).unwrap();
    let with = TextToImageOptions {
        prompts: Prompts::new(PROMPT, ""),
        cfg_scale: 5.0,
        controls: vec![whole(net, picture("control.b.u8"))],
        ..options(SamplingMethod::Euler, 4, 7)
    };
    check("control.sdxl", elem, &draw(&model, with));
}

fn beside(elem: Elem) {
    let golden = golden();
    let init = Some(golden.picture("init.u8"));
    let model = load("tiny-sd21-s1", &with_seed_0(&channels(9)), elem);
    let mask = Some(golden.mask());
    let all = options(SamplingMethod::Ddim, 5, 7);
    check("inpaint", elem, &draw(&model, TextToImageOptions { init: init.clone(), beside: mask.clone(), ..all }));
    check("inpaint.part", elem, &draw(&model, TextToImageOptions { beside: mask, ..part(10, 8, 0.6) }));
    let model = load("tiny-sd21-s1", &with_seed_0(&channels(5)), elem);
    check("depth", elem, &draw(&model, TextToImageOptions { beside: Some(golden.depth()), ..part(10, 7, 0.7) }));
    let model = load("tiny-ip2p-s0", &[], elem);
    let edit = TextToImageOptions {
        prompts: Prompts::new("make it night", ""),
        init,
        beside: Some(Beside::Edit { image_scale: 1.5 }),
        ..options(SamplingMethod::EulerA, 5, 7)
    };
    check("edit", elem, &draw(&model, edit));
}

fn plain(elem: Elem) {
    let model = load("tiny-sd21-s1", &with_seed_0(&[]), elem);
    check("sd", elem, &draw(&model, options(SamplingMethod::Dpmpp2m, 8, 2)));
    for (name, method) in [
        ("sd.unipc", SamplingMethod::UniPc),
        ("sd.pndm", SamplingMethod::Pndm),
        ("sd.heun", SamplingMethod::Heun),
        ("sd.lcm", SamplingMethod::Lcm),
    ] {
        check(name, elem, &draw(&model, options(method, 5, 2)));
    }
    let model = load("tiny-sd21-v-s0", &[], elem);
    let mut trailing = options(SamplingMethod::Ddim, 6, 21);
    trailing.plan.spacing = Some(TimestepSpacing::Trailing);
    check("v.ddim", elem, &draw(&model, trailing));
    check("v.unipc", elem, &draw(&model, options(SamplingMethod::UniPc, 7, 3)));
}

#[test]
fn sdxl_as_diffusers() {
    [Elem::F32, Elem::F16].into_iter().for_each(sdxl);
}

#[test]
fn controlnets_as_diffusers() {
    [Elem::F32, Elem::F16].into_iter().for_each(controlled);
}

#[test]
fn inpainting_depth_and_instructions_as_diffusers() {
    [Elem::F32, Elem::F16].into_iter().for_each(beside);
}

#[test]
fn eps_and_v_as_diffusers() {
    [Elem::F32, Elem::F16].into_iter().for_each(plain);
}
