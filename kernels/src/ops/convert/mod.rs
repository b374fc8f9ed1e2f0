//! Between storage types: `y = scale · x`.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// f32 → any storage type.
pub const KERNEL: Kernel = Kernel {
    name: "convert",
    source: include_str!("convert.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[]],
};

/// Any storage type → f32.
pub const KERNEL_WIDE: Kernel = Kernel { name: "convert_wide", source: include_str!("convert_wide.wgsl"), ..KERNEL };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count: u32,
    scale: f32,
    pad: [u32; 2],
}

/// `x` as `elem`. Between f32 and f16 in either direction; the same type gives a copy.
///
/// # Panics
/// On integer tensors and f16 → f16.
pub fn convert(rec: &mut Recorder, x: &Tensor, elem: Elem) -> Tensor {
    convert_scaled(rec, x, elem, 1.0)
}

/// `scale · x` as `elem`.
///
/// # Panics
/// On integer tensors and f16 → f16.
pub fn convert_scaled(rec: &mut Recorder, x: &Tensor, elem: Elem, scale: f32) -> Tensor {
    let (kernel, narrow) = match (x.elem(), elem) {
        (Elem::F32, Elem::F32 | Elem::F16) => (&KERNEL, elem),
        (Elem::F16, Elem::F32) => (&KERNEL_WIDE, Elem::F16),
        (from, to) => panic!("convert: {from} -> {to}"),
    };
    let y = rec.temp(x.dims(), elem);
    let count = x.shape().padded_len() / 4;
    let params = Params { count: count as u32, scale, pad: [0; 2] };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel,
        store: Store::of(narrow, rec.context()),
        overrides: &[],
        bind: &[x, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(count, 64, caps.grid),
        flops: x.shape().len() as u64,
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};

    #[test]
    fn matches_rounding_on_random_shapes() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(1);
            for case in 0..200 {
                let dims = [draw.dim(9), draw.dim(70), draw.dim(70)];
                let (x, values) = variant.normal(&mut draw, &dims).unwrap();
                let scale = draw.normal() as f32;
                let up = variant.run(|rec| convert_scaled(rec, &x, Elem::F32, scale)).unwrap();
                let expected: Vec<f64> = values.iter().map(|v| v * f64::from(scale)).collect();
                let name = format!("{} case {case} {dims:?}", variant.name);
                assert_close(&name, &up, &expected, variant.bound(F32_ELEMENTWISE));
                let (wide, values) = variant.tensor_as(&values, &dims, Elem::F32).unwrap();
                let down = variant.run(|rec| convert(rec, &wide, variant.elem)).unwrap();
                assert_eq!(down, values, "{name}: round trip through storage must be exact");
            }
        }
    }

    #[test]
    fn overflow_and_nan_stay_visible() {
        for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F16) {
            let x =
                variant.ctx.upload(&[1e6, -1e6, f32::NAN, 65504.0, 65519.0, f32::INFINITY], &[6], Elem::F32).unwrap();
            let mut rec = Recorder::new(&variant.ctx);
            let y = convert(&mut rec, &x, Elem::F16);
            let y = rec.keep(&y).unwrap();
            rec.finish().unwrap().run().unwrap();
            let got = variant.ctx.read(&y).unwrap();
            assert!(got[0] == f32::INFINITY && got[1] == f32::NEG_INFINITY, "{}: {got:?}", variant.name);
            assert!(
                !got[2].is_finite() && got[3] == 65504.0 && got[4] == 65504.0 && got[5] == f32::INFINITY,
                "{got:?}"
            );
        }
    }
}
