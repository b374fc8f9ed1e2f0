//! Coupling on the built-in model: what only a real network can show.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasModel, CanvasOptions, CanvasProgram, Job, Program, PromptedUNet, ViewPrompts};
use syncline::methods::{Coupled, JointGrid, ModelLevels, Plan};
use syncline::pipeline::StableDiffusion;
use syncline::spaces::{Branches, Frames, Space};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;
use syncline_tests::analytic::{without_picture, worst};

const PROMPTS: [&str; 2] = ["green meadow at noon with hills", "snow at night with hills"];

fn load() -> Arc<StableDiffusion> {
    let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
    StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap()
}

fn space(side: usize) -> Arc<dyn Space> {
    Arc::new(Branches::split(Box::new(Frames::new(2, [side; 2]).unwrap()), 2).unwrap())
}

/// Both prompts in one batch, or each with its own denoiser on the same weights.
fn program(
    model: &Arc<StableDiffusion>,
    method: &Coupled,
    side: usize,
    batch: bool,
) -> CanvasProgram<Box<dyn CanvasModel>> {
    let levels = ModelLevels::Diffusion(&model.noise_schedule);
    let levels = if batch { vec![levels] } else { vec![levels; 2] };
    let plan: Plan = without_picture(method.plan(&levels).unwrap());
    let space = space(side);
    let unet: Box<dyn CanvasModel> = if batch {
        let branches = PROMPTS.map(str::to_owned).to_vec();
        let prompts = ViewPrompts { branches, ..ViewPrompts::new("", "") };
        Box::new(PromptedUNet::new(model, prompts, &plan, space.as_ref()).unwrap())
    } else {
        let of = |b: usize| {
            PromptedUNet::for_branch(model, ViewPrompts::new(PROMPTS[b], ""), &plan, space.as_ref(), b).unwrap()
        };
        Box::new(Branched::new(vec![of(0), of(1)]).unwrap())
    };
    CanvasProgram::new(unet, CanvasOptions::new(plan, space, 5)).unwrap()
}

fn method(lambda: f64) -> Coupled {
    let grid = JointGrid::Diffusion { steps: 10, of: 0 };
    Coupled { rescale: false, shared_noise: true, ..Coupled::new(2, grid, 2.0, lambda) }
}

/// Specification C6: below the bound of a zero network, a real one's trajectories that share their noise come closer, too; and
/// one batch of both prompts is two denoisers on the same weights, to the byte.
#[test]
fn coupled_prompts_come_closer() {
    let model = load();
    let latents = |lambda: f64, batch: bool| {
        let result = Job::new(program(&model, &method(lambda), 64, batch)).run(|_, _| {}).unwrap();
        assert_eq!(result.evaluations, 40);
        result.latents
    };
    let distance = |latents: &[f32]| {
        let (a, b) = latents.split_at(latents.len() / 2);
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let (apart, coupled) = (latents(0.0, true), latents(0.02, true));
    println!("distance {:.3} apart, {:.3} coupled", distance(&apart), distance(&coupled));
    assert!(distance(&coupled) < distance(&apart));
    assert_eq!(worst(&coupled, &latents(0.02, false)), 0.0);
}

/// The push takes less than a hundredth of a step's time on the device.
#[test]
fn the_push_takes_a_hundredth_of_a_step_at_most() {
    let model = load();
    let mut program = program(&model, &method(0.02), 128, true);
    let (mut step, mut push) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..12 {
        let Some(recording) = program.next().unwrap() else { break };
        recording.run().unwrap();
        let runs = |name: &str| recording.dispatches().any(|(kernel, ..)| kernel == name);
        let (evaluates, couples) = (runs("step"), runs("couple"));
        if evaluates || couples {
            // Once more, timed by the device; others compute at the same time, so the shortest counts.
            let time: f64 = recording.profile().unwrap().iter().map(|dispatch| dispatch.ns).sum();
            let shortest = if couples { &mut push } else { &mut step };
            *shortest = shortest.min(time);
        }
        program.done().unwrap();
    }
    println!("a step takes {:.2} ms, its push {:.4} ms", step / 1e6, push / 1e6);
    assert!(step.is_finite() && 100.0 * push < step, "{push} ns of {step} ns");
}
