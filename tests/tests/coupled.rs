//! Coupled trajectories against mathematics: analytic denoisers on latent canvases, closed forms on the host.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasOptions, CanvasProgram};
use syncline::methods::{
    Composed, Coupled, Draw, Evaluate, FlowStep, JointGrid, Langevin, Medium, Mix, ModelLevels, Op, Plan, Reg, ViewReg,
};
use syncline::rng::{NoiseKey, Purpose};
use syncline::schedulers::{
    NoiseSchedule, NoiseScheduleConfig, PlanOptions, PredictionType, SamplingMethod, StepCoefficients, plan,
};
use syncline::spaces::{Branches, Space};
use syncline_tests::analytic::{
    Component, Crops, GAUSS, TWELVE, TWO, Zero, branches, context, coupled, mixture, neighbourly, planned, sample,
    schedule, two_models, views, without_picture, worst,
};

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

/// Branches with noise of their own are separate runs, to the byte.
#[test]
fn uncoupled_branches_are_separate_runs() {
    let rows: [&[&[Component]]; 2] = [&[GAUSS, TWO], &[TWO, GAUSS]];
    let both = Branched::new(rows.map(neighbourly).into()).unwrap();
    let both = sample(both, apart(&[2.0, 3.5], [false; 2]), branches(2), 7);
    assert_eq!(both.evaluations, 2 * 6 * 2 * 2);
    let half = both.latents.len() / 2;
    for (b, scale) in [2.0, 3.5].into_iter().enumerate() {
        let space = views((b as u32) << 24);
        let alone = sample(neighbourly(rows[b]), apart(&[scale], [false; 2]), Arc::new(space), 7);
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
        let both = Branched::new(vec![neighbourly(&[TWO]), neighbourly(&[TWO])]).unwrap();
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
    let models = || Branched::new(vec![neighbourly(&[TWO]), neighbourly(&[TWO])]).unwrap();
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
        let models = Branched::new(vec![neighbourly(&[TWO]), neighbourly(&[TWO])]).unwrap();
        CanvasProgram::new(models, CanvasOptions::new(plan, branches(2), 0)).err().unwrap().to_string()
    };
    let plan = apart(&[1.0, 1.0], [false; 2]);
    assert!(refused(Plan { branches: 3, ..plan.clone() }).contains("a divisor of the space's 4 views"));
    let third = |op| Plan { ops: [plan.ops.clone(), vec![op]].concat(), ..plan.clone() };
    let Op::Evaluate(evaluate) = plan.ops[2] else { panic!("an evaluation") };
    assert!(refused(third(Op::Evaluate(evaluate.of(2)))).contains("denoiser: found 2, expected below 2"));
    let [a, b] = [0, 1].map(|branch| Reg::Branch(ViewReg::State, branch));
    let across =
        Mix { target: a, own: 0.0, terms: [Some((b, 1.0)), None], sigma: 0.0, draw: Draw::new(Purpose::Step, 0) };
    assert!(refused(third(Op::Mix(across))).starts_with("sum: found Branch(State, 0) of terms"));
    let from = Reg::Branch(ViewReg::State, 2);
    let fuse = Op::Fuse { from, to: syncline::methods::CanvasReg::Canvas, fusion: syncline::methods::Fusion::Average };
    assert!(refused(third(fuse)).contains("branch: found 2, expected below 2"));
}

/// Specification C1: without coupling two separate runs, to the byte, whether the push of zero runs or not.
#[test]
fn lambda_zero_is_two_separate_runs() {
    let method = Coupled { guidance: vec![2.0, 3.5], ..coupled(0.0) };
    let plan = planned(&method);
    let both = sample(two_models(), plan.clone(), branches(2), 7);
    let half = both.latents.len() / 2;
    for (b, rows) in [[GAUSS, TWO], [TWO, GAUSS]].into_iter().enumerate() {
        // The branch alone: its evaluations, with the ids that it has among the others.
        let own = |op: &Op| match op {
            Op::Evaluate(e) => (e.model == b).then(|| Op::Evaluate(e.of(0))),
            other => Some(*other),
        };
        let alone = Plan { branches: 1, ops: plan.ops.iter().filter_map(own).collect(), ..plan.clone() };
        let alone = sample(neighbourly(&rows), alone, Arc::new(views((b as u32) << 24)), 7);
        assert_eq!(worst(&both.latents[b * half..(b + 1) * half], &alone.latents), 0.0, "branch {b}");
    }
    let mut pushed = plan.clone();
    for end in (0..pushed.ops.len()).rev().filter(|i| matches!(plan.ops[*i], Op::EndStep { .. })) {
        pushed.ops.insert(end, Op::Couple { push: [0.0; 16], first_view: 0 });
    }
    let pushed = sample(two_models(), pushed, branches(2), 7);
    let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
    assert_eq!(bits(&pushed.latents), bits(&both.latents));
}

/// Specification C2: what is the same stays the same, whatever the strength.
#[test]
fn equal_trajectories_are_a_fixed_point() {
    let run = |lambda| {
        let method = Coupled { shared_init: true, shared_noise: true, ..coupled(lambda) };
        sample(Branched::new(vec![neighbourly(&[TWO]); 2]).unwrap(), planned(&method), branches(2), 3).latents
    };
    let plain = run(0.0);
    assert_eq!(worst(&plain[..plain.len() / 2], &plain[plain.len() / 2..]), 0.0);
    for lambda in [0.01, 0.3, 50.0] {
        assert_eq!(worst(&run(lambda), &plain), 0.0, "{lambda}");
    }
}

/// Specification C3: pushes are equal and opposite; models that change places change results.
#[test]
fn pushes_balance_and_models_change_places() {
    let first_step = |lambda: f64| {
        let plan = planned(&coupled(lambda));
        let end = plan.ops.iter().position(|op| matches!(op, Op::EndStep { .. })).unwrap();
        let latents = sample(two_models(), Plan { ops: plan.ops[..=end].to_vec(), ..plan }, branches(2), 5).latents;
        let (a, b) = latents.split_at(latents.len() / 2);
        (a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f32>>(), latents.clone())
    };
    let (sum, plain) = first_step(0.0);
    for lambda in [0.02, 0.2] {
        let (pushed, latents) = first_step(lambda);
        assert!(worst(&latents, &plain) > 1e-4);
        assert!(worst(&sum, &pushed) < 2e-6, "{lambda}: {}", worst(&sum, &pushed));
    }
    let shared = Coupled { shared_init: true, shared_noise: true, ..coupled(0.05) };
    let [ab, ba] = [[GAUSS, TWO], [TWO, GAUSS]].map(|kinds| {
        let models = Branched::new(kinds.map(|kind| neighbourly(&[kind])).into()).unwrap();
        sample(models, planned(&shared), branches(2), 5).latents
    });
    let half = ab.len() / 2;
    assert_eq!((worst(&ab[..half], &ba[half..]), worst(&ab[half..], &ba[..half])), (0.0, 0.0));
}

/// Specification C4 on the device: gains of a zero network, in all three forms.
#[test]
fn gains_of_a_zero_network() {
    let gain = |prediction: PredictionType, grid: JointGrid, lambda: f64| {
        let noise = NoiseSchedule::stable_diffusion(prediction);
        let flow = matches!(grid, JointGrid::Flow { .. });
        let levels = if flow { ModelLevels::Flow } else { ModelLevels::Diffusion(&noise) };
        let method = Coupled { grid, shared_noise: true, ..coupled(lambda) };
        let plan = without_picture(method.plan(&[levels]).unwrap());
        let zero = Zero::new(context(), 4, [4, 8, 4], prediction);
        let latents = sample(zero, plan, branches(2), 9).latents;
        let start = |branch: u32, view: u32| {
            let (purpose, view) = (Purpose::Initial, view | branch << 24);
            NoiseKey { seed: 9, purpose, trajectory: 0, view, step: 0 }.randn(128)
        };
        let [a, b] = [0, 1].map(|branch| [start(branch, 0), start(branch, 1)].concat());
        let (end, begin) = (&latents, a.iter().zip(&b));
        let (mut top, mut bottom) = (0.0, 0.0);
        for (i, (a, b)) in begin.enumerate() {
            let (before, after) = (f64::from(a - b), f64::from(end[i] - end[256 + i]));
            (top, bottom) = (top + before * after, bottom + before * before);
        }
        top / bottom
    };
    let ten = JointGrid::Diffusion { steps: 10, of: 0 };
    let flow = JointGrid::Flow { steps: 10, mu: 0.0, step: FlowStep::Ode };
    let eps = PredictionType::Epsilon;
    let known = [
        (eps, ten, 0.0, 14.648_814),
        (eps, ten, 0.01, 8.924_584),
        (eps, ten, 0.03, 2.667_266),
        (PredictionType::VPrediction, ten, 0.0, 0.068_264_91),
        (PredictionType::VPrediction, ten, 0.05, 0.049_644_58),
        (PredictionType::VPrediction, ten, 0.2, 0.017_527_07),
        (eps, flow, 0.05, 0.628_156_51),
        (eps, flow, 0.2, 0.124_378_69),
    ];
    for (prediction, grid, lambda, expected) in known {
        let found = gain(prediction, grid, lambda);
        println!("{prediction:?} {grid:?} lambda {lambda}: {found:.7} ({expected})");
        assert!((found / expected - 1.0).abs() < 2e-5, "{prediction:?} {lambda}: {found} instead of {expected}");
    }
}

/// Specification C5: Gaussians at +1 and -1 with deviation 1/2, 50 steps, noise of their own.
#[test]
fn coupled_gaussians_meet() {
    const HERE: &[Component] = &[Component::new(1.0, 0.5)];
    const THERE: &[Component] = &[Component::new(-1.0, 0.5)];
    let space = Crops::new([64, 256], [64, 256], &[[0, 0]]);
    let known = [(0.0, 1.9977, 0.6375), (0.01, 1.7461, 0.6097), (0.02, 1.5255, 0.5845), (0.05, 1.0141, 0.5213)];
    let known = [&known[..], &[(0.1, 0.5083, 0.4465), (0.2, 0.1226, 0.3590)]].concat();
    let mut last = f64::INFINITY;
    for (lambda, mean, deviation) in known {
        let method = Coupled { grid: JointGrid::Diffusion { steps: 50, of: 0 }, ..coupled(lambda) };
        let models = Branched::new(vec![mixture(&space, &[HERE]), mixture(&space, &[THERE])]).unwrap();
        let both: Arc<dyn Space> = Arc::new(Branches::new(Box::new(space.clone()), 2).unwrap());
        let latents = sample(models, planned(&method), both, 21).latents;
        let half = latents.len() / 2;
        let differences = (0..half).map(|i| f64::from(latents[i]) - f64::from(latents[half + i]));
        let (sum, squares) = differences.fold((0.0, 0.0), |(s, q), d| (s + d, q + d * d));
        let found = sum / half as f64;
        let spread = (squares / half as f64 - found * found).sqrt();
        println!("lambda {lambda}: {found:.4} ({mean}) / {spread:.4} ({deviation})");
        // Four standard errors of 65,536 samples, and a table of four digits.
        let error = 4.0 * deviation / (half as f64).sqrt() + 5e-5;
        assert!((found - mean).abs() < error && (spread - deviation).abs() < error, "{lambda}: {found} / {spread}");
        assert!(found < last, "{lambda}");
        last = found;
    }
}

/// The whole loop, two models with different tables, guidance and strength, against the specification's steps in f64.
#[test]
fn two_noise_tables_follow_the_specification() {
    let linear = NoiseScheduleConfig { prediction_type: PredictionType::VPrediction, ..NoiseScheduleConfig::default() };
    let linear = NoiseSchedule::from_config(&linear).unwrap();
    let plain = |rows: &[&[Component]]| mixture(&views(0), rows);
    let models = [plain(&[GAUSS, TWO]), plain(&[TWO]).predicting_v().trained_on(linear.clone())];
    let tables = [schedule(), linear];
    let method = Coupled { guidance: vec![2.0, 1.0], lambda: vec![0.03, 0.08], window: [2, 9], ..coupled(0.0) };
    let plan = without_picture(
        method.plan(&[ModelLevels::Diffusion(&tables[0]), ModelLevels::Diffusion(&tables[1])]).unwrap(),
    );
    let result = sample(Branched::new(models.to_vec()).unwrap(), plan, branches(2), 13).latents;
    let times: Vec<usize> = (0..12).map(|i| (1000.0 - 1000.0 * f64::from(i) / 12.0).round() as usize - 1).collect();
    let sigma = |a: f64| ((1.0 - a) / a).sqrt();
    let nearest = |table: &NoiseSchedule, a: f64| {
        let distance = |t: &usize| (sigma(table.alphas_cumprod[*t]) - sigma(a)).abs();
        (0..1000).min_by(|s, t| distance(s).total_cmp(&distance(t))).unwrap()
    };
    let noise = |purpose, branch: u32, step| {
        let key = |view: u32| NoiseKey { seed: 13, purpose, trajectory: 0, view: view | branch << 24, step };
        [key(0).randn(128), key(1).randn(128)].concat()
    };
    let mut x = [0, 1].map(|b| noise(Purpose::Initial, b, 0).into_iter().map(f64::from).collect::<Vec<f64>>());
    for (k, t) in times.iter().enumerate() {
        let a = tables[0].alphas_cumprod[*t];
        let next = times.get(k + 1).map_or(1.0, |t| tables[0].alphas_cumprod[*t]);
        let beta = 1.0 - a / next;
        let (c0, ct) = (next.sqrt() * beta / (1.0 - a), (a / next).sqrt() * (1.0 - next) / (1.0 - a));
        let deviation = (beta * (1.0 - next) / (1.0 - a)).sqrt();
        let xi = [0, 1].map(|b| noise(Purpose::Step, b, k as u32));
        for i in 0..256 {
            let clean = [0, 1].map(|b| {
                let own = nearest(&tables[b], a);
                let eps = models[b].guided_eps(method.guidance[b], x[b][i], i % 4, own);
                let level = tables[b].alphas_cumprod[own];
                // The network that predicts v speaks of its own level.
                let v =
                    level.sqrt() * eps - (1.0 - level).sqrt() * (x[b][i] - (1.0 - level).sqrt() * eps) / level.sqrt();
                if b == 0 {
                    (x[b][i] - (1.0 - a).sqrt() * eps) / a.sqrt()
                } else {
                    a.sqrt() * x[b][i] - (1.0 - a).sqrt() * v
                }
            });
            for b in 0..2 {
                let push = if (2..9).contains(&k) { method.lambda[b] * (1.0 - next).sqrt() } else { 0.0 };
                let step = c0 * clean[b] + ct * x[b][i] + deviation * f64::from(xi[b][i]);
                x[b][i] = step - push * (clean[b] - clean[1 - b]);
            }
        }
    }
    let expected: Vec<f32> = x.concat().into_iter().map(|v| v as f32).collect();
    let difference = worst(&result, &expected);
    println!("two tables: {difference:.2e} from the specification");
    assert!(difference < 5e-4, "{difference}");
}

/// Specification C7, and the flow's steps with noise: the result is the last clean estimate, which nothing has pushed.
#[test]
fn the_last_step_is_not_pushed() {
    let both = sample(two_models(), planned(&coupled(0.1)), branches(2), 3);
    assert_eq!(worst(&both.latents, &both.clean), 0.0);
    let grid = JointGrid::Flow { steps: 8, mu: 0.5, step: FlowStep::Renoise };
    let plan = without_picture(Coupled { grid, ..coupled(0.1) }.plan(&[ModelLevels::Flow]).unwrap());
    let zero = Zero::new(context(), 4, [4, 8, 4], PredictionType::Epsilon);
    let both = sample(zero, plan, branches(2), 3);
    assert_eq!(worst(&both.latents, &both.clean), 0.0);
}

/// More than two branches: everybody is pushed toward the mean of the others, and all of them meet.
#[test]
fn four_branches_meet() {
    const KINDS: [&[Component]; 4] = [
        &[Component::new(1.5, 0.4)],
        &[Component::new(-0.5, 0.4)],
        &[Component::new(0.2, 0.4)],
        &[Component::new(-1.0, 0.4)],
    ];
    let spread = |lambda: f64| {
        let method = Coupled { rescale: false, ..Coupled::new(4, TWELVE, 1.0, lambda) };
        let plan = without_picture(method.plan(&[ModelLevels::Diffusion(&schedule()); 4]).unwrap());
        let models = Branched::new(KINDS.map(|kind| mixture(&views(0), &[kind])).into()).unwrap();
        let latents = sample(models, plan, branches(4), 2).latents;
        let mean = |b: usize| latents[b * 256..(b + 1) * 256].iter().map(|v| f64::from(*v)).sum::<f64>() / 256.0;
        let means = [mean(0), mean(1), mean(2), mean(3)];
        means.iter().fold(f64::MIN, |a, b| a.max(*b)) - means.iter().fold(f64::MAX, |a, b| a.min(*b))
    };
    let spreads = [0.0, 0.1, 0.3, 0.6].map(spread);
    println!("range of four means: {spreads:?}");
    assert!(spreads.windows(2).all(|pair| pair[1] < pair[0]) && spreads[3] < 0.5 * spreads[0]);
}

/// The compositions: one trajectory, with the mean of both estimates. For two Gaussians of one deviation that mean is the estimate
/// of the Gaussian between them.
#[test]
fn composed_gaussians_are_the_one_between() {
    const HERE: &[Component] = &[Component::new(1.2, 0.5)];
    const THERE: &[Component] = &[Component::new(-0.4, 0.5)];
    const BETWEEN: &[Component] = &[Component::new(0.4, 0.5)];
    let run = |kinds: [&[Component]; 2], langevin| {
        let method = Composed { grid: TWELVE, guidance: vec![1.0; 2], langevin, picture: None };
        let plan = without_picture(method.plan(&[ModelLevels::Diffusion(&schedule()); 2]).unwrap());
        let models = Branched::new(kinds.map(|kind| mixture(&views(0), &[kind])).into()).unwrap();
        sample(models, plan, branches(2), 4).latents
    };
    for langevin in [None, Some(Langevin { steps: 3, rate: 1.0 })] {
        let composed = run([HERE, THERE], langevin);
        let (a, b) = composed.split_at(composed.len() / 2);
        assert!(worst(a, b) < 1e-5, "one trajectory: {}", worst(a, b));
        let between = run([BETWEEN, BETWEEN], langevin);
        assert!(worst(&composed, &between) < 1e-4, "{langevin:?}: {}", worst(&composed, &between));
    }
    // Langevin steps draw anew.
    let [plain, moved] = [None, Some(Langevin { steps: 1, rate: 1.0 })].map(|langevin| run([HERE, THERE], langevin));
    assert!(worst(&plain, &moved) > 0.05);
}
