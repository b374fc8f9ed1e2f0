//! Coupled edits of source and target against mathematics: closed forms of Gaussians, an oracle in f64 with the same noise, and
//! laws that hold for any weights.

use std::sync::Arc;

use syncline::jobs::{Branched, CanvasModel, CanvasOptions, CanvasProgram, CanvasResult, Job, Program};
use syncline::methods::{
    CanvasReg, Dds, Draw, EditGrid, FlowEdit, Fusion, Integrator, Inversion, Mix, Op, PathVariance, Plan, Reg, SdEdit,
    SourcePath, SyncSde, ViewReg,
};
use syncline::rng::{NoiseKey, Purpose};
use syncline::schedulers::DynamicShift;
use syncline::spaces::{Branches, Frames, Space};
use syncline_kernels::check::Draw as Numbers;
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_tests::analytic::{Component, GAUSS, Mixture, TWO, Velocity, context, schedule, worst};

/// Latents of the analytic models: one view of 8×8 cells.
const DIMS: [usize; 3] = [8, 8, 4];
const COUNT: usize = 256;
const ONE: [f64; 2] = [1.0; 2];

fn flux(steps: usize) -> EditGrid {
    EditGrid::flow(&DynamicShift::FLUX, 4096, steps).unwrap()
}

fn picture(seed: u64, count: usize) -> Vec<f32> {
    let mut draw = Numbers::new(seed);
    (0..count).map(|_| draw.normal() as f32).collect()
}

fn pair(branches: usize, [h, w, _]: [usize; 3]) -> Arc<dyn Space> {
    Arc::new(Branches::new(Box::new(Frames::new(1, [h, w]).unwrap()), branches).unwrap())
}

fn options(plan: Plan, picture: &[f32], seed: u64) -> CanvasOptions {
    let space = pair(plan.branches, DIMS);
    CanvasOptions { start_latents: Some(picture.to_vec()), ..CanvasOptions::new(plan, space, seed) }
}

fn run(model: impl CanvasModel, options: CanvasOptions) -> CanvasResult {
    Job::new(CanvasProgram::new(model, options).unwrap()).run(|_, _| {}).unwrap()
}

/// Velocity fields of two means, of width 1.
fn fields(source: f32, target: f32) -> Branched<Velocity> {
    Branched::new([source, target].map(|mean| Velocity::new(context(), 1, DIMS, mean)).into()).unwrap()
}

fn mixtures(source: &[&[Component]], target: &[&[Component]]) -> Branched<Mixture> {
    Branched::new([source, target].map(|rows| Mixture::new(context(), 1, DIMS, rows)).into()).unwrap()
}

/// The plan up to and with its `k`-th edit step (0 is the first state), and this register on the canvas.
fn until(plan: &Plan, k: usize, reg: ViewReg, branch: usize) -> Plan {
    let steps = plan.ops.iter().enumerate().filter(|(_, op)| matches!(op, Op::EditStep(_)));
    let end = steps.map(|(i, _)| i).nth(k).unwrap();
    let mut ops = plan.ops[..=end].to_vec();
    ops.push(Op::Fuse { from: Reg::Branch(reg, branch), to: CanvasReg::Canvas, fusion: Fusion::Average });
    Plan { ops, ..plan.clone() }
}

fn assert_all(values: &[f32], expected: f64, tolerance: f64, what: &str) {
    let worst = values.iter().map(|v| (f64::from(*v) - expected).abs()).fold(0.0, f64::max);
    assert!(worst < tolerance, "{what}: off by {worst} from {expected}");
}

/// S2.
#[test]
fn differences_of_gaussians_are_the_closed_form() {
    let method = SyncSde::published(4, ONE);
    let plan = method.plan(&flux(28)).unwrap();
    let expected = [
        (5, 0.029_970_376),
        (6, 0.054_157_105),
        (13, 0.209_546_749),
        (21, 0.485_523_511),
        (27, 0.893_993_524),
        (28, 0.998_602_806),
    ];
    for (seed, (i, expected)) in expected.into_iter().enumerate() {
        let part = until(&plan, i - 4, ViewReg::Kept, 0);
        let result = run(fields(0.0, 1.0), options(part, &picture(seed as u64, COUNT), seed as u64));
        assert_all(&result.canvas, expected, 1e-5, &format!("D_{i}"));
    }
    let edit = |plan: Plan| {
        let x = picture(3, COUNT);
        let result = run(fields(0.0, 1.0), options(plan, &x, 9));
        result.canvas.iter().zip(&x).map(|(z, x)| z - x).collect::<Vec<_>>()
    };
    assert_all(&edit(plan), 0.998_602_806, 1e-5, "result");
    let exponential = SyncSde { integrator: Integrator::Exponential, ..method };
    assert_all(&edit(exponential.plan(&flux(28)).unwrap()), 0.997_222_767, 1e-5, "exponential");
    for n_avg in [1, 2] {
        let flow_edit = FlowEdit { n_avg, ..FlowEdit::published(28, 4, ONE) };
        assert_all(&edit(flow_edit.plan(&flux(28)).unwrap()), 0.950_682_720, 1e-5, "FlowEdit");
    }
}

/// S3, and that the last index gives back the picture.
#[test]
fn later_starts_change_less() {
    let x = picture(5, COUNT);
    for (start, expected) in [(1, 1.000_006), (12, 0.961_226), (20, 0.668_480), (26, 0.083_228), (27, 0.026_995)] {
        let result = run(fields(0.0, 1.0), options(SyncSde::published(start, ONE).plan(&flux(28)).unwrap(), &x, 1));
        let difference: Vec<f32> = result.canvas.iter().zip(&x).map(|(z, x)| z - x).collect();
        assert_all(&difference, expected, 1e-5, &format!("start {start}"));
    }
    let none = run(fields(0.0, 1.0), options(SyncSde::published(28, ONE).plan(&flux(28)).unwrap(), &x, 1));
    assert_eq!((worst(&none.canvas, &x), none.evaluations), (0.0, 0));
    // S7.
    assert!(SyncSde::published(0, ONE).plan(&flux(28)).unwrap_err().to_string().starts_with("start index: found 0"));
}

/// S4: the path on the device has the deviations of its levels, or of the midpoint rule, and independent increments; its end is
/// the picture to the bit.
#[test]
fn the_path_has_its_law() {
    let (dims, count) = ([64, 64, 4], 16384);
    let x = picture(8, count);
    for variance in [PathVariance::Exact, PathVariance::Midpoint] {
        let plan = SyncSde { variance, ..SyncSde::published(1, ONE) }.plan(&flux(28)).unwrap();
        let path = SourcePath::new(&flux(28), variance);
        let level = |i: usize| flux(28).level(i);
        // B_i, the noise on the picture, in terms of the picture.
        let state = |i: usize| -> Vec<f64> {
            let models = [0.0, 1.0].map(|mean| Velocity::new(context(), 1, dims, mean));
            let part = until(&plan, i - 1, ViewReg::State, 0);
            let options =
                CanvasOptions { start_latents: Some(x.clone()), ..CanvasOptions::new(part, pair(2, dims), 4) };
            let s = run(Branched::new(models.into()).unwrap(), options).canvas;
            s.iter().zip(&x).map(|(s, x)| f64::from(*s) / level(i).signal - f64::from(*x)).collect()
        };
        let nodes = [1, 2, 8, 20];
        let paths = nodes.map(state);
        for (b, i) in paths.iter().zip(nodes) {
            let deviation = (b.iter().map(|b| b * b).sum::<f64>() / count as f64).sqrt() * level(i).signal;
            // The deviation of a deviation over 16384 numbers is 0.55 %.
            assert!((deviation / path.deviation(i) - 1.0).abs() < 0.02, "{variance:?} {i}: {deviation}");
        }
        let increments: Vec<Vec<f64>> =
            paths.windows(2).map(|p| p[0].iter().zip(&p[1]).map(|(a, b)| a - b).collect()).collect();
        for (a, b) in [(0, 1), (1, 2), (0, 2)] {
            let [a, b] = [&increments[a], &increments[b]];
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let correlation = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!(correlation.abs() < 0.032, "{variance:?}: {correlation}, four deviations are 0.031");
        }
        let end = until(&plan, 27, ViewReg::State, 0);
        let options = CanvasOptions { start_latents: Some(x.clone()), ..CanvasOptions::new(end, pair(2, dims), 4) };
        let models = [0.0, 1.0].map(|mean| Velocity::new(context(), 1, dims, mean));
        assert_eq!(worst(&run(Branched::new(models.into()).unwrap(), options).canvas, &x), 0.0);
    }
}

/// The same edit with both trajectories carried as they are: Z' = Z + δ drift(Z; target) + r with r = S' - S - δ drift(S; source).
fn residual_form(plan: &Plan, grid: &EditGrid, start: usize) -> Plan {
    let [source, target] = [0, 1].map(|b| Reg::Branch(ViewReg::State, b));
    let cleans = [0, 1].map(|b| Reg::Branch(ViewReg::Clean, b));
    let [known, kept] = [Reg::Branch(ViewReg::Known, 0), Reg::Branch(ViewReg::Kept, 0)];
    let none = Draw::new(Purpose::Step, 0);
    let mix = |target: Reg, own: f64, terms: [Option<(Reg, f64)>; 2], sigma: f64, draw: Draw| {
        Op::Mix(Mix { target, own, terms, sigma, draw })
    };
    let mut ops = Vec::new();
    let mut i = start;
    for op in &plan.ops {
        let Op::EditStep(step) = op else {
            ops.push(*op);
            continue;
        };
        let [own, x] = step.source;
        if i == start && step.difference == [0.0; 2] {
            ops.push(mix(source, 0.0, [Some((known, x)), None], step.sigma, step.draw));
            ops.push(mix(kept, 0.0, [Some((source, 1.0)), None], 0.0, none));
            ops.push(mix(target, 0.0, [Some((kept, 1.0)), None], 0.0, none));
            continue;
        }
        let (s, delta) = (grid.level(i).noise, grid.level(i).noise - grid.level(i + 1).noise);
        // drift(x) = -2 (x - clean) / s - x / (1 - s), times δ: state · x + twice · clean.
        let (state, twice) = (-2.0 * delta / s - delta / (1.0 - s), 2.0 * delta / s);
        ops.push(mix(kept, 0.0, [Some((source, -1.0 - state)), Some((cleans[0], -twice))], 0.0, none));
        ops.push(mix(target, 1.0 + state, [Some((cleans[1], twice)), Some((kept, 1.0))], 0.0, none));
        ops.push(mix(source, own, [Some((known, x)), None], step.sigma, step.draw));
        ops.push(mix(kept, 0.0, [Some((source, 1.0)), None], 0.0, none));
        ops.push(mix(target, 1.0, [Some((kept, 1.0)), None], 0.0, none));
        i += 1;
    }
    Plan { ops, ..plan.clone() }
}

/// S5, with models that are not Gaussian.
#[test]
fn two_forms_are_one() {
    let x = picture(2, COUNT);
    let plan = SyncSde::published(4, ONE).plan(&flux(28)).unwrap();
    let models = || {
        let both = [(0.0, 0.3), (0.6, -0.2)].map(|(mean, bend)| Velocity::new(context(), 1, DIMS, mean).bent(bend));
        Branched::new(both.into()).unwrap()
    };
    let a = run(models(), options(plan.clone(), &x, 6)).canvas;
    let b = run(models(), options(residual_form(&plan, &flux(28), 4), &x, 6)).canvas;
    let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let relative = norm(&difference) / norm(&a);
    assert!(relative < 1e-5, "{relative}");
    assert!(worst(&a, &x) > 0.3, "the edit changes something");
}

/// S6: a target a little off moves the picture in proportion.
#[test]
fn edits_are_continuous_in_the_target() {
    let x = picture(2, COUNT);
    let grid = EditGrid::diffusion(&schedule(), 20).unwrap();
    let plan = SyncSde::exact(2, ONE).plan(&grid).unwrap();
    let moved = |h: f64| {
        let target: Vec<Component> = TWO.iter().map(|c| Component { mean: c.mean + h * c.deviation, ..*c }).collect();
        let result = run(mixtures(&[TWO], &[&target]), options(plan.clone(), &x, 6)).canvas;
        result.iter().zip(&x).map(|(z, x)| f64::from(z - x).powi(2)).sum::<f64>().sqrt()
    };
    let ratio = moved(1e-2) / moved(1e-3);
    assert!((ratio / 10.0 - 1.0).abs() < 0.05, "{ratio}");
}

/// The diffusion form in f64: path and difference as written in the specification, forward noise re-used by the posterior.
#[test]
fn the_diffusion_form_is_its_oracle() {
    let (x, seed, start, steps) = (picture(4, COUNT), 11, 3, 20);
    let grid = EditGrid::diffusion(&schedule(), steps).unwrap();
    let scale = [1.5, 3.0];
    let [source, target]: [[&[Component]; 2]; 2] = [[GAUSS, TWO], [TWO, GAUSS]];
    let plan = SyncSde::exact(start, scale).plan(&grid).unwrap();
    let got = run(mixtures(&source, &target), options(plan, &x, seed)).canvas;
    let models = [source, target].map(|rows| Mixture::new(context(), 1, DIMS, &rows));
    let times: Vec<usize> = (0..steps).map(|i| 1000 - 50 * i - 1).collect();
    let alpha = |i: usize| times.get(i).map_or(1.0, |t| schedule().alphas_cumprod[*t]);
    let noise = |purpose, step| NoiseKey { seed, purpose, trajectory: 0, view: 0, step }.randn(COUNT);
    let first = noise(Purpose::Initial, 0);
    let fresh: Vec<Vec<f32>> = (0..steps - start).map(|k| noise(Purpose::Step, k as u32)).collect();
    for e in 0..COUNT {
        let xe = f64::from(x[e]);
        let mut s = alpha(start).sqrt() * xe + (1.0 - alpha(start)).sqrt() * f64::from(first[e]);
        let mut d = 0.0;
        for i in start..steps {
            let (a, p) = (alpha(i), alpha(i + 1));
            let beta = 1.0 - a / p;
            let (c0, ct) = (p.sqrt() * beta / (1.0 - a), (a / p).sqrt() * (1.0 - p) / (1.0 - a));
            let clean = |b: usize, x: f64| {
                (x - (1.0 - a).sqrt() * models[b].guided_eps(scale[b], x, e % 4, times[i])) / a.sqrt()
            };
            d = c0 * (clean(1, s + d) - clean(0, s)) + ct * d;
            s = c0 * xe + ct * s + (beta * (1.0 - p) / (1.0 - a)).sqrt() * f64::from(fresh[i - start][e]);
        }
        assert!((s - xe).abs() < 1e-9, "the path ends at the picture");
        assert!((f64::from(got[e]) - xe - d).abs() < 1e-4, "{e}: {} {}", got[e], xe + d);
    }
}

/// Where the picture is kept the difference is zero at every step and the result is the picture to the bit; elsewhere a model that
/// looks at single elements does what it does without a mask.
#[test]
fn masks_keep_to_the_bit() {
    let x = picture(7, COUNT);
    let mask: Vec<f32> = (0..64).map(|i| f32::from(u8::from(i % 8 > 2 && i / 8 < 5))).collect();
    let grids = [
        (SyncSde::published(4, ONE), flux(12)),
        (SyncSde::exact(2, ONE), EditGrid::diffusion(&schedule(), 12).unwrap()),
    ];
    for (method, grid) in grids {
        let plan = method.plan(&grid).unwrap();
        let flow = grid == flux(12);
        let go = |options: CanvasOptions| {
            if flow { run(fields(0.0, 1.0), options) } else { run(mixtures(&[TWO], &[GAUSS]), options) }
        };
        let whole = go(options(plan.clone(), &x, 3)).canvas;
        let masked = go(CanvasOptions { edit_mask: Some(mask.clone()), ..options(plan.clone(), &x, 3) }).canvas;
        for i in 0..COUNT {
            let expected = if mask[i / 4] == 0.0 { x[i] } else { whole[i] };
            assert_eq!(masked[i].to_bits(), expected.to_bits(), "{i}");
        }
        assert!(worst(&masked, &x) > 0.05);
    }
    let refused = |mask: Vec<f32>, plan: Plan| {
        let options = CanvasOptions { edit_mask: Some(mask), ..options(plan, &x, 3) };
        CanvasProgram::new(fields(0.0, 1.0), options).err().map(|e| e.to_string())
    };
    let plan = SyncSde::published(4, ONE).plan(&flux(12)).unwrap();
    let text = refused(vec![1.0; 63], plan.clone()).unwrap();
    assert!(text.contains("63 values") && text.contains("64, 8x8 cells"), "{text}");
    assert!(refused(vec![1.5; 64], plan).unwrap().contains("the value 1.5"));
}

/// Drives the program by hand: dispatches of all recordings, and readbacks.
fn cost(model: impl CanvasModel, options: CanvasOptions) -> (usize, u64) {
    let ctx = model.context().clone();
    let before = ctx.readbacks().0;
    let mut program = CanvasProgram::new(model, options).unwrap();
    let mut dispatches = 0;
    while let Some(recording) = program.next().unwrap() {
        dispatches += recording.dispatches().count();
        recording.run().unwrap();
        program.done().unwrap();
    }
    (dispatches, ctx.readbacks().0 - before)
}

/// Against the same evaluations of two trajectories that know nothing of each other: one dispatch more a step, and no readback more.
#[test]
fn coupling_costs_one_dispatch_a_step() {
    let ctx = Context::new(&ContextOptions::strict()).unwrap();
    let models = || Branched::new([0.0, 1.0].map(|mean| Velocity::new(&ctx, 1, DIMS, mean)).into()).unwrap();
    let x = picture(7, COUNT);
    let mask = Some(vec![1.0; 64]);
    let plan = SyncSde::published(4, ONE).plan(&flux(12)).unwrap();
    let mut apart = plan.clone();
    let mut first = true;
    apart.ops.retain(|op| !matches!(op, Op::EditStep(_)) || std::mem::take(&mut first));
    let (alone, read_alone) = cost(models(), options(apart, &x, 1));
    let (coupled, read_coupled) = cost(models(), CanvasOptions { edit_mask: mask, ..options(plan, &x, 1) });
    assert_eq!(coupled, alone + 8);
    assert_eq!(read_coupled, read_alone, "the NaN reports of sixteen evaluations");
    assert_eq!(read_alone, 16);
}

/// The neighbours run on the device and do what their names say.
#[test]
fn neighbours_run_on_the_device() {
    let x = picture(9, COUNT);
    let grid = EditGrid::diffusion(&schedule(), 100).unwrap();
    let plan = Inversion { start: 1, guidance: ONE, pull: None }.plan(&grid).unwrap();
    let narrow: &[Component] = &[Component::new(-0.2, 0.6)];
    let there = run(mixtures(&[narrow], &[narrow]), options(plan.clone(), &x, 1)).canvas;
    // First-order errors of 99 steps each way.
    assert!(worst(&there, &x) < 0.25, "{}", worst(&there, &x));
    let moved: &[Component] = &[Component::new(0.7, 0.6)];
    let moved = run(mixtures(&[narrow], &[moved]), options(plan, &x, 1)).canvas;
    let mean = moved.iter().zip(&x).map(|(z, x)| f64::from(z - x)).sum::<f64>() / COUNT as f64;
    assert!((mean - 0.9).abs() < 0.08, "the difference of the means: {mean}");
    // SDEdit has one branch; from further up less of the picture is left.
    let kept = |start: usize| {
        let plan = SdEdit { start, guidance: 1.0 }.plan(&grid).unwrap();
        let model = Mixture::new(context(), 1, DIMS, &[GAUSS]);
        let z = run(model, options(plan, &x, 2)).canvas;
        let (mx, mz) = (x.iter().sum::<f32>() / 256.0, z.iter().sum::<f32>() / 256.0);
        x.iter().zip(&z).map(|(x, z)| f64::from((x - mx) * (z - mz))).sum::<f64>()
    };
    let shares = [5, 50, 80, 100].map(kept);
    assert!(shares.windows(2).all(|p| p[0] < p[1]), "{shares:?}");
    // DDS of two Gaussians moves every element by the difference of the means.
    let dds = Dds { iterations: 60, rate: 0.3, guidance: ONE, ..Dds::published(2) }.plan(&schedule()).unwrap();
    let moved: &[Component] = &[Component::new(0.7, 0.6)];
    let z = run(mixtures(&[narrow], &[moved]), options(dds, &x, 1)).canvas;
    let difference: Vec<f32> = z.iter().zip(&x).map(|(z, x)| z - x).collect();
    assert_all(&difference, 0.9, 0.05, "DDS");
}
