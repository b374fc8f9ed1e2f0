//! What an adapter can do at most, measured: the roof that the other kernels are held against.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Context, Kernel, Launch, Recorder, Result, Store};
use crate::tensor::{Elem, Tensor};

#[cfg(test)]
mod tests;

/// Fused multiply-adds in registers.
pub const KERNEL_FMA: Kernel = Kernel {
    name: "peak_fma",
    source: include_str!("fma.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32, Store::F16],
    variants: &[&[]],
};

/// A copy.
pub const KERNEL_COPY: Kernel =
    Kernel { name: "peak_copy", source: include_str!("copy.wgsl"), params: 0, stores: &Store::ALL, ..KERNEL_FMA };

/// Cooperative matrices of 16×16, f16 factors and f32 sums.
pub const KERNEL_MATRIX_16: Kernel = Kernel {
    name: "peak_matrix",
    source: include_str!("matrix.wgsl"),
    libs: &[super::MATRIX_16],
    subgroups: true,
    stores: &[Store::F16Matrix],
    ..KERNEL_FMA
};

/// Cooperative matrices of 8×8.
pub const KERNEL_MATRIX_8: Kernel = Kernel { libs: &[super::MATRIX_8], ..KERNEL_MATRIX_16 };

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Params {
    rounds: u32,
    side: u32,
    pad: [u32; 2],
}

/// An adapter's measured limits. Zero where it has no such thing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// Floating point operations per second of f32 fused multiply-adds.
    pub f32_flops: f64,
    /// The same in f16.
    pub f16_flops: f64,
    /// The same by cooperative matrices with f16 factors and f32 sums.
    pub matrix_flops: f64,
    /// Bytes per second of a copy of a large tensor, read and written ones together.
    pub copy_bytes: f64,
}

/// Seeds of the chains: small, so that nothing overflows.
fn seeds(ctx: &Context, elem: Elem) -> Result<Tensor> {
    let values: Vec<f32> = (0..32).map(|i| (i as f32 - 15.5) / 64.0).collect();
    ctx.upload(&values, &[8, 4], elem)
}

/// Appends `rounds` rounds of 32 fused multiply-adds of 4-vectors by `groups` workgroups of 256.
fn fma(rec: &mut Recorder, x: &Tensor, groups: usize, rounds: usize) -> Tensor {
    let y = rec.temp(&[groups * 256, 4], x.elem());
    let params = Params { rounds: rounds as u32, side: 0, pad: [0; 2] };
    rec.launch(&Launch {
        kernel: &KERNEL_FMA,
        store: Store::of(x.elem(), rec.context()),
        overrides: &[],
        bind: &[x, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(groups, 1, rec.context().caps().grid),
        flops: (groups * 256 * rounds * 32 * 8) as u64,
    });
    y
}

/// Appends a copy; `x` has a multiple of 1024 elements.
fn copy(rec: &mut Recorder, x: &Tensor) -> Tensor {
    let y = rec.temp(x.dims(), x.elem());
    let items = x.shape().padded_len() / 4;
    assert!(items.is_multiple_of(256), "peak_copy: x {:?}", x.dims());
    rec.launch(&Launch {
        kernel: &KERNEL_COPY,
        store: Store::of(x.elem(), rec.context()),
        overrides: &[],
        bind: &[x, &y],
        params: &[],
        grid: linear_grid(items, 256, rec.context().caps().grid),
        flops: 0,
    });
    y
}

/// Appends `rounds` rounds of eight matrix products per subgroup by `groups` workgroups of 256.
fn matrix(rec: &mut Recorder, x: &Tensor, groups: usize, rounds: usize) -> Tensor {
    let (side, size) = (rec.context().caps().matrix as usize, rec.context().adapter().subgroup_size.0 as usize);
    assert!(x.dims() == [6, side, side] && x.elem() == Elem::F16, "peak_matrix: x {:?}", x.dims());
    let products = groups * (256 / size);
    let y = rec.temp(&[products, side, side], Elem::F32);
    let params = Params { rounds: rounds as u32, side: side as u32, pad: [0; 2] };
    rec.launch(&Launch {
        kernel: if side == 16 { &KERNEL_MATRIX_16 } else { &KERNEL_MATRIX_8 },
        store: Store::F16Matrix,
        overrides: &[],
        bind: &[x, &y],
        params: bytemuck::bytes_of(&params),
        grid: [groups as u32, 1, 1],
        flops: (products * rounds * 8 * 2 * side * side * side) as u64,
    });
    y
}

/// Best of some runs, in units per second.
fn rate(rec: Recorder, units: impl Fn(u64, u64) -> f64) -> Result<f64> {
    let mut recording = rec.finish()?;
    let mut best = f64::MAX;
    for _ in 0..6 {
        // The last dispatch: the ones before it bring clocks up.
        best = recording.profile()?.last().map_or(best, |time| best.min(time.ns));
    }
    let cost = recording.dispatches().last().map_or_else(Default::default, |(_, _, cost)| cost);
    Ok(units(cost.flops, cost.bytes) / best * 1e9)
}

/// Measures the adapter: about a tenth of a second on a GPU, some seconds on a software adapter.
///
/// # Errors
/// When memory or the device fails.
pub fn measure(ctx: &Context) -> Result<Peak> {
    let caps = ctx.caps();
    let (groups, rounds, bytes) = if caps.software { (8, 512, 16 << 20) } else { (8192, 2048, 1 << 29) };
    let bytes = bytes.min(caps.max_binding as usize / 1024 * 1024);
    let flops = |flops: u64, _: u64| flops as f64;
    let repeated = |elem: Elem| -> Result<f64> {
        let x = seeds(ctx, elem)?;
        let mut rec = Recorder::new(ctx);
        for _ in 0..2 {
            fma(&mut rec, &x, groups, rounds);
        }
        rate(rec, flops)
    };
    let mut peak = Peak { f32_flops: repeated(Elem::F32)?, ..Peak::default() };
    if caps.shader_f16 {
        peak.f16_flops = repeated(Elem::F16)?;
    }
    if caps.matrix > 0 {
        let side = caps.matrix as usize;
        let values: Vec<f32> = (0..6 * side * side).map(|i| ((i * 37 % 65) as f32 - 32.0) / 64.0).collect();
        let x = ctx.upload(&values, &[6, side, side], Elem::F16)?;
        let mut rec = Recorder::new(ctx);
        for _ in 0..2 {
            matrix(&mut rec, &x, groups / 2, rounds);
        }
        peak.matrix_flops = rate(rec, flops)?;
    }
    let x = ctx.tensor(&[bytes / 16, 4], Elem::F32)?;
    let mut rec = Recorder::new(ctx);
    for _ in 0..2 {
        copy(&mut rec, &x);
    }
    peak.copy_bytes = rate(rec, |_, bytes| bytes as f64)?;
    Ok(peak)
}
