//! Does an adapter of this machine compute? Opens the best one, runs a kernel on it and compares the result.
//! Exit status: 0 it does, 5 there is none, 8 its numbers are wrong. `scripts/ensure-vulkan.sh` asks this.

use std::process::ExitCode;

use syncline_kernels::gpu::{Context, ContextOptions, GpuError, Recorder};
use syncline_kernels::{ops, tensor::Elem};

/// Odd on purpose: the last workgroup and the last 4-vector are only partly filled.
const LEN: usize = 10_007;

/// Doubles small integers through f16, where every value and result is exact.
fn doubled_on(ctx: &Context, values: &[f32]) -> Result<Vec<f32>, GpuError> {
    let x = ctx.upload(values, &[1, LEN], Elem::F32)?;
    let mut rec = Recorder::new(ctx);
    let half = ops::convert::convert(&mut rec, &x, Elem::F16);
    let y = ops::convert::convert_scaled(&mut rec, &half, Elem::F32, 2.0);
    let y = rec.keep(&y)?;
    rec.finish()?.run()?;
    ctx.read(&y)
}

fn main() -> ExitCode {
    let values: Vec<f32> = (0..LEN).map(|i| (i % 2048) as f32).collect();
    let ctx = match Context::new(&ContextOptions::default()) {
        Ok(ctx) => ctx,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(5);
        }
    };
    let name = format!("{} ({}, {})", ctx.adapter().name, ctx.adapter().backend, ctx.adapter().driver);
    match doubled_on(&ctx, &values) {
        Ok(result) if result.iter().zip(&values).all(|(y, x)| *y == 2.0 * x) && result.len() == LEN => {
            eprintln!("syncline: computing on {name}");
            ExitCode::SUCCESS
        }
        Ok(_) => {
            eprintln!("{name} computes wrong numbers: another driver is needed");
            ExitCode::from(8)
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(8)
        }
    }
}
