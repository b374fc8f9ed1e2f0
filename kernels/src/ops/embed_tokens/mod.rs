//! Token and position embedding of the CLIP text encoders.

use bytemuck::{Pod, Zeroable};

use super::{GRID, linear_grid};
use crate::gpu::{Access, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

#[cfg(test)]
mod oracle;

/// `y = table[ids] + positions`.
pub const KERNEL: Kernel = Kernel {
    name: "embed_tokens",
    source: include_str!("embed_tokens.wgsl"),
    libs: &[GRID],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Write],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &Store::ALL,
    variants: &[&[("HALF", 0.0)], &[("HALF", 1.0)]],
};

/// `(name, vocabulary, C, L)` of the text encoders.
pub const CASES: &[(&str, usize, usize, usize)] =
    &[("clip-l", 49408, 768, 77), ("clip vit-h", 49408, 1024, 77), ("mini", 1069, 64, 77)];

/// Most parts a table may be cut into.
pub const MAX_PARTS: usize = 4;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count: u32,
    quads: u32,
    length: u32,
    row: u32,
    ends: [u32; MAX_PARTS],
}

/// Embeds tokens: `ids [B, L]` u32 → `[B, L, C]` of type `elem`.
///
/// `table`: one to four tensors `[V_i, C]` with consecutive rows, all f32 or all f16. `positions`: `[P, C]` of type
/// `elem`, `P ≥ L`. Every id must be below the number of rows (the tokenizer's side asserts it).
///
/// # Panics
/// When shapes or element types do not fit together.
pub fn embed_tokens(rec: &mut Recorder, ids: &Tensor, table: &[Tensor], positions: &Tensor, elem: Elem) -> Tensor {
    let &[batch, length] = ids.dims() else { panic!("embed_tokens: ids {:?} are not [B, L]", ids.dims()) };
    assert!(!table.is_empty() && table.len() <= MAX_PARTS, "embed_tokens: {} table parts", table.len());
    let (width, stored) = (table[0].shape().last(), table[0].elem());
    assert!(ids.elem() == Elem::U32 && stored != Elem::U32, "embed_tokens: ids {}, table {stored}", ids.elem());
    for part in table {
        assert!(
            part.dims().len() == 2 && part.shape().last() == width && part.elem() == stored,
            "embed_tokens: table part {:?} {} beside {:?} {stored}",
            part.dims(),
            part.elem(),
            table[0].dims()
        );
    }
    assert!(
        matches!(positions.dims(), &[p, c] if p >= length && c == width) && positions.elem() == elem,
        "embed_tokens: positions {:?} {} for ids {:?}, width {width} {elem}",
        positions.dims(),
        positions.elem(),
        ids.dims()
    );
    let y = rec.temp(&[batch, length, width], elem);
    let quads = y.shape().padded_last() / 4;
    let count = batch * length * quads;
    assert!(u32::try_from(count).is_ok(), "embed_tokens: ids {:?}, width {width} is too large", ids.dims());
    let mut rows = 0;
    let ends = std::array::from_fn(|i| {
        rows += table.get(i).map_or(0, |part| part.dims()[0]);
        rows as u32
    });
    let row = ids.shape().padded_last() as u32;
    let params = Params { count: count as u32, quads: quads as u32, length: length as u32, row, ends };
    let part = |i: usize| table.get(i).unwrap_or(&table[0]);
    let caps = rec.context().caps();
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::of(elem, rec.context()),
        overrides: &[("HALF", f64::from(u8::from(stored == Elem::F16)))],
        bind: &[ids, part(0), part(1), part(2), part(3), positions, &y],
        params: bytemuck::bytes_of(&params),
        grid: linear_grid(count, 64, caps.grid),
        flops: y.shape().len() as u64,
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Draw, F32_ELEMENTWISE, assert_close, variants};

    #[test]
    fn matches_a_lookup_on_random_shapes() {
        for variant in variants().unwrap() {
            let mut draw = Draw::new(41);
            for case in 0..200 {
                let (batch, length, width) = (1 + draw.below(3), draw.dim(33), draw.dim(70));
                let stored = draw.pick(&[Elem::F32, Elem::F16]);
                let (mut table, mut rows) = (Vec::new(), Vec::new());
                for _ in 0..1 + draw.below(MAX_PARTS) {
                    let dims = [draw.dim(40), width];
                    let raw: Vec<f64> = (0..dims[0] * width).map(|_| draw.normal()).collect();
                    let (tensor, values) = variant.tensor_as(&raw, &dims, stored).unwrap();
                    table.push(tensor);
                    rows.extend(values);
                }
                let spare = draw.below(3);
                let (positions, p) = variant.normal(&mut draw, &[length + spare, width]).unwrap();
                let vocabulary = rows.len() / width;
                let mut ids: Vec<u32> = (0..batch * length).map(|_| draw.below(vocabulary) as u32).collect();
                // The last row of the last part is where an end would be wrong by one.
                ids[0] = vocabulary as u32 - 1;
                let id_tensor = variant.ctx.upload_u32(&ids, &[batch, length]).unwrap();
                let got = variant.run(|rec| embed_tokens(rec, &id_tensor, &table, &positions, variant.elem)).unwrap();
                let expected = oracle::embed_tokens(&ids, &rows, &p, (length, width));
                let name = format!("{} case {case} [{batch}, {length}, {width}] {stored}", variant.name);
                assert_close(&name, &got, &expected, variant.bound(F32_ELEMENTWISE));
            }
        }
    }
}
