//! The input of a denoiser: the scaled state, once per guidance row, with further channels behind it.

use bytemuck::{Pod, Zeroable};

use super::noise::ImageShape;
use super::{GRID, linear_grid};
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// See the module.
pub const KERNEL: Kernel = Kernel {
    name: "model_input",
    source: include_str!("model_input.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("COND", 0.0)], &[("COND", 1.0)]],
};

/// Shapes of real runs: `[B, h, w, C]`, guidance rows, extra channels.
pub const CASES: &[(&str, [usize; 4], usize, usize)] = &[
    ("sd 512, guided", [1, 64, 64, 4], 2, 0),
    ("sdxl 1024, guided", [1, 128, 128, 4], 2, 0),
    ("panorama, 5 views, guided", [5, 64, 64, 4], 2, 0),
    ("instruct-pix2pix 512", [1, 64, 64, 4], 3, 4),
    ("inpainting 512", [1, 64, 64, 4], 2, 5),
];

/// Options of [`fn@model_input`].
#[derive(Clone, Copy, Debug)]
pub struct ModelInput<'a> {
    /// State `[B, h, w, C]` f32.
    pub x: &'a Tensor,
    /// Factor of the state (the scheduler's `input_scale`).
    pub scale: f32,
    /// R, how often the state is repeated: guidance rows, r-major.
    pub rows: usize,
    /// Further channels `[Bc, h, w, Ce]` of type `elem`; Bc is 1, B or R·B and row i takes row i mod Bc. And how many of the R
    /// guidance rows see them: the others have zeros.
    pub cond: Option<(&'a Tensor, usize)>,
    /// Storage type of the result.
    pub elem: Elem,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    scale: f32,
    count: u32,
    out4: u32,
    x4: u32,
    cond4: u32,
    channels: u32,
    extra: u32,
    x_rows: u32,
    cond_rows: u32,
    shown_rows: u32,
    pad: [u32; 2],
}

/// `[R·B, h, w, C + Ce]`. The id is for [`params()`] with another scale.
///
/// # Panics
/// When shapes or element types contradict each other.
pub fn model_input(rec: &mut Recorder, input: &ModelInput<'_>) -> (Tensor, DispatchId) {
    assert_eq!(input.x.elem(), Elem::F32, "model_input: x {:?}", input.x.dims());
    assert!(input.rows > 0 && input.elem != Elem::U32, "model_input: {} rows of {}", input.rows, input.elem);
    let dims = result_dims(input);
    if let Some((cond, shown)) = input.cond {
        assert!(shown <= input.rows, "model_input: {shown} of {} rows see cond", input.rows);
        let c = cond.dims();
        assert!(
            c.len() == 4 && c[1..3] == dims[1..3] && dims[0].is_multiple_of(c[0]) && cond.elem() == input.elem,
            "model_input: cond {c:?} {} for a result {dims:?} {}",
            cond.elem(),
            input.elem
        );
    }
    let out = rec.temp(&dims, input.elem);
    let unused = rec.temp(&[4], Elem::F32);
    let caps = rec.context().caps();
    let id = rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(input.elem, rec.context()),
        overrides: &[("COND", if input.cond.is_some() { 1.0 } else { 0.0 })],
        bind: &[input.x, input.cond.map_or(&unused, |(cond, _)| cond), &out],
        params: &params(input),
        grid: linear_grid(out.shape().padded_len() / 4, 64, caps.grid),
        flops: out.shape().len() as u64,
    });
    (out, id)
}

fn result_dims(input: &ModelInput<'_>) -> [usize; 4] {
    let &[batch, height, width, channels] = input.x.dims() else {
        panic!("model_input: x {:?} is not [B, h, w, C]", input.x.dims());
    };
    let extra = input.cond.map_or(0, |(cond, _)| cond.shape().last());
    [input.rows * batch, height, width, channels + extra]
}

/// Params of a [`fn@model_input`] dispatch with these options, for `Recording::set_params`. Only `scale` may differ from
/// what was recorded.
#[must_use]
pub fn params(input: &ModelInput<'_>) -> Vec<u8> {
    let out = ImageShape::new("model_input", &result_dims(input));
    let x = input.x.shape();
    let cond = input.cond.map(|(cond, _)| cond.shape());
    let shown = input.cond.map_or(0, |(_, shown)| shown);
    bytemuck::bytes_of(&Params {
        scale: input.scale,
        count: out.count,
        out4: out.c4,
        x4: (x.padded_last() / 4) as u32,
        cond4: cond.map_or(0, |c| c.padded_last() / 4) as u32,
        channels: x.last() as u32,
        extra: cond.map_or(0, |c| c.last()) as u32,
        x_rows: x.rows() as u32,
        cond_rows: cond.map_or(1, |c| c.rows()) as u32,
        shown_rows: (shown * x.rows()) as u32,
        pad: [0; 2],
    })
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};

    /// Further channels: values, how many, and in how many rows.
    type Cond<'a> = Option<(&'a [f64], usize, usize)>;

    fn oracle(x: &[f64], cond: Cond<'_>, channels: usize, scale: f64, rows: usize) -> Vec<f64> {
        let pixels = rows * x.len() / channels;
        let mut out = Vec::new();
        for p in 0..pixels {
            out.extend((0..channels).map(|c| scale * x[(p * channels + c) % x.len()]));
            if let Some((values, extra, shown)) = cond {
                let seen = if p < shown * x.len() / channels { 1.0 } else { 0.0 };
                out.extend((0..extra).map(|c| seen * values[(p * extra + c) % values.len()]));
            }
        }
        out
    }

    #[test]
    fn matches_the_oracle_on_random_shapes() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(31);
            for case in 0..400 {
                let dims = [1 + draw.below(3), draw.dim(20), draw.dim(20), draw.dim(9)];
                let (rows, extra) = (1 + draw.below(4), draw.dim(9));
                let values: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
                let (x, x0) = variant.tensor_as(&values, &dims, Elem::F32).unwrap();
                let batch = draw.pick(&[1, dims[0], rows * dims[0]]);
                let (cond, cond0) = variant.normal(&mut draw, &[batch, dims[1], dims[2], extra]).unwrap();
                let scale = draw.normal() as f32;
                let (with, shown) = (case % 2 == 1, if case % 4 == 1 { rows } else { draw.below(rows + 1) });
                let input = ModelInput { x: &x, scale, rows, cond: with.then_some((&cond, shown)), elem: variant.elem };
                let got = variant.run(|rec| model_input(rec, &input).0).unwrap();
                let cond0 = with.then_some((&cond0[..], extra, shown));
                let expected = oracle(&x0, cond0, dims[3], f64::from(scale), rows);
                let name = format!("{} case {case} {dims:?} rows {rows} extra {extra}", variant.name);
                assert_close(&name, &got, &expected, variant.bound(F32_ELEMENTWISE));
            }
        }
    }

    #[test]
    fn a_replay_takes_a_new_scale() {
        let variant = &variants().unwrap()[0];
        let (x, _) = variant.tensor(&[1.0; 12], &[1, 2, 2, 3]).unwrap();
        let input = ModelInput { x: &x, scale: 2.0, rows: 2, cond: None, elem: Elem::F32 };
        let mut rec = Recorder::new(&variant.ctx);
        let (out, id) = model_input(&mut rec, &input);
        let out = rec.keep(&out).unwrap();
        let mut recording = rec.finish().unwrap();
        for scale in [2.0, 0.5] {
            recording.set_params(id, &params(&ModelInput { scale, ..input }));
            recording.run().unwrap();
            assert_eq!(variant.ctx.read(&out).unwrap(), [scale; 24]);
        }
    }
}
