//! Detecting NaN and infinity by bit pattern: the guard that keeps a numeric failure from becoming a black picture.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Context, Kernel, Launch, Recorder, Result, Store};
use crate::tensor::{Elem, Tensor};

/// Counts non-finite values into a report.
pub const KERNEL: Kernel = Kernel {
    name: "finite",
    source: include_str!("finite.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[]],
};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    words: u32,
    half: u32,
    pad: [u32; 2],
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Number of NaN and infinite values.
    pub count: u32,
    /// Flat index of the first, pad lanes included; `u32::MAX` when there is none.
    pub first: u32,
}

/// A report tensor with nothing found yet.
///
/// # Errors
/// When the budget is exceeded.
pub fn new_report(ctx: &Context) -> Result<Tensor> {
    ctx.upload_u32(&[0, u32::MAX, 0, 0], &[4])
}

/// Reads a report and clears it.
///
/// # Errors
/// When the device is lost.
pub fn take_report(ctx: &Context, report: &Tensor) -> Result<Found> {
    let words = ctx.read_u32(report)?;
    if words[0] != 0 {
        ctx.write_u32(report, &[0, u32::MAX, 0, 0])?;
    }
    Ok(Found { count: words[0], first: words[1] })
}

/// Adds the non-finite values of `x` to `report` (made by [`new_report`]).
pub fn finite(rec: &mut Recorder, x: &Tensor, report: &Tensor) {
    assert_ne!(x.elem(), Elem::U32, "finite: {:?} holds integers", x.dims());
    let words = (x.bytes() / 4) as usize;
    let params = Params { words: words as u32, half: u32::from(x.elem() == Elem::F16), pad: [0; 2] };
    // A few words per invocation keep the atomics rare and the grid small.
    let grid = linear_grid(words.div_ceil(8), 64, rec.context().caps().grid);
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[],
        bind: &[x, report],
        params: bytemuck::bytes_of(&params),
        grid,
        flops: 0,
    });
}

/// Checks one resident tensor now, with a readback.
///
/// # Errors
/// When the device is lost.
pub fn count_nonfinite(ctx: &Context, x: &Tensor) -> Result<Found> {
    let report = new_report(ctx)?;
    let mut rec = Recorder::new(ctx);
    finite(&mut rec, x, &report);
    rec.finish()?.run()?;
    take_report(ctx, &report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, variants};

    #[test]
    fn finds_what_was_planted() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(2);
            for case in 0..200 {
                let dims = [draw.dim(40), draw.dim(130)];
                let mut values: Vec<f32> = (0..dims[0] * dims[1]).map(|_| 100.0 * draw.normal() as f32).collect();
                let bad = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                let planted: std::collections::BTreeSet<usize> =
                    (0..draw.below(4)).map(|_| draw.below(values.len())).collect();
                planted.iter().for_each(|&i| values[i] = draw.pick(&bad));
                let x = variant.ctx.upload(&values, &dims, variant.elem).unwrap();
                let padded = dims[1].next_multiple_of(4);
                let first = planted.first().map_or(u32::MAX, |&i| (i / dims[1] * padded + i % dims[1]) as u32);
                let found = count_nonfinite(&variant.ctx, &x).unwrap();
                let expected = Found { count: planted.len() as u32, first };
                assert_eq!(found, expected, "{} case {case} {dims:?}", variant.name);
            }
            variant.ctx.verify_guards().unwrap();
        }
    }
}
