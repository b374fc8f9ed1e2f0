//! Every committed golden directory of small models, in every storage variant.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::path::{Path, PathBuf};

use syncline::verify::{Report, VerifyOptions, verify};
use syncline_kernels::gpu::{Context, ContextOptions, Profile};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

/// In a test binary of their own: they take minutes.
const FULL_SIZE: [&str; 4] = ["sd21-base-s0", "sd21-768-s1", "controlnet-sd21-s0", "sdxl-s0"];

fn directories() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut found: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|p| p.join("golden/expected.safetensors").exists() && !FULL_SIZE.iter().any(|name| p.ends_with(name)));
    found.sort();
    assert!(found.len() >= 8, "golden directories are missing: {found:?}");
    // For bisecting: GOLDEN=sdxl runs those directories alone.
    if let Ok(part) = std::env::var("GOLDEN") {
        found.retain(|p| p.to_string_lossy().contains(&part));
        assert!(!found.is_empty(), "no golden directory's name contains {part}");
    }
    found
}

fn check(report: &Report) {
    let name = Path::new(&report.dir).file_name().unwrap_or_default().to_string_lossy();
    let worst = report.worst.as_ref().unwrap();
    let pictures: Vec<String> = report.tensors.iter().filter_map(|t| Some(format!("{:.1} dB", t.psnr_db?))).collect();
    println!("{name:<16} {} worst {:.2e} {:<28} {}", report.precision, worst.rel_l2, worst.name, pictures.join(" "));
    for tensor in report.tensors.iter().filter(|t| !t.ok) {
        println!("  FAILED {tensor:?}");
    }
    assert!(report.skipped.is_empty(), "{name}: {:?} were not compared", report.skipped);
    assert!(report.ok, "{name} {}: worst {worst:?}", report.precision);
}

fn verify_all(profile: Profile, elem: Elem) {
    let ctx = Context::new(&ContextOptions { profile, ..ContextOptions::strict() }).unwrap();
    let options = VerifyOptions { elem, ..VerifyOptions::default() };
    let reports: Vec<Report> = directories()
        .iter()
        .map(|directory| verify(&ctx, &ModelSource::open(directory).unwrap(), &options, |_| {}).unwrap())
        .collect();
    ctx.verify_guards().unwrap();
    reports.iter().for_each(check);
}

#[test]
fn f32() {
    verify_all(Profile::default(), Elem::F32);
}

#[test]
fn f16_packed_with_default_limits() {
    verify_all(Profile { webgpu_limits: true, shader_f16: false, subgroups: false, matrix: false }, Elem::F16);
}

#[test]
fn f16() {
    verify_all(Profile::default(), Elem::F16);
}
