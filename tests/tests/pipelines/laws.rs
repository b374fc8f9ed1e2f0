//! What must hold whatever the numbers are: conditions are seen, what is off is off, models that do not fit are told so.

use std::sync::Arc;

use syncline::denoiser::Denoiser;
use syncline::guidance::Guidance;
use syncline::jobs::{
    Beside, CanvasOptions, CanvasProgram, ControlPicture, Job, PictureCodec, PictureOptions, PromptedUNet,
    TextToImageOptions, ViewPrompts,
};
use syncline::methods::{Draw, Evaluate, Medium, Op, Plan};
use syncline::models::{AutoencoderKl, Wrap};
use syncline::pipeline::{Conditioning, ControlNet, EncodeText, GuidedUNet, MicroConditions, StableDiffusion};
use syncline::rng::Purpose;
use syncline::schedulers::{PlanOptions, SamplingMethod, Start, plan};
use syncline::spaces::Frames;
use syncline_kernels::gpu::Recorder;
use syncline_kernels::tensor::Elem;
use syncline_loader::{Dtype, HostTensor, ModelSource, Weights};

use super::models::{
    SIZE, channels, control, ctx, draw, folder, golden, load, options, part, refused, whole, with_seed_0,
};

fn short(seed: u64) -> TextToImageOptions {
    options(SamplingMethod::Euler, 3, seed)
}

/// Weight 0 and a window without a step are no ControlNet, to the byte; weights and windows count.
#[test]
fn a_controlnet_that_is_off_is_not_there() {
    let name = "tiny-controlnet-s0";
    let model = load(name, &[], Elem::F32);
    assert!(control(name, 0, 0.0, Elem::F32).is_none(), "weight 0 loads nothing");
    let net = control(name, 0, 0.8, Elem::F32).unwrap();
    let picture = golden().picture("control.a.u8");
    let with = |controls| draw(&model, TextToImageOptions { controls, ..short(1) });
    let none = with(Vec::new());
    let shown = |start, end, picture| vec![ControlPicture { net: net.clone(), picture, start, end }];
    let off = with(shown(0.0, 0.2, picture.clone()));
    assert!(none.latents == off.latents && none.rgb == off.rgb, "a third of the run is longer than the window");
    let on = with(shown(0.0, 1.0, picture.clone()));
    let early = with(shown(0.0, 0.4, picture));
    let other = with(shown(0.0, 1.0, golden().picture("control.b.u8")));
    for (what, a, b) in [("on", &on, &none), ("early", &early, &on), ("early", &early, &none), ("picture", &other, &on)]
    {
        assert!(a.latents != b.latents, "{what} changes nothing");
    }
}

/// A run that passed over what it was shown would draw the same.
#[test]
fn what_models_are_shown_changes_what_they_draw() {
    let Beside::Depth { size, values } = golden().depth() else { panic!("a depth map") };
    let model = load("tiny-sd21-s1", &with_seed_0(&channels(5)), Elem::F32);
    let with = |values: Vec<f32>| {
        draw(&model, TextToImageOptions { beside: Some(Beside::Depth { size, values }), ..short(1) })
    };
    let here = with(values.clone());
    assert!(here.latents != with(values.iter().map(|v| -v).collect()).latents, "depth is not seen");
    let scaled = with(values.iter().map(|v| 16.0 * v).collect());
    assert!(here.latents == scaled.latents, "depth has no unit");

    let model = load("tiny-sd21-s1", &with_seed_0(&channels(9)), Elem::F32);
    let (init, Beside::Mask(mask)) = (golden().picture("init.u8"), golden().mask()) else { panic!("a mask") };
    let with = |init, mask| {
        draw(&model, TextToImageOptions { init: Some(init), beside: Some(Beside::Mask(mask)), ..short(2) })
    };
    let here = with(init.clone(), mask.clone());
    for (i, (drawn, kept)) in here.rgb[0].iter().zip(&init.rgb).enumerate() {
        assert!(mask[i / 3] > 0.5 || drawn == kept, "value {i} is to be kept");
    }
    let changed = here.rgb[0].iter().zip(&init.rgb).filter(|(a, b)| a != b).count();
    assert!(changed > init.rgb.len() / 4, "{changed} values drawn anew");
    // What the mask covers is not shown to the model; what it leaves is.
    let edit = |covered: bool| {
        let mut other = init.clone();
        let change = other.rgb.iter_mut().enumerate().filter(|(i, _)| (mask[i / 3] > 0.5) == covered);
        change.for_each(|(_, v)| *v = 1.0 - *v);
        with(other, mask.clone())
    };
    assert!(here.latents == edit(true).latents, "covered values are seen");
    assert!(here.latents != edit(false).latents, "the picture is not seen");
    let all = with(init.clone(), vec![1.0; mask.len()]);
    assert!(here.latents != all.latents, "the mask is not seen");
}

/// The network on one row, told a size.
fn network(model: &Arc<StableDiffusion>, x: &[f32], micro: MicroConditions) -> Vec<f32> {
    let mut encode = EncodeText::new(model, &["night snow".to_owned()], None).unwrap();
    encode.recording().run().unwrap();
    let states = encode.states(model).unwrap();
    let mut conditioning = Conditioning::new(model, &[&states[0]], micro).unwrap();
    conditioning.recording().run().unwrap();
    let sample = ctx().upload(x, &[1, 16, 16, 4], Elem::F32).unwrap();
    let timesteps = ctx().upload(&[400.0], &[1], Elem::F32).unwrap();
    let unet = GuidedUNet { conditioning: Some(conditioning), ..GuidedUNet::new(model, Guidance::None, 1, [16, 16]) };
    let mut rec = Recorder::new(ctx());
    let out = unet.record(&mut rec, &sample, &timesteps);
    let out = rec.keep(&out).unwrap();
    rec.finish().unwrap().run().unwrap();
    ctx().read(&out).unwrap()
}

/// Views of a canvas are whole pictures of their own size to SDXL.
#[test]
fn sdxl_draws_the_views_of_a_canvas() {
    let model = load("tiny-sdxl-s0", &[], Elem::F32);
    let space = Frames::new(1, [128, 128]).unwrap();
    // A plan of one evaluation at timestep 400 that keeps the noise estimate as the clean one.
    let options = PlanOptions { steps: 1, start: Start::Noise, ..PlanOptions::default() };
    let mut coefficients = plan(SamplingMethod::Ddim, &model.noise_schedule, &options).unwrap().steps[0];
    (coefficients.timestep, coefficients.input_scale) = (400.0, 1.0);
    (coefficients.clean_x, coefficients.clean_out) = (0.0, 1.0);
    let evaluate = Evaluate::new(coefficients, 1.0, Draw::new(Purpose::Step, 0));
    let latents: Vec<f32> = (0..16 * 16 * 4).map(|i| (i as f32 * 0.37).sin()).collect();
    let ops = vec![
        Op::Look { step: 0 },
        Op::Project {
            from: syncline::methods::CanvasReg::Canvas,
            to: syncline::methods::ViewReg::State.into(),
            nearest: false,
        },
        Op::Evaluate(evaluate),
    ];
    let plan = Plan::new(Medium::Latent, ops);
    let unet = PromptedUNet::new(&model, ViewPrompts::new("night snow", ""), &plan, &space).unwrap();
    let start_latents = Some(latents.clone());
    let canvas = CanvasOptions { start_latents, ..CanvasOptions::new(plan, Arc::new(space), 7) };
    let clean = Job::new(CanvasProgram::new(unet, canvas).unwrap()).run(|_, _| {}).unwrap().clean;
    let expected = network(&model, &latents, MicroConditions::whole([128, 128]));
    let other = network(&model, &latents, MicroConditions::whole([256, 128]));
    let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference(&clean, &expected) < 1e-5, "{}", difference(&clean, &expected));
    assert!(difference(&clean, &other) > 1e-4, "the size is not seen: {}", difference(&clean, &other));
}

/// All of a VAE's generated weights, those of its first convolutions multiplied by `gain`: everything behind them grows.
fn gained_vae(config: &syncline_loader::config::AutoencoderKlConfig, gain: f32) -> Vec<u8> {
    let weights = Weights::generated(0, "vae", Dtype::F16);
    AutoencoderKl::load(ctx(), &weights.scope(), config, Elem::F32).unwrap();
    let mut tensors = Vec::new();
    for (name, shape) in weights.requests() {
        let values: HostTensor = weights.scope().take(&name, &shape).unwrap();
        let factor = if name.contains("coder.conv_in.") { gain } else { 1.0 };
        let bytes: Vec<u8> = values.to_f32().iter().flat_map(|v| (factor * v).to_le_bytes()).collect();
        tensors.push((name, shape, bytes));
    }
    let views: std::collections::BTreeMap<String, safetensors::tensor::TensorView<'_>> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
            (name.clone(), view.unwrap())
        })
        .collect();
    safetensors::serialize(&views, None).unwrap()
}

/// SDXL's autoencoder leaves the range of f16: in f16 storage its own stays finite and what f32 gives.
#[test]
fn the_sdxl_autoencoder_does_not_overflow() {
    const GAIN: f32 = 1e5;
    let folder = folder("tiny-sdxl-s0", &[]);
    let config = ModelSource::open(folder.path()).unwrap().vae_config().unwrap();
    assert!(config.force_upcast);
    let bytes = gained_vae(&config, GAIN);
    std::fs::write(folder.path().join("vae/diffusion_pytorch_model.safetensors"), &bytes).unwrap();
    let model = |elem| StableDiffusion::load(ctx(), &ModelSource::open(folder.path()).unwrap(), elem).unwrap();
    let code = |elem| {
        let mut codec = PictureCodec::new(&model(elem), SIZE, PictureOptions::default()).unwrap();
        let latents = codec.encode(&golden().picture("init.u8").rgb).unwrap();
        let values: Vec<f32> = latents.iter().map(|v| v * 0.5).collect();
        (latents, codec.decode(&values).unwrap())
    };
    let (wide, narrow) = (code(Elem::F32), code(Elem::F16));
    for (what, a, b) in [("latents", &wide.0, &narrow.0), ("picture", &wide.1, &narrow.1)] {
        assert!(b.iter().all(|v| v.is_finite()), "{what}");
        let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{what}: {worst:.1e} between f32 and f16 storage");
        assert!(worst < 3e-3, "{what}: {worst}");
    }
    // The case is one: in f16 these weights overflow.
    let weights = Weights::from_bytes("gained", bytes).unwrap();
    let vae = AutoencoderKl::load(ctx(), &weights.scope(), &config, Elem::F16).unwrap();
    let latents = ctx().upload(&wide.0, &[1, 8, 16, 4], Elem::F32).unwrap();
    let mut rec = Recorder::new(ctx());
    let out = vae.record_decode_scaled(&mut rec, &latents, Wrap::default());
    let out = rec.keep(&out).unwrap();
    rec.finish().unwrap().run().unwrap();
    assert!(ctx().read(&out).unwrap().iter().any(|v| !v.is_finite()), "the gain is too small for a test");
}

#[test]
fn what_does_not_fit_is_told_by_name() {
    let sd = load("tiny-controlnet-s0", &[], Elem::F32);
    let other = control("tiny-controlnet-sdxl-s2", 0, 1.0, Elem::F32).unwrap();
    let picture = golden().picture("control.a.u8");
    let with = |controls| TextToImageOptions { controls, ..short(1) };
    let text = refused(&sd, with(vec![whole(other, picture.clone())]));
    assert!(text.contains("cross_attention_dim is 80") && text.contains("another base model"), "{text}");
    let net = control("tiny-controlnet-s0", 0, 1.0, Elem::F32).unwrap();
    let small = syncline::jobs::InitImage { size: [64, 64], rgb: vec![0.0; 64 * 64 * 3] };
    let text = refused(&sd, with(vec![whole(net.clone(), small)]));
    assert!(text.contains("64x64") && text.contains("128x64 as the image"), "{text}");
    let text = refused(&sd, with(vec![ControlPicture { start: 0.6, end: 0.5, ..whole(net, picture) }]));
    assert!(text.contains("0.6 and 0.5"), "{text}");
    let folder = super::models::folder("tiny-controlnet-s0", &[]);
    let config = ModelSource::open(folder.path()).unwrap().controlnet_config().unwrap();
    let weights = Weights::generated(0, "controlnet", Dtype::F16);
    assert!(ControlNet::load(ctx(), &config, &weights, Elem::F32, f64::NAN).is_err());

    let text = refused(&sd, TextToImageOptions { beside: Some(golden().depth()), ..short(1) });
    assert!(text.contains("4 (a plain text-to-image model), expected 5 (a depth model)"), "{text}");
    let depth = load("tiny-sd21-s1", &with_seed_0(&channels(5)), Elem::F32);
    assert!(refused(&depth, short(1)).contains("--depth"));
    assert!(
        refused(&depth, TextToImageOptions { beside: Some(golden().mask()), ..part(4, 1, 0.5) })
            .contains("a depth model")
    );
    let inpaint = load("tiny-sd21-s1", &with_seed_0(&channels(9)), Elem::F32);
    assert!(refused(&inpaint, short(1)).contains("--mask"));
    let cut = Some(Beside::Mask(vec![1.0; 5]));
    assert!(refused(&inpaint, TextToImageOptions { beside: cut, ..part(4, 1, 0.5) }).contains("5 values"));
}

/// SDXL's refiner has the second text encoder alone.
#[test]
fn the_refiner_is_refused_by_name() {
    let folder = folder("tiny-sdxl-s0", &[]);
    std::fs::remove_dir_all(folder.path().join("text_encoder")).unwrap();
    let error = StableDiffusion::load(ctx(), &ModelSource::open(folder.path()).unwrap(), Elem::F32).unwrap_err();
    assert!(error.to_string().contains("refiner"), "{error}");
}
