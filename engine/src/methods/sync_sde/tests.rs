use super::*;
use crate::methods::editing::EditGrid;
use crate::methods::editing::tests::Machine;
use crate::schedulers::{DynamicShift, NoiseSchedule, PredictionType};

fn flux() -> EditGrid {
    EditGrid::flow(&DynamicShift::FLUX, 4096, 28).unwrap()
}

fn published(start: usize) -> SyncSde {
    SyncSde::published(start, [1.0; 2])
}

/// D after each step, D of the first index first; models N(0, 1) and N(1, 1).
fn differences(method: &SyncSde, picture: f64, element: usize) -> Vec<f64> {
    let mut machine = Machine::new(picture, [0.0, 1.0], 1.0, element);
    let result = machine.run(&method.plan(&flux()).unwrap());
    let last = machine.differences[machine.differences.len() - 1];
    assert!((result - picture - last).abs() < 1e-12);
    machine.differences
}

/// Specification 2.8, S2: whatever the noise and the picture.
#[test]
fn differences_of_gaussians_are_the_closed_form() {
    let expected = [
        (5, 0.029_970_376),
        (6, 0.054_157_105),
        (13, 0.209_546_749),
        (21, 0.485_523_511),
        (27, 0.893_993_524),
        (28, 0.998_602_806),
    ];
    for (picture, element) in [(0.37, 0), (-3.0, 13)] {
        let d = differences(&published(4), picture, element);
        for (i, expected) in expected {
            assert!((d[i - 4] - expected).abs() < 1e-9, "D_{i}: {} {expected}", d[i - 4]);
        }
    }
    let exponential = SyncSde { integrator: Integrator::Exponential, ..published(4) };
    assert!((differences(&exponential, 0.37, 0)[24] - 0.997_222_767).abs() < 1e-9);
}

/// S3.
#[test]
fn later_starts_change_less() {
    let table = [
        (1, 1.000_006),
        (2, 0.999_826),
        (4, 0.998_603),
        (8, 0.989_766),
        (12, 0.961_226),
        (16, 0.880_216),
        (20, 0.668_480),
        (24, 0.267_229),
        (26, 0.083_228),
        (27, 0.026_995),
        (28, 0.0),
    ];
    for (start, expected) in table {
        let d = differences(&published(start), 0.37, 1);
        assert!((d[d.len() - 1] - expected).abs() < 1e-6, "{start}: {} {expected}", d[d.len() - 1]);
    }
}

/// S7.
#[test]
fn start_zero_is_refused() {
    let text = published(0).plan(&flux()).unwrap_err().to_string();
    assert!(text.starts_with("start index: found 0"), "{text}");
    assert!(published(29).plan(&flux()).is_err());
}

/// A new path each step changes nothing that is Gaussian.
#[test]
fn resampled_paths_have_the_same_differences() {
    let fresh = SyncSde { resample: true, ..published(4) };
    let [a, b] = [fresh, published(4)].map(|method| differences(&method, 0.37, 1));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
}

/// The bridge has the law of the increments: V_i = r² V_{i-1} + what is drawn, and the covariance of a Brownian path.
#[test]
fn the_bridge_is_the_path() {
    let deviations = [0.8904, 0.9428, 0.9462, 0.9390, 0.9145, 0.8834];
    for (i, expected) in [1, 2, 3, 4, 6, 8].into_iter().zip(deviations) {
        let got = SourcePath::new(&flux(), PathVariance::Midpoint).deviation(i);
        assert!((got - expected).abs() < 5e-5, "{i}: {got} {expected}");
        assert!((SourcePath::new(&flux(), PathVariance::Exact).deviation(i) - flux().level(i).noise).abs() < 1e-12);
    }
    for variance in [PathVariance::Exact, PathVariance::Midpoint] {
        let path = SourcePath::new(&flux(), variance);
        let mut covariance = path.deviation(1).powi(2);
        let mut mean = flux().level(1).signal;
        for i in 1..28 {
            let ([own, known], sigma) = path.step(i);
            covariance = own * own * covariance + sigma * sigma;
            mean = own * mean + known;
            assert!((covariance.sqrt() - path.deviation(i + 1)).abs() < 1e-9, "{variance:?} {i}");
            assert!((mean - flux().level(i + 1).signal).abs() < 1e-12);
            // B_{i+1} and B_i - B_{i+1} are independent: Cov(B_{i+1}, B_i) = V_{i+1}.
            let [now, next] = [i, i + 1].map(|k| (path.deviation(k) / flux().level(k).signal).powi(2));
            let scaled = own * flux().level(i).signal / flux().level(i + 1).signal;
            assert!((scaled * now - next).abs() < 1e-9 * now, "{variance:?} {i}");
        }
        assert_eq!(path.step(27), ([0.0, 1.0], 0.0));
    }
}

/// The diffusion form takes the coefficients of ancestral steps for path and difference.
#[test]
fn the_diffusion_form_is_the_posterior() {
    let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    let grid = EditGrid::diffusion(&noise, 20).unwrap();
    let (path, method) = (SourcePath::new(&grid, PathVariance::Exact), SyncSde::exact(3, [1.0; 2]));
    for i in 3..20 {
        let step = grid.steps[i];
        let ([own, known], sigma) = path.step(i);
        let [d_own, d_clean] = method.difference(&grid, i);
        let pairs =
            [(own, step.next_x), (known, step.next_clean), (sigma, step.next_noise), (d_own, own), (d_clean, known)];
        assert!(pairs.iter().all(|(a, b)| (a - b).abs() < 1e-9), "{i}: {pairs:?}");
    }
    // And in the terms of a flow it is the exponential integrator on the same ratios of noise to signal.
    let flow = EditGrid::flow_of_diffusion(&noise, 20).unwrap();
    let run = |grid: &EditGrid| Machine::new(0.4, [0.0, 1.0], 0.6, 2).run(&method.plan(grid).unwrap());
    assert!((run(&grid) - run(&flow)).abs() < 1e-9);
}

/// One evaluation of each side and one operation a step.
#[test]
fn a_step_is_two_evaluations_and_one_operation() {
    let plan = published(4).plan(&flux()).unwrap();
    let coupled = plan.ops.iter().filter(|op| matches!(op, Op::EditStep(_))).count();
    assert_eq!((plan.evaluations(), coupled, plan.branches), (48, 25, 2));
    assert!(!plan.ops.iter().any(|op| matches!(op, Op::Mix(_))));
}
