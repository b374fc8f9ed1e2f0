//! A lookup and a sum.

/// `ids` are `[B, L]` flattened, `table` all rows in order.
pub fn embed_tokens(ids: &[u32], table: &[f64], positions: &[f64], (length, width): (usize, usize)) -> Vec<f64> {
    let mut y = Vec::new();
    for (at, &id) in ids.iter().enumerate() {
        for c in 0..width {
            y.push(table[id as usize * width + c] + positions[(at % length) * width + c]);
        }
    }
    y
}
