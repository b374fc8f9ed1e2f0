//! SD 2.1 base in full size, weights made from a seed: text encoder, UNet and VAE in f16 storage against the reference.
//! A test binary of its own, because it takes minutes and gigabytes.

use std::path::Path;
use std::time::Instant;

use syncline::verify::{VerifyOptions, verify};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

#[test]
fn sd21_base_f16() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/sd21-base-s0");
    let source = ModelSource::open(&directory).unwrap();
    // Shader checks cost 1.3 to 3 times on software adapters; the small models run with them.
    let ctx = Context::new(&ContextOptions::default()).unwrap();
    let start = Instant::now();
    let options = VerifyOptions { elem: Elem::F16, ..VerifyOptions::default() };
    let report = verify(&ctx, &source, &options, |t| {
        println!("{:6.1} s {:<28} {:.2e} of {:.0e}", start.elapsed().as_secs_f64(), t.name, t.rel_l2, t.tolerance);
    })
    .unwrap();
    println!("{:.1} s, at most {:.2} GB", start.elapsed().as_secs_f64(), ctx.memory().1 as f64 / 1e9);
    assert!(report.ok, "{report:#?}");
    assert_eq!(report.tensors.len(), 9);
}
