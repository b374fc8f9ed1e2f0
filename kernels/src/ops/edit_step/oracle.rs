//! The step in f64, element by element.

use super::EditScalars;

/// Inputs as stored; noise already drawn, the mask repeated for each element of the difference.
pub(super) struct Inputs<'a> {
    pub(super) state: &'a [f64],
    pub(super) clean: &'a [f64],
    pub(super) known: &'a [f64],
    pub(super) difference: &'a [f64],
    pub(super) mask: Option<&'a [f64]>,
    pub(super) noise: Option<&'a [f64]>,
}

/// (states, the sources' first; differences).
pub(super) fn edit_step(input: &Inputs<'_>, s: &EditScalars) -> (Vec<f64>, Vec<f64>) {
    let n = input.difference.len();
    let f = f64::from;
    let (mut sources, mut targets, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let estimates = f(s.d_clean) * input.clean[n + i] - f(s.d_clean) * input.clean[i];
        let free = input.mask.map_or(1.0, |mask| mask[i]);
        let difference = free * (f(s.d_own) * input.difference[i] + estimates);
        let xi = input.noise.map_or(0.0, |noise| noise[i]);
        let source = f(s.s_own) * input.state[i] + f(s.s_known) * input.known[i] + f(s.sigma) * xi;
        sources.push(source);
        targets.push(source + f(s.gamma) * difference);
        differences.push(difference);
    }
    sources.extend(targets);
    (sources, differences)
}
