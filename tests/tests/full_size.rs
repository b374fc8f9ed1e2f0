//! Models in full size, weights made from a seed, in f16 storage against the reference: SD 2.1 base and 768, a ControlNet for them,
//! SDXL with both text encoders, and the autoencoder on a picture of 512 x 512.
//! A test binary of its own, because it takes minutes and gigabytes.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use safetensors::SafeTensors;
use syncline::models::{AutoencoderKl, Wrap};
use syncline::verify::{VerifyOptions, verify};
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::tensor::Elem;
use syncline_loader::{Dtype, ModelSource, Weights};

/// One at a time: SDXL alone takes seven gigabytes.
static TURN: Mutex<()> = Mutex::new(());

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// Shader checks cost 1.3 to 3 times on software adapters; the small models run with them.
fn context() -> Context {
    Context::new(&ContextOptions::default()).unwrap()
}

/// Every expected tensor of a golden directory.
fn check(name: &str, tensors: usize) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let source = ModelSource::open(&golden(name)).unwrap();
    let (ctx, start) = (context(), Instant::now());
    let options = VerifyOptions { elem: Elem::F16, ..VerifyOptions::default() };
    let report = verify(&ctx, &source, &options, |t| {
        println!("{:6.1} s {:<28} {:.2e} of {:.0e}", start.elapsed().as_secs_f64(), t.name, t.rel_l2, t.tolerance);
    })
    .unwrap();
    println!("{name}: {:.1} s, at most {:.2} GB", start.elapsed().as_secs_f64(), ctx.memory().1 as f64 / 1e9);
    assert!(report.ok, "{report:#?}");
    assert_eq!(report.tensors.len(), tensors);
}

#[test]
fn sd21_base_f16() {
    check("sd21-base-s0", 9);
}

/// The same shapes as the base, trained to predict v, with other weights.
#[test]
fn sd21_768_f16() {
    check("sd21-768-s1", 4);
}

#[test]
fn controlnet_sd21_f16() {
    check("controlnet-sd21-s0", 4);
}

/// Both text encoders, the pooled text and the UNet, at 32 x 32 latents.
#[test]
fn sdxl_f16() {
    check("sdxl-s0", 6);
}

fn rel_l2(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (difference / expected.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
}

/// The decoder on a whole picture, of which the golden has every eighth pixel and the mean of each row.
#[test]
fn vae_512_f16() {
    const SIDE: usize = 512;
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bytes = std::fs::read(golden("vae-512/vae.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let get = |name: &str| -> Vec<f32> {
        file.tensor(name).unwrap().data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let (ctx, start) = (context(), Instant::now());
    let config = ModelSource::open(&golden("sd21-base-s0")).unwrap().vae_config().unwrap();
    let weights = Weights::generated(0, "vae", Dtype::F16);
    let vae = AutoencoderKl::load(&ctx, &weights.scope(), &config, Elem::F16).unwrap();
    let planar = get("latents");
    let latents: Vec<f32> = (0..64 * 64).flat_map(|p| [0, 1, 2, 3].map(|c| planar[c * 64 * 64 + p])).collect();
    let latents = ctx.upload(&latents, &[1, 64, 64, 4], Elem::F32).unwrap();
    let mut rec = Recorder::new(&ctx);
    let picture = vae.record_decode(&mut rec, &latents, Wrap::default());
    let picture = rec.keep(&picture).unwrap();
    rec.finish().unwrap().run().unwrap();
    let rgb = ctx.read(&picture).unwrap();
    println!("512 x 512: {:.1} s, at most {:.2} GB", start.elapsed().as_secs_f64(), ctx.memory().1 as f64 / 1e9);
    let (mut sampled, mut means) = (Vec::new(), Vec::new());
    for (c, y) in (0..3).flat_map(|c| (0..SIDE).map(move |y| (c, y))) {
        let row: Vec<f32> = (0..SIDE).map(|x| rgb[(y * SIDE + x) * 3 + c]).collect();
        means.push((row.iter().map(|v| f64::from(*v)).sum::<f64>() / SIDE as f64) as f32);
        if y % 8 == 3 {
            sampled.extend(row.iter().skip(5).step_by(8));
        }
    }
    for (what, found, tolerance) in [("picture", &sampled, 3e-3), ("means", &means, 3e-3)] {
        let error = rel_l2(found, &get(what));
        println!("{what}: {error:.2e} of {tolerance:.0e}");
        assert!(error <= tolerance, "{what}: {error:.2e}");
    }
}
