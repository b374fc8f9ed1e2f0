//! Known answers, closed forms and statistics.

use super::*;

/// The three lines "philox4x32 10" of kat_vectors in Random123.
#[test]
fn philox_gives_the_known_answers() {
    let cases = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, expected) in cases {
        assert_eq!(philox4x32_10(counter, key), expected);
    }
}

/// What A1111 publishes for seed 0 and a tensor of 3 x 4 on CUDA.
#[test]
fn cuda_draws_the_published_numbers() {
    let expected = [
        -0.924_662_6,
        -0.425_344_15,
        -2.643_845_7,
        0.145_183_88,
        -0.120_866_47,
        -0.579_725_6,
        -0.622_851_2,
        -0.328_387_1,
        -1.074_542_3,
        -0.363_144_07,
        -1.671_050_7,
        2.265_505,
    ];
    let mut generator = CudaGenerator::new(0);
    for (found, expected) in generator.randn(12).into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6_f32, "{found} {expected}");
    }
    assert_ne!(generator.randn(12), CudaGenerator::new(0).randn(12), "a second draw is another");
}

const KEY: NoiseKey = NoiseKey { seed: 0x0123_4567_89ab_cdef, purpose: Purpose::Step, trajectory: 3, view: 5, step: 7 };

#[test]
fn portable_noise_is_the_definition() {
    let (key, [step, view, last]) = KEY.words();
    assert_eq!((key, step, view, last), ([0x89ab_cdef, 0x0123_4567], 7, 5, 0x0100_0003));
    let drawn = KEY.randn(1002);
    for (block, values) in drawn.chunks(4).enumerate() {
        let words = philox4x32_10([block as u32, step, view, last], key);
        let u = words.map(|w| (f64::from(w / 256) + 0.5) / 2f64.powi(24));
        let (r, s) = ((-2.0 * u[0].ln()).sqrt(), (-2.0 * u[2].ln()).sqrt());
        let (a, b) = (std::f64::consts::TAU * u[1], std::f64::consts::TAU * u[3]);
        let expected = [r * a.cos(), r * a.sin(), s * b.cos(), s * b.sin()];
        for (found, expected) in values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 3e-7, "{found} {expected}");
        }
    }
}

/// Published results depend on these numbers.
#[test]
fn portable_noise_keeps_its_numbers() {
    let expected = [0.102_530_494, 0.375_095_87, 0.824_527_3, 0.583_369_3, -0.746_182_86, 0.297_157_6];
    for (found, expected) in KEY.randn(6).into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

/// Mean, variance, skewness and excess kurtosis with their standard errors.
fn assert_normal(values: &[f32], label: &str) {
    let n = values.len() as f64;
    let moment = |power: i32| values.iter().map(|v| f64::from(*v).powi(power)).sum::<f64>() / n;
    let checks = [
        ("mean", moment(1), 1.0),
        ("variance", moment(2) - 1.0, 2f64.sqrt()),
        ("third moment", moment(3), 15f64.sqrt()),
        ("fourth moment", moment(4) - 3.0, 96f64.sqrt()),
    ];
    for (what, off, deviation) in checks {
        let bound = 4.5 * deviation / n.sqrt();
        assert!(off.abs() < bound, "{label}: {what} off by {off:.2e}, expected below {bound:.2e}");
    }
    let beyond = |limit: f32| values.iter().filter(|v| v.abs() > limit).count() as f64 / n;
    for (limit, expected) in [(1.0, 0.317_311), (2.0, 0.045_500), (3.0, 0.002_700)] {
        let error = 4.5 * (expected * (1.0 - expected) / n).sqrt();
        let found = beyond(limit);
        assert!((found - expected).abs() < error, "{label}: {found} beyond {limit}");
    }
}

fn assert_uncorrelated(a: &[f32], b: &[f32], label: &str) {
    let n = a.len().min(b.len()) as f64;
    let product: f64 = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    assert!((product / n).abs() < 4.5 / n.sqrt(), "{label}: correlation {:.2e}", product / n);
}

const COUNT: usize = 1 << 18;

#[test]
fn every_mode_draws_normal_numbers() {
    for mode in NoiseMode::ALL {
        let values = HostNoise::new(mode, 42).randn(&KEY, COUNT);
        assert_normal(&values, mode.name());
        assert_uncorrelated(&values, &values[1..], mode.name());
        assert_uncorrelated(&values, &values[2..], mode.name());
        assert_uncorrelated(&values, &values[8..], mode.name());
    }
}

/// Changing one part of the key gives other noise, independent of the first.
#[test]
fn keys_that_differ_in_one_part_are_independent() {
    let base = KEY.randn(COUNT);
    let others = [
        NoiseKey { seed: KEY.seed ^ 1, ..KEY },
        NoiseKey { seed: KEY.seed ^ (1 << 32), ..KEY },
        NoiseKey { purpose: Purpose::Renoise, ..KEY },
        NoiseKey { trajectory: KEY.trajectory + 1, ..KEY },
        NoiseKey { view: KEY.view + 1, ..KEY },
        NoiseKey { step: KEY.step + 1, ..KEY },
    ];
    for (i, other) in others.iter().enumerate() {
        let drawn = other.randn(COUNT);
        assert_normal(&drawn, &format!("{other:?}"));
        assert_uncorrelated(&base, &drawn, &format!("{other:?}"));
        let squares = |v: &[f32]| v.iter().map(|x| (x * x - 1.0) / 2f32.sqrt()).collect::<Vec<_>>();
        assert_uncorrelated(&squares(&base), &squares(&drawn), &format!("squares of {other:?}"));
        for another in &others[..i] {
            assert_ne!(another.block(0), other.block(0));
        }
    }
}

/// A view's noise is what it is whatever else is drawn: the point of keying by meaning.
#[test]
fn portable_noise_does_not_depend_on_count_or_order() {
    let long = KEY.randn(1001);
    assert_eq!(KEY.randn(10), long[..10]);
    assert_eq!(KEY.block(250)[0], long[1000]);
    let mut noise = HostNoise::new(NoiseMode::Portable, 0);
    assert_eq!(noise.randn(&KEY, 7), noise.randn(&KEY, 7));
    assert!(!noise.is_channel_first() && HostNoise::new(NoiseMode::Cpu, 0).is_channel_first());
}

#[test]
fn modes_are_read_and_printed() {
    for (name, mode) in [("cuda", NoiseMode::Cuda), ("NV", NoiseMode::Cuda), ("CPU", NoiseMode::Cpu)] {
        assert_eq!(name.parse(), Ok(mode));
    }
    for mode in NoiseMode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    let error = "std_default".parse::<NoiseMode>().unwrap_err();
    assert_eq!(error.to_string(), "rng: found \"std_default\", expected cuda, cpu or portable");
}
