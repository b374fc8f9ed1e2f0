//! Coupled edits with weights and prompts: what holds for any model.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasOptions, CanvasProgram, Job, PromptedUNet, ViewPrompts};
use syncline::methods::{Dds, EditGrid, FlowEdit, Plan, SyncSde};
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
