//! Coupled edits with weights and prompts: what holds for any model.

use std::sync::Arc;

use syncline::jobs::{
    Branched, CanvasOptions, CanvasProgram, EditTexts, Job, PictureEdit, Program, PromptedUNet, ViewPrompts, edit_views,
};
use syncline::methods::{Dds, EditGrid, EditMethod, EditSettings, FlowEdit, Op, Plan, SyncSde};
use syncline::models::UNet2DConditionModel;
use syncline::pipeline::StableDiffusion;
use syncline::spaces::{Branches, Frames, Space};
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::tensor::Elem;
use syncline_loader::{Dtype, ModelSource, Weights};
use syncline_tests::analytic::worst;

fn pair(branches: usize, side: usize) -> Arc<dyn Space> {
    Arc::new(Branches::new(Box::new(Frames::new(1, [side, side]).unwrap()), branches).unwrap())
}

fn picture(seed: u64, count: usize) -> Vec<f32> {
    let mut draw = Draw::new(seed);
    (0..count).map(|_| draw.normal() as f32).collect()
}

/// Models with weights: the built-in one, and one of random weights.
fn with_weights(random: bool) -> Arc<StableDiffusion> {
    let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
    let source = ModelSource::mini().unwrap();
    let model = StableDiffusion::load(&ctx, &source, Elem::F32).unwrap();
    if !random {
        return model;
    }
    let mut model = Arc::into_inner(model).unwrap();
    let weights = Weights::generated(7, "unet", Dtype::F32);
    let config = source.unet_config().unwrap();
    model.unet = UNet2DConditionModel::load(&ctx, &weights.scope(), &config, Elem::F32).unwrap();
    Arc::new(model)
}

fn prompted(model: &Arc<StableDiffusion>, texts: [&str; 2], plan: &Plan, side: usize) -> Branched<PromptedUNet> {
    let space = pair(2, side);
    let unet = |(b, text): (usize, &str)| {
        PromptedUNet::for_branch(model, ViewPrompts::new(text, ""), plan, space.as_ref(), b).unwrap()
    };
    Branched::new(texts.into_iter().enumerate().map(unet).collect()).unwrap()
}

fn edit_with(model: &Arc<StableDiffusion>, texts: [&str; 2], plan: Plan, x: &[f32], seed: u64) -> Vec<f32> {
    let side = model.native_size();
    let models = prompted(model, texts, &plan, side);
    let space = pair(plan.branches, side);
    let options = CanvasOptions { start_latents: Some(x.to_vec()), ..CanvasOptions::new(plan, space, seed) };
    Job::new(CanvasProgram::new(models, options).unwrap()).run(|_, _| {}).unwrap().canvas
}

/// S1: identical prompts and guidance give back the picture to the bit, whatever the weights, the seed and the form.
#[test]
fn equal_prompts_change_nothing_at_all() {
    for random in [false, true] {
        let model = with_weights(random);
        let side = model.native_size() / model.downscale();
        let x = picture(1, side * side * model.latent_channels());
        let grid = EditGrid::diffusion(&model.noise_schedule, 6).unwrap();
        let flow = EditGrid::flow_of_diffusion(&model.noise_schedule, 6).unwrap();
        let plans = [
            SyncSde::exact(1, [3.0; 2]).plan(&grid).unwrap(),
            SyncSde::published(2, [1.0; 2]).plan(&flow).unwrap(),
            SyncSde { resample: true, ..SyncSde::published(2, [2.0; 2]) }.plan(&flow).unwrap(),
            FlowEdit::published(6, 2, [1.5; 2]).plan(&flow).unwrap(),
            Dds { iterations: 3, ..Dds::published(5) }.plan(&model.noise_schedule).unwrap(),
        ];
        for (k, plan) in plans.into_iter().enumerate() {
            let same = edit_with(&model, ["a red house", "a red house"], plan.clone(), &x, 40 + k as u64);
            assert_eq!(worst(&same, &x), 0.0, "random weights {random}, plan {k}");
            if k < 2 {
                let other = edit_with(&model, ["a red house", "snow at night"], plan, &x, 40);
                assert!(worst(&other, &x) > 1e-6, "random weights {random}, plan {k}");
            }
        }
    }
}

/// A picture larger than the model, by windows that agree on what changes after every step.
#[test]
fn windows_of_one_picture_agree() {
    let model = with_weights(false);
    let size = [16, 24];
    let space = edit_views(&model, size).unwrap();
    assert_eq!((space.view_count(), space.canvas_size()), (2, [128, 192]));
    let x = picture(3, 16 * 24 * 4);
    let settings = EditSettings { windows: true, guidance: [2.0; 2], ..EditSettings::new(4, 1) };
    let run = |method: EditMethod, target: &str, mask: Option<Vec<f32>>| {
        let plan = settings.plan(method, &model.noise_schedule).unwrap();
        let (source, targets, negative) = ("a red house".to_owned(), vec![target.to_owned()], String::new());
        let texts = EditTexts::Prompts { source, targets, negative };
        let edit = PictureEdit { plan, size, source: x.clone(), texts, mask, seed: 5 };
        Job::new(edit.program(&model).unwrap()).run(|_, _| {}).unwrap().canvas
    };
    for method in [EditMethod::SyncSde, EditMethod::FlowEdit] {
        assert_eq!(worst(&run(method, "a red house", None), &x), 0.0, "{method}");
        let mask: Vec<f32> = (0..16 * 24).map(|i| f32::from(u8::from(i % 24 < 7))).collect();
        let masked = run(method, "snow at night", Some(mask.clone()));
        for i in 0..x.len() {
            assert!(mask[i / 4] > 0.0 || masked[i].to_bits() == x[i].to_bits(), "{method} {i}");
        }
        assert!(worst(&masked, &x) > 0.1);
    }
    // SDEdit has one branch; its windows are averaged in the end.
    assert!(worst(&run(EditMethod::SdEdit, "snow at night", None), &x) > 0.1);
    // Three operations more for each step of windows, and none for one view.
    let ops =
        |windows| EditSettings { windows, ..settings }.plan(EditMethod::SyncSde, &model.noise_schedule).unwrap().ops;
    assert_eq!(ops(true).len(), ops(false).len() + 3 * 3);
    assert!(ops(false).iter().all(|op| !matches!(op, Op::Mix(_))));
}

/// By the device's clock the coupling takes less than a hundredth of the evaluations it couples, even of the smallest model.
#[test]
fn coupling_takes_next_to_no_time() {
    let model = with_weights(false);
    let side = model.native_size();
    let grid = EditGrid::diffusion(&model.noise_schedule, 4).unwrap();
    let plan = SyncSde::exact(1, [1.0, 3.0]).plan(&grid).unwrap();
    let models = prompted(&model, ["a red house", "snow at night"], &plan, side);
    let x = picture(1, 16 * 16 * 4);
    let options = CanvasOptions { start_latents: Some(x), ..CanvasOptions::new(plan, pair(2, side), 1) };
    let mut program = CanvasProgram::new(models, options).unwrap();
    let (mut coupling, mut network) = (Vec::new(), Vec::new());
    while let Some(recording) = program.next().unwrap() {
        let couples = recording.dispatches().any(|(kernel, ..)| kernel == "edit_step");
        let evaluates = recording.dispatches().any(|(kernel, ..)| kernel == "step");
        let time: f64 = recording.profile().unwrap().iter().map(|dispatch| dispatch.ns).sum();
        if couples {
            coupling.push(time);
        }
        if evaluates {
            network.push(time);
        }
        program.done().unwrap();
    }
    assert_eq!((coupling.len(), network.len()), (4, 6), "the first state and three steps of two sides");
    // Medians: another process may have had the processor meanwhile.
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    // A step of the edit is two evaluations.
    let share = median(coupling) / (2.0 * median(network));
    println!("coupling takes {share:.5} of a step");
    assert!(share < 0.01, "{share}");
}
