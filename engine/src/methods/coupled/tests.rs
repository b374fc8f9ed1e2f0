use super::*;
use crate::schedulers::{NoiseSchedule, PredictionType};

fn table(prediction: PredictionType) -> NoiseSchedule {
    NoiseSchedule::stable_diffusion(prediction)
}

fn pair(steps: usize, lambda: f64) -> Coupled {
    Coupled { rescale: false, ..Coupled::new(2, JointGrid::Diffusion { steps, of: 0 }, 1.0, lambda) }
}

/// Specification C4: what a zero network multiplies the distance of two trajectories with that share their noise.
fn gain(method: &Coupled, models: &[ModelLevels<'_>]) -> f64 {
    let steps = method.grid.resolve(models).unwrap();
    let factor = |(k, step): (usize, &JointStep)| {
        let (c, push) = (step.models[0], method.pushes(k, step));
        c.next_x + c.next_clean * c.clean_x - (push[0] + push[1]) * c.clean_x
    };
    steps.iter().enumerate().map(factor).product()
}

#[test]
fn gains_of_a_zero_network() {
    let (eps, v) = (table(PredictionType::Epsilon), table(PredictionType::VPrediction));
    let close = |a: f64, b: f64, digits: f64| assert!((a - b).abs() < digits, "{a} instead of {b}");
    let known = [(0.0, 14.648_814), (0.005, 11.510_526), (0.01, 8.924_584), (0.02, 5.105_882), (0.03, 2.667_266)];
    for (lambda, expected) in known {
        close(gain(&pair(10, lambda), &[ModelLevels::Diffusion(&eps)]), expected, 2e-6 * 14.0);
    }
    let known =
        [(0.0, 0.068_264_91), (0.01, 0.064_117_05), (0.05, 0.049_644_58), (0.1, 0.035_623_12), (0.2, 0.017_527_07)];
    for (lambda, expected) in known {
        close(gain(&pair(10, lambda), &[ModelLevels::Diffusion(&v)]), expected, 1e-7);
    }
    for (lambda, expected) in [(0.0, 1.0), (0.05, 0.628_156_51), (0.1, 0.381_706_68), (0.2, 0.124_378_69)] {
        let grid = JointGrid::Flow { steps: 10, mu: 0.0, step: FlowStep::Ode };
        close(gain(&Coupled { grid, ..pair(10, lambda) }, &[ModelLevels::Flow]), expected, 1e-8);
    }
}

/// Specification C6.
#[test]
fn bounds_of_the_strength() {
    let eps = table(PredictionType::Epsilon);
    let models = [ModelLevels::Diffusion(&eps)];
    let bounds = pair(50, 0.0).bounds(&models).unwrap();
    assert!((bounds.overshoots - 0.0386).abs() < 5e-5 && (bounds.diverges - 0.0728).abs() < 5e-5, "{bounds:?}");
    // Beyond the first bound the first factor is negative, below it none is.
    let first = |lambda: f64| {
        let method = pair(50, lambda);
        let steps = method.grid.resolve(&models).unwrap();
        let factor = |(k, step): (usize, &JointStep)| {
            let c = step.models[0];
            c.next_x + c.next_clean * c.clean_x - 2.0 * method.pushes(k, step)[0] * c.clean_x
        };
        steps.iter().enumerate().map(factor).fold(f64::INFINITY, f64::min)
    };
    assert!(first(0.999 * bounds.overshoots) > 0.0 && first(1.001 * bounds.overshoots) < 0.0);
    assert!(first(0.999 * bounds.diverges) > -1.0 && first(1.001 * bounds.diverges) < -1.0);
    // In the terms of 50 steps; more trajectories are pushed less each.
    let rescaled = Coupled { rescale: true, ..pair(25, 0.0) }.bounds(&models).unwrap();
    let raw = pair(25, 0.0).bounds(&models).unwrap();
    assert!((2.0 * rescaled.overshoots - raw.overshoots).abs() < 1e-12);
    let four = Coupled::new(4, JointGrid::Diffusion { steps: 50, of: 0 }, 1.0, 0.0).bounds(&models).unwrap();
    assert!((four.overshoots - 1.5 * bounds.overshoots).abs() < 1e-12);
    // Steps that are not coupled bound nothing; velocities bear 1 / (2 s').
    assert_eq!(Coupled { window: [7, 7], ..pair(50, 0.0) }.bounds(&models).unwrap().overshoots, f64::INFINITY);
    let grid = JointGrid::Flow { steps: 10, mu: 0.0, step: FlowStep::Ode };
    let flow = Coupled { grid, ..pair(10, 0.0) }.bounds(&[ModelLevels::Flow]).unwrap();
    assert!((flow.overshoots - 0.5 / 0.9).abs() < 1e-12);
}

#[test]
fn the_push_follows_the_next_level_window_and_number_of_steps() {
    let eps = table(PredictionType::Epsilon);
    let models = [ModelLevels::Diffusion(&eps)];
    let pushes = |method: &Coupled| -> Vec<f64> {
        let steps = method.grid.resolve(&models).unwrap();
        steps.iter().enumerate().map(|(k, step)| method.pushes(k, step)[0]).collect()
    };
    let all = pushes(&pair(10, 0.02));
    let alpha_bar = eps.alphas_cumprod[899];
    assert!((all[0] - 0.02 * (1.0 - alpha_bar).sqrt()).abs() < 1e-12);
    assert_eq!(all[9], 0.0, "the last step is not pushed");
    let some = pushes(&Coupled { window: [2, 5], ..pair(10, 0.02) });
    assert!(some.iter().enumerate().all(|(k, push)| (*push != 0.0) == (2..5).contains(&k)));
    assert_eq!(some[3], all[3]);
    let rescaled = pushes(&Coupled { rescale: true, ..pair(10, 0.02) });
    assert!((rescaled[0] - 5.0 * all[0]).abs() < 1e-12);
    // At most one dispatch per step more than without coupling, and none where nothing is pushed.
    let couples = |method: &Coupled| {
        let plan = method.plan(&models).unwrap();
        plan.ops.iter().filter(|op| matches!(op, Op::Couple { .. })).count()
    };
    assert_eq!((couples(&pair(10, 0.02)), couples(&pair(10, 0.0))), (9, 0));
}

#[test]
fn refusals_name_the_number() {
    let eps = table(PredictionType::Epsilon);
    let model = ModelLevels::Diffusion(&eps);
    let text = |method: Coupled, models: &[ModelLevels<'_>]| method.plan(models).unwrap_err().to_string();
    assert!(text(Coupled::new(1, pair(5, 0.0).grid, 1.0, 0.0), &[model]).contains("found 1, expected 2 to 16"));
    assert!(text(pair(5, -0.1), &[model]).starts_with("lambda: found -0.1"));
    assert!(text(pair(5, f64::NAN), &[model]).starts_with("lambda: found NaN"));
    assert!(text(pair(5, 0.1), &[model; 3]).contains("found 3, expected 1 for all 2 trajectories"));
    assert!(text(Coupled { guidance: vec![1.0, 2.0], ..pair(5, 0.1) }, &[model]).contains("one scale"));
    assert!(text(Coupled { window: [3, 2], ..pair(5, 0.1) }, &[model]).contains("found 3 to 2"));
    assert!(text(pair(0, 0.1), &[model]).contains("found 0"));
    let composed = |rate| Composed {
        grid: pair(5, 0.0).grid,
        guidance: vec![1.0; 2],
        langevin: Some(Langevin { steps: 2, rate }),
        picture: None,
    };
    assert!(composed(4.0).plan(&[model]).is_err() && composed(1.0).plan(&[model]).is_ok());
}
