//! The formula, element by element.

/// `x_k + push_k · (mean of the others' clean - clean_k)`; `values` is (x, clean), each `branches · views · len` long.
pub fn couple(
    (x, clean): (&[f64], &[f64]),
    (branches, views): (usize, usize),
    push: &[f64],
    first_view: usize,
) -> Vec<f64> {
    let len = x.len() / (branches * views);
    let at = |branch: usize, view: usize, i: usize| (branch * views + view) * len + i;
    let mut out = x.to_vec();
    for k in 0..branches {
        for view in first_view..views {
            for i in 0..len {
                let others: f64 = (0..branches).filter(|j| *j != k).map(|j| clean[at(j, view, i)]).sum();
                out[at(k, view, i)] += push[k] * (others / (branches - 1) as f64 - clean[at(k, view, i)]);
            }
        }
    }
    out
}
