//! Collaborative score distillation against mathematics: analytic denoisers on latent canvases. The kernel itself (symmetry, sign,
//! slope of the repulsion, bandwidths) is tested beside it.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasOptions, CanvasProgram, CanvasResult, Job, Program};
use syncline::methods::{
    Bandwidth, Baseline, CanvasReg, Csd, Distillation, Draw, Mix, Op, Optimiser, Plan, Reg, ViewReg, Weighting,
};
use syncline::rng::{NoiseKey, Purpose};
use syncline::spaces::{Branches, MiniBatch, Space};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_tests::analytic::{Component, Crops, GAUSS, Mixture, TWO, context, mixture, run, schedule, worst};

/// A mixture with the deviation of [`GAUSS`]: estimates of the two differ by the same everywhere.
const SHIFTED: &[Component] = &[Component::new(-0.3, 0.5)];

/// Views in a row, not overlapping.
fn side_by_side(count: usize) -> Crops {
    Crops::row(8 * count, [8, 8], 8)
}

/// Numbers of unit size for a canvas.
fn picture(space: &dyn Space, seed: u64) -> Vec<f32> {
    let [h, w] = space.canvas_size();
    NoiseKey { seed, purpose: Purpose::Canvas, trajectory: 9, view: 0, step: 0 }.randn(h * w * 4)
}

/// An edit with plain descent of rate 1.
fn edit() -> Csd {
    let optimiser = Optimiser::Sgd { rate: 1.0, decay: 1.0, every: 1 };
    Csd { optimiser, iterations: 3, batch: None, guidance_scale: [1.0; 2], ..Csd::panorama(5) }
}

fn noise_baseline(base: Csd) -> Csd {
    Csd { baseline: Baseline::Noise, ..base }
}

/// A program on analytic models: the target's and the source's.
fn program(space: &Crops, csd: &Csd, plan: Plan, rows: [&[Component]; 2], start: &[f32]) -> Edit {
    program_on(context(), space, csd, (plan, rows, start))
}

type Edit = CanvasProgram<Branched<Mixture>>;

fn program_on(ctx: &Context, space: &Crops, csd: &Csd, (plan, rows, start): (Plan, [&[Component]; 2], &[f32])) -> Edit {
    let batch = csd.batch.unwrap_or(space.view_count());
    let few = MiniBatch::new(Box::new(space.clone()), batch, 5).unwrap().with_one_noise(csd.one_noise);
    let branches = Branches::new(Box::new(few), csd.branches()).unwrap();
    let model = |row: &[Component]| Mixture::new(ctx, batch, [space.view[0], space.view[1], 4], &[row]);
    let models = rows[..csd.branches()].iter().map(|row| model(row)).collect();
    let options = CanvasOptions {
        source_latents: plan.uses(CanvasReg::Source.into()).then(|| start.to_vec()),
        start_latents: Some(start.to_vec()),
        ..CanvasOptions::new(plan, Arc::new(branches), 3)
    };
    CanvasProgram::new(Branched::new(models).unwrap(), options).unwrap()
}

fn edited(space: &Crops, csd: &Csd, rows: [&[Component]; 2], start: &[f32]) -> CanvasResult {
    let plan = csd.plan(&schedule(), 1).unwrap();
    Job::new(program(space, csd, plan, rows, start)).run(|_, _| {}).unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn change(result: &CanvasResult, start: &[f32]) -> Vec<f64> {
    result.canvas.iter().zip(start).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
}

/// 8.6 a: one view is score distillation to the bit, whatever the bandwidth, and so is a plan that takes the difference as a sum.
#[test]
fn one_view_is_score_distillation() {
    let space = side_by_side(1);
    let start = picture(&space, 1);
    for base in [edit(), noise_baseline(edit())] {
        let alone = edited(&space, &Csd { coupling: None, ..base.clone() }, [TWO, GAUSS], &start);
        assert!(worst(&alone.canvas, &start) > 0.05, "nothing moved");
        for bandwidth in Bandwidth::ALL {
            let coupled = edited(&space, &Csd { coupling: Some(bandwidth), ..base.clone() }, [TWO, GAUSS], &start);
            assert_eq!(bits(&coupled.canvas), bits(&alone.canvas), "{bandwidth:?} {:?}", base.baseline);
        }
    }
    // DDS as a difference of two registers.
    let csd = Csd { weighting: Weighting::Uniform, ..edit() };
    let mut plan = csd.plan(&schedule(), 1).unwrap();
    for op in &mut plan.ops {
        if matches!(op, Op::Stein(_)) {
            let [a, b] = [0, 1].map(|branch| Reg::Branch(ViewReg::Clean, branch));
            let terms = [Some((a, 1.0)), Some((b, -1.0))];
            let target = Reg::Branch(ViewReg::Kept, 0);
            *op = Op::Mix(Mix { target, own: 0.0, terms, sigma: 0.0, draw: Draw::new(Purpose::Step, 0) });
        }
    }
    let sums = Job::new(program(&space, &csd, plan, [TWO, GAUSS], &start)).run(|_, _| {}).unwrap();
    assert_eq!(bits(&edited(&space, &csd, [TWO, GAUSS], &start).canvas), bits(&sums.canvas));
}

/// The noise baseline of one view has the gradient of [`Distillation::sds`], which takes it as a sum of three terms.
#[test]
fn the_noise_baseline_is_sds() {
    let space = side_by_side(1);
    let method = Distillation { t_min: 300, t_max: 300, guidance_scale: 1.0, ..Distillation::sds(1, 5) };
    let mut plan = method.plan(&schedule(), 1).unwrap();
    let end = plan.ops.iter().position(|op| matches!(op, Op::Scatter { .. })).unwrap();
    plan.ops.truncate(end);
    let gradient = run(mixture(&space, &[TWO]), plan, &space, 3).clean;
    let csd = Csd { iterations: 1, t_min: 300, t_max: 300, ..noise_baseline(edit()) };
    let moved = edited(&space, &csd, [TWO, GAUSS], &vec![0.0; gradient.len()]);
    let moved: Vec<f32> = moved.canvas.iter().map(|v| -v).collect();
    // Sums are in units of 2⁻²⁰.
    assert!(worst(&moved, &gradient) < 5e-6, "{}", worst(&moved, &gradient));
    assert!(gradient.iter().any(|v| v.abs() > 0.1));
}

/// Two views are finite in every form; the code's median of two is zero, which means K = 1.
#[test]
fn two_views_are_finite() {
    let space = side_by_side(2);
    let start = picture(&space, 2);
    let mut runs = Vec::new();
    for bandwidth in Bandwidth::ALL {
        let result = edited(&space, &Csd { coupling: Some(bandwidth), ..edit() }, [TWO, GAUSS], &start);
        assert!(result.canvas.iter().all(|v| v.is_finite()) && worst(&result.canvas, &start) > 0.05);
        runs.push(result.canvas);
    }
    assert!(worst(&runs[0], &runs[1]) > 1e-3 && worst(&runs[0], &runs[2]) > 1e-3, "the forms differ");
}

/// 8.6 b and section 10: with the same prompt on both sides nothing ever moves, to the bit; with the kernel and different views
/// nothing but their repulsion does, and none where they are equal.
#[test]
fn without_a_difference_nothing_moves() {
    let space = Crops::row(20, [8, 8], 4);
    let start = picture(&space, 3);
    let dds = Csd { guidance_scale: [1.0; 2], iterations: 40, ..Csd::dds(5) };
    assert_eq!(bits(&edited(&space, &dds, [TWO, TWO], &start).canvas), bits(&start), "DDS");
    let plain = Csd { coupling: None, iterations: 40, ..edit() };
    assert_eq!(bits(&edited(&space, &plain, [TWO, TWO], &start).canvas), bits(&start), "no kernel");
    let equal = Csd { one_noise: true, iterations: 40, ..edit() };
    let flat = vec![0.25; start.len()];
    assert_eq!(bits(&edited(&space, &equal, [TWO, TWO], &flat).canvas), bits(&flat), "equal views");
    let one = Csd { iterations: 1, ..edit() };
    let [repulsion, whole] =
        [[TWO, TWO], [TWO, GAUSS]].map(|rows| worst(&edited(&space, &one, rows, &start).canvas, &start));
    // 256 elements a view instead of 16384: the repulsion of these is 8 times stronger.
    assert!(repulsion > 0.0 && repulsion < 0.1 * whole, "repulsion {repulsion}, all {whole}");
}

/// 8.6 c: equal views with the same noise share one gradient: B times what each gets from 1/B of its own.
#[test]
fn equal_views_share_one_gradient() {
    let space = side_by_side(4);
    let flat = vec![0.25; 8 * 32 * 4];
    let step = |coupling| {
        let csd = Csd { coupling, one_noise: true, iterations: 1, ..edit() };
        change(&edited(&space, &csd, [TWO, GAUSS], &flat), &flat)
    };
    let (with, without) = (step(Some(Bandwidth::Guarded)), step(None));
    for (a, b) in with.iter().zip(&without) {
        assert!((a - 4.0 * b).abs() < 1e-5 * a.abs().max(1.0), "{a} {b}");
    }
    assert!(with.iter().any(|v| v.abs() > 0.05));
}

/// Mean change of each of twelve views of 32 x 32, per time that it was drawn.
fn changes(start: &[f32], batch: usize, coupling: Option<Bandwidth>, iterations: usize) -> Vec<f64> {
    let space = Crops::row(12 * 32, [32, 32], 32);
    let csd = Csd { batch: Some(batch), coupling, iterations, t_min: 200, t_max: 400, ..edit() };
    let moved = change(&edited(&space, &csd, [TWO, GAUSS], start), start);
    let per_view = |v: usize| {
        let cells = (0..32).flat_map(|y| (0..128).map(move |x| (y * 12 + v) * 128 + x));
        cells.map(|i| moved[i]).sum::<f64>() / 4096.0 * 12.0 / batch as f64
    };
    (0..12).map(per_view).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// 8.6 g: with independent noise each view's gradient is its own over B and little of the others': the more views at a time, the
/// weaker the edit, and the closer the picture stays to its source.
#[test]
fn more_views_at_a_time_edit_less() {
    let start = picture(&Crops::row(12 * 32, [32, 32], 32), 4);
    let strength = |batch, coupling| mean(&changes(&start, batch, coupling, 12)).abs();
    let with: Vec<f64> = [1, 2, 4, 12].map(|batch| strength(batch, Some(Bandwidth::Guarded))).into();
    println!("strength for 1, 2, 4, 12 views at a time: {with:?}");
    assert!(with.windows(2).all(|pair| pair[1] < 0.8 * pair[0]), "{with:?}");
    // K = 1/(B + 1) for different views: 1 + 11/13 of the edit without.
    let alone = strength(12, None);
    assert!((with[3] / alone / (24.0 / 13.0) - 1.0).abs() < 0.15, "{} and {alone}", with[3]);
}

/// 8.6 g: views whose own estimates want different edits change more alike with the kernel than without.
#[test]
fn views_change_alike() {
    // Each view is of one colour.
    let start: Vec<f32> = (0..32 * 12 * 128).map(|i| ((i / 128 % 12) as f32 - 5.5) / 5.5).collect();
    let spread = |coupling| {
        let moved = changes(&start, 12, coupling, 1);
        let middle = mean(&moved);
        mean(&moved.iter().map(|m| (m - middle).powi(2)).collect::<Vec<_>>()).sqrt() / middle.abs()
    };
    let (with, without) = (spread(Some(Bandwidth::Guarded)), spread(None));
    println!("relative spread of the change over views: {with} with the kernel, {without} without");
    assert!(with < 0.8 * without && without > 0.1, "{with} with the kernel, {without} without");
}

/// 8.6 h: a constant difference moves every texel that a view of the step sees by that constant, however many see it, and the
/// others not at all.
#[test]
fn overlaps_count_once_and_the_unseen_stays() {
    // Two of five overlapping views at a time.
    let space = Crops::row(24, [8, 8], 4);
    let start = picture(&space, 5);
    let csd = Csd { coupling: None, batch: Some(2), iterations: 1, t_min: 300, t_max: 300, ..edit() };
    let result = edited(&space, &csd, [SHIFTED, GAUSS], &start);
    let alpha_bar = schedule().alphas_cumprod[300];
    let (a, s2) = (alpha_bar.sqrt(), 1.0 - alpha_bar);
    // ε̂ = σ (x − a m)/(a² d² + σ²), the weight σ², two views.
    let expected = s2 / 2.0 * s2.sqrt() * a * (-0.3 - 0.4) / (alpha_bar * 0.25 + s2);
    let seen = |x: usize| {
        let few = MiniBatch::new(Box::new(space.clone()), 2, 5).unwrap();
        few.views(0).iter().filter(|view| (x as f64 + 0.5 - f64::from(view.words()[0])).abs() < 4.0).count()
    };
    let counts: Vec<usize> = (0..24).map(seen).collect();
    assert!(counts.contains(&0) && counts.iter().sum::<usize>() == 16, "{counts:?}");
    for (i, moved) in change(&result, &start).iter().enumerate() {
        match counts[i / 4 % 24] {
            0 => assert_eq!(*moved, 0.0, "{i}"),
            // Estimates of the two differ by a rounding of f32.
            _ => assert!((moved - expected).abs() < 2e-6, "{i}: {moved} {expected}"),
        }
    }
}

/// Specification 10: the noise that both estimates share falls out of DDS's gradient; SDS keeps it.
#[test]
fn differences_of_estimates_are_less_noisy() {
    let space = side_by_side(1);
    let start = vec![0.0; 256];
    let gradient = |base: Csd| {
        let csd = Csd { coupling: None, iterations: 1, t_min: 400, t_max: 400, ..base };
        let moved = change(&edited(&space, &csd, [&[Component::new(0.4, 0.45)], GAUSS], &start), &start);
        let mean = moved.iter().sum::<f64>() / 256.0;
        moved.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 256.0
    };
    let (dds, sds) = (gradient(edit()), gradient(noise_baseline(edit())));
    assert!(sds > 20.0 * dds && dds > 0.0, "SDS {sds}, DDS {dds}");
}

/// Dispatches of a run and the readbacks that it took.
fn counts(csd: &Csd) -> (usize, u64) {
    let space = Crops::row(24, [8, 8], 4);
    let start = picture(&space, 6);
    let ctx = Context::new(&ContextOptions::strict()).unwrap();
    let plan = csd.plan(&schedule(), 1).unwrap();
    let mut program = program_on(&ctx, &space, csd, (plan, [TWO, GAUSS], &start));
    let before = ctx.readbacks().0;
    let mut dispatches = 0;
    while let Some(recording) = program.next().unwrap() {
        dispatches += recording.len();
        recording.run().unwrap();
        program.done().unwrap();
    }
    (dispatches, ctx.readbacks().0 - before)
}

/// Issue, "must show" 5: the kernel costs one dispatch a step and no readback; minibatches, prompts and sources none beside.
#[test]
fn coupling_costs_one_dispatch() {
    for base in [edit(), noise_baseline(edit()), Csd { batch: Some(3), ..edit() }] {
        let (with, reads) = counts(&base);
        let (without, reads_without) = counts(&Csd { coupling: None, ..base.clone() });
        assert_eq!(with, without + base.iterations, "{base:?}");
        // The reports of each evaluation and of the gradient: four words each.
        let reports = base.iterations as u64 * (base.branches() as u64 + 1);
        assert_eq!((reads, reads_without), (reports, reports), "{base:?}");
    }
}

/// What is not finite ends the run with the step's number.
#[test]
fn failures_are_found() {
    let space = side_by_side(2);
    let mut start = picture(&space, 7);
    start[100] = f32::NAN;
    let csd = edit();
    let plan = csd.plan(&schedule(), 1).unwrap();
    let result = Job::new(program(&space, &csd, plan, [TWO, GAUSS], &start)).run(|_, _| {});
    let text = result.unwrap_err().to_string();
    assert!(text.contains("step 1 of 3"), "{text}");
}

/// Device memory of a run on `count` pictures grows by the same for each of them.
#[test]
fn memory_is_linear_in_the_views() {
    let used = |count: usize| {
        let space = Crops::row(32 * count, [32, 32], 32);
        let start = picture(&space, 8);
        let csd = Csd { iterations: 1, ..edit() };
        let ctx = Context::new(&ContextOptions::strict()).unwrap();
        let plan = csd.plan(&schedule(), 1).unwrap();
        let mut program = program_on(&ctx, &space, &csd, (plan, [TWO, GAUSS], &start));
        while let Some(recording) = program.next().unwrap() {
            recording.run().unwrap();
            program.done().unwrap();
        }
        ctx.memory().0 as f64
    };
    let (few, some, many) = (used(8), used(16), used(64));
    let (early, late) = ((some - few) / 8.0, (many - some) / 48.0);
    println!("bytes: {few} for 8 views, {some} for 16, {many} for 64: {early} and {late} for each more");
    assert!((late / early - 1.0).abs() < 0.01, "{early} {late}");
}
