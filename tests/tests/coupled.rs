//! Coupled trajectories against mathematics: analytic denoisers on latent canvases, closed forms on the host.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasModel, CanvasOptions, CanvasProgram, CanvasResult, Job};
use syncline::methods::{Draw, Evaluate, Medium, Mix, Op, Plan, Reg, ViewReg};
use syncline::rng::Purpose;
use syncline::schedulers::{PlanOptions, SamplingMethod, StepCoefficients, plan};
use syncline::spaces::{Branches, Space};
use syncline_tests::analytic::{Component, Crops, GAUSS, Mixture, TWO, mixture, schedule, worst};

/// Two views side by side that know nothing of each other.
fn views(first_id: u32) -> Crops {
    Crops { first_id, ..Crops::row(16, [4, 8], 8) }
}

fn sample(model: impl CanvasModel, plan: Plan, space: Arc<dyn Space>, seed: u64) -> CanvasResult {
    Job::new(CanvasProgram::new(model, CanvasOptions::new(plan, space, seed)).unwrap()).run(|_, _| {}).unwrap()
}

fn branches(count: usize) -> Arc<dyn Space> {
    Arc::new(Branches::new(Box::new(views(0)), count).unwrap())
}

/// Ancestral steps of each branch by a denoiser of its own, with guidance of its own.
fn apart(guidance: &[f64], shared: [bool; 2]) -> Plan {
    let options = PlanOptions { steps: 6, ..PlanOptions::default() };
    let steps: Vec<StepCoefficients> = plan(SamplingMethod::Ddpm, &schedule(), &options).unwrap().steps;
    let draw = Draw::new(Purpose::Initial, 0).shared(shared[0]);
    let noise = Mix { target: ViewReg::State.into(), own: 0.0, terms: [None; 2], sigma: 1.0, draw };
    let mut ops = vec![Op::Look { step: 0 }, Op::Mix(noise)];
    for (k, coefficients) in steps.into_iter().enumerate() {
        let draw = Draw::new(Purpose::Step, k as u32).shared(shared[1]);
        let evaluate = |(b, scale): (usize, &f64)| Op::Evaluate(Evaluate::new(coefficients, *scale, draw).of(b));
        ops.extend(guidance.iter().enumerate().map(evaluate));
        ops.push(Op::EndStep { step: k });
    }
    Plan { branches: guidance.len(), ..Plan::new(Medium::Latent, ops) }
}

fn model(rows: &[&[Component]]) -> Mixture {
    mixture(&views(0), rows).reaching(0.3)
}

/// Branches with noise of their own are separate runs, to the byte.
#[test]
fn uncoupled_branches_are_separate_runs() {
    let rows: [&[&[Component]]; 2] = [&[GAUSS, TWO], &[TWO, GAUSS]];
    let both = Branched::new(rows.map(model).into()).unwrap();
    let both = sample(both, apart(&[2.0, 3.5], [false; 2]), branches(2), 7);
    assert_eq!(both.evaluations, 2 * 6 * 2 * 2);
    let half = both.latents.len() / 2;
    for (b, scale) in [2.0, 3.5].into_iter().enumerate() {
        let space = views((b as u32) << 24);
        let alone = sample(model(rows[b]), apart(&[scale], [false; 2]), Arc::new(space), 7);
        assert_eq!(worst(&both.latents[b * half..(b + 1) * half], &alone.latents), 0.0, "branch {b}");
        assert_eq!(worst(&both.clean[b * half..(b + 1) * half], &alone.clean), 0.0, "branch {b}");
    }
    assert!(worst(&both.latents[..half], &both.latents[half..]) > 0.1);
}

/// The same model, guidance and noise in both branches: the same samples. With one of the two kinds of noise of its own they
/// differ.
#[test]
fn noise_is_shared_where_asked() {
    let run = |shared| {
        let both = Branched::new(vec![model(&[TWO]), model(&[TWO])]).unwrap();
        sample(both, apart(&[1.0, 1.0], shared), branches(2), 3)
    };
    for shared in [[true, true], [true, false], [false, true], [false, false]] {
        let latents = run(shared).latents;
        let (a, b) = latents.split_at(latents.len() / 2);
        assert_eq!(worst(a, b) == 0.0, shared == [true, true], "{shared:?}");
    }
    // One batch of both branches instead of two denoisers: the same bytes.
    let batch = |guidance: &[f64]| {
        let space = Crops { sets: vec![[views(0).sets[0].clone(), views(0).sets[0].clone()].concat()], ..views(0) };
        let plan = Plan { branches: 2, ..apart(guidance, [true, false]) };
        sample(mixture(&space, &[TWO]).reaching(0.3), plan, branches(2), 3)
    };
    assert_eq!(worst(&batch(&[1.0]).latents, &run([true, false]).latents), 0.0);
}

/// A difference between branches, taken into one of them.
#[test]
fn operations_reach_single_branches() {
    let mut plan = apart(&[1.0, 1.0], [false; 2]);
    let mix = |target: Reg, own, terms: [Option<(Reg, f64)>; 2]| {
        Op::Mix(Mix { target, own, terms, sigma: 0.0, draw: Draw::new(Purpose::Step, 0) })
    };
    let [a, b] = [0, 1].map(|branch| Reg::Branch(ViewReg::State, branch));
    plan.ops.push(mix(Reg::Branch(ViewReg::Kept, 1), 0.0, [Some((a, 0.7)), Some((b, -0.7))]));
    plan.ops.push(mix(b, 0.0, [Some((Reg::Branch(ViewReg::Kept, 1), 2.0)), None]));
    let models = || Branched::new(vec![model(&[TWO]), model(&[TWO])]).unwrap();
    let before = sample(models(), apart(&[1.0, 1.0], [false; 2]), branches(2), 3).latents;
    let after = sample(models(), plan, branches(2), 3).latents;
    let half = after.len() / 2;
    assert_eq!(worst(&before[..half], &after[..half]), 0.0, "the other branch stays");
    for i in 0..half {
        let expected = 1.4 * (f64::from(before[i]) - f64::from(before[half + i]));
        assert!((f64::from(after[half + i]) - expected).abs() < 1e-5, "{i}");
    }
}

#[test]
fn branches_that_do_not_fit_are_refused() {
    let refused = |plan: Plan| {
        let models = Branched::new(vec![model(&[TWO]), model(&[TWO])]).unwrap();
        CanvasProgram::new(models, CanvasOptions::new(plan, branches(2), 0)).err().unwrap().to_string()
    };
    let plan = apart(&[1.0, 1.0], [false; 2]);
    assert!(refused(Plan { branches: 3, ..plan.clone() }).contains("a divisor of the space's 4 views"));
    let third = |op| Plan { ops: [plan.ops.clone(), vec![op]].concat(), ..plan.clone() };
    let Op::Evaluate(evaluate) = plan.ops[2] else { panic!("an evaluation") };
    assert!(refused(third(Op::Evaluate(evaluate.of(2)))).contains("denoiser: found 2, expected below 2"));
    let from = Reg::Branch(ViewReg::State, 2);
    let fuse = Op::Fuse { from, to: syncline::methods::CanvasReg::Canvas, fusion: syncline::methods::Fusion::Average };
    assert!(refused(third(fuse)).contains("branch: found 2, expected below 2"));
}
