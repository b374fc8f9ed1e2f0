//! One-dimensional work on a grid whose dimensions are limited to 65,535 workgroups.

/// WGSL counterpart of [`linear_grid`]: appended to kernels that use it.
pub(crate) const GRID: &str = include_str!("../wgsl/lib/grid.wgsl");

/// A grid of at least `items / per_group` workgroups, folded into y when x would exceed the limit.
pub(crate) fn linear_grid(items: usize, per_group: usize, limit: u32) -> [u32; 3] {
    let groups = items.div_ceil(per_group).max(1) as u64;
    let rows = groups.div_ceil(u64::from(limit));
    let columns = groups.div_ceil(rows);
    assert!(rows <= u64::from(limit), "{items} items do not fit a grid of {limit}²");
    // Both are at most `limit`, a u32.
    [columns as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::linear_grid;

    #[test]
    fn covers_every_item_within_the_limit() {
        for items in [1, 63, 64, 65, 65535 * 64, 65535 * 64 + 1, 1 << 28] {
            let [x, y, _] = linear_grid(items, 64, 65535);
            assert!(x <= 65535 && y <= 65535 && x as usize * y as usize * 64 >= items, "{items}: {x} {y}");
        }
    }
}
