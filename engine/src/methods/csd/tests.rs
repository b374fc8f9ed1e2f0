use super::*;
use crate::schedulers::PredictionType;

fn schedule() -> NoiseSchedule {
    NoiseSchedule::stable_diffusion(PredictionType::Epsilon)
}

#[test]
fn timesteps_fill_their_range() {
    let csd = Csd { t_min: 20, t_max: 29, ..Csd::panorama(7) };
    let mut counts = [0u32; 10];
    (0..5000).for_each(|k| counts[csd.timestep(k) - 20] += 1);
    // 500 each; the deviation of a count is 21.
    assert!(counts.iter().all(|n| n.abs_diff(500) < 100), "{counts:?}");
}

#[test]
fn rates_are_the_published_ones() {
    let rates = |csd: &Csd| -> Vec<f64> {
        let plan = csd.plan(&schedule(), 1).unwrap();
        plan.ops.iter().filter_map(|op| if let Op::Sgd { rate } = op { Some(*rate) } else { None }).collect()
    };
    let panorama = rates(&Csd::panorama(1));
    assert_eq!((panorama.len(), panorama[0], panorama[19]), (200, 2.0, 2.0));
    assert!((panorama[20] - 1.8).abs() < 1e-12 && (panorama[199] - 2.0 * 0.9f64.powi(9)).abs() < 1e-12);
    assert_eq!(rates(&Csd::frames(1)).len(), 100);
    let dds = rates(&Csd::dds(1));
    assert!(dds.iter().all(|rate| (rate - 0.048_828_125).abs() < 1e-12));
}

#[test]
fn small_latents_move_less() {
    let rate = |csd: Csd| if let Optimiser::Sgd { rate, .. } = csd.optimiser { rate } else { f64::NAN };
    assert_eq!(Csd::panorama(1).for_latents(64, 20), Csd::panorama(1));
    let small = Csd::panorama(1).for_latents(16, 20);
    assert_eq!((small.iterations, small.batch, rate(small.clone())), (40, Some(4), 1.0));
    // 2/(B + 1) of it each.
    let each = [1, 4, 24].map(|views| rate(Csd::frames(1).for_latents(16, views)) * 2.0 / (views + 1) as f64);
    assert!(each.iter().all(|step| (step - 0.22).abs() < 1e-12), "{each:?}");
}

/// Issue: a coupling may cost no more than one operation's dispatch; switched off it is the difference alone.
#[test]
fn couplings_change_one_operation() {
    for base in [Csd::panorama(3), Csd::frames(3), Csd::generation(9, 3), Csd { prompts: 3, ..Csd::panorama(3) }] {
        let plan = |coupling| Csd { coupling, ..base.clone() }.plan(&schedule(), 2).unwrap();
        let (with, without) = (plan(Some(Bandwidth::Guarded)), plan(None));
        assert_eq!((with.ops.len(), with.branches), (without.ops.len(), base.branches()));
        let differ = with.ops.iter().zip(&without.ops).filter(|(a, b)| a != b);
        let mut count = 0;
        for (a, _) in differ {
            assert!(matches!(a, Op::Stein(_)), "{a:?}");
            count += 1;
        }
        assert_eq!(count, base.iterations);
    }
}

#[test]
fn bad_numbers_are_named() {
    let text = |csd: Csd| csd.check(1000).unwrap_err().to_string();
    let base = Csd::panorama(1);
    assert!(text(Csd { iterations: 0, ..base.clone() }).starts_with("iterations and prompts: found 0 and 1"));
    assert!(text(Csd { t_max: 1000, ..base.clone() }).contains("found 20 to 1000, expected a range within 1 to 999"));
    assert!(text(Csd { t_min: 0, ..base.clone() }).contains("found 0 to 500"));
    let optimiser = Optimiser::Sgd { rate: f64::NAN, decay: 0.9, every: 20 };
    assert!(text(Csd { optimiser, ..base.clone() }).starts_with("learning rate: found Sgd { rate: NaN"));
    assert!(text(Csd { condition: Some(0.0), ..base.clone() }).starts_with("factor of image latents: found 0"));
    assert!(text(Csd { guidance_scale: [1.0, f64::INFINITY], ..base }).starts_with("cfg-scale"));
}
