//! Between planes `[B, C, h, w]` (files, reference noise) and pixels `[B, h, w, C]` (everything here). Exact.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// `[B, C, h, w]` → `[B, h, w, C]`.
pub const NCHW_TO_NHWC: Kernel = Kernel {
    name: "nchw_to_nhwc",
    source: include_str!("nchw_to_nhwc.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[]],
};

/// `[B, h, w, C]` → `[B, C, h, w]`.
pub const NHWC_TO_NCHW: Kernel =
    Kernel { name: "nhwc_to_nchw", source: include_str!("nhwc_to_nchw.wgsl"), ..NCHW_TO_NHWC };

/// Shapes of real runs, `[B, h, w, C]`.
pub const CASES: &[(&str, [usize; 4])] =
    &[("sd latent 512", [1, 64, 64, 4]), ("sdxl latent 1024", [2, 128, 128, 4]), ("image 1024", [1, 1024, 1024, 3])];

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count: u32,
    c4: u32,
    w4: u32,
    channels: u32,
    height: u32,
    width: u32,
    pad: [u32; 2],
}

/// Planes to pixels, f32 or f16.
///
/// # Panics
/// When `x` has not rank 4 or holds integers.
pub fn nchw_to_nhwc(rec: &mut Recorder, x: &Tensor) -> Tensor {
    let &[batch, channels, height, width] = x.dims() else {
        panic!("nchw_to_nhwc: {:?} is not [B, C, h, w]", x.dims());
    };
    rearrange(rec, &NCHW_TO_NHWC, x, [batch, height, width, channels], [batch, height, width, channels])
}

/// Pixels to planes, f32 or f16.
///
/// # Panics
/// When `x` has not rank 4 or holds integers.
pub fn nhwc_to_nchw(rec: &mut Recorder, x: &Tensor) -> Tensor {
    let &[batch, height, width, channels] = x.dims() else {
        panic!("nhwc_to_nchw: {:?} is not [B, h, w, C]", x.dims());
    };
    rearrange(rec, &NHWC_TO_NCHW, x, [batch, height, width, channels], [batch, channels, height, width])
}

/// `nhwc` are the dimensions of the pixel side, `result` those of the result.
fn rearrange(rec: &mut Recorder, kernel: &'static Kernel, x: &Tensor, nhwc: [usize; 4], result: [usize; 4]) -> Tensor {
    assert_ne!(x.elem(), Elem::U32, "{}: {:?} holds integers", kernel.name, x.dims());
    let y = rec.temp(&result, x.elem());
    let [batch, height, width, channels] = nhwc;
    let (c4, w4) = (channels.div_ceil(4), width.div_ceil(4));
    let count = batch * height * w4 * c4;
    assert!(u32::try_from(16 * count).is_ok(), "{}: {:?} has more than 2^32 elements", kernel.name, x.dims());
    let params = Params {
        count: count as u32,
        c4: c4 as u32,
        w4: w4 as u32,
        channels: channels as u32,
        height: height as u32,
        width: width as u32,
        pad: [0; 2],
    };
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel,
        store: Store::of(x.elem(), rec.context()),
        overrides: &[],
        bind: &[x, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(count, 64, caps.grid),
        flops: 0,
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, variants};

    #[test]
    fn both_directions_are_exact_on_random_shapes() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(41);
            for case in 0..200 {
                let [b, h, w, c] = [1 + draw.below(3), draw.dim(20), draw.dim(20), draw.dim(20)];
                let (pixels, values) = variant.normal(&mut draw, &[b, h, w, c]).unwrap();
                let mut planes = vec![0.0; values.len()];
                for (at, value) in values.iter().enumerate() {
                    let (image, y, x, channel) = (at / (c * w * h), at / (c * w) % h, at / c % w, at % c);
                    planes[((image * c + channel) * h + y) * w + x] = *value;
                }
                let name = format!("{} case {case} {:?}", variant.name, [b, h, w, c]);
                let got = variant.run(|rec| nhwc_to_nchw(rec, &pixels)).unwrap();
                assert_eq!(got, planes, "{name}");
                let (stored, _) = variant.tensor(&planes, &[b, c, h, w]).unwrap();
                let back = variant.run(|rec| nchw_to_nhwc(rec, &stored)).unwrap();
                assert_eq!(back, values, "{name}");
            }
        }
    }
}
