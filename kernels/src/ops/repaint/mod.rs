//! Keeping a region on the trajectory of known values: `x = mask ≥ threshold ? x : signal · known + sigma · ξ`.

mod oracle;

use bytemuck::{Pod, Zeroable};

use super::noise::{ANGLES, ImageShape, NoiseKey, PHILOX, assert_view_ids};
use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

pub use oracle::repaint as repaint_oracle;

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "repaint",
    source: include_str!("repaint.wgsl"),
    libs: &[GRID, PHILOX, ANGLES],
    access: &[Access::Read, Access::Read, Access::Read, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[]],
};

/// Shapes of real runs, `[B, h, w, C]`.
pub const CASES: &[(&str, [usize; 4])] = &[("panorama, 5 views", [5, 64, 64, 4]), ("mini, 5 views", [5, 16, 16, 4])];

/// What changes from step to step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RepaintScalars {
    /// Pixels with a mask of at least this are free.
    pub threshold: f32,
    /// Factor of the known values at the state's level.
    pub signal: f32,
    /// Factor of the noise at the state's level.
    pub sigma: f32,
    /// Which noise.
    pub key: NoiseKey,
}

/// Options of [`fn@repaint`].
#[derive(Clone, Copy, Debug)]
pub struct Repaint<'a> {
    /// State, `[B, h, w, C]` f32, updated in place.
    pub x: &'a Tensor,
    /// Known clean values, `[B, h, w, C]` f32.
    pub known: &'a Tensor,
    /// `[h, w]` f32, the same for all views, or `[B, h, w]`, or as projected from a canvas `[B, h, w, 1]`.
    pub mask: &'a Tensor,
    /// View id of each batch row, u32 `[B]`.
    pub views: &'a Tensor,
    /// Threshold and level.
    pub scalars: RepaintScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    key: [u32; 4],
    threshold: f32,
    signal: f32,
    sigma: f32,
    width: u32,
    mask_stride: u32,
    count: u32,
    c4: u32,
    channels: u32,
    pixels: u32,
    mask_view: u32,
    mask_step: u32,
    pad: u32,
}

fn mask_fits(dims: &[usize], mask: &[usize]) -> bool {
    mask == &dims[1..3] || mask == &dims[..3] || mask == [dims[0], dims[1], dims[2], 1]
}

/// Overwrites what is not free, in place. The id is for [`params()`] of the next step.
///
/// # Panics
/// When a shape or element type contradicts `x`.
pub fn repaint(rec: &mut Recorder, repaint: &Repaint<'_>) -> DispatchId {
    let dims = repaint.x.dims();
    assert_view_ids("repaint", repaint.views, dims);
    let shape = ImageShape::new("repaint", dims);
    assert!(
        repaint.known.dims() == dims && mask_fits(dims, repaint.mask.dims()),
        "repaint: x {dims:?}, known {:?}, mask {:?}",
        repaint.known.dims(),
        repaint.mask.dims()
    );
    for tensor in [repaint.x, repaint.known, repaint.mask] {
        assert_eq!(tensor.elem(), Elem::F32, "repaint: {:?}", tensor.dims());
    }
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[],
        bind: &[repaint.known, repaint.mask, repaint.views, repaint.x],
        params: &params(dims, repaint.mask.dims(), &repaint.scalars),
        grid: linear_grid(shape.count as usize, 64, caps.grid),
        flops: 100 * repaint.x.shape().len() as u64,
    })
}

/// Params of a [`fn@repaint`] dispatch on a state of `dims` with a mask of these, for `Recording::set_params`.
#[must_use]
pub fn params(dims: &[usize], mask: &[usize], scalars: &RepaintScalars) -> Vec<u8> {
    let shape = ImageShape::new("repaint", dims);
    // Of each dimension's last: a row is padded to four elements, and so is a channel that stands alone.
    let (row, step) = if mask.len() == 4 { (4 * dims[2], 4) } else { (dims[2].next_multiple_of(4), 1) };
    bytemuck::bytes_of(&Params {
        key: scalars.key.words(),
        threshold: scalars.threshold,
        signal: scalars.signal,
        sigma: scalars.sigma,
        width: dims[2] as u32,
        mask_stride: row as u32,
        count: shape.count,
        c4: shape.c4,
        channels: shape.channels,
        pixels: shape.pixels,
        mask_view: if mask.len() > 2 { (dims[1] * row) as u32 } else { 0 },
        mask_step: step,
        pad: 0,
    })
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};

    #[test]
    fn matches_the_oracle() {
        for variant in variants().unwrap().iter().filter(|v| v.elem == Elem::F32) {
            let mut draw = Draw::new(11);
            for case in 0..200 {
                let dims = [draw.dim(4), draw.dim(17), draw.dim(33), draw.dim(9)];
                let (x, xs) = variant.normal(&mut draw, &dims).unwrap();
                let (known, knowns) = variant.normal(&mut draw, &dims).unwrap();
                // One mask for all views, one for each, and as projected.
                let projected = [dims[0], dims[1], dims[2], 1];
                let mask_dims = [&dims[1..3], &dims[..3], &projected[..]][case % 3];
                let masks: Vec<f64> = (0..mask_dims.iter().product()).map(|_| draw.unit()).collect();
                let (mask, masks) = variant.tensor(&masks, mask_dims).unwrap();
                let ids: Vec<u32> = (0..dims[0]).map(|_| draw.below(50) as u32).collect();
                let views = variant.ctx.upload_u32(&ids, &[dims[0]]).unwrap();
                let key = NoiseKey { seed: draw.bits(), trajectory: 3, purpose: 3 << 24, step: draw.below(99) as u32 };
                let threshold = draw.pick(&[0.0, 0.5, draw.clone().unit() as f32, 1.0]);
                let scalars = RepaintScalars { threshold, signal: 0.6, sigma: 0.8, key };
                let got = variant
                    .run(|rec| {
                        repaint(rec, &Repaint { x: &x, known: &known, mask: &mask, views: &views, scalars });
                        x.clone()
                    })
                    .unwrap();
                let expected = repaint_oracle(dims, [&xs, &knowns, &masks], &ids, &scalars);
                assert_close(&format!("{} {case} {dims:?}", variant.name), &got, &expected, F32_ELEMENTWISE);
            }
        }
    }
}
