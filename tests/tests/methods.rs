//! Synchronisation and StochSync against mathematics: analytic denoisers on latent canvases, closed forms on the host.

use syncline::jobs::CanvasResult;
use syncline::methods::{
    Direction, FirstNoise, Medium, OdeSolver, Op, Plan, Preset, StateAt, StochSync, Synchronised, TimeGrid,
};
use syncline::rng::{NoiseKey, Purpose};
use syncline::schedulers::{NoiseSchedule, PredictionType};
use syncline_tests::analytic::{Crops, GAUSS, Mixture, TWO, mixture, run, schedule, worst};

fn case(number: usize, steps: usize, guidance: f64) -> Synchronised {
    Synchronised::case(number, TimeGrid::Leading { steps }, guidance).unwrap()
}

/// The final canvas of a case: fused views where the state lives there.
fn canvas_of(case: &Synchronised, result: &CanvasResult, space: &Crops) -> Vec<f32> {
    if case.state_at == StateAt::Canvas {
        return result.canvas.clone();
    }
    let [h, w] = space.view;
    let mut sums = vec![(0.0f64, 0usize); space.canvas[0] * space.canvas[1] * 4];
    for (v, [y0, x0]) in space.sets[0].iter().enumerate() {
        for y in 0..h {
            for x in 0..w {
                for c in 0..4 {
                    let at = ((y0 + y) * space.canvas[1] + x0 + x) * 4 + c;
                    sums[at].0 += f64::from(result.latents[((v * h + y) * w + x) * 4 + c]);
                    sums[at].1 += 1;
                }
            }
        }
    }
    sums.into_iter().map(|(sum, count)| (sum / count.max(1) as f64) as f32).collect()
}

/// Specification 2.2: for crops whose views begin with one canvas of noise, cases 1 to 6 are one and the same, however
/// nonlinear the model.
#[test]
fn cases_one_to_six_are_equal_for_crops_of_shared_noise() {
    let space = Crops::row(28, [6, 12], 4);
    let results: Vec<Vec<f32>> = (1..=6)
        .map(|number| {
            let case = case(number, 8, 2.0);
            let model = mixture(&space, &[GAUSS, TWO]).reaching(0.6);
            canvas_of(&case, &run(model, case.plan(&schedule()).unwrap(), &space, 5), &space)
        })
        .collect();
    for (i, other) in results.iter().enumerate().skip(1) {
        let difference = worst(&results[0], other);
        assert!(difference <= 1e-5, "case {} differs from case 1 by {difference}", i + 1);
    }
    // With noise of their own views disagree, and the cases are not the same any more.
    let own = |number| Synchronised { first_noise: FirstNoise::Views, ..case(number, 8, 2.0) };
    let apart: Vec<Vec<f32>> = [2, 3]
        .map(|number| {
            let model = mixture(&space, &[GAUSS, TWO]).reaching(0.6);
            canvas_of(&own(number), &run(model, own(number).plan(&schedule()).unwrap(), &space, 5), &space)
        })
        .to_vec();
    assert!(worst(&apart[0], &apart[1]) > 1e-3);
}

/// Specification 2.5a: views that tile the canvas without overlap have nothing to say to each other.
#[test]
fn tiles_are_independent_in_every_case() {
    let space = Crops::row(24, [5, 8], 8);
    let reference = run(mixture(&space, &[TWO]).reaching(0.4), case(0, 6, 1.0).plan(&schedule()).unwrap(), &space, 9);
    let reference = canvas_of(&case(0, 6, 1.0), &reference, &space);
    for number in 1..=6 {
        let case = case(number, 6, 1.0);
        let result = run(mixture(&space, &[TWO]).reaching(0.4), case.plan(&schedule()).unwrap(), &space, 9);
        let difference = worst(&reference, &canvas_of(&case, &result, &space));
        assert!(difference <= 1e-5, "case {number}: {difference}");
    }
}

/// DDIM in f64 on one element.
fn ddim(model: &Mixture, scale: f64, mut x: f64, channel: usize, grid: TimeGrid) -> f64 {
    let noise = schedule();
    let nodes: Vec<usize> = match grid {
        TimeGrid::Leading { steps } => (0..steps).rev().map(|i| i * (1000 / steps) + 1).collect(),
        TimeGrid::Linear { .. } => unreachable!("not used here"),
    };
    let level = |t: Option<&usize>| t.map_or(1.0, |t| noise.alphas_cumprod[*t]);
    let stride = 1000 / nodes.len();
    for (i, t) in nodes.iter().enumerate() {
        let eps = model.guided_eps(scale, x, channel, *t);
        let now = level(Some(t));
        // diffusers steps to t - 1000 / steps, not to the next node.
        let next = if i + 1 == nodes.len() { 1.0 } else { noise.alphas_cumprod[t - stride] };
        let clean = (x - (1.0 - now).sqrt() * eps) / now.sqrt();
        x = next.sqrt() * clean + (1.0 - next).sqrt() * eps;
    }
    x
}

/// Specification 3: one window is plain DDIM; the order of windows changes nothing.
#[test]
fn multi_diffusion_of_one_window_is_ddim() {
    let space = Crops::new([6, 7], [6, 7], &[[0, 0]]);
    let model = mixture(&space, &[GAUSS, TWO]);
    let plan = case(6, 10, 2.5).plan(&schedule()).unwrap();
    let result = run(model.clone(), plan, &space, 3);
    let key = NoiseKey { seed: 3, purpose: Purpose::Canvas, trajectory: 0, view: 0, step: 0 };
    for (i, x) in key.randn(6 * 7 * 4).into_iter().enumerate() {
        let expected = ddim(&model, 2.5, f64::from(x), i % 4, TimeGrid::Leading { steps: 10 });
        assert!((f64::from(result.canvas[i]) - expected).abs() < 2e-4, "{i}: {} {expected}", result.canvas[i]);
    }
    assert_eq!(result.evaluations, 20);
}

#[test]
fn the_order_of_windows_changes_nothing() {
    let forward = Crops::row(28, [6, 12], 4);
    let mut corners = forward.sets[0].clone();
    corners.reverse();
    let backward = Crops::new(forward.canvas, forward.view, &corners);
    let plan = case(6, 6, 2.0).plan(&schedule()).unwrap();
    let model = |space: &Crops| mixture(space, &[GAUSS, TWO]).reaching(0.5);
    let a = run(model(&forward), plan.clone(), &forward, 2);
    let b = run(model(&backward), plan, &backward, 2);
    // Sums of the same terms in another order.
    assert!(worst(&a.canvas, &b.canvas) < 2e-5);
}

/// Specification 2.5d: once fused, overlapping views agree; what noise of their own left apart comes together.
#[test]
fn fused_estimates_bring_views_together() {
    let space = Crops::row(20, [4, 12], 8);
    let case = Synchronised { first_noise: FirstNoise::Views, ..case(2, 10, 1.0) };
    let full = case.plan(&schedule()).unwrap();
    let overlap = |latents: &[f32]| -> f64 {
        // Columns 8..12 of the first view are columns 0..4 of the second.
        let at = |v: usize, y: usize, x: usize, c: usize| f64::from(latents[((v * 4 + y) * 12 + x) * 4 + c]);
        let cells = (0..4).flat_map(|y| (0..4).flat_map(move |x| (0..4).map(move |c| (y, x, c))));
        cells.map(|(y, x, c)| (at(0, y, 8 + x, c) - at(1, y, x, c)).powi(2)).sum()
    };
    let ends: Vec<usize> =
        full.ops.iter().enumerate().filter(|(_, op)| matches!(op, Op::EndStep { .. })).map(|(i, _)| i).collect();
    let mut last = f64::INFINITY;
    for end in ends {
        let plan = Plan { ops: full.ops[..=end].to_vec(), ..full.clone() };
        let variance = overlap(&run(mixture(&space, &[TWO]).reaching(0.3), plan, &space, 4).latents);
        assert!(variance < last, "{variance} after {last}");
        last = variance;
    }
    assert!(last < 1e-9, "the last clean estimates agree: {last}");
}

#[test]
fn both_directions_are_the_papers() {
    // Where nothing overlaps, the fused clean estimate is the view's own, and both directions are the same DDIM step.
    let space = Crops::row(16, [4, 8], 8);
    let network = |number| Synchronised { direction: Direction::Network, ..case(number, 6, 1.0) };
    let a = run(mixture(&space, &[TWO]), case(2, 6, 1.0).plan(&schedule()).unwrap(), &space, 1);
    let b = run(mixture(&space, &[TWO]), network(2).plan(&schedule()).unwrap(), &space, 1);
    assert!(worst(&a.latents, &b.latents) < 1e-5);
    // Where views overlap they differ.
    let space = Crops::row(20, [4, 12], 8);
    let views = |c: Synchronised| Synchronised { first_noise: FirstNoise::Views, ..c };
    let a = run(mixture(&space, &[TWO]), views(case(2, 6, 1.0)).plan(&schedule()).unwrap(), &space, 1);
    let b = run(mixture(&space, &[TWO]), views(network(2)).plan(&schedule()).unwrap(), &space, 1);
    assert!(worst(&a.latents, &b.latents) > 1e-3);
}

#[test]
fn v_prediction_gives_the_same_canvas() {
    let space = Crops::row(20, [4, 12], 8);
    for number in [2, 4, 5, 6] {
        let v = NoiseSchedule::stable_diffusion(PredictionType::VPrediction);
        let a = run(mixture(&space, &[TWO]), case(number, 6, 1.0).plan(&schedule()).unwrap(), &space, 1);
        let b = run(mixture(&space, &[TWO]).predicting_v(), case(number, 6, 1.0).plan(&v).unwrap(), &space, 1);
        let difference = worst(&a.latents, &b.latents).max(worst(&a.canvas, &b.canvas));
        assert!(difference < 3e-4, "case {number}: {difference}");
    }
}

fn latent_stochsync() -> StochSync {
    StochSync {
        medium: Medium::Latent,
        correct_encoding: false,
        feather: false,
        seam_removal_steps: 0,
        solver: OdeSolver::Ddim,
        guidance_scale: 1.0,
        ..Preset::Small.method()
    }
}

/// Specification 1.10c: one step from noise is the independent samples; one view with one-step predictions is repeated
/// SDEdit.
#[test]
fn stochsync_of_one_view_is_repeated_sdedit() {
    let space = Crops::new([5, 6], [5, 6], &[[0, 0]]);
    let method = StochSync {
        steps: 6,
        t_max: 900.0,
        t_min: 100.0,
        t_power: 1.0,
        warmup_steps: 1,
        multi_step: false,
        ..latent_stochsync()
    };
    let model = mixture(&space, &[TWO]);
    let result = run(model.clone(), method.plan(&schedule(), 1).unwrap(), &space, 8);
    let noise = schedule();
    let times: Vec<usize> =
        (0..6).map(|k| if k == 0 { 999 } else { (100.0 + 800.0 * (1.0 - k as f64 / 6.0) + 1e-9) as usize }).collect();
    let mut clean = vec![0.0f64; 120];
    for (k, t) in times.iter().enumerate() {
        let key = NoiseKey { seed: 8, purpose: Purpose::Renoise, trajectory: 0, view: 0, step: k as u32 };
        let (a, s) = if k == 0 {
            (0.0, 1.0)
        } else {
            (noise.alphas_cumprod[*t].sqrt(), (1.0 - noise.alphas_cumprod[*t]).sqrt())
        };
        let (signal, sigma) = (noise.alphas_cumprod[*t].sqrt(), (1.0 - noise.alphas_cumprod[*t]).sqrt());
        for (i, xi) in key.randn(120).into_iter().enumerate() {
            let x = a * clean[i] + s * f64::from(xi);
            clean[i] = (x - sigma * model.eps(0, x, i % 4, *t)) / signal;
        }
    }
    for (i, expected) in clean.iter().enumerate() {
        assert!((f64::from(result.canvas[i]) - expected).abs() < 1e-3, "{i}: {} {expected}", result.canvas[i]);
    }
}

#[test]
fn stochsync_from_noise_alone_is_independent_samples() {
    let space = Crops::row(16, [4, 8], 8);
    let method = StochSync { steps: 1, warmup_steps: 1, ..latent_stochsync() };
    let result = run(mixture(&space, &[TWO]).reaching(0.4), method.plan(&schedule(), 1).unwrap(), &space, 6);
    // The views' own samples are the sampler's last states.
    let tiled = canvas_of(&Synchronised { state_at: StateAt::Views, ..case(2, 2, 1.0) }, &result, &space);
    assert_eq!(worst(&result.canvas, &tiled), 0.0);
    // The second view alone, with its own noise id, is the same sample.
    let alone = Crops { sets: vec![vec![[0, 8]]], first_id: 1, ..space.clone() };
    let single = run(mixture(&alone, &[TWO]).reaching(0.4), method.plan(&schedule(), 1).unwrap(), &alone, 6);
    let second: Vec<f32> = result.latents[4 * 8 * 4..].to_vec();
    assert_eq!(worst(&single.latents, &second), 0.0);
}
