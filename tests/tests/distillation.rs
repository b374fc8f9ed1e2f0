//! Score distillation against closed forms.

use syncline::jobs::CanvasResult;
use syncline::methods::{Distillation, Op, Synchronised, Target, TimeGrid, Weighting};
use syncline::rng::{NoiseKey, Purpose};
use syncline_tests::analytic::{Component, Crops, GAUSS, TWO, mixture, run, schedule};

/// One view of the whole canvas.
fn one_view() -> Crops {
    Crops::new([6, 6], [6, 6], &[[0, 0]])
}

fn optimised(space: &Crops, method: &Distillation, rows: &[&[Component]]) -> CanvasResult {
    run(mixture(space, rows), method.plan(&schedule(), 1).unwrap(), space, 3)
}

/// Specification 5 (i): with the model of one Gaussian, score distillation ends at its mean, whatever overlaps. Adam keeps moving by
/// up to its rate a step while gradients are noise, so a texel is within five rates of the mean, and all of them together within one.
#[test]
fn sds_ends_at_the_mean() {
    let target = Component { slope: 0.1, ..Component::new(0.6, 0.3) };
    for space in [one_view(), Crops::row(20, [4, 12], 4)] {
        let method = Distillation { iterations: 300, rate: 0.03, guidance_scale: 1.0, ..Distillation::sds(300, 5) };
        let result = optimised(&space, &method, &[&[target]]);
        for (i, value) in result.canvas.iter().enumerate() {
            let mean = 0.6 + 0.1 * (i % 4) as f64;
            assert!((f64::from(*value) - mean).abs() < 0.15, "{i}: {value}, the mean is {mean}");
        }
        let error: f64 =
            result.canvas.iter().enumerate().map(|(i, v)| f64::from(*v) - 0.6 - 0.1 * (i % 4) as f64).sum();
        assert!((error / result.canvas.len() as f64).abs() < 0.03, "mean error {error}");
    }
}

/// Specification 5 (iv): the prompt's direction is exaggerated with guidance.
#[test]
fn guidance_saturates_sds() {
    let rows: [&[Component]; 2] = [&[Component::new(0.0, 0.5)], &[Component::new(0.5, 0.5)]];
    let mean = |scale: f64| {
        let method = Distillation { iterations: 150, rate: 0.05, guidance_scale: scale, ..Distillation::sds(150, 5) };
        let canvas = optimised(&one_view(), &method, &rows).canvas;
        canvas.iter().map(|v| f64::from(*v)).sum::<f64>() / canvas.len() as f64
    };
    let (plain, guided, much) = (mean(1.0), mean(3.0), mean(6.0));
    assert!((plain - 0.5).abs() < 0.08 && guided > plain + 0.4 && much > guided + 0.4, "{plain} {guided} {much}");
}

/// The gradient on the views in the first iteration.
fn gradient(space: &Crops, method: &Distillation, rows: &[&[Component]]) -> Vec<f32> {
    let mut plan = method.plan(&schedule(), 1).unwrap();
    let adam = plan.ops.iter().position(|op| matches!(op, Op::Scatter { .. })).unwrap();
    plan.ops.truncate(adam);
    run(mixture(space, rows), plan, space, 3).clean
}

/// Specification 5 (ii): the gradient is w (ε̂ − ε).
#[test]
fn the_gradient_is_the_papers() {
    let space = one_view();
    for weighting in [Weighting::Uniform, Weighting::Noise, Weighting::Balanced] {
        let method = Distillation { weighting, t_min: 400, t_max: 400, ..Distillation::sds(1, 5) };
        let got = gradient(&space, &method, &[TWO, GAUSS]);
        let model = mixture(&space, &[TWO, GAUSS]);
        let alpha_bar = schedule().alphas_cumprod[400];
        let (a, s) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        let w = match weighting {
            Weighting::Uniform => 1.0,
            Weighting::Noise => s * s,
            Weighting::Balanced => a * s,
        };
        let key = NoiseKey { seed: 3, purpose: Purpose::Step, trajectory: 0, view: 0, step: 0 };
        for (i, eps) in key.randn(got.len()).into_iter().map(f64::from).enumerate() {
            // The canvas begins at zero.
            let x_t = s * eps;
            let estimate = model.guided_eps(30.0, x_t, i % 4, 400);
            let expected = w * (estimate - eps);
            assert!(
                (f64::from(got[i]) - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{i}: {} {expected}",
                got[i]
            );
        }
    }
}

/// Specification 5 (iii): x − x̂0 = √((1 − ᾱ)/ᾱ) (ε̂ − ε), of estimates that were made in two runs. The state is the noise ξ that the
/// canvas begins with: a view x = 0 with ε = ξ/s.
#[test]
fn clean_and_noise_estimates_belong_together() {
    let space = one_view();
    let estimate = |case| {
        let mut plan =
            Synchronised::case(case, TimeGrid::Leading { steps: 10 }, 2.0).unwrap().plan(&schedule()).unwrap();
        let end = plan.ops.iter().position(|op| matches!(op, Op::Evaluate(_))).unwrap();
        plan.ops.truncate(end + 1);
        run(mixture(&space, &[TWO, GAUSS]), plan, &space, 3).clean
    };
    let (eps, clean) = (estimate(4), estimate(5));
    let alpha_bar = schedule().alphas_cumprod[901];
    let (a, s) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
    let key = NoiseKey { seed: 3, purpose: Purpose::Canvas, trajectory: 0, view: 0, step: 0 };
    for (i, xi) in key.randn(eps.len()).into_iter().map(f64::from).enumerate() {
        let expected = -s / a * (f64::from(eps[i]) - xi / s);
        // f32 rounding of estimates of order one, times s/a = 8.3.
        assert!((f64::from(clean[i]) - expected).abs() < 2e-5, "{i}: {} {expected}", clean[i]);
    }
}

/// Specification 6 (ii): inversion finds nearly the same noise whatever the seed; fresh noise does not.
#[test]
fn inversion_varies_less_than_noise() {
    let space = one_view();
    let spread = |method: &Distillation| {
        let mut plan = method.plan(&schedule(), 1).unwrap();
        let end = plan.ops.iter().position(|op| matches!(op, Op::Scatter { .. })).unwrap();
        plan.ops.truncate(end);
        let runs: Vec<Vec<f32>> =
            (0..6).map(|seed| run(mixture(&space, &[TWO, GAUSS]), plan.clone(), &space, seed).clean).collect();
        let mean = |i: usize| runs.iter().map(|r| f64::from(r[i])).sum::<f64>() / runs.len() as f64;
        let variance = |i: usize| runs.iter().map(|r| (f64::from(r[i]) - mean(i)).powi(2)).sum::<f64>();
        (0..runs[0].len()).map(variance).sum::<f64>()
    };
    let at = |method: Distillation| Distillation {
        t_min: 400,
        t_max: 400,
        guidance_scale: 3.0,
        weighting: Weighting::Noise,
        ..method
    };
    let exact = |extra| Target::Inversion { guidance: 3.0, steps: 20, extra };
    let sds = spread(&at(Distillation::sds(1, 5)));
    let sdi = spread(&at(Distillation { target: exact(0.3), ..Distillation::sdi(1, 5) }));
    let silent = spread(&at(Distillation { target: exact(0.0), ..Distillation::sdi(1, 5) }));
    assert!(silent == 0.0 && sdi < 0.25 * sds, "SDS {sds}, SDI {sdi}, SDI without extra noise {silent}");
}

/// Specification 6 (i): inverted with the guidance that denoises and looked at without further noise, a view's clean estimate is
/// the view, but for what one step of estimating loses: for a Gaussian N(m, d²) with x at ᾱ_0 that is known. x_t − a m =
/// √((a² d² + s²)/(a_0² d² + s_0²)) (x − a_0 m), and ε̂ − ε follows. Finer inversion comes closer.
#[test]
fn inversion_is_the_probability_flow() {
    let space = one_view();
    let (m, d) = (0.2, 0.4);
    let alphas = schedule().alphas_cumprod;
    let (a, s) = (alphas[300].sqrt(), (1.0 - alphas[300]).sqrt());
    let (a0, s0) = (alphas[0].sqrt(), (1.0 - alphas[0]).sqrt());
    let variance = a * a * d * d + s * s;
    let x_t = a * m + (variance / (a0 * a0 * d * d + s0 * s0)).sqrt() * (0.0 - a0 * m);
    let expected = s * (x_t - a * m) / variance - x_t / s;
    let error = |steps| {
        let target = Target::Inversion { guidance: 1.0, steps, extra: 0.0 };
        let base = Distillation { target, t_min: 300, t_max: 300, guidance_scale: 1.0, ..Distillation::sdi(1, 5) };
        let method = Distillation { weighting: Weighting::Uniform, ..base };
        let got = gradient(&space, &method, &[&[Component::new(m, d)]]);
        got.iter().map(|v| (f64::from(*v) - expected).abs()).fold(0.0, f64::max) / expected.abs()
    };
    let (coarse, fine) = (error(10), error(500));
    assert!(fine < 0.01 && fine < 0.3 * coarse, "expected {expected}: off by {coarse} in 10 steps, {fine} in 500");
}

/// Specification 7: without a prompt and with no interval, the gradient vanishes; it is the interval's difference otherwise.
#[test]
fn intervals_give_score_differences() {
    let space = one_view();
    let method = |below| {
        let target = Target::Interval { below, jump: 200 };
        let base = Distillation { target, t_min: 500, t_max: 500, guidance_scale: 1.0, ..Distillation::ism(1, 5) };
        Distillation { weighting: Weighting::Uniform, ..base }
    };
    // One mixture for both rows: the empty prompt.
    let none: [&[Component]; 2] = [GAUSS, GAUSS];
    // The first iteration looks 100 below; the last ones as far as is set.
    let norm = |below: usize| {
        let mut method = method(below);
        method.iterations = 10;
        let mut plan = method.plan(&schedule(), 1).unwrap();
        // The ninth iteration's gradient on a canvas that nothing has moved.
        let marks: Vec<usize> =
            plan.ops.iter().enumerate().filter(|(_, op)| matches!(op, Op::Scatter { .. })).map(|(i, _)| i).collect();
        plan.ops.truncate(marks[8]);
        plan.ops.retain(|op| !matches!(op, Op::Scatter { .. } | Op::Adam(_)));
        let clean = run(mixture(&space, &none), plan, &space, 3).clean;
        clean.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
    };
    let (far, near, nowhere) = (norm(50), norm(5), norm(0));
    assert!(nowhere < 1e-4 && near > nowhere && far > 3.0 * near, "50: {far}, 5: {near}, 0: {nowhere}");
}
