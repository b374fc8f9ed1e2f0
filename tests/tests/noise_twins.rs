//! Keyed noise has one definition and two implementations: the engine's on the host and the kernels' on the device.

use syncline::rng::{NoiseKey as HostKey, Purpose};
use syncline_kernels::check::{Draw, variants};
use syncline_kernels::ops::noise::{Noise, NoiseKey, noise};

const PURPOSES: [Purpose; 6] =
    [Purpose::Initial, Purpose::Step, Purpose::Renoise, Purpose::Keep, Purpose::Encode, Purpose::Canvas];

#[test]
fn host_and_device_draw_the_same_noise() {
    let mut worst: f64 = 0.0;
    for variant in variants().unwrap() {
        let mut draw = Draw::new(1);
        for case in 0..60 {
            let dims = [1 + draw.below(3), draw.dim(33), draw.dim(33), draw.dim(7)];
            let (seed, purpose) = (draw.bits(), PURPOSES[case % PURPOSES.len()]);
            let (trajectory, step) = (draw.below(1 << 24) as u32, draw.below(1000) as u32);
            let ids: Vec<u32> = (0..dims[0]).map(|_| draw.below(1 << 20) as u32).collect();
            let views = variant.ctx.upload_u32(&ids, &[ids.len()]).unwrap();
            let key = NoiseKey { seed, trajectory, purpose: purpose.word(), step };
            let device = variant.run(|rec| noise(rec, &Noise { dims, key, views: &views }).0).unwrap();
            let per_view = dims[1] * dims[2] * dims[3];
            let host = |view: u32| HostKey { seed, purpose, trajectory, view, step }.randn(per_view);
            let host: Vec<f32> = ids.iter().flat_map(|&view| host(view)).collect();
            assert_eq!(device.len(), host.len());
            for (at, (a, b)) in device.iter().zip(host.iter().map(|&v| f64::from(v))).enumerate() {
                let error = (a - b).abs() / b.abs().max(1.0);
                worst = worst.max(error);
                assert!(error <= 1e-6, "{} {dims:?} {key:?} element {at}: {a} instead of {b}", variant.name);
            }
        }
    }
    println!("largest difference {worst:.1e} of max(1, |z|)");
}
