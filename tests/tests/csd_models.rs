//! Collaborative score distillation with networks: an `InstructPix2Pix` model of generated weights, and the built-in model.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use syncline::denoiser::Denoiser;
use syncline::guidance::Guidance;
use syncline::jobs::{
    CanvasOptions, CanvasProgram, CanvasResult, EditTexts, Job, PictureCodec, PictureEdit, PictureOptions,
    PromptedUNet, Regions, SetEdit, ViewPrompts,
};
use syncline::methods::{
    Bandwidth, Baseline, CanvasReg, Csd, Draw, EditGrid, Evaluate, Instructed, Medium, Mix, Op, Optimiser, Plan, Reg,
    ViewReg,
};
use syncline::pipeline::{Conditioning, EncodeText, GuidedUNet, MicroConditions, StableDiffusion};
use syncline::rng::{NoiseKey, Purpose};
use syncline::spaces::panorama::{PanoramaOptions, ViewSet};
use syncline::spaces::windows::WindowsOptions;
use syncline::spaces::{Frames, Interpolation, Panorama, Space, Windows};
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;
use syncline_tests::analytic::worst;

fn load(source: &ModelSource) -> Arc<StableDiffusion> {
    let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
    StableDiffusion::load(&ctx, source, Elem::F32).unwrap()
}

/// Eight input channels, latents of 16 x 16, weights generated; with the built-in model's tokenizer, whose vocabulary its text
/// encoder is made to have.
fn editor() -> &'static Arc<StableDiffusion> {
    static MODEL: OnceLock<Arc<StableDiffusion>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (from, folder) = (root.join("golden/tiny-ip2p-s0"), tempfile::tempdir().unwrap());
        let copy = |from: &Path, name: &str| {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
        };
        let parts =
            ["golden/meta.json", "model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json"];
        parts.iter().chain(&["unet/config.json", "vae/config.json"]).for_each(|name| copy(&from, name));
        let tokenizer = ["merges.txt", "vocab.json", "special_tokens_map.json", "tokenizer_config.json"];
        let mini = root.join("../model-loader/mini/model");
        tokenizer.iter().for_each(|name| copy(&mini, &format!("tokenizer/{name}")));
        let config = folder.path().join("text_encoder/config.json");
        let text = std::fs::read_to_string(&config).unwrap().replace("\"vocab_size\": 1000", "\"vocab_size\": 1069");
        std::fs::write(&config, text).unwrap();
        load(&ModelSource::open(folder.path()).unwrap())
    })
}

fn mini() -> &'static Arc<StableDiffusion> {
    static MODEL: OnceLock<Arc<StableDiffusion>> = OnceLock::new();
    MODEL.get_or_init(|| load(&ModelSource::mini().unwrap()))
}

fn noise(seed: u64, count: usize) -> Vec<f32> {
    NoiseKey { seed, purpose: Purpose::Canvas, trajectory: 9, view: 0, step: 0 }.randn(count)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Latents of a frame.
const CELLS: usize = 16 * 16 * 4;

/// The model's noise estimate at timestep 400 for one view, the state 1.0 · ξ, and image latents `factor` times `noise(1)`.
fn estimate(instruction: &str, guidance: [f64; 2], factor: f64) -> Vec<f32> {
    let space = Frames::new(1, [128, 128]).unwrap();
    let method = Csd { t_min: 400, t_max: 400, iterations: 1, ..Csd::frames(1) };
    let evaluations = method.plan(&editor().noise_schedule, 1).unwrap().ops;
    let asked = evaluations.iter().find_map(|op| if let Op::Evaluate(e) = op { Some(e.coefficients) } else { None });
    let coefficients = asked.unwrap();
    let draw = Draw::new(Purpose::Step, 0);
    let mix = |target: ViewReg, own, sigma| Op::Mix(Mix { target: target.into(), own, terms: [None; 2], sigma, draw });
    let project = Op::Project { from: CanvasReg::Source, to: ViewReg::Condition.into(), nearest: false };
    let ops = vec![
        Op::Look { step: 0 },
        project,
        mix(ViewReg::Condition, factor, 0.0),
        mix(ViewReg::State, 0.0, 1.0),
        Op::Evaluate(Evaluate::new(coefficients, 1.0, draw)),
    ];
    let plan = Plan::new(Medium::Latent, ops);
    let prompts = ViewPrompts::new(instruction, "");
    let model = PromptedUNet::instructed(editor(), prompts, &plan, &space, (0..1, guidance)).unwrap();
    let options =
        CanvasOptions { source_latents: Some(noise(1, CELLS)), ..CanvasOptions::new(plan, Arc::new(space), 7) };
    Job::new(CanvasProgram::new(model, options).unwrap()).run(|_, _| {}).unwrap().clean
}

/// The network itself on one row.
fn network(text: &str, image: &[f32]) -> Vec<f32> {
    let model = editor();
    let mut encode = EncodeText::new(model, &[text.to_owned()], None).unwrap();
    encode.recording().run().unwrap();
    let states = encode.states(model).unwrap();
    let mut conditioning = Conditioning::new(model, &[&states[0]], MicroConditions::whole([128, 128])).unwrap();
    conditioning.recording().run().unwrap();
    let x = NoiseKey { seed: 7, purpose: Purpose::Step, trajectory: 0, view: 0, step: 0 }.randn(CELLS);
    let both: Vec<f32> = x.chunks(4).zip(image.chunks(4)).flat_map(|(x, image)| [x, image].concat()).collect();
    let sample = model.ctx.upload(&both, &[1, 16, 16, 8], Elem::F32).unwrap();
    let timesteps = model.ctx.upload(&[400.0], &[1], Elem::F32).unwrap();
    let conditioning = Some(conditioning);
    let unet = GuidedUNet { conditioning, ..GuidedUNet::new(model, Guidance::None, 1, [16, 16]) };
    let mut rec = Recorder::new(&model.ctx);
    let out = unet.record(&mut rec, &sample, &timesteps);
    let out = rec.keep(&out).unwrap();
    rec.finish().unwrap().run().unwrap();
    model.ctx.read(&out).unwrap()
}

/// Section 9: the three rows, their texts and their image latents, and how they are combined.
#[test]
fn guidance_has_the_papers_rows() {
    let [text, image] = [7.5, 1.5];
    let both = estimate("make it night", [1.0, 1.0], 2.0);
    let image_only = estimate("make it night", [0.0, 1.0], 2.0);
    let neither = estimate("make it night", [0.0, 0.0], 2.0);
    let condition: Vec<f32> = noise(1, CELLS).iter().map(|v| 2.0 * v).collect();
    // One network evaluation each, on inputs put together on the host.
    for (name, got, expected) in [
        ("instruction and image", &both, network("make it night", &condition)),
        ("image", &image_only, network("", &condition)),
        ("neither", &neither, network("", &[0.0; CELLS])),
    ] {
        assert!(worst(got, &expected) < 1e-5, "{name}: {}", worst(got, &expected));
    }
    assert!(worst(&both, &image_only) > 1e-3 && worst(&image_only, &neither) > 1e-3);
    for (i, value) in estimate("make it night", [text, image], 2.0).iter().enumerate() {
        let [b, o, n] = [&both, &image_only, &neither].map(|rows| f64::from(rows[i]));
        let expected = n + image * (o - n) + text * (b - o);
        assert!((f64::from(*value) - expected).abs() < 2e-5 * expected.abs().max(1.0), "{i}: {value} {expected}");
    }
    // Without an instruction two rows say what three would.
    let silent = estimate("", [text, image], 2.0);
    for (i, value) in silent.iter().enumerate() {
        let [o, n] = [&image_only, &neither].map(|rows| f64::from(rows[i]));
        assert!((f64::from(*value) - n - image * (o - n)).abs() < 2e-5, "{i}");
    }
    // The row without an image sees none, whatever its size.
    assert_eq!(bits(&estimate("make it night", [0.0, 0.0], 9.0)), bits(&neither));
}

fn csd() -> Csd {
    let optimiser = Optimiser::Sgd { rate: 1.0, decay: 1.0, every: 1 };
    Csd { iterations: 2, optimiser, ..Csd::frames(5) }
}

fn edit(method: Csd, space: impl Space + 'static, instructions: &[&str], regions: Option<Regions>) -> CanvasResult {
    let [h, w] = space.canvas_size();
    let instructions = instructions.iter().map(|text| (*text).to_owned()).collect();
    let texts = EditTexts::Instructions { instructions, negative: String::new(), guidance: [7.5, 1.5] };
    let source = noise(2, h * w / 64 * 4);
    let (space, latent_canvas) = (Box::new(space), None);
    let program = SetEdit { method, space, source, texts, regions, latent_canvas, seed: 3 }.program(editor()).unwrap();
    Job::new(program).run(|_, _| {}).unwrap()
}

fn frames() -> Frames {
    Frames::new(3, [128, 128]).unwrap()
}

/// Section 8.2: the instruction moves the canvas, and image latents scaled as the authors' code has them move it elsewhere. Without
/// the source's estimate, it is another gradient again.
#[test]
fn instructions_edit_and_image_latents_matter() {
    let source = noise(2, 3 * CELLS);
    let run = |method| edit(method, frames(), &["make it night"], None);
    let unscaled = run(csd());
    assert!(worst(&unscaled.canvas, &source) > 1e-3);
    // Rows of guidance: three of the target, two of the source, three views, two steps.
    assert_eq!(unscaled.evaluations, 5 * 3 * 2);
    let scaled = run(Csd { condition: Some(1.0), ..csd() });
    assert!(worst(&unscaled.canvas, &scaled.canvas) > 1e-4, "{}", worst(&unscaled.canvas, &scaled.canvas));
    let noisy = run(Csd { baseline: Baseline::Noise, ..csd() });
    assert!(worst(&noisy.canvas, &source) > 0.1 && noisy.evaluations == 3 * 3 * 2);
}

/// 8.6 b on a network: an empty instruction changes nothing, to the bit; with the kernel nothing but its repulsion does.
#[test]
fn an_empty_instruction_changes_nothing() {
    let source = noise(2, 3 * CELLS);
    let silent = edit(Csd { coupling: None, ..csd() }, frames(), &[""], None);
    assert_eq!(bits(&silent.canvas), bits(&source));
    let coupled = edit(csd(), frames(), &[""], None);
    let told = edit(csd(), frames(), &["make it night"], None);
    let (repulsion, all) = (worst(&coupled.canvas, &source), worst(&told.canvas, &source));
    println!("largest change: {repulsion} by the repulsion, {all} with an instruction");
    assert!(repulsion < 0.02, "{repulsion}");
}

/// Section 8.4: each window follows the instructions of the regions it lies in, by their areas.
#[test]
fn instructions_share_windows_by_area() {
    let windows = || {
        let canvas = [128, 256];
        Windows::new(&WindowsOptions { canvas, window: [128, 128], stride: [128, 128], ..WindowsOptions::default() })
            .unwrap()
    };
    let split = |at: usize| {
        let weight = move |r: usize, x: usize| if (x < at) == (r == 0) { 1.0 } else { 0.0 };
        let weights = (0..2).flat_map(|r| (0..128).flat_map(move |_| (0..256).map(move |x| weight(r, x)))).collect();
        Some(Regions { count: 2, weights })
    };
    let method = |prompts| Csd { coupling: None, iterations: 1, prompts, ..csd() };
    let [one, two] = ["make it night", "add snow"].map(|text| edit(method(1), windows(), &[text], None).canvas);
    let run = |at| edit(method(2), windows(), &["make it night", "add snow"], split(at)).canvas;
    // Left and right window, of 16 columns each.
    let half = |canvas: &[f32], right: usize| -> Vec<f32> {
        (0..16).flat_map(|y| canvas[(y * 32 + 16 * right) * 4..][..64].to_vec()).collect()
    };
    let both = run(128);
    assert_eq!(bits(&half(&both, 0)), bits(&half(&one, 0)));
    assert_eq!(bits(&half(&both, 1)), bits(&half(&two, 1)));
    assert!(worst(&half(&both, 1), &half(&one, 1)) > 1e-3);
    // Region 0 reaches a quarter into the right window.
    let (shared, source) = (run(160), noise(2, 2 * CELLS));
    assert_eq!(bits(&half(&shared, 0)), bits(&half(&one, 0)));
    let [shared, one, two, source] = [&shared, &one, &two, &source].map(|canvas| half(canvas, 1));
    for i in 0..shared.len() {
        let expected = 0.25 * (one[i] - source[i]) + 0.75 * (two[i] - source[i]);
        assert!((shared[i] - source[i] - expected).abs() < 2e-5, "{i}: {} {expected}", shared[i] - source[i]);
    }
}

#[test]
fn models_and_texts_must_go_together() {
    let (source, space) = (noise(2, 3 * CELLS), || Box::new(frames()));
    let prompts = EditTexts::Prompts { source: "day".into(), targets: vec!["night".into()], negative: String::new() };
    let instruction = |n: usize| EditTexts::Instructions {
        instructions: vec!["make it night".into(); n],
        negative: String::new(),
        guidance: [7.5, 1.5],
    };
    let refused = |model: &Arc<StableDiffusion>, texts, method| {
        let (space, regions, latent_canvas) = (space(), None, None);
        let set = SetEdit { method, space, source: source.clone(), texts, regions, latent_canvas, seed: 3 };
        set.program(model).err().unwrap().to_string()
    };
    assert!(refused(mini(), instruction(1), csd()).contains("8 (an InstructPix2Pix model)"));
    assert!(refused(editor(), prompts.clone(), csd()).contains("in_channels"), "plain prompts, editing model");
    assert!(refused(editor(), instruction(2), csd()).contains("texts: found 2, expected 1"));
    let condition = Csd { condition: Some(1.0), ..csd() };
    assert!(refused(mini(), prompts, condition).contains("image latents of the method: found image latents"));
}

/// Section 10 on a network with guidance: with one prompt on both sides DDS never moves anything; with two it does, and the kernel
/// changes how.
#[test]
fn prompts_edit_on_the_built_in_model() {
    let source = noise(4, 2 * CELLS);
    let run = |target: &str, method: Csd| {
        let (from, negative) = ("noon over the sea, clear sky, hills".to_owned(), String::new());
        let texts = EditTexts::Prompts { source: from, targets: vec![target.to_owned()], negative };
        let space = Box::new(Frames::new(2, [128, 128]).unwrap());
        let (regions, latent_canvas) = (None, None);
        let set = SetEdit { method, space, source: source.clone(), texts, regions, latent_canvas, seed: 3 };
        Job::new(set.program(mini()).unwrap()).run(|_, _| {}).unwrap()
    };
    let dds = Csd { iterations: 3, ..Csd::dds(5) };
    let same = run("noon over the sea, clear sky, hills", dds.clone());
    assert_eq!(bits(&same.canvas), bits(&source));
    // Two branches with guidance, two frames, three steps. No picture was asked for, and none was made.
    assert_eq!((same.evaluations, same.rgb.len()), (2 * 2 * 2 * 3, 0));
    let night = "night over the sea, clear sky, hills";
    let [alone, coupled] = [None, Some(Bandwidth::Guarded)].map(|coupling| run(night, Csd { coupling, ..csd() }));
    assert!(worst(&alone.canvas, &source) > 0.01 && worst(&alone.canvas, &coupled.canvas) > 1e-3);
}

/// Text to canvas: a panorama by coupled views, decoded view by view.
#[test]
fn text_becomes_a_panorama() {
    let views = ViewSet::Custom(vec![vec![[0.0, 0.0, 0.0], [36.0, 0.0, 0.0]]]);
    let interpolation = Interpolation::Bilinear;
    let options = PanoramaOptions { height: 448, view_side: 128, fov: 80.0, used_fov: 72.0, views, interpolation };
    let space = Arc::new(Panorama::new(&options).unwrap());
    let plan =
        |coupling| Csd { coupling, ..Csd::generation(3, 1) }.plan(&mini().noise_schedule, space.set_count()).unwrap();
    let draw = |plan: Plan| {
        let prompts = ViewPrompts::new("green meadow at noon with hills", "");
        let model = PromptedUNet::new(mini(), prompts, &plan, space.as_ref()).unwrap();
        let options = CanvasOptions::new(plan, space.clone(), 3);
        Job::new(CanvasProgram::new(model, options).unwrap()).run(|_, _| {}).unwrap()
    };
    let [with, without] = [Some(Bandwidth::Guarded), None].map(|coupling| draw(plan(coupling)));
    assert_eq!((with.views.len(), with.rgb.len()), (2, 448 * 896 * 3));
    let covered = with.coverage.iter().filter(|weight| **weight > 0.0).count();
    assert!(covered > 40_000 && with.rgb.iter().all(|v| v.is_finite()), "{covered} texels");
    // Adam's first steps have the rate's size; what differs is where they go.
    assert!(with.canvas.iter().any(|v| v.abs() > 0.05) && worst(&with.canvas, &without.canvas) > 1e-3);
    let branch = Reg::Branch(ViewReg::State, 0);
    assert!(!plan(None).uses(branch), "one branch needs no rows of its own");
}

/// Section 9's detector of a wrong scale: drawn from noise without an instruction, the built-in editor repeats its picture when it is
/// shown unscaled, as it was trained, and much less so when it is scaled as the authors of CSD have it; and the closer, the more it is
/// guided along it.
#[test]
fn the_editor_wants_unscaled_pictures() {
    let model = load(&ModelSource::mini_editor().unwrap());
    let pixel = |y: usize, x: usize| match y {
        0..64 => [0.35 + 0.003 * y as f32, 0.55 + 0.003 * y as f32, 0.95],
        _ if (x / 8 + y / 4).is_multiple_of(3) => [0.75, 0.6, 0.2],
        _ => [0.3, 0.55 - 0.002 * y as f32, 0.15],
    };
    let rgb: Vec<f32> = (0..128 * 128).flat_map(|i| pixel(i / 128, i % 128)).collect();
    let source = PictureCodec::new(&model, [128, 128], PictureOptions::default()).unwrap().encode(&rgb).unwrap();
    let factor = 1.0 / model.vae.config().scaling_factor;
    let distance = |condition: f64, image: f64| {
        let plan = Instructed { condition }.plan(&EditGrid::diffusion(&model.noise_schedule, 12).unwrap());
        let (instructions, negative) = (vec![String::new()], String::new());
        let texts = EditTexts::Instructions { instructions, negative, guidance: [5.0, image] };
        let (source, mask) = (source.clone(), None);
        let edit = PictureEdit { plan, size: [16, 16], source: source.clone(), texts, mask, seed: 3 };
        let drawn = Job::new(edit.program(&model).unwrap()).run(|_, _| {}).unwrap().canvas;
        (drawn.iter().zip(&source).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / CELLS as f64).sqrt()
    };
    let (unscaled, scaled) = (distance(factor, 1.2), distance(1.0, 1.2));
    let guided: Vec<f64> = [0.0, 0.5, 1.0].map(|image| distance(factor, image)).into();
    println!("distance: {unscaled} unscaled, {scaled} scaled; with guidance 0, 0.5 and 1 along the picture {guided:?}");
    assert!(unscaled < 0.7 * scaled, "{unscaled} unscaled, {scaled} scaled");
    assert!(guided.windows(2).all(|pair| pair[1] < 0.9 * pair[0]), "{guided:?}");
}
