//! Samplers against closed forms.

use super::super::*;

/// The state a perfect model sees: signal · clean + noise · eps, and the output it gives there.
fn perfect_output(step: &StepCoefficients, prediction: PredictionType, clean: f64, eps: f64) -> f64 {
    let Level { signal, noise } = Level::variance_preserving(step.level.alpha_bar());
    match prediction {
        PredictionType::Epsilon => eps,
        PredictionType::VPrediction => signal * eps - noise * clean,
        PredictionType::Sample => clean,
    }
}

/// Methods that look no further back than the previous clean estimate.
fn plain() -> Vec<SamplingMethod> {
    SamplingMethod::ALL.into_iter().filter(|method| method.is_plain()).collect()
}

const PREDICTIONS: [PredictionType; 3] = [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample];

/// With a model that always answers the same clean image and noise, a deterministic sampler has to pass exactly through
/// its own levels, and so has the mean of an ancestral one.
#[test]
fn a_perfect_model_is_followed_exactly() {
    let (clean, eps) = (0.7, -1.3);
    // Consistency sampling keeps a little of the state, by design.
    let methods = plain().into_iter().filter(|method| *method != SamplingMethod::Lcm);
    for (method, prediction) in methods.flat_map(|m| PREDICTIONS.map(|p| (m, p))) {
        let schedule = NoiseSchedule::stable_diffusion(prediction);
        let spacing = Some(TimestepSpacing::Leading);
        let options = PlanOptions { steps: 25, spacing, ..PlanOptions::default() };
        let plan = plan(method, &schedule, &options).unwrap();
        let mut previous = 0.0;
        for (i, step) in plan.steps.iter().enumerate() {
            let x = step.level.signal * clean + step.level.noise * eps;
            let out = perfect_output(step, prediction, clean, eps);
            let (next, found) = step.advance(x, out, previous, 0.0);
            assert!((found - clean).abs() < 1e-9, "{method} {prediction} step {i}: clean {found}");
            // Fresh noise is independent of eps, so the noise that is kept is the rest of the level's variance.
            let Level { signal, noise } = step.next_level;
            let kept = (noise * noise - step.next_noise * step.next_noise).max(0.0).sqrt();
            let expected = signal * clean + kept * eps;
            assert!((next - expected).abs() < 1e-9, "{method} {prediction} step {i}: {next} {expected}");
            let (through, _) = step.through_clean().advance(x, out, previous, 0.0);
            assert!((through - next).abs() < 1e-9, "{method} {prediction} step {i} through clean");
            assert_eq!(step.through_clean().next_out, 0.0);
            if let Some(following) = plan.steps.get(i + 1) {
                assert!((following.level.noise - noise).abs() < 1e-9, "{method} step {i}: levels meet");
            }
            previous = found;
        }
        let last = plan.steps[plan.steps.len() - 1];
        let at_zero = schedule.level(0).unwrap();
        let end = if method == SamplingMethod::Ddim { at_zero } else { Level::CLEAN };
        assert!((last.next_level.noise - end.noise).abs() < 1e-12, "{method} ends at {end:?}");
    }
}

/// DDIM with eta = 1 over every timestep is the DDPM posterior.
#[test]
fn ddim_with_full_eta_is_ddpm() {
    let config = NoiseScheduleConfig {
        steps_offset: 0,
        set_alpha_to_one: true,
        ..NoiseScheduleConfig::stable_diffusion(PredictionType::Epsilon)
    };
    let schedule = NoiseSchedule::from_config(&config).unwrap();
    let options = PlanOptions { steps: 50, eta: Some(1.0), ..PlanOptions::default() };
    let ddim = plan(SamplingMethod::Ddim, &schedule, &options).unwrap();
    let ddpm = plan(SamplingMethod::Ddpm, &schedule, &options).unwrap();
    for (a, b) in ddim.steps.iter().zip(&ddpm.steps) {
        let (x, out, eps) = (0.3, -0.8, 1.1);
        let (a, b) = (a.advance(x, out, 0.0, eps), b.advance(x, out, 0.0, eps));
        assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-12, "{a:?} {b:?}");
    }
}

/// Bayes: the product of q(x'|clean) and q(x|x') as densities in x', on 30 consecutive timesteps.
#[test]
fn ddpm_is_the_posterior_of_the_forward_process() {
    let config =
        NoiseScheduleConfig { steps_offset: 0, ..NoiseScheduleConfig::stable_diffusion(PredictionType::Sample) };
    let schedule = NoiseSchedule::from_config(&config).unwrap();
    let options = PlanOptions { steps: 1000, ..PlanOptions::default() };
    let plan = plan(SamplingMethod::Ddpm, &schedule, &options).unwrap();
    for step in plan.steps.iter().filter(|s| s.timestep >= 1.0).step_by(33) {
        let t = step.timestep as usize;
        let (from, to) = (schedule.alphas_cumprod[t], schedule.alphas_cumprod[t - 1]);
        let (alpha, beta) = (from / to, 1.0 - from / to);
        let precision = 1.0 / (1.0 - to) + alpha / beta;
        let (x, clean) = (0.4, -1.2);
        let mean = (to.sqrt() * clean / (1.0 - to) + alpha.sqrt() * x / beta) / precision;
        let (found, _) = step.advance(x, clean, 0.0, 0.0);
        assert!((found - mean).abs() < 1e-9, "timestep {t}: {found} {mean}");
        let variance = step.next_noise * step.next_noise;
        assert!((variance * precision - 1.0).abs() < 1e-9, "timestep {t}: {variance}");
    }
}

#[test]
fn ends_of_the_noise_schedule_are_the_published_ones() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    assert_eq!(schedule.num_train_timesteps(), 1000);
    for (t, expected) in [(0, 0.99915), (50, 0.9515769), (500, 0.27633268), (999, 0.0046601)] {
        assert!((schedule.alpha_bar(t).unwrap() - expected).abs() < 1e-6, "timestep {t}");
    }
    let config = NoiseScheduleConfig {
        rescale_betas_zero_snr: true,
        ..NoiseScheduleConfig::stable_diffusion(PredictionType::VPrediction)
    };
    let shifted = NoiseSchedule::from_config(&config).unwrap();
    assert_eq!(shifted.alphas_cumprod[999], 0.0);
    assert!((shifted.alphas_cumprod[0] - 0.99915).abs() < 1e-6);
}

#[test]
fn a_method_may_bring_its_own_nodes() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    let nodes = nodes_below(640, 25, 1000);
    assert_eq!(nodes[..4], [640, 624, 582, 541]);
    assert_eq!((nodes.len(), nodes.last().copied()), (16, Some(41)));
    assert_eq!(nodes_below(999, 25, 1000).len(), 24);
    let fast = dpmpp_2m_nodes(&schedule, &nodes).unwrap();
    assert_eq!(fast.steps.len(), nodes.len());
    let last = fast.steps[nodes.len() - 1];
    assert_eq!((last.next_x, last.next_clean, last.next_prev_clean), (0.0, 1.0, 0.0));
    let single = dpmpp_2m_nodes(&schedule, &[999]).unwrap();
    assert_eq!((single.steps.len(), single.steps[0].next_clean), (1, 1.0));

    // DDIM on the nodes of a plan is that plan, apart from the last step.
    let spacing = Some(TimestepSpacing::Leading);
    let options = PlanOptions { steps: 10, spacing, ..PlanOptions::default() };
    let planned = plan(SamplingMethod::Ddim, &schedule, &options).unwrap();
    let nodes: Vec<usize> = planned.steps.iter().map(|s| s.timestep as usize).collect();
    let stays = ddim_nodes(&schedule, &nodes, GridEnd::AtLastNode).unwrap();
    assert_eq!(stays.steps, planned.steps[..9]);
    let clean = ddim_nodes(&schedule, &nodes, GridEnd::Clean).unwrap();
    assert_eq!((clean.steps.len(), clean.steps[9].next_level), (10, Level::CLEAN));
}

#[test]
fn a_later_start_runs_the_end_of_the_plan() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    for method in plain() {
        let options = PlanOptions { steps: 20, ..PlanOptions::default() };
        let whole = plan(method, &schedule, &options).unwrap();
        let late = PlanOptions { start: Start::Strength(0.29), ..options };
        let late = plan(method, &schedule, &late).unwrap();
        // Heun evaluates twice for each step but the last.
        let heun = method == SamplingMethod::Heun;
        assert_eq!(late.steps.len(), if heun { 9 } else { 5 });
        assert_eq!(late.steps[0].next_prev_clean, 0.0);
        assert_eq!(late.steps[2..], whole.steps[if heun { 32 } else { 17 }..]);
        let index = PlanOptions { start: Start::Index(15), ..options };
        assert_eq!(plan(method, &schedule, &index).unwrap(), late);
        let full = PlanOptions { start: Start::Strength(1.0), ..options };
        assert_eq!(plan(method, &schedule, &full).unwrap(), whole);
        assert_eq!(
            late.draws_noise(),
            matches!(method, SamplingMethod::EulerA | SamplingMethod::Ddpm | SamplingMethod::Lcm)
        );
    }
}

/// The same for the samplers with a longer memory. PNDM extrapolates the output itself, which for v is no constant.
#[test]
fn samplers_with_history_follow_a_perfect_model() {
    let (clean, eps) = (0.7, -1.3);
    let methods = [(HistoryMethod::UniPc, &PREDICTIONS[..]), (HistoryMethod::Pndm, &PREDICTIONS[..1])];
    for (method, prediction) in methods.into_iter().flat_map(|(m, p)| p.iter().map(move |p| (m, *p))) {
        let schedule = NoiseSchedule::stable_diffusion(prediction);
        let spacing = Some(TimestepSpacing::Leading);
        let options = PlanOptions { steps: 20, spacing, ..PlanOptions::default() };
        let plan = history_plan(method, &schedule, &options).unwrap();
        let repeated = usize::from(method == HistoryMethod::Pndm);
        assert_eq!(plan.steps.len(), 20 + repeated);
        for (i, entry) in plan.steps.iter().enumerate() {
            let step = entry.step;
            let x = step.level.signal * clean + step.level.noise * eps;
            let out = perfect_output(&step, prediction, clean, eps);
            let (next, _) = step.advance(x, out, clean, 0.0);
            let past: f64 = entry.past_outs.iter().sum::<f64>() * eps;
            let next = next + entry.older_clean * clean + past;
            // The repeated step arrives where it started.
            let end = if repeated == 1 && i == 1 { step.level } else { step.next_level };
            let expected = end.signal * clean + end.noise * eps;
            assert!((next - expected).abs() < 1e-9, "{method:?} {prediction} step {i}: {next} {expected}");
        }
    }
}

/// All methods, spacings and shapes for many step counts: as many steps as asked, falling, and made of numbers.
#[test]
fn every_combination_makes_a_falling_plan() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::VPrediction);
    let shapes = [SigmaSchedule::Discrete, SigmaSchedule::Karras, SigmaSchedule::Exponential];
    let spacings = [TimestepSpacing::Leading, TimestepSpacing::Trailing, TimestepSpacing::Linspace];
    let mut plans = 0;
    for steps in (1..130).chain([200, 244, 333, 500, 997]) {
        for (shape, spacing) in shapes.into_iter().flat_map(|s| spacings.map(|p| (s, p))) {
            let spacing = Some(spacing);
            let options = PlanOptions { steps, sigma_schedule: shape, spacing, ..PlanOptions::default() };
            for method in plain() {
                let stepping = matches!(method, SamplingMethod::Ddim | SamplingMethod::Ddpm | SamplingMethod::Lcm);
                if method == SamplingMethod::Lcm && steps > 50 {
                    assert!(plan(method, &schedule, &options).is_err());
                    continue;
                }
                if stepping && shape != SigmaSchedule::Discrete {
                    continue;
                }
                let plan = plan(method, &schedule, &options).unwrap();
                // Heun's second evaluations stay where the first ones led.
                let step = if method == SamplingMethod::Heun { 2 } else { 1 };
                let levels: Vec<f64> = plan.steps.iter().step_by(step).map(|s| s.level.sigma()).collect();
                assert_eq!(levels.len(), steps, "{method} {options:?}");
                assert!(levels.windows(2).all(|pair| pair[0] > pair[1]), "{method} {options:?}");
                assert!(plan.steps.iter().all(|s| (0.0..=999.0).contains(&s.timestep)));
                plans += 1;
            }
        }
    }
    println!("{plans} plans");
}
